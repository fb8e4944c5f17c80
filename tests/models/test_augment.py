"""Changes that make music look live: each does what it says and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.augment import (
    PLAIN,
    Chances,
    articulate,
    augmented,
    dynamics,
    is_written,
    jitter,
    swing,
    transpose,
    without_voices,
)
from models.performance import NOTE


def played(*notes):
    """Notes of (onset, duration, pitch, voice)."""
    found = np.zeros(len(notes), dtype=NOTE)
    for column, name in enumerate(("onset", "duration", "pitch", "voice")):
        found[name] = [note[column] for note in notes]
    found["velocity"] = 80
    return found


def quavers(count=16, *, step=0.5, pitch=60):
    return played(*((step * n, step, pitch + n % 5, n % 2) for n in range(count)))


def rng(seed=3):
    return np.random.default_rng(seed)


@given(st.integers(0, 500))
def test_the_same_seed_changes_alike(seed):
    every = Chances(
        transpose=0.5, jitter=0.5, swing=0.5, drop_voices=0.5, dynamics=0.5, articulate=0.5
    )
    first, second = (
        augmented(quavers(), rng(seed), every, bpm=100, quarters=True) for _ in range(2)
    )
    assert first.tolist() == second.tolist()
    assert (np.diff(first["onset"]) >= 0).all()


def test_without_chances_nothing_changes():
    same = augmented(quavers(), rng(), PLAIN, bpm=100, quarters=True)
    assert same.tolist() == quavers().tolist()


@given(st.integers(0, 500), st.integers(21, 104))
def test_transposition_keeps_the_intervals_and_the_keyboard(seed, pitch):
    before, after = quavers(pitch=pitch), quavers(pitch=pitch)
    transpose(after, rng(seed))
    shift = after["pitch"].astype(int) - before["pitch"]
    assert len(set(shift.tolist())) == 1
    assert -6 <= shift[0] <= 6
    assert after["pitch"].min() >= 21
    assert after["pitch"].max() <= 108


@given(st.integers(0, 500), st.floats(40, 240))
def test_jitter_is_a_few_milliseconds_and_ends_stay(seed, bpm):
    before, after = quavers(), quavers()
    jitter(after, rng(seed), bpm=bpm)
    moved_ms = np.abs(after["onset"] - before["onset"]) * 60_000 / bpm
    assert moved_ms.max() <= 30.001
    assert (after["onset"] >= 0).all()
    ends = [notes["onset"] + notes["duration"] for notes in (before, after)]
    assert np.allclose(*ends)


def test_swing_delays_the_second_quaver_and_leaves_the_beat():
    notes = quavers()
    swing(notes, rng())
    assert np.allclose(notes["onset"][::2], np.arange(8))
    offbeat = notes["onset"][1::2] % 1
    assert np.allclose(offbeat, offbeat[0])
    assert 0.5 <= offbeat[0] <= 0.68
    assert np.allclose(notes["onset"] + notes["duration"], [*notes["onset"][1:], 8])


def test_triplets_are_not_swung():
    notes = quavers(step=1 / 3)
    swing(notes, rng())
    assert np.allclose(notes["onset"], np.arange(16) / 3)


@given(st.integers(0, 500))
def test_some_voices_go_and_never_all(seed):
    band = played(*((n, 1, 60, n % 3) for n in range(12)))
    left = set(without_voices(band, rng(seed))["voice"].tolist())
    assert 0 < len(left) < 3


def test_a_single_voice_stays():
    alone = played((0, 1, 60, 4), (1, 1, 62, 4))
    assert len(without_voices(alone, rng())) == 2


@pytest.mark.parametrize("quarters", [True, False])
def test_only_beats_of_quarters_are_swung(quarters):
    always = Chances(transpose=0, jitter=0, swing=1, drop_voices=0)
    swung = augmented(quavers(), rng(), always, bpm=100, quarters=quarters)
    assert np.allclose(swung["onset"], quavers()["onset"]) is not quarters


def chorale(beats=64):
    """Four voices in crotchets, all alike loud."""
    keys = (48, 60, 64, 72)
    return played(*((n, 1, key, voice) for n in range(beats) for voice, key in enumerate(keys)))


@given(st.integers(0, 500))
def test_dynamics_are_a_players_and_change_nothing_else(seed):
    notes = chorale()
    dynamics(notes, rng(seed))
    assert not is_written(notes)
    assert notes["velocity"].min() >= 1
    assert notes["velocity"].max() <= 127
    for name in ("onset", "duration", "pitch", "voice"):
        assert (notes[name] == chorale()[name]).all()


def test_a_tune_is_louder_than_its_chords():
    louder = []
    for seed in range(40):
        notes = chorale()
        dynamics(notes, rng(seed))
        loudness = [notes["velocity"][notes["voice"] == voice].mean() for voice in range(4)]
        assert np.ptp(loudness[:3]) < 6
        louder.append(loudness[3] - np.mean(loudness[:3]))
    assert 5 < np.mean(louder) < 10


def test_what_stands_in_a_score_stays_louder_than_the_rest():
    notes = chorale()
    notes["velocity"][notes["onset"] >= 32] = 110
    assert is_written(notes)
    dynamics(notes, rng())
    later = notes["onset"] >= 32
    assert notes["velocity"][later].mean() > notes["velocity"][~later].mean() + 10


def test_what_was_played_keeps_its_loudness_and_its_lengths():
    notes = quavers()
    notes["velocity"] = 60 + np.arange(len(notes))
    every = Chances(transpose=0, jitter=0, swing=0, drop_voices=0, dynamics=1, articulate=1)
    assert augmented(notes, rng(), every, bpm=100, quarters=True).tolist() == notes.tolist()


@given(st.integers(0, 500))
def test_articulation_shortens_and_leaves_the_onsets(seed):
    before, after = quavers(count=200), quavers(count=200)
    articulate(after, rng(seed))
    shares = after["duration"] / before["duration"]
    assert 0.45 < shares.mean() < 1.05
    assert shares.std() < 0.12
    assert (after["duration"] > 0).all()
    assert (after["onset"] == before["onset"]).all()
