"""A voice that plays along leaves room for the one that it follows."""

from hypothesis import given
from hypothesis import strategies as st
from musicians import tune

from daemon.listening.room import COUNTED_BEATS, SAVED_BEATS, Room
from engine.protocol import Note


def room_of(*onsets: float) -> Room:
    room = Room()
    for onset in onsets:
        room.heard(onset)
    return room


def chord(beat: float, *pitches: int) -> list[Note]:
    return [Note(beat, pitch, 1.0, 80) for pitch in pitches]


def played(room: Room, notes: list[Note], held: tuple[int, ...] = ()) -> list[float]:
    """The onsets for which there is room, one decision after the other."""
    return [note.onset for each in notes for note in room.fitting([each], held)]


def test_as_many_notes_as_the_player() -> None:
    eighths = tune("C5 " * 16, beat=8, step=0.5)
    assert len(played(room_of(*(beat / 2 for beat in range(32))), eighths)) == 16
    quarters_only = played(room_of(*range(16)), tune("C5 " * 16, beat=8, step=0.5))
    assert 8 <= len(quarters_only) <= 8 + SAVED_BEATS


def test_beside_a_long_note_there_is_room_for_one_a_beat() -> None:
    assert played(room_of(0.0), tune("C5 " * 8, beat=8)) == [float(beat) for beat in range(8, 16)]


def test_a_chord_is_thinned_from_within() -> None:
    room = room_of(*range(8))
    assert [note.pitch for note in room.fitting(chord(8, 48, 55, 60, 64, 72), ())] == [48, 72]


def test_what_the_player_holds_is_left_to_him() -> None:
    room = room_of(*range(8))
    assert [note.pitch for note in room.fitting(chord(8, 48, 60), (60,))] == [48]


@given(
    st.lists(st.floats(0, 16), max_size=60).map(sorted),
    st.lists(
        st.builds(
            Note,
            st.integers(192, 384).map(lambda n: n / 12),
            st.integers(0, 127),
            st.just(1.0),
            st.just(80),
        ),
        max_size=60,
        unique=True,
    ).map(sorted),
)
def test_no_more_than_the_player_and_what_was_saved(onsets: list[float], notes: list[Note]) -> None:
    room = room_of(*onsets)
    kept = room.fitting(notes, ())
    most = max(1.0, len(onsets) / COUNTED_BEATS)
    assert len(kept) <= most * (16 + SAVED_BEATS)
    assert set(kept) <= set(notes)
    assert kept == sorted(kept)
