"""Lays the model's bars and steps over a map of meters.

Knows meters in beats and which metres the vocabulary can name; knows no token numbers, windows or
sampling. Everything that rounds a beat to a step, or names the beat of a step, is here.

A *step* is a twelfth (`steps_a_beat`) of the metre's denominator. A *bar* here is what one `Bar`
token opens. The real bars of a map become bars of metres that the vocabulary names, so:

1. a metre that it names is itself;
2. otherwise one with a bar of equal length: 2/2 is 4/4, 6/16 is 3/8;
3. otherwise, for bars longer than any it names, the fewest equal parts: 9/4 is three times 3/4,
   and where no equal parts exist, the longest metre and then whatever the rest needs;
4. otherwise the next longer metre, its bar cut short at the real bar line: 11/8 is 6/4 whose last
   eighth does not come, 5/16 is a short 3/8.

So every real bar line is a bar line here, and no metre is an error. A meter that begins in the
middle of a bar cuts that bar short in the same way.

Rounding is MidiTok's (see models/vocabulary.py), so that a live prompt looks like training data;
where metres with different denominators stand in one map, it rounds twice as MidiTok does.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from engine.meter import BEAT_TOLERANCE, COMMON_TIME
from engine.protocol import Meter
from models.vocabulary import Vocabulary

Metre = tuple[int, int]

#: Halves go up even where binary fractions fall short of them; far less than a tick of any file.
ROUNDING_TOLERANCE = 1e-6
#: Beyond this, equal parts say less of the bar (13/4 as thirteen times 1/4) than unequal ones.
MAX_EQUAL_PARTS = 4


@dataclass(frozen=True, slots=True)
class GridBar:
    """One bar as the model sees it."""

    number: int  # bar 0 begins where the first meter does; what lies before counts backward
    start: float  # beats
    end: float  # beats; the start of the next bar
    metre: Metre
    steps_a_quarter: int
    steps: int  # steps 0 .. steps - 1 lie before `end`

    def beat_of(self, step: int) -> float:
        """The beat of a step."""
        return self.start + step / self.steps_a_quarter


@dataclass(frozen=True, slots=True)
class _Part:
    """A bar of the grid within a real bar."""

    offset: float  # beats from the real bar line
    length: float  # beats
    metre: Metre


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The bars of one meter of the map."""

    start: float  # beats
    end: float
    first_bar: int
    bar_beats: float
    parts: tuple[_Part, ...]


class Grid:
    """Bars and steps of one map of meters; an empty map is common time."""

    def __init__(self, meters: Sequence[Meter], vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._stretches = _stretches(meters or (COMMON_TIME,), vocabulary.metres)
        self._starts = [stretch.start for stretch in self._stretches]
        self._first_bars = [stretch.first_bar for stretch in self._stretches]
        denominators = {part.metre[1] for stretch in self._stretches for part in stretch.parts}
        self._finest = vocabulary.steps_a_quarter(max(denominators))

    def bar(self, number: int) -> GridBar:
        """The bar of this number; it may be negative."""
        index = max(0, bisect_right(self._first_bars, number) - 1)
        stretch = self._stretches[index]
        count, at = divmod(number - stretch.first_bar, len(stretch.parts))
        part = stretch.parts[at]
        start = stretch.start + count * stretch.bar_beats + part.offset
        end = min(start + part.length, stretch.end)
        steps_a_quarter = self._vocabulary.steps_a_quarter(part.metre[1])
        steps = math.ceil((end - start) * steps_a_quarter - ROUNDING_TOLERANCE)
        return GridBar(number, start, end, part.metre, steps_a_quarter, max(1, steps))

    def bar_at(self, beat: float) -> GridBar:
        """The bar that `beat` lies in; a bar line belongs to the bar that it opens."""
        beat += BEAT_TOLERANCE
        stretch = self._stretches[max(0, bisect_right(self._starts, beat) - 1)]
        count = math.floor((beat - stretch.start) / stretch.bar_beats)
        within = beat - stretch.start - count * stretch.bar_beats
        at = sum(part.offset <= within for part in stretch.parts) - 1
        return self.bar(stretch.first_bar + count * len(stretch.parts) + at)

    def place(self, beat: float) -> tuple[int, int]:
        """Round an onset to (bar number, step), as MidiTok does; it may fall in the next bar."""
        bar = self.bar_at(beat)
        fine = math.floor((beat - bar.start) * self._finest + 0.5 + ROUNDING_TOLERANCE)
        step = round(fine * bar.steps_a_quarter / self._finest)  # halves to the even step
        return (bar.number, max(0, step)) if step < bar.steps else (bar.number + 1, 0)

    def place_after(self, beat: float) -> tuple[int, int]:
        """The first (bar number, step) at or after `beat`."""
        bar = self.bar_at(beat)
        step = math.ceil((beat - BEAT_TOLERANCE - bar.start) * bar.steps_a_quarter)
        return (bar.number, max(0, step)) if step < bar.steps else (bar.number + 1, 0)

    def duration_steps(self, beats: float, bar: GridBar) -> int:
        """Round a duration to steps of the bar that it begins in, from 1 to the longest token."""
        fine = max(1, math.floor(beats * self._finest + 0.5 + ROUNDING_TOLERANCE))
        steps = math.floor(fine * bar.steps_a_quarter / self._finest + 0.5)
        return min(max(1, steps), self._vocabulary.max_duration_steps)


def _stretches(meters: Sequence[Meter], known: Sequence[Metre]) -> list[_Stretch]:
    """One stretch for each meter; of meters on the same beat the last one counts."""
    found: list[_Stretch] = []
    for index, meter in enumerate(meters):
        end = meters[index + 1].beat if index + 1 < len(meters) else math.inf
        if end <= meter.beat + BEAT_TOLERANCE:
            continue
        first_bar = found[-1].first_bar + _bars_in(found[-1]) if found else 0
        parts = _parts(meter, known)
        found.append(_Stretch(meter.beat, end, first_bar, meter.bar_beats, parts))
    return found


def _bars_in(stretch: _Stretch) -> int:
    """Bars of the grid in a stretch that ends, a last one that is cut short among them."""
    length = stretch.end - stretch.start - BEAT_TOLERANCE
    whole = math.floor(length / stretch.bar_beats)
    rest = length - whole * stretch.bar_beats
    return whole * len(stretch.parts) + sum(part.offset < rest for part in stretch.parts)


def _parts(meter: Meter, known: Sequence[Metre]) -> tuple[_Part, ...]:
    """The metres that stand for one real bar, by the rules in the module's docstring."""
    parts: list[_Part] = []
    rest = meter.bar_beats
    while rest > BEAT_TOLERANCE:
        metre, count = _named(rest, meter, known)
        length = min(_beats(metre), rest)
        for _ in range(count):
            parts.append(_Part(meter.bar_beats - rest, length, metre))
            rest -= length
    return tuple(parts)


def _named(length: float, meter: Meter, known: Sequence[Metre]) -> tuple[Metre, int]:
    """The next metre, and how many bars of it, to say `length` beats with."""
    own = (meter.numerator, meter.denominator)
    if own in known and length == meter.bar_beats:
        return own, 1
    for metre in known:
        if _beats(metre) == length:
            return metre, 1
    longest = max(known, key=_beats)
    if length < _beats(longest):
        return min((metre for metre in known if _beats(metre) > length), key=_beats), 1
    # Parts of the metre's own denominator first: 9/4 is three times 3/4, not twice 9/8.
    for pool in ([metre for metre in known if metre[1] == meter.denominator], known):
        for count in range(2, MAX_EQUAL_PARTS + 1):
            for metre in pool:
                if _beats(metre) * count == length:
                    return metre, count
    return longest, 1


def _beats(metre: Metre) -> float:
    return metre[0] * 4 / metre[1]
