"""Segue's own notes are known when they come back, and nothing that a player plays is lost."""

from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.listening.echo import MEMORY, WINDOW_NS, EchoGuard, notice
from daemon.listening.timeline import Closed, Opened, Timeline
from engine.protocol import Note

MS = 1_000_000
C_ON, C_OFF = b"\x90\x3c\x50", b"\x80\x3c\x00"


def on(pitch: int, velocity: int = 80, channel: int = 0) -> bytes:
    return bytes((0x90 | channel, pitch, velocity))


def off(pitch: int, channel: int = 0) -> bytes:
    return bytes((0x80 | channel, pitch, 0))


@dataclass
class Room:
    """A guard, and what gets past it."""

    guard: EchoGuard

    def segue(self, *timed: tuple[float, bytes]) -> "Room":
        for ms, message in timed:
            self.guard.sent(round(ms * MS), message)
        return self

    def hears(self, *timed: tuple[float, bytes]) -> list[bytes]:
        return [message for ms, message in timed if not self.guard.is_echo(round(ms * MS), message)]


@pytest.fixture
def room() -> Room:
    return Room(EchoGuard())


def test_a_note_that_comes_back_is_no_note(room: Room) -> None:
    room.segue((100, C_ON), (400, C_OFF))
    assert room.hears((112, C_ON), (412, C_OFF)) == []


def test_on_another_channel_and_from_two_tracks_it_is_still_ours(room: Room) -> None:
    room.segue((100, C_ON), (400, C_OFF))
    back = [(112, on(60, channel=9)), (130, on(60, channel=3)), (131, on(60, channel=9))]
    gone = [(412, off(60, channel=9)), (430, off(60, channel=3)), (431, off(60, channel=9))]
    assert room.hears(*back, *gone) == []


@pytest.mark.parametrize("played", [(97, C_ON), (251, C_ON), (112, on(61)), (112, on(60, 81))])
def test_what_is_early_late_or_different_is_played(room: Room, played: tuple[int, bytes]) -> None:
    room.segue((100, C_ON), (400, C_OFF))
    assert room.hears(played) == [played[1]]


def test_a_release_without_velocity_and_other_messages_pass(room: Room) -> None:
    room.segue((100, C_ON), (150, C_OFF))
    others = [(110, b"\xb0\x40\x7f"), (111, b"\xd0\x10"), (112, on(60, 0)), (113, b"\xf8")]
    assert room.hears(*others) == [message for _, message in others]
    assert room.hears((114, C_ON), (160, on(60, 0))) == []


def test_an_echo_does_not_end_what_the_player_holds_on_that_key(room: Room) -> None:
    room.segue((100, C_ON), (400, C_OFF))
    held = on(60, 99)
    assert room.hears((50, held), (110, C_ON), (410, C_OFF), (900, C_OFF)) == [held, C_OFF]


def test_the_players_release_ends_his_note_while_ours_sounds_on(room: Room) -> None:
    room.segue((100, C_ON), (900, C_OFF))
    held = on(60, 99)
    assert room.hears((50, held), (110, C_ON), (500, C_OFF)) == [held, C_OFF]
    assert room.hears((910, C_OFF)) == []


def test_what_was_released_at_once_never_left_and_its_place_is_the_players(room: Room) -> None:
    room.segue((100, C_ON), (120, on(64)), (400, C_OFF))
    room.guard.released(110 * MS)
    assert room.hears((112, C_ON), (121, C_OFF)) == []
    assert room.hears((125, on(64)), (180, off(64))) == [on(64), off(64)]


def test_a_lost_release_of_an_echo_does_not_swallow_the_players(room: Room) -> None:
    room.segue((100, C_ON), (200, C_OFF))
    assert room.hears((110, C_ON)) == []
    assert room.hears((900, on(60, 70)), (950, C_OFF)) == [on(60, 70), C_OFF]


def test_latencies_move_the_window() -> None:
    room = Room(EchoGuard(input_latency_ns=30 * MS, output_latency_ns=200 * MS))
    room.segue((1000, C_ON), (1100, C_OFF))  # leaves at 800; a message stamped 780 came at 810
    assert room.hears((780, C_ON), (880, C_OFF)) == []
    assert room.hears((1000, C_ON)) == [C_ON]


def test_a_loop_is_told_once_after_three_notes_in_a_row(room: Room) -> None:
    told = []
    for start, pitch, comes_back in (
        (0, 60, True),
        (500, 62, True),
        (1000, 72, False),
        (1500, 64, True),
        (2000, 65, True),
        (2500, 67, True),
        (3000, 69, True),
    ):
        room.segue((start, on(pitch)), (start + 300, off(pitch)))
        if comes_back:
            assert room.hears((start + 21, on(pitch)), (start + 321, off(pitch))) == []
        told.append(room.guard.new_loop_ms())
    assert told == [None] * 5 + [pytest.approx(21), None]


def test_the_notice_names_both_ports() -> None:
    assert "Segue Out to Segue In after 12 ms" in notice(12.3)


# Laws.

times = st.integers(0, 3000)
taps = st.tuples(times, st.integers(1, 400), st.integers(60, 64))  # ms, length in ms, pitch


def held_keys(notes: list[tuple[int, int, int]], velocity: int) -> list[tuple[int, bytes]]:
    """One hand: on each key a note ends before the next begins."""
    free: dict[int, int] = {}
    messages: list[tuple[int, bytes]] = []
    for start, length, pitch in sorted(notes):
        if start >= free.get(pitch, 0):
            free[pitch] = start + length + 1
            messages += [(start, on(pitch, velocity)), (start + length, off(pitch))]
    return messages


@given(st.lists(st.tuples(times, st.binary(min_size=1, max_size=3)), max_size=40))
def test_nothing_is_lost_while_nothing_was_sent(messages: list[tuple[int, bytes]]) -> None:
    room = Room(EchoGuard())
    assert room.hears(*messages) == [message for _, message in messages]
    assert room.guard.new_loop_ms() is None


@given(
    ours=st.lists(taps, max_size=12),
    played=st.lists(taps, max_size=12),
    lags=st.lists(st.integers(1, 150), max_size=3),
)
@example(ours=[(0, 100, 60)], played=[(5, 110, 60)], lags=[10])
@example(ours=[(0, 100, 60)], played=[(5, 90, 60)], lags=[10, 100])
@example(ours=[(0, 2, 60)], played=[(0, 110, 60), (111, 1, 60)], lags=[110])
def test_echoes_open_nothing_and_the_players_notes_all_come_through(
    ours: list[tuple[int, int, int]], played: list[tuple[int, int, int]], lags: list[int]
) -> None:
    sent, keys = held_keys(ours, 80), held_keys(played, 70)
    events = [(ms, 0, message) for ms, message in sent]
    events += [(ms + lag, 1, message) for lag in lags for ms, message in sent]
    events += [(ms, 2, message) for ms, message in keys]
    last_echo = max((ms + lag for lag in lags for ms, _ in sent), default=0)
    room, timeline, plain = Room(EchoGuard()), Timeline(), Timeline()
    heard: list[Note] = []
    real: list[Note] = []
    for ms, who, message in sorted(events, key=lambda event: event[:2]):
        if who == 0:
            room.segue((ms, message))
        elif room.hears((ms, message)):
            heard += notes(timeline.feed(ms, message))
        if who == 2:
            real += notes(plain.feed(ms, message))
    assert not timeline.held
    assert len(heard) == len(real)
    for one, other in zip(sorted(heard), sorted(real), strict=True):
        assert (one.onset, one.pitch, one.velocity) == (other.onset, other.pitch, other.velocity)
        assert one.end <= max(other.end, last_echo), "at the latest it ends with an echo"


def notes(changes: list[Opened | Closed]) -> list[Note]:
    return [change.note for change in changes if isinstance(change, Closed)]


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 127)), min_size=300, max_size=600))
def test_it_forgets(notes: list[tuple[int, int]]) -> None:
    guard = EchoGuard()
    for ms, pitch in notes:
        guard.sent(ms * MS, on(pitch))
        guard.is_echo(ms * MS, on(pitch))
    assert len(guard._struck) <= MEMORY
    assert not guard.is_echo(10**9 * MS + 2 * WINDOW_NS, on(notes[0][1]))
