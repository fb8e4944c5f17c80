"""Segue's own clock as MIDI clock: what is sent, and what one who follows it makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.clock.midi_clock import TICKS_PER_BEAT, MidiClock
from daemon.clock.out import SONG_POSITIONS, ClockOut
from daemon.clock.transport import NS_PER_MINUTE, Transport
from daemon.interface.events import Send
from daemon.session.schedule import Schedule

TICK, START, CONTINUE, STOP = b"\xf8", b"\xfa", b"\xfb", b"\xfc"
NS_PER_MS = 1_000_000
BEGIN_NS = 1_000_000_000
HORIZON_NS = 25 * NS_PER_MS
PLAYING = Transport(BEGIN_NS, 0.0, 120.0, True)


def position(sixteenths: int) -> bytes:
    return bytes((0xF2, sixteenths & 0x7F, sixteenths >> 7))


class Follower:
    """A clock, a schedule that sends it on time, and a machine that follows it."""

    def __init__(self, transport: Transport = PLAYING) -> None:
        self.transport = transport
        self.now_ns = transport.anchor_ns
        self.clock = ClockOut()
        self.sent: list[tuple[int, bytes]] = []
        self.machine = MidiClock()
        self.heard: Transport | None = None
        self._schedule = Schedule()

    def until(self, beat: float) -> "Follower":
        """Go on until the music is there, woken whenever the clock wants to be."""
        end_ns = self.transport.ns_at(beat)
        self._follow()
        while (next_ns := self.clock.next_ns(self.transport)) is not None:
            wake_ns = max(self.now_ns + 1, next_ns - HORIZON_NS)
            if wake_ns >= end_ns:
                break
            self._pass(wake_ns)
            self._follow()
        self._pass(end_ns)
        return self

    def wait(self, ms: float) -> "Follower":
        self._pass(self.now_ns + round(ms * NS_PER_MS))
        return self

    def becomes(self, transport: Transport) -> "Follower":
        """The transport is another from now on."""
        self.transport = transport
        self._follow()
        return self

    def _follow(self) -> None:
        until_ns = self.now_ns + HORIZON_NS
        for send in self.clock.follow(self.transport, now_ns=self.now_ns, until_ns=until_ns):
            self._schedule.push(send.due_ns, send.message)
        self._pass(self.now_ns)

    def _pass(self, t_ns: int) -> None:
        self.now_ns = max(self.now_ns, t_ns)
        while (due_ns := self._schedule.next_due_ns) is not None and due_ns <= self.now_ns:
            for due in self._schedule.pop_due(due_ns):
                self.sent.append((due.due_ns, due.message))
                self.heard = self.machine.feed(due.due_ns, due.message) or self.heard

    @property
    def messages(self) -> list[bytes]:
        """What was sent but ticks."""
        return [message for _, message in self.sent if message != TICK]

    @property
    def ticks(self) -> list[int]:
        """When ticks were sent."""
        return [t_ns for t_ns, message in self.sent if message == TICK]


def test_start_comes_before_the_tick_of_beat_0() -> None:
    sends = ClockOut().follow(PLAYING, now_ns=BEGIN_NS, until_ns=BEGIN_NS)
    assert sends == [Send(BEGIN_NS, START), Send(BEGIN_NS, TICK)]


def test_24_ticks_in_each_beat_each_at_its_time() -> None:
    follower = Follower().until(4)
    ticks = [PLAYING.ns_at(tick / 24) for tick in range(4 * 24 + 1)]
    assert follower.ticks == ticks
    assert follower.messages == [START]


def test_nothing_is_sent_twice_however_often_it_is_asked() -> None:
    clock = ClockOut()
    first = clock.follow(PLAYING, now_ns=BEGIN_NS, until_ns=BEGIN_NS + HORIZON_NS)
    assert len(first) == 3
    assert clock.follow(PLAYING, now_ns=BEGIN_NS, until_ns=BEGIN_NS + HORIZON_NS) == []


def test_nothing_is_sent_while_the_music_stands() -> None:
    standing = Transport(BEGIN_NS, 3.0, 120.0, False)
    clock = ClockOut()
    assert clock.follow(standing, now_ns=BEGIN_NS, until_ns=BEGIN_NS + NS_PER_MINUTE) == []
    assert clock.next_ns(standing) is None


@pytest.mark.parametrize(
    ("beat", "sixteenths"), [(0.2, 1), (0.25, 1), (0.28, 2), (2.0, 8), (7.9, 32), (4100.0, 16)]
)
def test_elsewhere_it_begins_with_the_next_sixteenth(beat: float, sixteenths: int) -> None:
    begin = Transport(BEGIN_NS, beat, 120.0, True)
    follower = Follower(begin).until(beat + 1)
    assert follower.messages == [position(sixteenths), CONTINUE]
    first = sixteenths / 4 + (SONG_POSITIONS / 4 if beat > 4000 else 0)
    assert follower.ticks[0] == begin.ns_at(first)
    assert follower.sent[1:3] == [(begin.ns_at(first), CONTINUE), (begin.ns_at(first), TICK)]


def test_a_beginning_that_is_seen_a_little_late_is_still_the_beginning() -> None:
    now_ns = BEGIN_NS + 8 * NS_PER_MS
    sends = ClockOut().follow(PLAYING, now_ns=now_ns, until_ns=now_ns)
    assert [send.message for send in sends] == [START, TICK]
    assert sends[0].due_ns == now_ns


def test_stop_comes_at_once_and_no_tick_after_it() -> None:
    follower = Follower().until(2.51)
    stop_ns = follower.now_ns
    follower.becomes(follower.transport.stopped(stop_ns)).wait(1000)
    assert follower.sent[-1] == (stop_ns, STOP)
    assert follower.messages == [START, STOP]
    assert not follower.machine.playing


def test_after_a_stop_it_continues_where_the_music_does() -> None:
    follower = Follower().until(2.5)
    stopped = follower.transport.stopped(follower.now_ns)
    follower.becomes(stopped).wait(300)
    follower.becomes(stopped.started(follower.now_ns, stopped.anchor_beat)).until(6)
    assert follower.messages == [START, STOP, position(10), CONTINUE]
    assert follower.heard is not None
    assert follower.heard.beat_at(follower.now_ns) == pytest.approx(6, abs=0.001)


def test_a_jump_is_a_stop_and_a_beginning() -> None:
    follower = Follower().until(5.3)
    follower.becomes(Transport(follower.now_ns, 8.0, 120.0, True)).until(10)
    assert follower.messages == [START, STOP, position(32), CONTINUE]
    assert follower.heard is not None
    assert follower.heard.beat_at(follower.now_ns) == pytest.approx(10, abs=0.001)


def test_another_clock_takes_the_lead() -> None:
    follower = Follower().until(1)
    assert follower.clock.stop(follower.now_ns) == [Send(follower.now_ns, STOP)]
    assert follower.clock.stop(follower.now_ns) == []


@given(
    st.lists(st.tuples(st.floats(0.05, 3), st.floats(30, 300), st.floats(-0.02, 0.02)), max_size=20)
)
def test_each_tick_is_sent_once_whatever_the_tempo_does(
    changes: list[tuple[float, float, float]],
) -> None:
    """The tempo changes, and the place is corrected by a little, as Link's is."""
    follower = Follower()
    beat = 0.0
    for beats, bpm, correction in changes:
        beat = follower.transport.beat_at(follower.now_ns) + beats
        follower.until(beat)
        here = follower.transport.at_tempo(follower.now_ns, bpm)
        moved = Transport(here.anchor_ns, here.anchor_beat + correction, bpm, True)
        follower.becomes(moved)
    end = follower.transport.beat_at(follower.now_ns) + 1
    follower.until(end)
    assert follower.messages == [START]
    assert follower.ticks == sorted(follower.ticks)
    assert len(follower.ticks) - 1 == pytest.approx(end * TICKS_PER_BEAT, abs=1.001)


@given(
    st.lists(
        st.tuples(st.sampled_from(["play", "stop", "jump", "tempo"]), st.floats(0.1, 3)),
        max_size=12,
    )
)
def test_one_who_follows_is_where_the_music_is(script: list[tuple[str, float]]) -> None:
    follower = Follower()
    for what, amount in script:
        now_ns, here = follower.now_ns, follower.transport
        if what == "stop":
            here = here.stopped(now_ns)
        elif what == "jump":
            here = Transport(now_ns, here.beat_at(now_ns) + amount, here.bpm, here.playing)
        elif what == "tempo":
            here = here.at_tempo(now_ns, 90 + 30 * amount)
        elif not here.playing:
            here = here.started(now_ns, here.anchor_beat)
        follower.becomes(here)
        if here.playing:
            follower.until(here.beat_at(now_ns) + amount)
        else:
            follower.wait(1000 * amount)
        if here.playing and amount > 1:  # it has had the time to begin
            assert follower.heard is not None
            off = follower.heard.beat_at(follower.now_ns) - follower.transport.beat_at(
                follower.now_ns
            )
            assert abs(off) < 0.3
            assert follower.heard.playing
        elif not here.playing:
            assert not follower.machine.playing
