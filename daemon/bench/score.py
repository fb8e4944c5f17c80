"""What the musician of `segue bench live` plays, and when. Knows beats, cues and a band.

A take is a recorded performance, at another tempo, in turns; with a host's clock its ticks are off
by as much as is asked for, at random, but the same each time.
"""

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from bridges.link import LinkBridge
from daemon.bench.band import BandError, Heard, LoopbackBand, PortsBand, Report
from daemon.clock.midi_clock import TICKS_PER_BEAT
from daemon.interface.messages import START, STOP, TICK
from daemon.performances.recordings import Performance, turn
from daemon.take.journal import Journal

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
#: The host's first word comes so long before its first tick: more than a tick may be early.
START_LEAD_NS = 12 * NS_PER_MS
#: Between the mind's being ready and the first beat.
BREATH_NS = NS_PER_S
#: How often a host tells where it is.
REPORT_NS = 50 * NS_PER_MS
#: Its count-in, in reports.
COUNT_IN = 10
#: Link's peers find each other within half a second, or across networks within six.
LINK_PATIENCE_S = 15.0
#: After the last bar: for the last release on its way back.
REST_NS = NS_PER_S // 2


@dataclass(frozen=True, slots=True)
class Cue:
    """One message of the musician's: when it is meant, and how far off it is sent."""

    at_ns: int  # after beat 0
    message: bytes = b""
    report: Report | None = None  # in place of a message, for a host that tells its beat
    jitter_ns: int = 0


@dataclass(frozen=True, slots=True)
class Played:
    """One take, from both sides."""

    ports: str
    beat0_ns: int
    cues: tuple[Cue, ...]
    heard: tuple[Heard, ...]
    journal: Journal


def cues_of(
    performance: Performance,
    *,
    bars: int,
    turn_bars: int,
    bpm: float,
    source: str,
    jitter_ms: float,
) -> list[Cue]:
    """The musician's turns from his first note on, and the clock of the host, if one leads.

    A host stops in the middle of Segue's last turn. What it sends is off by up to `jitter_ms`.
    """
    ns_per_beat = 60 * NS_PER_S / bpm
    notes = [
        (first * performance.bar_beats + beat, message)
        for number, first in enumerate(range(0, bars, 2 * turn_bars))
        for beat, message in turn(performance, number * turn_bars, turn_bars)
    ]
    begins = min(beat for beat, _ in notes)
    cues = [Cue(round((beat - begins) * ns_per_beat), message) for beat, message in notes]
    stop_ns = round((bars - turn_bars / 2) * performance.bar_beats * ns_per_beat)
    jitter = _jitter(jitter_ms)
    if source == "midi":
        cues += _ticks(round(ns_per_beat), stop_ns, jitter)
    elif source == "host":
        cues += _reports(bpm, stop_ns, jitter)
    return sorted(cues, key=lambda cue: cue.at_ns + cue.jitter_ns)


def _ticks(ns_per_beat: int, stop_ns: int, jitter: Iterator[int]) -> Iterator[Cue]:
    """MIDI clock: start, 24 ticks a beat, stop."""
    yield Cue(-START_LEAD_NS, bytes((START,)))
    for at_ns in _steps(0, stop_ns, ns_per_beat / TICKS_PER_BEAT):
        yield Cue(at_ns, bytes((TICK,)), jitter_ns=next(jitter))
    yield Cue(stop_ns + START_LEAD_NS, bytes((STOP,)))


def _reports(bpm: float, stop_ns: int, jitter: Iterator[int]) -> Iterator[Cue]:
    """A host's transport over OSC: a count-in, and where it is at every twentieth of a second."""
    for at_ns in _steps(-COUNT_IN * REPORT_NS, stop_ns, REPORT_NS):
        yield Cue(at_ns, report=(1, at_ns * bpm / (60 * NS_PER_S), bpm), jitter_ns=next(jitter))
    yield Cue(stop_ns + START_LEAD_NS, report=(0, stop_ns * bpm / (60 * NS_PER_S), bpm))


def _steps(start_ns: int, stop_ns: int, step_ns: float) -> Iterator[int]:
    for number in range(int((stop_ns - start_ns) / step_ns)):
        yield round(start_ns + number * step_ns)


def _jitter(most_ms: float) -> Iterator[int]:
    chance = random.Random(1)
    while True:
        yield round(chance.uniform(-most_ms, most_ms) * NS_PER_MS)


def play(
    cues: list[Cue], band: PortsBand | LoopbackBand, *, beat0_ns: int, until_ns: int
) -> Played:
    """Play the cues, wait until `until_ns` after beat 0, and stop the daemon."""
    for cue in cues:
        _sleep_until(beat0_ns + cue.at_ns + cue.jitter_ns)
        if cue.report is not None:
            band.report(cue.report)
        else:
            band.send(cue.message)
    _sleep_until(beat0_ns + until_ns + REST_NS)
    journal = band.finish()
    return Played(band.name, beat0_ns, tuple(cues), tuple(band.heard), journal)


class LinkPeer:
    """The musician in a Link session with the daemon: where its bars are."""

    def __init__(self, *, bpm: float, bar_beats: float) -> None:
        self._ns_per_beat = 60 * NS_PER_S / bpm
        self._bar_beats = bar_beats
        self._last: tuple[int, float] | None = None
        self._bridge = LinkBridge(bpm=bpm, bar_beats=bar_beats, start_stop=False, report=self._hear)

    def bar_line_ns(self, after_ns: int) -> int:
        """The first bar line after a moment. Raises BandError where no daemon has joined."""
        deadline_s = time.monotonic() + LINK_PATIENCE_S
        while self._last is None:
            if time.monotonic() > deadline_s:
                raise BandError("the daemon and the musician do not find each other in Link")
            time.sleep(0.05)
        t_ns, beat = self._last
        later = (beat + (after_ns - t_ns) / self._ns_per_beat) / self._bar_beats
        return round(t_ns + (math.ceil(later) * self._bar_beats - beat) * self._ns_per_beat)

    def __enter__(self) -> Self:
        self._bridge.open()
        return self

    def __exit__(self, *error: object) -> None:
        self._bridge.close()

    def _hear(self, t_ns: int, _: bool, beat: float, __: float) -> None:
        self._last = (t_ns, beat)


def _sleep_until(t_ns: int) -> None:
    time.sleep(max(0, t_ns - time.monotonic_ns()) / NS_PER_S)
