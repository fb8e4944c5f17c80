"""One token out of those that are allowed, whatever the controls."""

import math
from collections import Counter
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.protocol import Controls
from engine.sampling import choose

LOGITS = np.log(np.array([0.1, 0.4, 0.2, 0.2, 0.1], dtype=np.float32))
ALL = [range(5)]


def drawn(controls: Controls, *, times: int = 2000, allowed: list[range] = ALL) -> Counter[int]:
    random = Random(1)
    return Counter(choose(LOGITS, allowed, controls, random) for _ in range(times))


def test_temperature_nought_is_the_best_one() -> None:
    assert drawn(Controls(temperature=0.0)) == {1: 2000}


def test_only_what_is_allowed() -> None:
    assert set(drawn(Controls(top_p=1.0), allowed=[range(1), range(3, 5)])) == {0, 3, 4}


def test_frequencies_are_the_probabilities() -> None:
    counts = drawn(Controls(temperature=1.0, top_p=1.0), times=20_000)
    # Five counts of a fixed seed; 4.5 standard deviations of a binomial for the widest.
    for token, share in enumerate([0.1, 0.4, 0.2, 0.2, 0.1]):
        assert abs(counts[token] / 20_000 - share) < 4.5 * math.sqrt(0.24 / 20_000)


def test_top_k_keeps_the_best() -> None:
    assert set(drawn(Controls(top_k=1, top_p=1.0))) == {1}
    assert set(drawn(Controls(top_k=3, top_p=1.0))) == {1, 2, 3}


def test_top_p_keeps_as_few_as_reach_it() -> None:
    assert set(drawn(Controls(temperature=1.0, top_p=0.39))) == {1}
    # Tokens 2 and 3 are equally likely: they stay together.
    assert set(drawn(Controls(temperature=1.0, top_p=0.59))) == {1, 2, 3}
    assert set(drawn(Controls(temperature=1.0, top_p=0.0))) == {1}


def test_what_is_left_keeps_its_proportions() -> None:
    for controls in (Controls(temperature=1.0, top_p=0.75), Controls(temperature=1.0, top_k=3)):
        counts = drawn(controls, times=20_000)
        assert set(counts) == {1, 2, 3}
        for token, share in zip((1, 2, 3), (0.5, 0.25, 0.25), strict=True):
            assert abs(counts[token] / 20_000 - share) < 4.5 * math.sqrt(0.25 / 20_000)


def test_the_same_seed_chooses_the_same() -> None:
    first, second = Random(7), Random(7)
    for _ in range(50):
        assert choose(LOGITS, ALL, Controls(), first) == choose(LOGITS, ALL, Controls(), second)


any_float = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.lists(st.floats(width=32), min_size=12, max_size=12),
    st.lists(st.sampled_from([range(2), range(3, 4), range(5, 12)]), min_size=1, unique=True),
    st.builds(
        Controls,
        temperature=any_float,
        top_k=st.integers(-(2**70), 2**70),
        top_p=any_float,
    ),
    st.integers(),
)
def test_no_value_is_too_extreme(
    logits: list[float], allowed: list[range], controls: Controls, seed: int
) -> None:
    values = np.array(logits, dtype=np.float32)
    chosen = choose(values, allowed, controls, Random(seed))
    assert any(chosen in span for span in allowed)
    candidates = [values[i] for span in allowed for i in span]
    if any(math.isfinite(value) for value in candidates):
        assert not math.isnan(values[chosen]) and values[chosen] > -math.inf
