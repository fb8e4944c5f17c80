"""One token out of those that are allowed, whatever the controls, and the same from both draws."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cache import Logits
from engine.native_sampling import best_draw
from engine.protocol import Controls
from engine.sampling import Draw, Sampler, draw

#: Where there was no compiler they are one.
DRAWS = {"numpy": draw, "best": best_draw()}
LOGITS = np.log(np.array([0.1, 0.4, 0.2, 0.2, 0.1], dtype=np.float32))
ALL = [range(5)]


class Drawn:
    """Many tokens by one of the draws."""

    def __init__(self, by: Draw) -> None:
        self._by = by

    def __call__(
        self, controls: Controls, *, times: int = 2000, allowed: list[range] = ALL
    ) -> Counter[int]:
        sampler = Sampler(controls, 1, self._by)
        return Counter(sampler.choose(LOGITS, allowed) for _ in range(times))


@pytest.fixture(params=DRAWS)
def drawn(request: pytest.FixtureRequest) -> Drawn:
    return Drawn(DRAWS[request.param])


def test_temperature_nought_is_the_best_one(drawn: Drawn) -> None:
    assert drawn(Controls(temperature=0.0)) == {1: 2000}


@pytest.mark.parametrize("by", DRAWS)
def test_a_choice_may_have_a_part_of_the_temperature(by: str) -> None:
    """Half of a temperature of one: shares as their squares."""
    sampler = Sampler(Controls(temperature=1.0, top_p=1.0), 1, DRAWS[by])
    counts = Counter(sampler.choose(LOGITS, ALL, warmth=0.5) for _ in range(20_000))
    squares = [0.01, 0.16, 0.04, 0.04, 0.01]
    for token, square in enumerate(squares):
        assert abs(counts[token] / 20_000 - square / sum(squares)) < 4.5 * math.sqrt(0.25 / 20_000)


def test_only_what_is_allowed(drawn: Drawn) -> None:
    assert set(drawn(Controls(top_p=1.0), allowed=[range(1), range(3, 5)])) == {0, 3, 4}
    assert set(drawn(Controls(top_p=1.0), allowed=[range(3, 4)])) == {3}


def test_frequencies_are_the_probabilities(drawn: Drawn) -> None:
    counts = drawn(Controls(temperature=1.0, top_p=1.0), times=20_000)
    # Five counts of a fixed seed; 4.5 standard deviations of a binomial for the widest.
    for token, share in enumerate([0.1, 0.4, 0.2, 0.2, 0.1]):
        assert abs(counts[token] / 20_000 - share) < 4.5 * math.sqrt(0.24 / 20_000)


def test_top_k_keeps_the_best(drawn: Drawn) -> None:
    assert set(drawn(Controls(top_k=1, top_p=1.0))) == {1}
    assert set(drawn(Controls(top_k=3, top_p=1.0))) == {1, 2, 3}


def test_top_p_keeps_as_few_as_reach_it(drawn: Drawn) -> None:
    assert set(drawn(Controls(temperature=1.0, top_p=0.39))) == {1}
    # Tokens 2 and 3 are equally likely: they stay together.
    assert set(drawn(Controls(temperature=1.0, top_p=0.59))) == {1, 2, 3}
    assert set(drawn(Controls(temperature=1.0, top_p=0.0))) == {1}


def test_what_is_left_keeps_its_proportions(drawn: Drawn) -> None:
    for controls in (Controls(temperature=1.0, top_p=0.75), Controls(temperature=1.0, top_k=3)):
        counts = drawn(controls, times=20_000)
        assert set(counts) == {1, 2, 3}
        for token, share in zip((1, 2, 3), (0.5, 0.25, 0.25), strict=True):
            assert abs(counts[token] / 20_000 - share) < 4.5 * math.sqrt(0.25 / 20_000)


def test_the_same_seed_chooses_the_same() -> None:
    first, second = (Sampler(Controls(), 7, draw) for _ in range(2))
    for _ in range(50):
        assert first.choose(LOGITS, ALL) == second.choose(LOGITS, ALL)


any_float = st.floats(allow_nan=True, allow_infinity=True)
some_logits = st.lists(st.floats(width=32), min_size=12, max_size=12).map(
    lambda values: np.array(values, dtype=np.float32)
)
some_allowed = st.lists(
    st.sampled_from([range(2), range(3, 4), range(5, 12)]), min_size=1, unique=True
)
#: Also such as music has: several alike, none out of reach.
close_logits = st.lists(st.integers(-8, 8), min_size=12, max_size=12).map(
    lambda values: np.array(values, dtype=np.float32) / 4
)


@given(
    some_logits,
    some_allowed,
    st.builds(
        Controls,
        temperature=any_float,
        top_k=st.integers(-(2**70), 2**70),
        top_p=any_float,
    ),
    st.integers(),
)
def test_no_value_is_too_extreme(
    logits: Logits, allowed: list[range], controls: Controls, seed: int
) -> None:
    samplers = [Sampler(controls, seed, by) for by in DRAWS.values()]
    chosen, *others = (sampler.choose(logits, allowed) for sampler in samplers)
    assert set(others) == {chosen}
    assert any(chosen in span for span in allowed)
    candidates = [logits[i] for span in allowed for i in span]
    if any(math.isfinite(value) for value in candidates):
        assert not math.isnan(logits[chosen]) and logits[chosen] > -math.inf


@given(
    close_logits | some_logits,
    some_allowed,
    st.sampled_from([0.0, 1.0]) | st.floats(1e-4, 1e6),
    st.integers(0, 13),
    st.sampled_from([0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1),
    st.sampled_from([0.0, 0.5]) | st.floats(0, 1, exclude_max=True),
    st.booleans(),
)
def test_both_draws_are_one(
    logits: Logits,
    allowed: list[range],
    temperature: float,
    top_k: int,
    top_p: float,
    number: float,
    again: bool,
) -> None:
    by_numpy, best = (
        by(logits, allowed, temperature, top_k, top_p, number, again) for by in DRAWS.values()
    )
    assert by_numpy == best


def test_logits_that_the_kernel_cannot_read_are_refused() -> None:
    by = DRAWS["best"]
    if by is draw:
        pytest.skip("built without a compiler")
    for wrong in (LOGITS.astype(np.float64), LOGITS[::2]):
        with pytest.raises(ValueError, match="float32, one after the other"):
            by(wrong, [range(2)], 1.0, 0, 1.0, 0.5, False)
