"""Chooses one token among those that are allowed.

Knows logits, ranges of token numbers and the controls; knows no music. Temperature comes first,
then top-k, then top-p, each over what the one before left; tokens that are equally likely stay or
go together. Extreme values raise nothing: each has a nearest sensible meaning, given below.
"""

import math
from collections.abc import Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from engine.cache import Logits
from engine.protocol import Controls

#: Below this the best token has all the probability that a float can say.
GREEDY_TEMPERATURE = 1e-4
#: Above this all tokens that are possible at all are alike.
HOTTEST_TEMPERATURE = 1e6


def choose(logits: Logits, allowed: Sequence[range], controls: Controls, random: Random) -> int:
    """One token number out of `allowed`, which holds at least one.

    Temperature 0, below, or not a number: the best token, the lowest of equals. An infinite one:
    any. `top_k` below 1 keeps all; `top_p` of 0 or below keeps the best alone. Logits that are
    not numbers are never chosen if others are there. Draws one or two random numbers, or none for
    the best token.
    """
    parts = [logits[span.start : span.stop] for span in allowed]
    index = _index(np.concatenate(parts, dtype=np.float64), controls, random)
    for span in allowed:
        if index < len(span):
            return span[index]
        index -= len(span)
    raise IndexError("the choice lies outside of what is allowed")


def _index(values: NDArray[np.float64], controls: Controls, random: Random) -> int:
    """The index drawn; `values` may be overwritten."""
    best = int(values.argmax())  # of values with a NaN among them, the NaN
    if not math.isfinite(values[best]):
        values = np.nan_to_num(values, nan=-np.inf, posinf=1e300, neginf=-np.inf)
        best = int(values.argmax())
    if not controls.temperature > GREEDY_TEMPERATURE or len(values) == 1:
        return best
    if values[best] == -np.inf:
        values[:] = 0.0  # nothing to go by
    values -= values[best]
    values /= min(controls.temperature, HOTTEST_TEMPERATURE)
    weights = np.exp(values, out=values)
    index = _draw(weights, best, random)
    if _stays(index, weights, controls):
        return index
    # Drawn again from what stays: with the first draw that is a draw from what stays alone.
    weights[weights < _least_that_stays(weights, controls)] = 0.0
    return _draw(weights, best, random)


def _draw(weights: NDArray[np.float64], best: int, random: Random) -> int:
    sums = weights.cumsum()
    drawn = int(sums.searchsorted(random.random() * sums[-1], side="right"))
    return drawn if drawn < len(weights) else best  # the product may round up to the sum


def _stays(index: int, weights: NDArray[np.float64], controls: Controls) -> bool:
    """Whether top-p alone keeps an index: what is likelier does not reach it. Needs no sorting."""
    if controls.top_k > 0:
        return False
    if not controls.top_p < 1.0:
        return True
    likelier = weights.dot(weights > weights[index])
    return bool(likelier < controls.top_p * weights.sum())


def _least_that_stays(weights: NDArray[np.float64], controls: Controls) -> float:
    """The weight of the last token that top-k and top-p keep; the best always stays."""
    falling = np.sort(weights)[::-1]
    kept = min(controls.top_k, len(falling)) if controls.top_k > 0 else len(falling)
    if controls.top_p < 1.0 and not math.isnan(controls.top_p):
        shares = falling[:kept].cumsum()
        kept = min(kept, 1 + int(shares.searchsorted(max(0.0, controls.top_p) * shares[-1])))
    return float(falling[kept - 1])
