"""What the musician of `segue bench live` plays, and when. Knows beats, cues and a band.

A take is a recorded performance, at another tempo, in turns; with a host's clock its ticks are off
by as much as is asked for, at random, but the same each time.
"""

import random
import time
from dataclasses import dataclass

from daemon.bench_band import Heard, LoopbackBand, PortsBand
from daemon.journal import Journal
from daemon.midi_clock import START, STOP, TICK, TICKS_PER_BEAT
from daemon.performance import Performance, turn

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
#: The host's first word comes so long before its first tick: more than a tick may be early.
START_LEAD_NS = 12 * NS_PER_MS
#: Between the mind's being ready and the first beat.
BREATH_NS = NS_PER_S
#: After the last bar: for the last release on its way back.
REST_NS = NS_PER_S // 2


@dataclass(frozen=True, slots=True)
class Cue:
    """One message of the musician's: when it is meant, and how far off it is sent."""

    at_ns: int  # after beat 0
    message: bytes
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
    clock: bool,
    jitter_ms: float,
) -> list[Cue]:
    """The musician's turns from his first note on; with `clock` a host's start, ticks and stop.

    The host stops in the middle of Segue's last turn. Its ticks are off by up to `jitter_ms`.
    """
    ns_per_beat = 60 * NS_PER_S / bpm
    chance = random.Random(1)
    notes = [
        (first * performance.bar_beats + beat, message)
        for number, first in enumerate(range(0, bars, 2 * turn_bars))
        for beat, message in turn(performance, number * turn_bars, turn_bars)
    ]
    begins = min(beat for beat, _ in notes)
    cues = [Cue(round((beat - begins) * ns_per_beat), message) for beat, message in notes]
    if clock:
        last = round((bars - turn_bars / 2) * performance.bar_beats * TICKS_PER_BEAT)
        cues.append(Cue(-START_LEAD_NS, bytes((START,))))
        for number in range(last):
            off_ns = round(chance.uniform(-jitter_ms, jitter_ms) * NS_PER_MS)
            at_ns = round(number * ns_per_beat / TICKS_PER_BEAT)
            cues.append(Cue(at_ns, bytes((TICK,)), off_ns))
        cues.append(Cue(round((last + 0.5) * ns_per_beat / TICKS_PER_BEAT), bytes((STOP,))))
    return sorted(cues, key=lambda cue: cue.at_ns + cue.jitter_ns)


def play(cues: list[Cue], band: PortsBand | LoopbackBand, *, until_ns: int) -> Played:
    """Play the cues, wait until `until_ns` after beat 0, and stop the daemon."""
    beat0_ns = time.monotonic_ns() + BREATH_NS
    for cue in cues:
        _sleep_until(beat0_ns + cue.at_ns + cue.jitter_ns)
        band.send(cue.message)
    _sleep_until(beat0_ns + until_ns + REST_NS)
    journal = band.finish()
    return Played(band.name, beat0_ns, tuple(cues), tuple(band.heard), journal)


def _sleep_until(t_ns: int) -> None:
    time.sleep(max(0, t_ns - time.monotonic_ns()) / NS_PER_S)
