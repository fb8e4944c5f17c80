"""One way to read a train of ticks, and the readings that a tick may lead it to.

Pure: an estimate of when the ticks were and how far apart they are, with how sure it is of that and
how likely it is altogether. Knows nothing of the readings beside it; `daemon/clock/tick_loop.py`
has the theory of operation, and chooses among them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

#: Covariance of (tick, period, drift) in ns²: the upper triangle, row by row.
Spread: TypeAlias = tuple[float, float, float, float, float, float]
#: (number of the tick that was heard, how many more have passed than were heard) of each slip.
Slips: TypeAlias = tuple[tuple[int, int], ...]

# What is believed to happen, as logarithms of a chance a tick. The figures are rough: a factor of
# three in any of them moves the results in tests/benchmarks/clock_phase.py by little.
#: The tick that should come does not: it was lost, or the host stood still.
MISSED = math.log(1 / 100)
DOUBLED = math.log(1 / 200)
LATE = math.log(1 / 200)
LATE_AGAIN = math.log(9 / 10)
TEMPO = math.log(1 / 1000)
HOLD = math.log(1 / 100)

#: Which of the two it was is drawn as from Pólya's urn: one host loses ticks, another stands still,
#: and what it has done it will do again. Of hosts of which nothing is known one in fifty stands
#: still, and so little lies in the urn at first that the first time tells nearly all.
HALTS, LOSSES = 0.002, 0.098

#: A tick that is late is late by about this much: a process that was not let run for a while.
LATE_NS = 30_000_000
#: And a host that stands still does so for about as long.
HALT_NS = 30_000_000
#: Ticks that were kept back come within this of each other.
HEELS_NS = 3_000_000
#: The period of another tempo differs from the old one by about as much as that.
JUMP_SHARE = 1.0
#: A ramp changes the period by about this share at each tick: 5 % in a beat.
RAMP_SHARE = 0.002
#: The tempo of a host wanders by this share at each tick; it sets the memory at four beats or so.
WANDER_SHARE = 1e-4
#: And that of a ramp departs from a straight one by this share.
BEND_SHARE = 3e-5
#: So many slips to one side, if they are evenly spread, are none; and so many are kept.
EVEN_SLIPS = 5


@dataclass(slots=True)
class Reading:
    """One way to read the ticks so far: `count` of them, the last one at `tick_ns`."""

    count: int
    tick_ns: float
    period_ns: float
    drift_ns: float
    spread: Spread
    weight: float = 0.0  # logarithm of its likelihood, less that of the leading one
    age: int = 0  # ticks since it led, or since it was put up
    behind: bool = False  # its last tick was late
    slips: Slips = ()  # the last ones to one side
    halts: int = 0  # how often the host has stood still
    losses: int = 0  # how often ticks were lost

    def copy(self) -> "Reading":
        """Return one that says the same."""
        return Reading(
            self.count,
            self.tick_ns,
            self.period_ns,
            self.drift_ns,
            self.spread,
            self.weight,
            self.age,
            self.behind,
            self.slips,
            self.halts,
            self.losses,
        )

    def slip(self, number: int, ticks: int) -> None:
        """At the tick that was heard as `number`, so many more have passed than were heard."""
        one_way = self.slips if self.slips and (self.slips[-1][1] > 0) == (ticks > 0) else ()
        self.slips = (*one_way, (number, ticks))[-EVEN_SLIPS:]

    def ahead(self, ticks: int) -> "Reading":
        """Return what it expects `ticks` ticks later."""
        after = self.copy()
        for _ in range(ticks):
            after._pass()
        return after

    def meet(self, t_ns: int, noise: float, bounds: tuple[float, float]) -> "Reading":
        """Correct the expected tick by the one that came at `t_ns`; `noise` in ns²."""
        tt, tp, td, pp, pd, dd = self.spread
        error_ns, variance = t_ns - self.tick_ns, tt + noise
        by_tick, by_period, by_drift = tt / variance, tp / variance, td / variance
        self.tick_ns += by_tick * error_ns
        self.period_ns = min(max(self.period_ns + by_period * error_ns, bounds[0]), bounds[1])
        self.drift_ns += by_drift * error_ns
        self.spread = (
            tt - by_tick * tt,
            tp - by_tick * tp,
            td - by_tick * td,
            pp - by_period * tp,
            pd - by_period * td,
            dd - by_drift * td,
        )
        self.weight -= (error_ns * error_ns / variance + math.log(2 * math.pi * variance)) / 2
        return self

    def says_what(self, other: "Reading") -> bool:
        """Whether `other` says the same, and knows as much."""
        return (
            self.count == other.count
            and self.behind == other.behind
            and (self.tick_ns - other.tick_ns) ** 2 < self.spread[0] / 10
            and (self.period_ns - other.period_ns) ** 2 < self.spread[3] / 10
            and other.spread[3] < 1.5 * self.spread[3]
            and (other.spread[5] > 0) == (self.spread[5] > 0)
            and other.spread[5] <= 1.5 * self.spread[5]
        )

    def _pass(self) -> None:
        """Let a tick pass. An even ramp of the tempo bends the line of the periods a little."""
        tt, tp, td, pp, pd, dd = self.spread
        self.count += 1
        self.tick_ns += self.period_ns
        if dd:
            most_ns = self.period_ns / 10
            self.drift_ns = min(max(self.drift_ns, -most_ns), most_ns)
            self.period_ns += self.drift_ns
            self.drift_ns *= 1 + 2 * self.drift_ns / self.period_ns
            dd_after = dd + (BEND_SHARE * self.period_ns) ** 2
        else:
            dd_after = 0.0
        wander = (WANDER_SHARE * self.period_ns) ** 2
        self.spread = (
            tt + 2 * tp + pp,
            tp + td + pp + pd,
            td + pd,
            pp + 2 * pd + dd + wander,
            pd + dd,
            dd_after,
        )


def late(expected: Reading, late_ns: float) -> Reading:
    """The tick was on time, and came to us later: its time is the expected one."""
    expected.weight += LATE - _surprise(late_ns, LATE_NS)
    expected.age, expected.behind = 0, True
    return expected


def late_again(expected: Reading) -> Reading:
    """The same of a tick at the heels of a late one."""
    again = expected.copy()
    again.weight += LATE_AGAIN - math.log(HEELS_NS)
    return again


def halted(expected: Reading, t_ns: int, noise: float) -> Reading:
    """The host stood still: the tick is on time, and what follows will be later by as much."""
    expected.weight += MISSED + _drawn(expected, HALTS + expected.halts)
    expected.weight -= _surprise(t_ns - expected.tick_ns, HALT_NS)
    _, _, _, pp, pd, dd = expected.spread
    expected.tick_ns, expected.spread = float(t_ns), (noise, 0.0, 0.0, pp, pd, dd)
    expected.age, expected.behind = 0, False
    expected.halts += 1
    return expected


def lost(expected: Reading, ticks: int, *, heard: int) -> Reading:
    """So many ticks more have passed than were heard, up to the one that was heard as `heard`."""
    after = expected.ahead(ticks)
    after.weight += MISSED + _drawn(after, LOSSES + after.losses) - 2 * math.log(ticks)
    after.age, after.behind = 0, False
    after.losses += 1
    after.slip(heard, ticks)
    return after


def doubled(reading: Reading, *, heard: int) -> Reading:
    """No tick has passed, though one was heard as `heard`."""
    after = reading.copy()
    after.weight += DOUBLED - math.log(after.period_ns)
    after.age = 0
    after.slip(heard, -1)
    return after


def jumping(reading: Reading) -> Reading:
    """From the last tick on the tempo is another."""
    rival = reading.copy()
    period_variance = (JUMP_SHARE * rival.period_ns) ** 2
    rival.drift_ns, rival.spread = 0.0, (rival.spread[0], 0.0, 0.0, period_variance, 0.0, 0.0)
    rival.weight += TEMPO
    rival.age, rival.behind = 0, False
    return rival


def drifting(reading: Reading) -> Iterator[Reading]:
    """From the last tick on the tempo drifts, or drifts otherwise; or it ceases to."""
    tt, tp, _, pp, _, dd = reading.spread
    rival = reading.copy()
    rival.spread = (tt, tp, 0.0, pp, 0.0, (RAMP_SHARE * rival.period_ns) ** 2)
    rival.weight += TEMPO
    rival.age, rival.behind = 0, False
    yield rival
    if dd:
        steady = rival.copy()
        steady.drift_ns, steady.spread = 0.0, (tt, tp, 0.0, pp, 0.0, 0.0)
        steady.weight += HOLD - TEMPO
        yield steady


def _surprise(late_ns: float, about_ns: float) -> float:
    """Less the logarithm of the density of a delay that is mostly short, and at times very long."""
    return math.log(about_ns) + 2 * math.log1p(late_ns / about_ns)


def _drawn(reading: Reading, count: float) -> float:
    """The logarithm of the chance to draw a kind of which there are so many in the urn."""
    return math.log(count / (HALTS + LOSSES + reading.halts + reading.losses))
