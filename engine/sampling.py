"""Chooses one token among those that are allowed.

Knows logits, ranges of token numbers and the controls; knows no music. Temperature comes first,
then top-k, then top-p, each over what the one before left. Extreme values raise nothing: each has
a nearest sensible meaning, given below.
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
    not numbers are never chosen if others are there. Draws one random number, or none for the
    best token.
    """
    values = np.concatenate([logits[span.start : span.stop] for span in allowed])
    index = _index(values.astype(np.float64), controls, random)
    for span in allowed:
        if index < len(span):
            return span[index]
        index -= len(span)
    raise IndexError("the choice lies outside of what is allowed")


def _index(values: NDArray[np.float64], controls: Controls, random: Random) -> int:
    if not np.isfinite(values).all():
        values = np.nan_to_num(values, nan=-np.inf, posinf=1e300, neginf=-np.inf)
    best = int(values.argmax())
    if not controls.temperature > GREEDY_TEMPERATURE or len(values) == 1:
        return best
    if values[best] == -np.inf:
        values[:] = 0.0  # nothing to go by
    weights = np.exp((values - values[best]) / min(controls.temperature, HOTTEST_TEMPERATURE))
    if controls.top_k > 0 or controls.top_p < 1.0:
        weights[_left_out(weights, controls)] = 0.0
    sums = weights.cumsum()
    drawn = int(np.searchsorted(sums, random.random() * sums[-1], side="right"))
    return drawn if drawn < len(values) else best  # the product may round up to the sum


def _left_out(weights: NDArray[np.float64], controls: Controls) -> NDArray[np.intp]:
    """Indices that top-k and top-p drop; the best always stays."""
    order = np.argsort(-weights, kind="stable")
    kept = min(controls.top_k, len(order)) if controls.top_k > 0 else len(order)
    if controls.top_p < 1.0 and not math.isnan(controls.top_p):
        shares = weights[order[:kept]].cumsum()
        kept = min(kept, 1 + int(np.searchsorted(shares, max(0.0, controls.top_p) * shares[-1])))
    return order[kept:]
