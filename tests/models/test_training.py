"""The training loop on a toy corpus: it learns, it stops when told, and it goes on to the step."""

import argparse
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models import training
from models.architectures import FLAT, NESTED, architecture_of
from models.checkpoint import load_any
from models.note_cache import open_shelves
from models.training import Trainer, main
from models.training_options import MOST_WORKERS, Settings, settings_of, shape_of
from models.training_state import read_settings
from models.vocabulary import standard_vocabulary

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).resolve().parents[2]
WORDS = {"vocabulary": len(standard_vocabulary())}
SHAPES = {
    "flat": FLAT.config(**WORDS, layers=1, width=32, heads=2, ffn=64, context=64),
    "nested": NESTED.config(**WORDS, layers=1, width=32, heads=2, ffn=64, chain=48, context=24),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory, toy):
    root = tmp_path_factory.mktemp("toy")
    return toy.fill(root / "data"), root / "cache"


@pytest.fixture(scope="module", params=list(SHAPES))
def view(places, request):
    return architecture_of(SHAPES[request.param]).view(open_shelves(*places))


def settings(**changes):
    plain = {
        "minutes": None,
        "steps": 20,
        "batch": 2,
        "rate": 3e-3,
        "dropout": 0.1,
        "seed": 4,
        "precision": "float32",
        "device": "cpu",
        "validate_minutes": 9.0,
        "save_minutes": 9.0,
    }
    return Settings(**(plain | changes))


def trainer(view, out, **changes):
    out.mkdir(exist_ok=True)
    shape = SHAPES["flat" if view.unit == "token" else "nested"]
    return Trainer(view, shape, settings(**changes), out=out)


def weights(run, *, averaged=False):
    network = run.averaged if averaged else run.network
    return torch.cat([parameter.flatten() for parameter in network.parameters()])


def test_twenty_steps_lower_the_loss(view, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "WARM_UP_STEPS", 5)
    run = trainer(view, tmp_path / "run")
    before = run.validate()
    # It knows nothing yet: log2 of 362 tokens is 8.5, of all the fields' choices 25.3, and in a
    # scale of crotchets each fourth note asks for a metre, log2 of 14, as well.
    assert 8 < before < 9 if view.unit == "token" else 25 < before < 27
    assert run.train() == 0
    assert run.progress.step == 20
    assert run.progress.best_bits < before - 0.3
    shipped = load_any(tmp_path / "run" / "best")
    assert torch.allclose(
        shipped.network.state_dict()["norm.weight"],
        run.averaged.state_dict()["norm.weight"],
        atol=1e-3,
    )
    assert shipped.provenance["steps"] == 20
    assert shipped.provenance["data_mix"] == {"midi": 1.0}


def test_a_run_cut_in_two_ends_as_one(view, tmp_path):
    whole = trainer(view, tmp_path / "whole")
    whole.train()

    first = trainer(view, tmp_path / "cut")
    for _ in range(9):
        first.step()
    first.save()
    second = trainer(view, tmp_path / "cut")
    second.resume()
    assert second.progress.step == 9
    second.train()
    assert second.progress.seen == whole.progress.seen
    assert torch.equal(weights(second), weights(whole))
    assert torch.equal(weights(second, averaged=True), weights(whole, averaged=True))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("view", ["nested"], indirect=True)
def test_a_run_with_workers_ends_as_one_without(view, tmp_path):
    alone = trainer(view, tmp_path / "alone", steps=6)
    alone.train()
    helped = trainer(view, tmp_path / "helped", steps=6, workers=2)
    helped.step()  # before anybody draws ahead
    helped.train()
    assert helped.progress.seen == alone.progress.seen
    assert torch.equal(weights(helped), weights(alone))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves(view, tmp_path, monkeypatch, number, capsys):
    run = trainer(view, tmp_path / "run")
    step = run.step

    def signalled():
        if run.progress.step == 5:
            signal.raise_signal(number)
        return step()

    monkeypatch.setattr(run, "step", signalled)
    assert run.train() == 0
    assert "stopped at step 6, all is saved; --resume goes on" in capsys.readouterr().err
    assert read_settings(tmp_path / "run")[1].step == 6


def test_the_rate_warms_up_and_falls(view, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "WARM_UP_STEPS", 5)
    run = trainer(view, tmp_path / "run", steps=100)
    shares = []
    for step in range(101):
        run.progress.step = step
        shares.append(run._rate_share())
    assert shares.index(max(shares)) == 4
    assert shares[100] == pytest.approx(training.FINAL_RATE)
    assert shares[4:] == sorted(shares[4:], reverse=True)


def test_the_stable_rate_falls_in_the_last_fifth_alone(view, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "WARM_UP_STEPS", 5)
    run = trainer(view, tmp_path / "run", steps=100, schedule="stable")
    shares = []
    for step in range(101):
        run.progress.step = step
        shares.append(run._rate_share())
    assert shares[4:81] == pytest.approx([1] * 77)
    assert shares[90] == pytest.approx((1 + training.FINAL_RATE) / 2)
    assert shares[100] == pytest.approx(training.FINAL_RATE)


def test_it_stops_when_validation_brings_nothing(view, tmp_path):
    run = trainer(view, tmp_path / "run", patience=2, validate_minutes=0.0)
    run.progress.best_bits = 0.5
    assert run.train() == 0
    assert run.progress.step == 2


def test_minutes_count_work_across_resumes(view, tmp_path):
    run = trainer(view, tmp_path / "run", minutes=2.0, steps=None)
    run.progress.elapsed_s = 90.0
    assert run.fraction() == pytest.approx(0.75)
    run.save()
    again = trainer(view, tmp_path / "run", minutes=2.0, steps=None)
    again.resume()
    assert again.fraction() == pytest.approx(0.75)


SMALL = ["--layers", "1", "--width", "16", "--heads", "2", "--context", "32", "--threads", "1"]


@pytest.mark.parametrize("architecture", ["flat", "nested"])
def test_the_command_trains_refuses_to_overwrite_and_resumes(
    places, tmp_path, capsys, architecture
):
    data, cache = places
    kind = ["--architecture", architecture]
    common = [
        *kind,
        "--data",
        str(data),
        "--cache",
        str(cache),
        "--out",
        str(tmp_path / "run"),
        *SMALL,
    ]
    assert main([*common, "--steps", "2"]) == 0
    assert "to ship it: python -m models.checkpoint" in capsys.readouterr().err
    assert main([*common, "--steps", "4"]) == 2
    assert "holds a run already; add --resume" in capsys.readouterr().err
    anew = ["--steps", "4", "--dropout", "0", "--rate", "1e-4", "--most-rounds", "2"]
    assert main([*common, *anew, "--resume"]) == 0
    said = capsys.readouterr().err
    assert "resumed at step 2" in said
    assert "done: 4 steps" in said
    settings = read_settings(tmp_path / "run")[2]
    assert (settings["steps"], settings["dropout"], settings["rate"]) == (4, 0, 1e-4)
    assert settings["most_rounds"] == 2
    assert settings["seed"] == 0


@pytest.mark.parametrize("architecture", ["flat", "nested"])
def test_a_run_can_begin_with_a_checkpoint(places, tmp_path, capsys, architecture):
    data, cache = places
    common = ["--data", str(data), "--cache", str(cache)]
    first = ["--architecture", architecture, *SMALL, "--steps", "1"]
    assert main([*common, *first, "--out", str(tmp_path / "first")]) == 0
    best = tmp_path / "first" / "best"
    begun = load_any(best).network
    more = ["--from", str(best), "--steps", "1", "--rate", "1e-9", "--out", str(tmp_path / "more")]
    assert main([*common, *more]) == 0
    went_on = load_any(tmp_path / "more" / "best").network
    assert went_on.config == begun.config
    for name, tensor in begun.state_dict().items():
        assert torch.allclose(went_on.state_dict()[name], tensor, atol=1e-3), name
    capsys.readouterr()
    assert main([*common, *more, "--resume"]) == 2
    assert "leave --from away" in capsys.readouterr().err
    nowhere = ["--from", str(tmp_path / "none"), "--out", str(tmp_path / "third")]
    assert main([*common, *nowhere]) == 1
    assert "there is no checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (["--steps", "5", "--minutes", "5"], "not in both"),
        (["--steps", "-5"], "--steps is -5"),
        (["--batch", "0"], "--batch is 0"),
        (["--dropout", "1"], "--dropout is 1.0"),
        (["--most-rounds", "0.5"], "--most-rounds is 0.5"),
        (["--workers", "-1"], "--workers is -1"),
        (["--width", "30", "--heads", "4"], "cannot be split into 4 heads"),
    ],
)
def test_wrong_options_are_exit_code_two(tmp_path, capsys, wrong, complaint):
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "run"), *wrong]) == 2
    assert complaint in capsys.readouterr().err


def test_failures_are_one_line_and_exit_code_one(places, tmp_path, capsys):
    data, cache = places
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main(["--data", str(empty), "--out", str(tmp_path / "run")]) == 1
    assert "no MIDI files in" in capsys.readouterr().err
    common = ["--data", str(data), "--cache", str(cache), "--out", str(tmp_path / "run")]
    assert main([*common, "--resume"]) == 1
    assert "to resume; start without --resume" in capsys.readouterr().err
    (tmp_path / "run" / "state.safetensors").write_bytes(b"torn")
    assert main([*common, "--resume"]) == 1
    assert "is damaged" in capsys.readouterr().err
    (tmp_path / "file").write_text("in the way")
    assert main(["--data", str(data), "--out", str(tmp_path / "file")]) == 1
    assert "cannot write to" in capsys.readouterr().err


def test_a_killed_training_goes_on_from_its_last_save(places, tmp_path):
    data, cache = places
    run = tmp_path / "run"
    common = ["--data", str(data), "--cache", str(cache), "--out", str(run), *SMALL]
    often = ["--architecture", "nested", "--validate-minutes", "0", "--save-minutes", "0"]
    command = [sys.executable, "-u", "-m", "models.training", *common, *often, "--steps", "100000"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("validation at step 4"):
                process.kill()
                break
    saved = read_settings(run)[1].step
    assert saved >= 3
    assert load_any(run / "best").provenance["steps"] >= 1
    assert main([*common, "--resume", "--steps", str(saved + 2)]) == 0
    assert read_settings(run)[1].step == saved + 2


def test_a_full_disk_keeps_the_state_before(view, tmp_path, monkeypatch):
    run = trainer(view, tmp_path / "run")
    run.step()
    run.save()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("models.training_state.save_file", full)
    run.step()
    with pytest.raises(training.CheckpointError, match=r"No space left .*is kept"):
        run.save()
    assert read_settings(tmp_path / "run")[1].step == 1


def test_a_full_disk_does_not_end_a_training(view, tmp_path, monkeypatch, capsys):
    run = trainer(view, tmp_path / "run", steps=3, save_minutes=0.0)
    refusals = iter([OSError(28, "No space left on device")])

    def full_once(*given, **named):
        for refusal in refusals:
            raise refusal
        return save_file(*given, **named)

    monkeypatch.setattr("models.training_state.save_file", full_once)
    assert run.train() == 0
    assert "training goes on and tries again" in capsys.readouterr().err
    assert read_settings(tmp_path / "run")[1].step == 3


def test_the_options_stand_in_anothers_parser():
    parser = argparse.ArgumentParser()
    training.add_arguments(parser)
    assert shape_of(parser.parse_args(["--data", "d", "--out", "o"])).context == 1024
    nested = ["--data", "d", "--out", "o", "--architecture", "nested", "--width", "128"]
    shape = shape_of(parser.parse_args(nested))
    assert (shape.context, shape.ffn, shape.chain) == (1024, 384, 192)


def test_compiling_needs_a_compiler(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert main(["--data", "d", "--out", str(tmp_path / "run"), "--compile"]) == 2
    assert "install g++, or train without it" in capsys.readouterr().err


def test_a_gpu_is_fed_by_a_worker_for_each_core_but_one(monkeypatch):
    parser = argparse.ArgumentParser()
    training.add_arguments(parser)

    def workers(*options):
        args = parser.parse_args(["--data", "d", "--out", "o", *options])
        return settings_of(args).workers

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8), raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert workers("--device", "cpu") == 0
    assert workers("--device", "cpu", "--workers", "2") == 2
    assert workers("--device", "cuda") == 7
    assert workers("--device", "cuda", "--workers", "0") == 0
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")  # as torchrun says
    assert workers("--device", "cuda") == 3
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(1), raising=False)
    assert workers("--device", "cuda") == 1
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(96), raising=False)
    assert workers("--device", "cuda") == MOST_WORKERS
