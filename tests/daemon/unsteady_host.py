"""A host that halts, or whose ticks are late, early, lost, doubled or held back; and a clock of it.

    followed = follow(UnsteadyHost(lambda beat: 60 + 140 * beat / 64, lost={600}), beats=64)
    assert followed.phase(0.95) < 2

Virtual time. What is judged is what a session would know: at the true time of each tick, the beat
that follows from the messages that have arrived by then.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from daemon.clock.midi_clock import TICKS_PER_BEAT, MidiClock
from daemon.clock.transport import NS_PER_MINUTE, Transport

TICK, START = b"\xf8", b"\xfa"
BEGIN_NS = 1_000_000_000
NS_PER_MS = 1_000_000
#: The loop has this long to lock before its phase is looked at.
LOCK_BEATS = 2.0
#: A tempo that differs by less than this is not told by the session.
TEMPO_NEWS = 0.005

Tempo: TypeAlias = Callable[[float], float]  # beat -> bpm


def steady(bpm: float) -> Tempo:
    """One tempo throughout."""
    return lambda _: bpm


def ramp(start: float, end: float, *, beats: float, after: float = 0.0) -> Tempo:
    """Evenly from one tempo to another, by the beat."""
    return lambda beat: start + (end - start) * min(max(0.0, beat - after) / beats, 1.0)


def step(before: float, after: float, *, at: float) -> Tempo:
    """Another tempo from a beat on."""
    return lambda beat: before if beat < at else after


@dataclass(frozen=True)
class UnsteadyHost:
    """Plays from beat 0 at a tempo; `jitter_ms` is even, and ticks are counted from 0."""

    tempo: Tempo
    jitter_ms: float = 5.0
    lost: Collection[int] = ()
    doubled: Collection[int] = ()
    held_ms: dict[int, float] = field(default_factory=dict)  # from this tick on, for so long
    halted_ms: dict[int, float] = field(default_factory=dict)  # before this tick it stood still
    buffer_ms: float = 0.0  # messages leave at the end of such a buffer
    seed: int = 1

    def ticks(self, beats: float) -> tuple[list[int], list[int]]:
        """Return the true time of each tick, and the times at which ticks arrive, in ns."""
        random = Random(self.seed)
        true_ns, free_ns = float(BEGIN_NS), 0.0
        truth, arrivals = [], []
        for index in range(round(beats * TICKS_PER_BEAT)):
            true_ns += self.halted_ms.get(index, 0.0) * NS_PER_MS
            truth.append(round(true_ns))
            free_ns = max(free_ns, true_ns + self.held_ms.get(index, -1e6) * NS_PER_MS)
            jitter_ns = random.uniform(-self.jitter_ms, self.jitter_ms) * NS_PER_MS
            arrives_ns = max(true_ns + jitter_ns, free_ns)
            if self.buffer_ms:
                buffer_ns = self.buffer_ms * NS_PER_MS
                arrives_ns = -(-arrives_ns // buffer_ns) * buffer_ns
            times = (index not in self.lost) + (index in self.doubled)
            arrivals += [round(arrives_ns)] * times
            true_ns += NS_PER_MINUTE / self.tempo(index / TICKS_PER_BEAT) / TICKS_PER_BEAT
        return truth, sorted(arrivals)


@dataclass
class Followed:
    """How far the music as it is followed lies from the host's, at each of its ticks."""

    phase_ms: list[float] = field(default_factory=list)  # more than 0: too far on
    tempo_error: list[float] = field(default_factory=list)  # as a share of the host's
    corrections_ms: list[float] = field(default_factory=list)  # by each message, where it arrived
    news_bpm: list[float] = field(default_factory=list)  # what a session would tell

    def phase(self, share: float) -> float:
        """The phase error in ms that this share of the ticks does not exceed."""
        return _ordered(self.phase_ms, share)

    def tempo(self, share: float) -> float:
        """The same for the tempo, as a share."""
        return _ordered(self.tempo_error, share)

    def locked_after(self, within_ms: float) -> float:
        """The beats that pass until the phase error stays below, from where it is judged."""
        off = [n for n, error in enumerate(self.phase_ms) if abs(error) > within_ms]
        return (off[-1] + 1 if off else 0) / TICKS_PER_BEAT


def follow(host: UnsteadyHost, *, beats: float, from_beat: float = LOCK_BEATS) -> Followed:
    """Let a clock follow the host; what is judged begins at `from_beat`."""
    clock, followed = MidiClock(), Followed()
    clock.feed(0, START)
    truth, arrivals = host.ticks(beats)
    transport = Transport(BEGIN_NS, 0.0, 120.0, True)
    next_arrival = 0
    for index, true_ns in enumerate(truth):
        while next_arrival < len(arrivals) and arrivals[next_arrival] <= true_ns:
            t_ns = arrivals[next_arrival]
            before, next_arrival = transport, next_arrival + 1
            transport = clock.feed(t_ns, TICK) or transport
            _note(followed, before, transport, t_ns)
        beat = index / TICKS_PER_BEAT
        bpm = host.tempo(beat)
        if beat >= from_beat:
            off_beats = transport.beat_at(true_ns) - beat
            followed.phase_ms.append(off_beats * NS_PER_MINUTE / bpm / NS_PER_MS)
            followed.tempo_error.append(transport.bpm / bpm - 1)
    return followed


def _note(followed: Followed, before: Transport, after: Transport, t_ns: int) -> None:
    off_beats = after.beat_at(t_ns) - before.beat_at(t_ns)
    followed.corrections_ms.append(off_beats * after.ns_per_beat / NS_PER_MS)
    told = followed.news_bpm[-1] if followed.news_bpm else 0.0
    if abs(after.bpm - told) > TEMPO_NEWS * after.bpm:
        followed.news_bpm.append(after.bpm)


def _ordered(values: list[float], share: float) -> float:
    ordered = sorted(map(abs, values))
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
