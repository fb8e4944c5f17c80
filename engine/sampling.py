"""Chooses one token among those that are allowed.

Knows logits, ranges of token numbers and the controls; knows no music. Temperature comes first,
then top-k, then top-p, each over what the one before left; tokens that are equally likely stay or
go together. Extreme values raise nothing: each has a nearest sensible meaning, given below.

A `Sampler` has the random numbers, a `Draw` turns one into a token. `draw` here is the one in
numpy; engine/native_sampling.py has the same in C. Both go by token number, not by rank, since
where two candidates are nearly alike another processor's rounding may swap their ranks; and what a
candidate weighs is rounded to a whole number of `MOST`, so that sums are exact in any order and
both choose the same token.
"""

import math
from collections.abc import Sequence
from random import Random
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.cache import Logits
from engine.protocol import Controls

#: Below this the best token has all the probability that a float can say.
GREEDY_TEMPERATURE = 1e-4
#: Above this all tokens that are possible at all are alike.
HOTTEST_TEMPERATURE = 1e6
#: What the best candidate weighs. A thousand such sum up exactly in a float64.
MOST = 2.0**32
#: More candidates than any vocabulary has.
LARGEST_TOP_K = 2**31 - 1


class Draw(Protocol):
    """A number to a token."""

    def __call__(
        self,
        logits: Logits,
        allowed: Sequence[range],
        temperature: float,
        top_k: int,
        top_p: float,
        number: float,
        again: bool,
    ) -> int:
        """The token that `number`, 0 <= number < 1, falls on, out of all that are `allowed`.

        -1 if top-k or top-p do not keep it, or might not; `again` draws from what they keep.
        `temperature` 0 is the best token, the lowest of equals; `top_k` 0 keeps all. Logits that
        are not numbers are never chosen if others are there.
        """


class Sampler:
    """The choices of one answer.

    Temperature 0, below, or not a number: the best token. An infinite one: any. `top_k` below 1
    and a `top_p` that is not a number keep all; `top_p` of 0 or below keeps the best alone.
    """

    def __init__(self, controls: Controls, seed: int, draw: Draw) -> None:
        warm = controls.temperature > GREEDY_TEMPERATURE
        self._temperature = min(controls.temperature, HOTTEST_TEMPERATURE) if warm else 0.0
        self._top_k = min(max(0, controls.top_k), LARGEST_TOP_K)
        self._top_p = 1.0 if math.isnan(controls.top_p) else min(max(0.0, controls.top_p), 1.0)
        self._number = Random(seed).random
        self._draw = draw

    def choose(self, logits: Logits, allowed: Sequence[range], *, warmth: float = 1.0) -> int:
        """One token number out of `allowed`, which holds at least one.

        `warmth` is how much of the temperature this choice has.
        Takes one random number or two, or none where there is no choice. With top-p alone the
        first is nearly always enough, and nothing has to be sorted: together, both are a draw
        from what stays.
        """
        if len(allowed) == 1 == len(allowed[0]):
            return allowed[0].start
        controls = self._temperature * warmth, self._top_k, self._top_p
        token = self._draw(logits, allowed, *controls, self._number(), False)
        return token if token >= 0 else self._draw(logits, allowed, *controls, self._number(), True)


def draw(
    logits: Logits,
    allowed: Sequence[range],
    temperature: float,
    top_k: int,
    top_p: float,
    number: float,
    again: bool,
) -> int:
    """A `Draw` in numpy."""
    parts = [logits[span.start : span.stop] for span in allowed]
    values = np.concatenate(parts, dtype=np.float64)
    best = int(values.argmax())  # of values with a NaN among them, the NaN
    if not math.isfinite(values[best]):
        values = np.nan_to_num(values, copy=False, nan=-np.inf, posinf=1e300, neginf=-np.inf)
        best = int(values.argmax())
    if temperature == 0:
        return _token(best, allowed)
    weights = _weights(values, best, temperature)
    if again:
        weights[weights < _least_that_stays(weights, top_k, top_p)] = 0.0
    sums = weights.cumsum()
    index = int(sums.searchsorted(number * sums[-1], side="right"))
    if not again and not _stays(index, weights, top_k, top_p):
        return -1
    return _token(index, allowed)


def _weights(values: NDArray[np.float64], best: int, temperature: float) -> NDArray[np.float64]:
    """Logits to whole numbers, in place."""
    if values[best] == -np.inf:
        values[:] = 0.0  # nothing to go by
    values -= values[best]
    values /= temperature
    np.exp(values, out=values)
    values *= MOST
    return np.rint(values, out=values)


def _stays(index: int, weights: NDArray[np.float64], top_k: int, top_p: float) -> bool:
    """Whether top-p alone keeps an index: what is likelier does not reach it. Needs no sorting."""
    if top_k:
        return False
    if top_p >= 1.0:
        return True
    return bool(weights.dot(weights > weights[index]) < top_p * weights.sum())


def _least_that_stays(weights: NDArray[np.float64], top_k: int, top_p: float) -> float:
    """The weight of the last token that top-k and top-p keep; the best always stays."""
    ranked = np.sort(weights)[::-1]
    kept = min(top_k, len(ranked)) if top_k else len(ranked)
    if top_p < 1.0:
        shares = ranked[:kept].cumsum()
        kept = min(kept, 1 + int(shares.searchsorted(top_p * shares[-1])))
    return float(ranked[kept - 1])


def _token(index: int, allowed: Sequence[range]) -> int:
    for span in allowed:
        if index < len(span):
            return span[index]
        index -= len(span)
    raise IndexError("the choice lies outside of what is allowed")
