"""Which clock leads, and the session's own beats. Pure; joins all sources of time into one.

Four sources can lead: `internal`, which starts with the first note played (the player's first beat
is beat 0); `midi`, a MIDI clock; `link`, Ableton Link; `host`, a host's transport over OSC. Where
the configuration names one, no other is followed. Link without a peer is nobody: until one is
there, the internal clock leads. With `auto` the rule is

    host before midi before link before internal.

A source takes the lead from those below it as soon as it speaks: a host with any report, a MIDI
clock when it starts, continues or is located (ticks alone lead nothing: many keyboards send them
all day long), Link with its first peer. A leader that stands still keeps the lead, and the music
stands still. A leader that falls silent while it plays is lost: the music goes on in the last
tempo, until the leader is back, or another source starts or appears.

Theory of operation. The leader's beats are the session's less an offset, so that the session's
beats never fall back, whatever a host does (see placement.py). A report that is a little off the
line moves it; one that is more off is a debt, worked off at a twentieth of the tempo; one that is
far off, or announced, is a jump. A jump that keeps the place in the bar, as a loop over whole bars
does, changes the offset alone, and the music goes on. So it does where a leader goes back on the
beat to another place in the bar: that is a loop over part of a bar, and our bars are not its own
for as long. Once the leader is past the place where it went back, it is in a loop no more, and its
bars are taken on again, by a leap to its place in the bar; `keeps_bars` puts that off while it
would be heard. Any other jump breaks the music off, and the host's bars are laid on from the
session's next bar line.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from daemon.clock.host_clock import HostClock
from daemon.clock.midi_clock import TICKS_PER_BEAT, MidiClock
from daemon.clock.placement import Placement
from daemon.clock.transport import Transport
from daemon.interface.config import ClockChoice
from daemon.interface.events import HostIn
from daemon.interface.messages import CONTINUE, SONG_POSITION, START
from engine.protocol import Meter

Source: TypeAlias = Literal["internal", "midi", "link", "host"]

#: Who comes later in this list takes the lead from who comes before.
RANKS: tuple[Source, ...] = ("internal", "link", "midi", "host")
NAMES: dict[Source, str] = {
    "internal": "the internal clock",
    "midi": "the MIDI clock",
    "link": "Ableton Link",
    "host": "the host's transport",
}
#: The host's place and ours may differ by this much, from lost ticks, before it counts as a jump.
JUMP_BEATS = 0.25
#: A leader that goes back further, to another place in the bar, has jumped and is in no loop.
LONGEST_ROUND_BEATS = 8.0
#: Where the host has said that it goes elsewhere, this much is a jump already.
ANNOUNCED_BEATS = 2 / TICKS_PER_BEAT
#: A step that nobody hears; a greater one is glided over.
STEP_NS = 10_000_000
#: The share of the tempo at which a debt is worked off, and how often it is looked at.
GLIDE_SHARE = 0.05
GLIDE_NS = 20_000_000
ANNOUNCEMENTS = frozenset({START, CONTINUE, SONG_POSITION})


@dataclass(frozen=True, slots=True)
class Moved:
    """The transport changed. If `discontinuous`, the music stopped or jumped at `from_beat`."""

    discontinuous: bool
    from_beat: float
    meters_changed: bool = False
    notice: str | None = None  # what the player should know


class ClockSource:
    """The one `transport` that everything else reads, and the one map of `meters`, in its beats."""

    def __init__(self, choice: ClockChoice, bpm: float, meters: tuple[Meter, ...]) -> None:
        self.transport = Transport(bpm=bpm)
        self.leader: Source = "internal"
        if choice == "midi" or choice == "host":
            self.leader = choice  # it is waited for
        self.lost = False  # it fell silent while it played, and the music goes on without it
        self.keeps_bars = False  # whoever reads the transport would mind a leap now
        self._choice = choice
        self._midi = MidiClock(bpm=bpm)
        self._link = HostClock(bpm=bpm, exact=True)
        self._host = HostClock(bpm=bpm, exact=False)
        self._host_bars: Meter | None = None  # as it has told them
        self._placement = Placement(meters)
        self._announced = False  # the MIDI host starts, or goes elsewhere, with its next tick
        self._owed_beats = 0.0  # by which the leader is ahead, and the session is not yet
        self._is_new = False  # who leads has not been followed yet
        self._past_beat = 0.0  # where a loop over part of a bar has not come round any more
        self._now_ns = 0

    @property
    def meters(self) -> tuple[Meter, ...]:
        """The session's meters so far; a later one may be planned."""
        return self._placement.meters

    @property
    def next_check_ns(self) -> int | None:
        """When `check` may have something to do, if nothing else comes before; None is never."""
        times: list[int | None] = []
        if self._owed_beats:
            times.append(self._now_ns + GLIDE_NS)
        if self.leader == "host" and not self.lost:
            times.append(self._host.seam_ns)
        if not self.lost and (self.transport.playing or self.leader == "link"):
            times.append(self._lost_ns)
            times.append(self._apart_ns)
        return min((t_ns for t_ns in times if t_ns is not None), default=None)

    def beat_after_leap(self, t_ns: int) -> float | None:
        """Where the beat would be if the leader's bars were taken on now; None if they are ours."""
        if not self._placement.is_apart:
            return None
        return self._placement.next_place(self._leader_beat(t_ns), self.transport.beat_at(t_ns))

    # The internal clock.

    def note_played(self, t_ns: int) -> Moved | None:
        """The player struck a note: the internal clock begins, if it leads and stands still."""
        self._pass(t_ns)
        if self.leader != "internal" or self.transport.playing:
            return None
        self.transport = self.transport.started(t_ns, self.transport.anchor_beat)
        return Moved(False, self.transport.anchor_beat)

    def set_bpm(self, t_ns: int, bpm: float) -> Moved | None:
        """Another tempo, if no host leads: a leading host's tempo stays its own."""
        self._pass(t_ns)
        if self.leader != "internal" and not self.lost:
            return None
        self.transport = self.transport.at_tempo(self._now_ns, bpm)
        return Moved(False, self.transport.anchor_beat)

    def set_meter(self, t_ns: int, numerator: int, denominator: int) -> Moved | None:
        """Another metre from the next bar line on; a leading host that told its own keeps it."""
        self._pass(t_ns)
        told = self.leader == "host" and self._host_bars is not None
        beat = self.transport.beat_at(self._now_ns)
        before = self.meters
        self._placement.set_own(numerator, denominator, None if told else beat)
        return Moved(False, beat, meters_changed=True) if self.meters != before else None

    # Those that may lead it.

    def feed(self, t_ns: int, message: bytes) -> Moved | None:
        """Take a message of the MIDI clock; return how the transport moved, or None."""
        self._pass(t_ns)
        if not self._may_follow("midi"):
            return None
        announces = message[0] in ANNOUNCEMENTS
        self._announced = self._announced or announces
        line = self._midi.feed(t_ns, message)
        if self.leader != "midi":
            return self._stop_for_midi() if announces and self._yields_to("midi") else None
        if line is None:
            return None
        announced, self._announced = self._announced, False
        if announced and line.anchor_beat == 0.0:  # the song begins, and with it a bar
            self._placement.led_by(None)
        return self._follow(line, announced=announced)

    def hear(self, report: HostIn) -> Moved | None:
        """A host has said where its music is; return how the transport moved, or None."""
        self._pass(report.t_ns)
        if not self._may_follow(report.source):
            return None
        clock = self._link if report.source == "link" else self._host
        appears = clock.starts_with(report.t_ns, playing=report.playing)
        line = clock.feed(report.t_ns, playing=report.playing, beat=report.beat, bpm=report.bpm)
        if self.leader == report.source:
            return self._follow(line, announced=appears and not self.lost)
        if not self._yields_to(report.source, appears=appears):
            return None
        self._give_lead(report.source)
        return self._follow(line, announced=True)

    def command(self, t_ns: int, name: str, *arguments: Any) -> Moved | None:
        """Carry out one of the commands about time; its arguments are already checked."""
        match name, arguments:
            case "meter", (numerator, denominator):
                return self.set_meter(t_ns, numerator, denominator)
            case "host/transport", (playing, beat, bpm):
                return self.hear(HostIn(t_ns, "host", bool(playing), beat, bpm))
            case "host/meter", (numerator, denominator, bar_beat):
                return self.set_host_meter(t_ns, numerator, denominator, bar_beat)
            case "host/loop", (on, start, length):
                self.set_host_loop(t_ns, start, length if on else 0.0)
                return None
        raise ValueError(f"{name} is no command about time")

    def set_host_meter(
        self, t_ns: int, numerator: int, denominator: int, bar_beat: float
    ) -> Moved | None:
        """The host over OSC has a bar line of this metre at its beat `bar_beat`."""
        self._pass(t_ns)
        self._host_bars = Meter(bar_beat, numerator, denominator)
        if self.leader != "host":
            return None
        before, beat = self.meters, self.transport.beat_at(self._now_ns)
        self._placement.told(self._host_bars, self._leader_beat(self._now_ns))
        return Moved(False, beat, meters_changed=True) if self.meters != before else None

    def set_host_loop(self, t_ns: int, start: float, length: float) -> None:
        """The host over OSC loops over `length` beats from its beat `start`, or, with 0, not."""
        self._pass(t_ns)
        self._host.set_loop(start, length)

    def check(self, t_ns: int) -> Moved | None:
        """See what time alone has brought: a leader that fell silent, the seam of a loop."""
        self._pass(t_ns)
        if self.lost:
            return None
        if (lost_ns := self._lost_ns) is not None and lost_ns <= t_ns:
            return self._miss()
        seam_ns = self._host.seam_ns if self.leader == "host" else None
        if seam_ns is not None and seam_ns <= t_ns:
            return self._follow(self._host.fold(t_ns), announced=True)
        if (apart_ns := self._apart_ns) is not None and apart_ns <= t_ns:
            return self._take_on_bars()
        return None

    # Who leads.

    @property
    def _lost_ns(self) -> int | None:
        match self.leader:
            case "midi":
                return self._midi.lost_ns
            case "link":
                return self._link.lost_ns
            case "host":
                return self._host.lost_ns
        return None

    @property
    def _apart_ns(self) -> int | None:
        """When its bars are taken on, if it does not come round before."""
        if not self._placement.is_apart or self.keeps_bars or not self.transport.playing:
            return None
        return self.transport.ns_at(self._past_beat)

    def _leader_beat(self, t_ns: int) -> float:
        """Where the leader is, in its own beats."""
        return self.transport.beat_at(t_ns) + self._owed_beats - self._placement.offset_beats

    def _may_follow(self, source: Source) -> bool:
        return self._choice in ("auto", source)

    def _yields_to(self, source: Source, *, appears: bool = True) -> bool:
        above = RANKS.index(source) > RANKS.index(self.leader)
        return above or (self.lost and appears)

    def _give_lead(self, source: Source) -> None:
        self.leader, self.lost, self._is_new = source, False, True
        self._placement.led_by(self._host_bars if source == "host" else None)

    def _miss(self) -> Moved | None:
        """The leader has fallen silent: without it the music goes on."""
        if not self.transport.playing:
            if self.leader == "link":  # its last peer has gone: that is nobody
                self._give_lead("internal")
            return None
        self.lost = True
        notice = (
            f"{NAMES[self.leader]} fell silent: playing on at {self.transport.bpm:.0f} bpm;"
            " start it again, or see to its cable or network"
        )
        return Moved(False, self.transport.beat_at(self._now_ns), notice=notice)

    def _stop_for_midi(self) -> Moved:
        """A MIDI host has announced itself: it says with its next tick where it begins."""
        before = self.transport
        self._give_lead("midi")
        self._owed_beats = 0.0
        self.transport = before.stopped(self._now_ns)
        return Moved(before.playing, self.transport.anchor_beat)

    # How it is followed.

    def _pass(self, t_ns: int) -> None:
        """Time has come to `t_ns`: work off what is owed."""
        elapsed_ns = t_ns - self._now_ns
        if elapsed_ns <= 0:
            return
        self._now_ns = t_ns
        if not self._owed_beats:
            return
        beat = self.transport.beat_at(t_ns)
        most = GLIDE_SHARE * elapsed_ns / self.transport.ns_per_beat
        step = min(most, max(-most, self._owed_beats))
        self._owed_beats -= step
        self.transport = self.transport.shifted(step).never_before(beat)

    def _follow(self, line: Transport, *, announced: bool) -> Moved | None:
        """The leader moves along `line`, in its own beats."""
        before, meters, was_lost = self.transport, self.meters, self.lost
        self.lost = False
        if line.playing:
            jumped = self._place(line, announced=announced, was_lost=was_lost)
        elif not before.playing and line.bpm == before.bpm:
            return None
        else:
            self._owed_beats = 0.0
            self.transport = replace(before.stopped(self._now_ns), bpm=line.bpm)
            jumped = before.playing
        self._is_new = False
        return Moved(
            jumped,
            before.beat_at(self._now_ns),
            meters_changed=self.meters != meters,
            notice=f"{NAMES[self.leader]} is back" if was_lost else None,
        )

    def _place(self, line: Transport, *, announced: bool, was_lost: bool) -> bool:
        """Put the session on the leader's line; return whether the music breaks off for it."""
        before, placement = self.transport, self._placement
        now = before.beat_at(self._now_ns)
        expected = before.beat_at(line.anchor_ns)
        if was_lost and self.leader == "midi" and not announced:
            # Nobody counted the ticks that were not heard: this is the one that is nearest.
            slipped = expected - line.anchor_beat - placement.offset_beats
            placement.offset_beats += round(slipped * TICKS_PER_BEAT) / TICKS_PER_BEAT
        off = line.anchor_beat + placement.offset_beats - expected
        was_followed = before.playing and not was_lost and not self._is_new
        goes_back = was_followed and -LONGEST_ROUND_BEATS <= off < -JUMP_BEATS
        step = off - self._owed_beats
        most = ANNOUNCED_BEATS if announced else JUMP_BEATS
        discontinuous = False
        if abs(step) > most or abs(off) > JUMP_BEATS:
            ahead = placement.in_time(line.anchor_beat, expected)
            if ahead is not None:
                placement.put(line.anchor_beat, expected + ahead)
            elif goes_back:
                ahead = placement.on_the_beat(line.anchor_beat, expected)
                if ahead is not None:
                    placement.go_round(line.anchor_beat, expected + ahead)
                    self._past_beat = expected - off + JUMP_BEATS
            discontinuous = ahead is None
            if discontinuous:
                placement.lay_on(line.anchor_beat, now)
            step = off = ahead or 0.0
            self._owed_beats = 0.0
        if not before.playing:
            self._owed_beats = 0.0
        elif abs(step) * line.ns_per_beat > STEP_NS:
            self._owed_beats = off
        shifted = line.shifted(placement.offset_beats - self._owed_beats)
        self.transport = shifted.never_before(now)
        return discontinuous

    def _take_on_bars(self) -> Moved:
        """A loop over part of a bar is over: the leader's bars are ours again."""
        meters, now = self.meters, self.transport.beat_at(self._now_ns)
        before = self._placement.offset_beats
        self._placement.catch_up(self._leader_beat(self._now_ns), now)
        leap = self._placement.offset_beats - before
        self.transport = self.transport.shifted(leap + self._owed_beats).never_before(now)
        self._owed_beats = 0.0
        return Moved(False, now, meters_changed=self.meters != meters)
