"""What a step is fed; that workers change nothing in it, hear no signals and go at the end."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models.architectures import FLAT, NESTED
from models.feeding import SHORT_SHARE, Feed, FeedError, Steps, _unheard
from models.note_cache import open_shelves
from models.processes import Processes
from models.training_state import read_settings

ROOT = Path(__file__).resolve().parents[2]
CONTEXT, BATCH = 24, 4
#: Torch advises against two workers where there is one core.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.fixture(scope="module")
def places(tmp_path_factory, toy):
    root = tmp_path_factory.mktemp("toy")
    return toy.fill(root / "data"), root / "cache"


@pytest.fixture(scope="module", params=[FLAT, NESTED], ids=lambda kind: kind.name)
def view(places, request):
    return request.param.view(open_shelves(*places))


@pytest.fixture(scope="module")
def notes(places):
    return NESTED.view(open_shelves(*places))


def steps_of(view, *, seed=4, rank=0, size=1):
    processes = Processes(rank=rank, size=size)
    return Steps(view, seed=seed, batch=BATCH, context=CONTEXT, processes=processes)


def taken(feed, numbers):
    return [feed.take(step) for step in numbers]


def same(fed, others):
    return len(fed) == len(others) and all(
        one[:2] == other[:2] and torch.equal(one.windows, other.windows)
        for one, other in zip(fed, others, strict=True)
    )


def test_a_step_depends_on_the_seed_and_its_number_alone(view):
    steps = steps_of(view)
    assert same([steps[7], steps[2], steps[7]], [steps_of(view)[n] for n in (7, 2, 7)])
    assert not same([steps[7]], [steps[8]])
    assert not same([steps[7]], [steps_of(view, seed=5)[7]])


def test_a_step_draws_its_dropout_then_its_length_then_its_windows(view):
    lengths = set()
    for step in range(6):
        fed = steps_of(view)[step]
        generator = np.random.default_rng([4, step])
        assert fed.dropout == int(generator.integers(2**62))
        short = generator.random() < SHORT_SHARE
        length, count = (CONTEXT // 2, 2 * BATCH) if short else (CONTEXT, BATCH)
        assert torch.equal(fed.windows, view.draw(generator, count=count, length=length))
        assert fed.windows.shape[:2] == (count, length + 1)
        assert fed.seen == count * length
        lengths.add(length)
    assert lengths == {CONTEXT // 2, CONTEXT}


def test_processes_share_a_step_and_draw_windows_of_their_own(view):
    alone = steps_of(view)[3]
    first, second = (steps_of(view, rank=rank, size=2)[3] for rank in range(2))
    assert alone[:2] == first[:2] == second[:2]
    assert len(first.windows) == len(second.windows) == len(alone.windows) // 2
    assert not torch.equal(first.windows, second.windows)


def test_what_is_mapped_from_files_is_not_copied_to_the_workers(view):
    again = pickle.loads(pickle.dumps(steps_of(view)))
    for name, splits in view.shelves.by_name.items():
        for split, shelf in splits.items():
            copy = again._view.shelves.by_name[name][split]
            for array, other in ((shelf.notes, copy.notes), (shelf.bars, copy.bars)):
                assert type(array) is type(other)
                assert np.array_equal(array, other)
                assert getattr(array, "filename", None) == getattr(other, "filename", None)
    assert isinstance(again._view.shelves.by_name["midi"]["train"].notes, np.memmap)
    assert same([again[5]], [steps_of(view)[5]])


def test_a_part_of_what_is_mapped_stays_that_part(notes):
    steps = steps_of(notes)
    steps.part = notes.shelves.by_name["midi"]["train"].notes[5:9]
    assert np.array_equal(pickle.loads(pickle.dumps(steps)).part, steps.part)


def test_workers_draw_the_same_windows_from_the_first_step_and_from_a_later_one(notes):
    steps = steps_of(notes)
    here, one, two = (Feed(steps, workers=workers, pinned=False) for workers in (0, 1, 2))
    dropout = torch.get_rng_state()
    with two.ahead(0):
        assert same(taken(two, range(7)), taken(here, range(7)))
    with here.ahead(3), one.ahead(3):
        assert same(taken(one, range(3, 6)), taken(here, range(3, 6)))
    assert same(taken(one, [1]), taken(here, [1]))  # where nobody draws ahead
    assert torch.equal(torch.get_rng_state(), dropout)


def test_workers_hear_no_signals_from_their_first_moment_on(notes):
    feed = Feed(steps_of(notes), workers=2, pinned=False)
    with feed.ahead(0):
        for worker in multiprocessing.active_children():
            os.kill(worker.pid, signal.SIGINT)
            os.kill(worker.pid, signal.SIGTERM)
        early = taken(feed, range(6))
        for worker in multiprocessing.active_children():
            os.kill(worker.pid, signal.SIGINT)
            os.kill(worker.pid, signal.SIGTERM)
        assert same(early + taken(feed, range(6, 12)), [steps_of(notes)[n] for n in range(12)])
        assert len(multiprocessing.active_children()) == 2
    assert multiprocessing.active_children() == []


def test_a_signal_that_comes_while_workers_are_started_is_heard_afterwards():
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with _unheard():
            signal.raise_signal(signal.SIGINT)
            assert heard == []
        assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_no_worker_outlives_an_error(notes, monkeypatch):
    monkeypatch.setattr(notes, "shelves", None)
    monkeypatch.setattr(notes, "train", None)
    feed = Feed(steps_of(notes), workers=1, pinned=False)
    with pytest.raises(AttributeError, match="no attribute 'draw'") as kept, feed.ahead(0):
        feed.take(0)
    assert multiprocessing.active_children() == []
    assert kept.tb is not None  # it holds on to all that stood on the stack


def test_a_worker_that_was_killed_is_told_in_one_line(notes):
    feed = Feed(steps_of(notes), workers=2, pinned=False)
    with pytest.raises(FeedError, match="; go on with --resume and fewer"), feed.ahead(0):
        feed.take(0)
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        taken(feed, range(1, 99))
    assert multiprocessing.active_children() == []


def test_ctrl_c_goes_to_all_and_the_training_still_saves(places, tmp_path):
    data, cache = places
    small = ["--layers", "1", "--width", "16", "--heads", "2", "--context", "16", "--threads", "1"]
    out = ["--data", str(data), "--cache", str(cache), "--out", str(tmp_path / "run")]
    often = ["--validate-minutes", "0", "--steps", "1000000", "--workers", "2"]
    command = [sys.executable, "-u", "-m", "models.training", *small, *out, *often]
    with subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        for line in process.stderr:
            if line.startswith("validation at step 9"):
                break
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stderr.read()  # ends when all that hold it have ended, the workers too
        assert process.wait(timeout=60) == 0
    assert "all is saved; --resume goes on" in rest
    assert "Traceback" not in rest
    assert read_settings(tmp_path / "run")[1].step >= 9
