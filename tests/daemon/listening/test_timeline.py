"""From messages to notes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from musicians import pitch_of

from daemon.listening.timeline import SHORTEST_BEATS, Closed, Opened, Timeline
from engine.protocol import Note

C4, E4 = pitch_of("C4"), pitch_of("E4")
SUSTAIN = 64

Change = tuple[float, str]  # beat, message in words


def play(*messages: Change) -> tuple[list[Note], Timeline]:
    """Play messages like (0.0, "on C4 80 ch2"), and return the notes that are whole."""
    timeline = Timeline()
    changes = [c for beat, words in messages for c in timeline.feed(beat, message(words))]
    return [change.note for change in changes if isinstance(change, Closed)], timeline


def message(words: str) -> bytes:
    kind, *rest = words.split()
    channel = int(rest.pop()[2:]) - 1 if rest[-1].startswith("ch") else 0
    if kind == "on":
        return bytes((0x90 | channel, pitch_of(rest[0]), int(rest[1]) if rest[1:] else 80))
    if kind == "off":
        return bytes((0x80 | channel, pitch_of(rest[0]), 64))
    number = {"pedal": SUSTAIN}.get(kind) or int(kind[2:])
    return bytes((0xB0 | channel, number, int(rest[0])))


@pytest.mark.parametrize(
    ("messages", "notes"),
    [
        pytest.param([(1.0, "on C4"), (1.5, "off C4")], [Note(1.0, C4, 0.5, 80)], id="a key"),
        pytest.param([(1.0, "on C4"), (1.5, "on C4 0")], [Note(1.0, C4, 0.5, 80)], id="velocity 0"),
        pytest.param(
            [(1.0, "on C4"), (1.0, "off C4")],
            [Note(1.0, C4, SHORTEST_BEATS, 80)],
            id="a key at once let go",
        ),
        pytest.param(
            [(0.0, "on C4 80"), (1.0, "on C4 90"), (1.5, "off C4"), (2.0, "off C4")],
            [Note(0.0, C4, 1.0, 80), Note(1.0, C4, 0.5, 90)],
            id="a repeated key closes the note before",
        ),
        pytest.param([(1.0, "off C4")], [], id="a release without its key"),
        pytest.param(
            [(0.0, "pedal 127"), (0.0, "on C4"), (0.5, "off C4"), (2.0, "pedal 0")],
            [Note(0.0, C4, 2.0, 80)],
            id="the pedal holds",
        ),
        pytest.param(
            [(0.0, "on C4"), (0.5, "pedal 64"), (1.0, "pedal 63"), (2.0, "off C4")],
            [Note(0.0, C4, 2.0, 80)],
            id="the key holds on when the pedal lets go",
        ),
        pytest.param(
            [(0.0, "pedal 127"), (0.0, "on C4"), (0.5, "off C4"), (1.0, "on C4"), (3.0, "pedal 0")],
            [Note(0.0, C4, 1.0, 80)],
            id="repeated under the pedal, and still held",
        ),
        pytest.param(
            [(0.0, "on C4 ch1"), (0.0, "on C4 ch2"), (1.0, "off C4 ch2"), (2.0, "off C4 ch1")],
            [Note(0.0, C4, 1.0, 80), Note(0.0, C4, 2.0, 80)],
            id="channels are kept apart",
        ),
        pytest.param(
            [(0.0, "pedal 127 ch2"), (0.0, "on C4 ch1"), (1.0, "off C4 ch1")],
            [Note(0.0, C4, 1.0, 80)],
            id="and so are their pedals",
        ),
        pytest.param(
            [(0.0, "on C4"), (0.0, "on E4"), (1.0, "cc123 0")],
            [Note(0.0, C4, 1.0, 80), Note(0.0, E4, 1.0, 80)],
            id="all notes off",
        ),
        pytest.param([(0.0, "on C4 ch1"), (1.0, "cc123 0 ch2")], [], id="on another channel"),
        pytest.param(
            [(0.0, "pedal 127"), (0.0, "on C4"), (1.0, "off C4"), (1.0, "on E4"), (2.0, "cc121 0")],
            [Note(0.0, C4, 2.0, 80)],
            id="a reset lifts the pedal, and no key",
        ),
        pytest.param([(0.0, "on C4"), (1.0, "cc1 127")], [], id="another controller"),
    ],
)
def test_what_notes_come_of_messages(messages: list[Change], notes: list[Note]) -> None:
    assert play(*messages)[0] == notes


@pytest.mark.parametrize(
    "garbage", [b"", b"\x90", b"\x90\x3c", b"\xc0\x05", b"\x90\x3c\x80", b"\x90\xff\x40", b"<<<"]
)
def test_what_is_no_channel_message_changes_nothing(garbage: bytes) -> None:
    timeline = Timeline()
    assert timeline.feed(0.0, garbage) == []
    assert timeline.open_notes == ()


def test_a_note_that_only_the_pedal_holds_is_not_held() -> None:
    _, timeline = play((0.0, "pedal 127"), (0.0, "on C4"))
    assert timeline.held
    timeline.feed(1.0, message("off C4"))
    assert not timeline.held
    assert [opened.pitch for opened in timeline.open_notes] == [C4]


channel_messages = st.one_of(
    st.builds(
        lambda kind, channel, pitch, velocity: bytes((kind | channel, pitch, velocity)),
        st.sampled_from([0x80, 0x90, 0x90, 0xA0, 0xE0]),
        st.integers(0, 2),
        st.integers(60, 63),
        st.integers(0, 127),
    ),
    st.builds(
        lambda channel, number, value: bytes((0xB0 | channel, number, value)),
        st.integers(0, 2),
        st.sampled_from([1, 64, 66, 120, 121, 123, 127]),
        st.integers(0, 127),
    ),
    st.binary(max_size=4),
)
streams = st.lists(st.tuples(st.floats(0, 4), channel_messages), max_size=60)


@given(streams)
def test_every_note_that_opens_closes_once_and_lasts(
    stream: list[tuple[float, bytes]],
) -> None:
    timeline = Timeline()
    beat, changes = 0.0, []
    for gap, raw in stream:
        beat += gap
        changes += timeline.feed(beat, raw)
    changes += timeline.close_all(beat)
    opened = {change.number: change for change in changes if isinstance(change, Opened)}
    closed = [change for change in changes if isinstance(change, Closed)]
    assert sorted(opened) == sorted(change.number for change in closed)
    for change in closed:
        begun = opened[change.number]
        assert change.note.duration > 0
        assert (change.note.onset, change.note.pitch) == (begun.onset, begun.pitch)
    assert timeline.open_notes == ()
    assert timeline.close_all(beat) == []


@given(streams)
def test_a_pitch_sounds_once_at_a_time(stream: list[tuple[float, bytes]]) -> None:
    timeline = Timeline()
    for index, (_, raw) in enumerate(stream):
        on_channel_1 = bytes((raw[0] & 0xF0, *raw[1:])) if raw else raw
        timeline.feed(float(index), on_channel_1)
        pitches = [opened.pitch for opened in timeline.open_notes]
        assert len(set(pitches)) == len(pitches)
