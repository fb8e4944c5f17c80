"""Bars and beats. Knows meters only; no tempo, no clock.

A map is a tuple of `Meter`s in rising order of beat; the first one also holds for what lies before.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.protocol import Meter

#: Two beats closer than this are the same place (well under a tick of any MIDI file).
BEAT_TOLERANCE = 1e-6

COMMON_TIME = Meter(0.0, 4, 4)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its first beat, the first beat of the next, and its meter."""

    start: float
    end: float
    meter: Meter


def meter_at(meters: Sequence[Meter], beat: float) -> Meter:
    """Return the meter in force at `beat`."""
    found = meters[0]
    for meter in meters:
        if meter.beat > beat + BEAT_TOLERANCE:
            break
        found = meter
    return found


def bar_at(meters: Sequence[Meter], beat: float) -> Bar:
    """Return the bar that `beat` lies in; a bar line belongs to the bar that it opens.

    A meter change that comes in the middle of a bar cuts that bar short.
    """
    meter = meter_at(meters, beat)
    length = meter.bar_beats
    count = math.floor((beat - meter.beat) / length + BEAT_TOLERANCE)
    start = meter.beat + count * length
    end = start + length
    for later in meters:
        if start + BEAT_TOLERANCE < later.beat < end:
            end = later.beat
            break
    return Bar(start, end, meter)


def line_after(meters: Sequence[Meter], beat: float) -> float:
    """Return the first bar line at or after `beat`."""
    bar = bar_at(meters, beat)
    return bar.start if beat - bar.start <= BEAT_TOLERANCE else bar.end


def pulse_after(meters: Sequence[Meter], beat: float) -> float:
    """Return the first beat of its meter at or after `beat`: a quarter in 3/4, an eighth in 6/8."""
    bar = bar_at(meters, beat)
    pulse = 4 / bar.meter.denominator
    count = math.ceil((beat - bar.start - BEAT_TOLERANCE) / pulse)
    return min(bar.start + count * pulse, bar.end)


def bars_later(meters: Sequence[Meter], line: float, count: int) -> float:
    """Return the bar line `count` bars after the bar line `line`."""
    for _ in range(count):
        line = bar_at(meters, line).end
    return line
