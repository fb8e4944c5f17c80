"""Training windows: full of music that can be read, changed as asked for, the same by seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.augment import PLAIN, Chances
from models.note_cache import Shelf, Shelves
from models.performance import performance_of
from models.placing import METRE_LIST, Placed
from models.vocabulary import standard_vocabulary
from models.windows import LEARNT, TOKEN, TokenWindows, held

V = standard_vocabulary()
FOUR_FOUR = METRE_LIST.index((4, 4))


@pytest.fixture(scope="module")
def windows(toy):
    """Two hands in long notes, and a scale that is over soon."""
    left = [(2 * beat, 40 + beat % 5, 3.9) for beat in range(40)]
    right = [(beat / 2, 70 + beat % 7, 0.5) for beat in range(160)]
    hands = toy.midi_file([("RH", 0, right), ("LH", 1, left)])
    shelf = Shelf.of([performance_of(midi) for midi in (hands, toy.scale(90, bars=2))])
    return TokenWindows(
        Shelves(by_name={"toy": {"train": shelf}}, weights={"toy": 1.0}, left_out={}),
        split="train",
    )


def draw(windows, seed=0, *, chances=PLAIN, count=20, length=120):
    return windows.draw(np.random.default_rng(seed), count=count, length=length, chances=chances)


def segments(window):
    """The music of each segment, with its EOS."""
    starts = np.flatnonzero(window[:, TOKEN] == V.bos)
    return [part[1:] for part in np.split(window, starts)[1:]]


def pitches(tokens):
    return [V.lowest_pitch + token - V.pitches.start for token in tokens if token in V.pitches]


@given(seed=st.integers(0, 10_000))
def test_windows_are_full_of_segments_from_bar_lines_on(windows, seed):
    for window in draw(windows, seed, chances=Chances(), count=2):
        assert window.shape == (120, 2)
        assert window[0, TOKEN] == V.bos
        assert V.pad not in window[:, TOKEN]
        for part in segments(window):
            assert part[:2, TOKEN].tolist() in (
                [V.bar, V.time_signature_token((4, 4))][: len(part)],
                [],
            )
            assert V.eos not in part[:-1, TOKEN]


def test_plain_windows_hold_the_music_as_it_is_and_its_end(windows):
    drawn = draw(windows, count=100)
    heard = set(pitches(drawn[..., TOKEN].flatten()))
    assert heard == {*range(40, 45), *range(70, 77), 90, 92, 94, 95, 97}
    assert ((drawn[..., LEARNT] == 1) == (drawn[..., TOKEN] != V.bos)).all()
    for window in drawn:
        assert all(part[-1, TOKEN] == V.eos for part in segments(window)[:-1])


def test_a_seed_gives_the_same_windows(windows):
    changed = Chances(jitter=0.5, swing=0.5, drop_voices=0.5, hold=0.5)
    first, again = (draw(windows, 5, chances=changed) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, draw(windows, 6, chances=changed))


def only(**chance):
    nothing = {"transpose": 0, "jitter": 0, "swing": 0, "drop_voices": 0, "hold": 0}
    return Chances(**(nothing | chance))


def test_every_key_is_heard(windows):
    lowest = {
        min(pitches(row)) for row in draw(windows, count=400, chances=only(transpose=1))[..., TOKEN]
    }
    assert {*range(34, 47)} <= lowest


def test_a_hand_alone_is_heard(windows):
    drawn = draw(windows, count=100, chances=only(drop_voices=1), length=60)[..., TOKEN]
    hands = [{pitch < 60 for pitch in pitches(row)} for row in drawn]
    assert {True} in hands
    assert {False} in hands


@pytest.mark.parametrize("change", ["jitter", "swing"])
def test_onsets_leave_the_straight_grid(windows, change):
    def off(chances):
        tokens = draw(windows, chances=chances)[..., TOKEN].flatten()
        return any((token - V.positions.start) % 6 for token in tokens if token in V.positions)

    assert off(only(**{change: 1}))
    assert not off(PLAIN)


def test_a_held_note_is_as_long_as_it_has_sounded_and_that_is_not_learnt(windows):
    drawn = draw(windows, count=100, chances=only(hold=1)).reshape(-1, 2)
    music = drawn[drawn[:, TOKEN] != V.bos]
    unlearnt = music[music[:, LEARNT] == 0, TOKEN]
    assert len(unlearnt)
    assert all(token in V.durations for token in unlearnt)
    # Notes of 3.9 beats are cut where another begins: at half beats that lie before their ends.
    assert {(token - V.durations.start + 1) % 6 for token in unlearnt} == {0}
    assert max(unlearnt) < V.duration_token(47)


def test_what_sounds_is_cut_and_nothing_else():
    notes = [(0, 0, 48, 96, 9), (0, 0, 60, 12, 9), (0, 24, 64, 24, 9), (1, 0, 67, 12, 9)]
    cut_notes, cut = held(Placed(np.array(notes), np.full(2, FOUR_FOUR)), at=3)
    assert cut_notes.notes[:, 3].tolist() == [48, 12, 24, 12]
    assert cut.tolist() == [True, False, False, False]
    # From 6/8 into 4/4: two bars of 36 quarter steps, counted in 72 steps of an eighth's twelfth.
    metres = np.array([METRE_LIST.index((6, 8)), FOUR_FOUR])
    mixed = Placed(np.array([(0, 12, 48, 96, 9), (1, 12, 60, 12, 9)]), metres)
    assert held(mixed, at=1)[0].notes[:, 3].tolist() == [84, 12]
