"""Follows a train of ticks: when the last one was, how far apart they are, how many have passed.

Pure: stamped arrivals in, an estimate out. Knows no messages, beats or transports.

Theory of operation. Ticks come with jitter; now and then one is lost, sent twice, or kept back for
a while and delivered with those that follow it; and the host may change its tempo at any tick, or
halt for a moment, as a program does that loses an audio buffer. A late tick, a lost one, a halt and
a slower tempo look alike at first, and only what follows tells them apart. So the loop keeps
several *readings* of the same ticks (`daemon/clock/reading.py`), each with the estimate that it
leads to and its likelihood; the likeliest one speaks. This is multiple hypothesis tracking (Reid,
"An algorithm for tracking multiple targets", IEEE Trans. AC-24, 1979) of a single target.

Each reading is a Kalman filter with the time of the last tick, the period and the drift of the
period as its state: a delay-locked loop whose gains follow from how much is known (Adriaensen,
"Using a DLL to filter time", 2005, has the loop with fixed gains). After a beginning it is the
least-squares line through all ticks so far, and so locks at once; later its memory is some four
beats long. As long as the tempo is taken to be steady, drift and its variance are nought; along a
ramp it is a curve with a shorter memory, which is why a ramp costs some accuracy.

What may happen at a tick, and the readings that it leads to:

    as expected    one period has passed, give or take the jitter         every reading
    lost           two or more periods have passed                        if it is far too late
    halt           one period has passed, later than it would have        if it is far too late
    late           one period has passed, but the tick tells nothing      if it is far too late
    late again     the same, of a tick at the heels of a late one
    doubled        no period has passed                                   if it is far too early
    jump           the gap that ends now had another period               if it is off at all
    ramp, hold     the period begins, or ceases, to drift                 the leading, if it is off

Of two readings that have come to say the same the likelier one stays; one that has not come to lead
within a beat and a half is given up. The jitter is measured on the way: the errors of a clock that
ticks evenly weigh more, and it is followed the faster.

One thing is told apart only by the long run. Ticks that wait for the end of an audio buffer about
as long as their period come as evenly as the buffers, but for two at once, or none, now and then.
Chance slips are not evenly spread: five that are were none. They are taken back, and from then on
every tick counts.
"""

import math
from collections.abc import Iterator
from itertools import pairwise

from daemon.clock.reading import (
    EVEN_SLIPS,
    HEELS_NS,
    MISSED,
    TEMPO,
    WANDER_SHARE,
    Reading,
    Slips,
    doubled,
    drifting,
    halted,
    jumping,
    late,
    late_again,
    lost,
)

#: Where a host starts, it may go on with its ticks, begin them anew, or in another tempo besides.
SAME_TICKS, NEW_TICKS, NEW_TEMPO = math.log(0.5), math.log(0.4), math.log(0.1)

#: Jitter before any is known, and the least that is believed: timers and buffers are not perfect.
FIRST_JITTER_NS, LEAST_JITTER_NS = 2_000_000, 200_000
#: The jitter is that of the last so many ticks.
JITTER_TICKS = 96
#: A tick is off from this many standard deviations on, squared, and worth a rival tempo.
OFF = 0.25
#: And far off from this many on; then it may be late, lost or doubled.
FAR_OFF = 1.0
#: Ticks are counted as lost or doubled only once they are known to within this share of a period.
KNOWN_SHARE = 0.45

#: A rival has to be this much likelier to take the lead: who leads should not flicker.
LEAD = 1.5
#: What is less likely than the leading reading by this much is given up.
HOPELESS = 14.0
MOST_READINGS = 15
#: A reading that has not led for this many ticks is given up, too.
PATIENCE_TICKS = 36

#: Slips at distances that differ by no more than this share or a tick are evenly spread: the ticks
#: wait for the end of a buffer that is about as long as their period.
EVEN_SHARE = 0.08
#: Slips closer than this are a single burst of ticks, or a single gap.
APART_TICKS = 2
#: The spread of what waits for the end of a buffer, as a share of the buffer's length.
BUFFER_SHARE = 1 / math.sqrt(12)

#: A gap of so many periods, and at least so long, is a silence of the clock.
SILENCE_TICKS, SILENCE_NS = 6, 250_000_000


class TickLoop:
    """State: the readings, the leading one first, and the jitter."""

    def __init__(self, *, period_ns: float, shortest_ns: float, longest_ns: float) -> None:
        self._bounds = (shortest_ns, longest_ns)
        self._noise = float(FIRST_JITTER_NS**2)  # variance of the jitter, in ns²
        self._buffer_ns = 0.0  # as long as a period, if the ticks come in buffers like that
        self._heard = 0
        self._last_ns = 0
        spread = (self._noise, 0.0, 0.0, (2 * period_ns) ** 2, 0.0, 0.0)
        self._readings = [Reading(0, 0.0, period_ns, 0.0, spread)]

    @property
    def count(self) -> int:
        """How many ticks have passed since the one that `start` was called for."""
        return self._readings[0].count

    @property
    def tick_ns(self) -> float:
        """When the last tick was, without its jitter."""
        return self._readings[0].tick_ns

    @property
    def period_ns(self) -> float:
        """From the last tick to the next."""
        return self._readings[0].period_ns

    @property
    def silent_ns(self) -> int:
        """When the clock counts as silent, if no tick comes before."""
        return self._last_ns + max(SILENCE_NS, round(SILENCE_TICKS * self.period_ns))

    def start(self, t_ns: int) -> None:
        """Take a tick that is number 0 of the music; it may lie beside the line of those before."""
        if self._is_first(t_ns):
            return
        # A host that starts anew may tick less evenly than before.
        self._noise = max(self._noise, float(FIRST_JITTER_NS**2))
        leading = self._readings[0]
        found = [self._anew(leading, t_ns, NEW_TEMPO, tempo=True)]
        found.append(self._anew(leading, t_ns, NEW_TICKS, tempo=False))
        if t_ns <= self.silent_ns:
            same = leading.ahead(1).meet(t_ns, self._noise, self._bounds)
            same.weight += SAME_TICKS
            found.append(same)
        for reading in found:
            reading.count = 0
        self._choose(found, leading=None)
        self._last_ns = t_ns

    def feed(self, t_ns: int) -> None:
        """Take the next tick."""
        if self._is_first(t_ns):
            return
        if t_ns > self.silent_ns:
            self._choose(list(self._after_silence(t_ns)), leading=None)
        else:
            self._choose(*self._read(t_ns))
        self._last_ns = t_ns

    def _is_first(self, t_ns: int) -> bool:
        if self._heard == 0:
            self._heard, self._last_ns = 1, t_ns
            self._readings[0].tick_ns = float(t_ns)
            return True
        self._heard += 1
        return False

    def _anew(self, reading: Reading, t_ns: int, weight: float, *, tempo: bool) -> Reading:
        """Begin with this tick, wherever in a period it lies, in the same tempo or in any."""
        known = reading.spread[3] + (reading.period_ns * WANDER_SHARE * JITTER_TICKS) ** 2
        pp = (2 * reading.period_ns) ** 2 if tempo else known
        spread = (self._noise, 0.0, 0.0, pp, 0.0, 0.0)
        weight += reading.weight - math.log(reading.period_ns)
        return Reading(reading.count, float(t_ns), reading.period_ns, 0.0, spread, weight)

    def _after_silence(self, t_ns: int) -> Iterator[Reading]:
        """The host has ticked on meanwhile, as far as can be known; or it was we who slept."""
        leading = self._readings[0]
        gap_ns = t_ns - leading.tick_ns
        for tempo, weight in ((False, MISSED), (True, MISSED + TEMPO)):
            reading = self._anew(leading, t_ns, weight, tempo=tempo)
            reading.count += max(1, round(gap_ns / leading.period_ns))
            yield reading
        yield late(leading.ahead(1), gap_ns - leading.period_ns)

    def _read(self, t_ns: int) -> tuple[list[Reading], Reading]:
        """Return all that this tick may mean, and what the leading reading expects it to be."""
        found: list[Reading] = []
        gap_ns = t_ns - self._last_ns
        for reading in self._readings:
            expected = reading.ahead(1)
            error_ns, variance = t_ns - expected.tick_ns, expected.spread[0] + self._noise
            off = error_ns * error_ns / variance
            leads = reading is self._readings[0]
            if leads and off > OFF:
                found += (self._meet(rival, t_ns) for rival in drifting(reading))
            if off > FAR_OFF or (leads and off > OFF):
                found.append(self._meet(jumping(reading), t_ns))
            if reading.behind and gap_ns < HEELS_NS:
                found.append(late_again(expected))
            known = variance < (KNOWN_SHARE * expected.period_ns) ** 2
            if off > FAR_OFF and known and not self._buffer_ns:
                found += self._slips(reading, expected, t_ns)
            expected.behind = False
            found.append(expected.meet(t_ns, self._noise, self._bounds))
            if leads:
                as_expected = expected
                self._measure_jitter(error_ns, variance)
        return found, as_expected

    def _meet(self, rival: Reading, t_ns: int) -> Reading:
        return rival.ahead(1).meet(t_ns, self._noise, self._bounds)

    def _slips(self, reading: Reading, expected: Reading, t_ns: int) -> Iterator[Reading]:
        """Readings in which the ticks that were heard are not all, or not where they should be."""
        error_ns = t_ns - expected.tick_ns
        if error_ns < 0:
            yield doubled(reading, heard=self._heard)
            return
        yield late(expected.copy(), error_ns)
        yield halted(expected.copy(), t_ns, self._noise)
        if (ticks := round(error_ns / expected.period_ns)) > 0:
            after = lost(expected, ticks, heard=self._heard)
            yield after.meet(t_ns, self._noise, self._bounds)

    def _measure_jitter(self, error_ns: float, variance: float) -> None:
        """Take the part of an error that jitter explains; one outlier counts for no more than 3."""
        share = min(error_ns * error_ns / variance, 9.0)
        step = 1 / min(self._heard + 6, JITTER_TICKS)
        self._noise += step * (share - 1) * self._noise
        least_ns = max(LEAST_JITTER_NS, BUFFER_SHARE * self._buffer_ns)
        self._noise = max(least_ns**2, self._noise)

    def _choose(self, found: list[Reading], leading: Reading | None) -> None:
        """Keep the likeliest readings; who leads goes on leading unless another is much better."""
        found.sort(key=lambda reading: -reading.weight)
        best = found[0]
        if leading is None or leading.weight < best.weight - LEAD:
            leading = best
        kept = [leading]
        for reading in found:
            if reading.weight < best.weight - HOPELESS or len(kept) == MOST_READINGS:
                break
            reading.age += 1
            if reading.age < PATIENCE_TICKS and not any(one.says_what(reading) for one in kept):
                kept.append(reading)
        base = leading.weight
        leading.age = 0
        for reading in kept:
            reading.weight -= base
        self._readings = kept
        if _are_even(leading.slips):
            self._take_back(leading)

    def _take_back(self, reading: Reading) -> None:
        """The slips were none: count what was heard, in the tempo that follows from that."""
        heard = reading.slips[-1][0] - reading.slips[0][0]
        taken_for = heard + sum(ticks for _, ticks in reading.slips[1:])
        self._buffer_ns = reading.period_ns
        self._noise = (BUFFER_SHARE * self._buffer_ns) ** 2
        reading.count -= sum(ticks for _, ticks in reading.slips)
        reading.period_ns = max(reading.period_ns * taken_for / heard, self._bounds[0])
        reading.drift_ns, reading.slips = 0.0, ()
        pp = (reading.period_ns / heard) ** 2
        reading.spread = (self._noise, 0.0, 0.0, pp, 0.0, 0.0)
        self._readings = [reading]


def _are_even(slips: Slips) -> bool:
    """Whether the slips are as many and as evenly spread as chance hardly ever makes them."""
    if len(slips) < EVEN_SLIPS:
        return False
    gaps = [after[0] - before[0] for before, after in pairwise(slips)]
    is_even = max(gaps) - min(gaps) <= max(1, EVEN_SHARE * max(gaps))
    return is_even and min(gaps) >= APART_TICKS
