"""The player's swing, push and loudness, as Segue takes them on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.listening.feel import KEPT_BEATS, MOST_PUSH, Feel
from engine.protocol import Note


def feel_of(*played: tuple[float, int]) -> Feel:
    feel = Feel()
    for onset, velocity in played:
        feel.heard(onset, velocity)
    return feel


def eighths(off_beat: float = 0.5, push: float = 0.0, velocity: int = 80) -> Feel:
    """Four bars of eighths, the second of each pair at `off_beat`, all `push` beats behind."""
    places = [beat + place + push for beat in range(16) for place in (0.0, off_beat)]
    return feel_of(*((place, velocity) for place in places))


def onset(feel: Feel, beat: float, amount: float = 1.0) -> float:
    return round(feel.given_to(Note(beat, 60, 0.25, 80), amount).onset, 6)


def test_at_nothing_it_is_the_straight_grid() -> None:
    note = Note(16.5, 60, 0.5, 33)
    assert eighths(0.62, push=0.03, velocity=99).given_to(note, 0.0) == note


@pytest.mark.parametrize(
    ("beat", "expected"),
    [(16, 16), (16.25, 16.3), (16.5, 16.6), (16.75, 16.8), (16 + 1 / 3, 16.333333)],
)
def test_the_beat_is_bent_as_the_player_swings_and_triplets_stay(
    beat: float, expected: float
) -> None:
    assert onset(eighths(0.6), beat) == expected


def test_half_of_it() -> None:
    assert onset(eighths(0.6), 16.5, amount=0.5) == 16.55


@pytest.mark.parametrize("push", [-0.04, 0.02])
def test_who_leans_is_leant_with(push: float) -> None:
    feel = eighths(push=push)
    assert onset(feel, 16.0) == 16 + push
    assert onset(feel, 16.5) == 16.5 + push
    assert feel.early_beats(1.0) == pytest.approx(max(0.0, -push))


def test_one_note_off_the_beat_is_no_feel() -> None:
    assert onset(feel_of((0.05, 80), (1.6, 80)), 16.5) == 16.5


def test_sixteenths_are_no_swing() -> None:
    feel = feel_of(*((step / 4, 80) for step in range(64)))
    assert onset(feel, 16.5) == 16.5
    assert onset(feel, 16.75) == 16.75


def test_what_was_played_long_ago_is_forgotten() -> None:
    feel = eighths(0.66)
    for beat in range(8):
        feel.heard(20 + KEPT_BEATS + beat, 80)
    assert onset(feel, 50.5) == 50.5


def test_a_soft_player_is_answered_softly() -> None:
    feel = eighths(velocity=40)
    loud = [feel.given_to(Note(16 + i, 60, 0.5, 90 + i % 3), 1.0).velocity for i in range(40)]
    assert loud[-12:] == [40] * 12
    half = feel.given_to(Note(60, 60, 0.5, 91), 0.5).velocity
    assert 64 <= half <= 67


def test_accents_stay_accents() -> None:
    feel = feel_of(*((beat, 40 if beat % 2 else 80) for beat in range(16)))
    for beat in range(40):
        feel.given_to(Note(16 + beat, 60, 0.5, 100 if beat % 2 else 60), 1.0)
    assert feel.given_to(Note(60, 60, 0.5, 100), 1.0).velocity == 80
    assert feel.given_to(Note(61, 60, 0.5, 60), 1.0).velocity == 40


@given(
    st.lists(st.tuples(st.floats(0, 64), st.integers(1, 127)), max_size=80),
    st.builds(
        Note,
        st.integers(0, 800).map(lambda step: step / 12),
        st.integers(0, 127),
        st.integers(1, 48).map(lambda step: step / 12),
        st.integers(1, 127),
    ),
    st.floats(0, 1),
)
def test_a_note_stays_a_note_and_near_its_place(
    played: list[tuple[float, int]], note: Note, amount: float
) -> None:
    felt = feel_of(*sorted(played)).given_to(note, amount)
    assert felt.pitch == note.pitch
    assert felt.duration > 0
    assert 1 <= felt.velocity <= 127
    assert abs(felt.onset - note.onset) <= 0.2 + MOST_PUSH
