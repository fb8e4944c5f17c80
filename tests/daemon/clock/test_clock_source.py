"""Which clock leads, and the session's own beats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.clock.source import ClockSource, Moved
from daemon.clock.transport import NS_PER_MINUTE
from daemon.interface.config import ClockChoice
from engine.meter import bar_at
from engine.protocol import Meter

TICK, START, CONTINUE, STOP = b"\xf8", b"\xfa", b"\xfb", b"\xfc"
FOUR_FOUR = (Meter(0.0, 4, 4),)
BEGIN_NS = 1_000_000_000
TICK_NS = round(NS_PER_MINUTE / 120 / 24)
A_TICK = 1 / 24


def position(sixteenths: int) -> bytes:
    return bytes((0xF2, sixteenths & 0x7F, sixteenths >> 7))


class Stage:
    """A clock source at 120 bpm, a host and a player, one tick's time after the other."""

    def __init__(
        self,
        choice: ClockChoice = "auto",
        *,
        meters: tuple[Meter, ...] = FOUR_FOUR,
        bpm: float = 120,
    ) -> None:
        self.source = ClockSource(choice, bpm, meters)
        self.now_ns = BEGIN_NS
        self.moves: list[Moved] = []

    def send(self, *messages: bytes | int) -> "Stage":
        """The host sends messages; a number is so many ticks."""
        for message in messages:
            for one in [TICK] * message if isinstance(message, int) else [message]:
                if moved := self.source.feed(self.now_ns, one):
                    self.moves.append(moved)
                if one == TICK:
                    self.now_ns += TICK_NS
        return self

    def wait(self, beats: float) -> "Stage":
        self.now_ns += round(beats * 24) * TICK_NS
        return self

    @property
    def beat(self) -> float:
        return self.source.transport.beat_at(self.now_ns)

    @property
    def playing(self) -> bool:
        return self.source.transport.playing


def test_the_first_note_is_beat_0_of_the_internal_clock() -> None:
    stage = Stage()
    assert not stage.playing
    assert stage.source.note_played(stage.now_ns) == Moved(False, 0.0)
    assert stage.source.note_played(stage.now_ns) is None
    assert stage.wait(6).beat == pytest.approx(6)


def test_the_internal_clock_takes_another_tempo_where_it_is() -> None:
    stage = Stage()
    stage.source.note_played(stage.now_ns)
    stage.wait(4)
    moved = stage.source.set_bpm(stage.now_ns, 60.0)
    assert moved is not None
    assert not moved.discontinuous
    assert stage.wait(4).beat == pytest.approx(6)


def test_a_clock_that_is_heard_leads() -> None:
    stage = Stage()
    stage.source.note_played(stage.now_ns)
    stage.wait(5).send(START)
    assert stage.moves == [Moved(True, pytest.approx(5))]
    assert not stage.playing
    stage.send(1)
    assert stage.playing
    assert stage.source.set_bpm(stage.now_ns, 90.0) is None
    assert stage.source.transport.bpm == pytest.approx(120)


def test_ticks_alone_lead_nothing() -> None:
    """A keyboard that sends its own ticks all day long, and never a start."""
    stage = Stage().send(30)
    stage.source.note_played(stage.now_ns)
    assert stage.playing
    stage.send(48)
    assert stage.playing
    assert stage.beat == pytest.approx(2)
    assert not any(move.discontinuous for move in stage.moves)


def test_the_hosts_bars_go_on_from_the_sessions_next_bar_line() -> None:
    """The player was in bar 2 of the internal clock; the host's bar 1 becomes bar 3."""
    stage = Stage()
    stage.source.note_played(stage.now_ns)
    stage.wait(5).send(START, 25)
    assert stage.beat == pytest.approx(8 + 25 * A_TICK)


def test_an_internal_clock_hears_no_host() -> None:
    stage = Stage("internal").send(START, 48)
    assert stage.moves == []
    assert not stage.playing


def test_where_midi_leads_a_note_starts_nothing() -> None:
    stage = Stage("midi")
    assert stage.source.note_played(stage.now_ns) is None
    stage.send(START, 25)
    assert stage.beat == pytest.approx(25 * A_TICK)


def test_stop_is_a_break_and_continue_is_none() -> None:
    stage = Stage("midi").send(START, 48, STOP)
    assert stage.moves[-1] == Moved(True, pytest.approx(2.0))
    stopped = stage.beat
    stage.send(24)
    assert stage.beat == stopped
    stage.send(CONTINUE, 24)
    assert not stage.moves[-1].discontinuous
    assert stage.beat == pytest.approx(3.0)


@pytest.mark.parametrize("meter", [(4, 4), (3, 4), (6, 8), (7, 8)])
@pytest.mark.parametrize("sixteenths", [0, 4, 9, 37, 64, 201])
def test_after_a_locate_the_bars_are_the_hosts(meter: tuple[int, int], sixteenths: int) -> None:
    meters = (Meter(0.0, *meter),)
    stage = Stage("midi", meters=meters).send(START, 100, position(sixteenths), 1)
    assert stage.moves[-1].discontinuous
    host = sixteenths / 4 + A_TICK
    into_host_bar = host - bar_at(meters, host).start
    into_our_bar = stage.beat - bar_at(meters, stage.beat).start
    assert into_our_bar == pytest.approx(into_host_bar)
    assert stage.beat > 100 * A_TICK


def test_a_restart_at_once_begins_another_bar() -> None:
    """The host's Start is pressed twice within a sixteenth: our beats do not go back for it."""
    stage = Stage("midi").send(START, 5, START, 1)
    assert stage.moves[-1].discontinuous
    assert stage.beat == pytest.approx(4 + A_TICK)


def test_located_and_stopped_before_the_next_tick_the_music_stays_where_it_was() -> None:
    stage = Stage("midi").send(START, 48, position(0), STOP)
    assert stage.beat == pytest.approx(2.0)
    stage.send(CONTINUE, 1)
    assert stage.beat == pytest.approx(4 + A_TICK)


def test_a_host_that_falls_silent_is_followed_at_its_last_tempo() -> None:
    stage = Stage("midi").send(START, 48)
    assert stage.wait(8).beat == pytest.approx(10)


messages = st.one_of(
    st.sampled_from([TICK, TICK, TICK, START, STOP, CONTINUE]),
    st.sampled_from([0, 1, 16, 33]).map(position),
    st.binary(min_size=1, max_size=3),
)
streams = st.lists(
    st.tuples(
        st.sampled_from(["tick", "tick", "tick", "host", "player", "wait", "tempo"]),
        messages,
        st.integers(-5, 5),
    ),
    max_size=120,
)


@given(st.sampled_from(["auto", "internal", "midi"]), streams)
def test_our_beats_do_not_fall_back(
    choice: ClockChoice, stream: list[tuple[str, bytes, int]]
) -> None:
    """Not by a jump of the host, and not by a tick's jitter."""
    stage = Stage(choice)
    last, seen_ns = stage.beat, 0
    for what, message, late_ms in stream:
        if what == "tick":
            stage.now_ns += TICK_NS
            seen_ns = stage.now_ns + late_ms * 1_000_000
            stage.source.feed(seen_ns, TICK)
        elif what == "host":
            stage.source.feed(stage.now_ns, message)
        elif what == "player":
            stage.source.note_played(stage.now_ns)
        elif what == "tempo":
            stage.source.set_bpm(stage.now_ns, 40.0 + 20 * (late_ms + 5))
        else:
            stage.wait(1)
        seen_ns = max(seen_ns, stage.now_ns)
        beat = stage.source.transport.beat_at(seen_ns)
        assert beat >= last
        last = beat
