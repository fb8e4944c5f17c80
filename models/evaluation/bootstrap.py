"""How sure a figure is: resampled over pieces, for the notes of one piece are no separate draws.

Knows arrays with one row a piece and statistics over them; knows no music. A statistic takes
weights (R, P), how often each of P pieces was drawn in each of R resamples, and gives (R,) values;
all that is measured here is a ratio of weighted sums or a function of such sums, so that a thousand
resamples are one matrix product.

The interval is the middle 95 % of the resampled values, moved so that their mean lies on the figure
itself (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 10): a divergence is
never below 0, so that a resample, which holds fewer different pieces, has more of it on average.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Statistic: TypeAlias = Callable[[Floats], Floats]  # (R, P) -> (R,)

RESAMPLES = 1000
LEVEL = 0.95
#: Resamples that part by less are equal.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A figure, and what it was on each resample. NaN where there was nothing to measure."""

    value: float
    samples: Floats  # (R,)

    @property
    def interval(self) -> tuple[float, float]:
        """The lower and the upper end; they enclose the value, and leave no range of shares."""
        found = self.samples[np.isfinite(self.samples)]
        if not len(found) or np.ptp(found) < ROUNDING:
            return self.value, self.value
        moved = found - found.mean() + self.value
        low, high = np.quantile(moved, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        if found.min() >= 0:
            low = max(low, 0.0)
        if found.max() <= 1:
            high = min(high, 1.0)
        return min(float(low), self.value), max(float(high), self.value)


def figure(statistic: Statistic, *, pieces: int, seed: int) -> Figure:
    """A statistic over all pieces, and over resamples of them."""
    if not pieces:
        return Figure(float("nan"), np.full(RESAMPLES, np.nan))
    random = np.random.default_rng(seed)
    drawn = random.multinomial(pieces, np.full(pieces, 1 / pieces), size=RESAMPLES)
    value = float(statistic(np.ones((1, pieces)))[0])
    return Figure(value, statistic(drawn.astype(np.float64)))


def ratio(numerators: ArrayLike, denominators: ArrayLike) -> Statistic:
    """The sum of `numerators` (P,) over that of `denominators` (P,); NaN over nothing."""
    above, below = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)

    def statistic(weights: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = (weights @ above) / (weights @ below)
        return found

    return statistic


def mean_of(figures: Sequence[Figure]) -> Figure:
    """The plain mean of figures that were resampled apart, such as one a style; NaNs left out."""
    known = [one for one in figures if np.isfinite(one.value)]
    if not known:
        return Figure(float("nan"), np.full(RESAMPLES, np.nan))
    samples = np.stack([one.samples for one in known])
    return Figure(float(np.mean([one.value for one in known])), samples.mean(axis=0))
