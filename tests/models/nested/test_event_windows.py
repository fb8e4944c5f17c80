"""Windows of events: music from bar lines on, whole to the end, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.augment import PLAIN, Chances
from models.nested.events import (
    AHEAD,
    COLUMNS,
    END,
    KEY,
    KEYS,
    LENGTH,
    METRE,
    NO_KEY_START,
    ONSET,
    POSITIONS,
    TIME,
    decode,
    encode,
)
from models.nested.lookback import ALL_COLUMNS, SUGGESTED_ONSET, suggestions
from models.nested.windows import HELD, EventWindows, hold
from models.note_cache import open_shelves
from models.placing import Placed


@pytest.fixture(scope="module")
def windows(tmp_path_factory, toy):
    root = tmp_path_factory.mktemp("windows")
    toy.fill(root / "data", pieces=6)
    late = toy.midi_file([("SOLO", 0, [(0, 90, 1), (60, 91, 1), (61, 92, 1)])])
    (root / "data" / "late.mid").write_bytes(late)
    waltz = [(beat, 40 + beat % 3, 1) for beat in range(24)]
    (root / "data" / "waltz.mid").write_bytes(toy.midi_file([("LH", 0, waltz)], metre=(3, 4)))
    shelves = open_shelves(root / "data", root / "cache", workers=1)
    split = max(("train", "valid", "test"), key=lambda s: len(shelves.by_name["midi"][s]))
    return EventWindows(shelves, split=split)


def draw(windows, seed, *, chances=PLAIN, count=2, length=48):
    return windows.draw(np.random.default_rng(seed), count=count, length=length, chances=chances)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_windows_are_full_of_segments_that_can_be_read(windows, seed):
    for window in draw(windows, seed, chances=Chances()):
        assert window.shape == (48, ALL_COLUMNS)
        starts = np.flatnonzero(window[:, KEY] == NO_KEY_START)
        assert starts[0] == 0
        for start, stop in zip(starts, [*starts[1:], len(window)], strict=True):
            rows = window[start:stop, :COLUMNS]
            if len(rows) > 1:
                assert rows[1, METRE] == rows[0, AHEAD]
                assert rows[1, ONSET] >= POSITIONS
                decode(rows)
            if stop < len(window):
                assert rows[-1, ONSET] == END
            assert suggestions(rows.tolist()) == window[start:stop, SUGGESTED_ONSET:].tolist()
        assert (np.diff(window[:, TIME]) >= 0).all()


def test_the_same_seed_draws_the_same(windows):
    assert np.array_equal(draw(windows, 5), draw(windows, 5))
    assert not np.array_equal(draw(windows, 5), draw(windows, 6))


def test_plain_windows_hold_the_music_as_it_is(windows):
    pitches = {
        int(key) + 21 for key in draw(windows, 1, count=40)[..., KEY].flatten() if key < KEYS
    }
    assert pitches <= {*range(54, 67), 90, 91, 92, 40, 41, 42}
    assert not draw(windows, 1, count=40)[..., HELD].any()


def test_held_notes_are_as_long_as_they_have_sounded():
    notes = [(0, 0, 48, 96, 9), (0, 0, 60, 12, 9), (0, 24, 64, 24, 9), (0, 36, 67, 12, 9)]
    rows = encode(Placed(np.array(notes), np.array([3])), ends=True)
    rows = np.concatenate((rows, np.zeros((len(rows), 1), dtype=np.int64)), axis=1)
    hold(rows, at=4)  # the last note comes at step 36
    assert (rows[1:5, LENGTH] + 1).tolist() == [36, 12, 12, 12]
    assert rows[:, HELD].tolist() == [0, 1, 0, 1, 0, 0]
