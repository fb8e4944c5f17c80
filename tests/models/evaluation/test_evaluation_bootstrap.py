"""Intervals: they enclose the figure, narrow with more pieces, and hit as often as they promise."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.bootstrap import figure, mean_of, ratio
from models.evaluation.distance import divergence_of

numbers = st.floats(0, 100, allow_nan=False)


@settings(max_examples=40)
@given(st.lists(st.tuples(numbers, st.integers(1, 50)), min_size=1, max_size=30))
def test_an_interval_encloses_the_figure(rows):
    above, below = zip(*rows, strict=True)
    found = figure(ratio(above, below), pieces=len(rows), seed=0)
    low, high = found.interval
    assert np.isclose(found.value, sum(above) / sum(below))
    assert low <= found.value <= high
    assert low >= 0


def test_one_piece_has_no_interval():
    found = figure(ratio([3.0], [2.0]), pieces=1, seed=0)
    assert found.interval == (1.5, 1.5)


def test_the_interval_of_a_mean_is_the_one_that_theory_gives():
    random = np.random.default_rng(5)
    values = random.normal(10, 2, 400)
    low, high = figure(ratio(values, np.ones(400)), pieces=400, seed=0).interval
    half = 1.96 * 2 / 20
    assert abs((high - low) / 2 - half) < 0.15 * half


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    # 200 samples of 30: with 95 % each, fewer than 175 hits has odds below one in a million; what
    # a bootstrap of 30 loses is already in the bound.
    random = np.random.default_rng(7)
    hits = 0
    for number in range(200):
        values = random.normal(0, 1, 30)
        low, high = figure(ratio(values, np.ones(30)), pieces=30, seed=number).interval
        hits += low <= 0 <= high
    assert 175 <= hits < 200


def test_the_interval_of_a_divergence_lies_on_both_sides_of_it():
    # Resamples hold fewer different pieces, so nearly all of them are further apart than the whole.
    random = np.random.default_rng(3)
    first, second = random.poisson(2.0, (2, 20, 12)).astype(float)
    found = figure(divergence_of(first, second), pieces=20, seed=0)
    low, high = found.interval
    assert (found.samples > found.value).mean() > 0.9
    assert low < 0.8 * found.value
    assert high > 1.2 * found.value


def test_styles_count_alike_whatever_their_size():
    small = figure(ratio([1.0] * 2, [1.0] * 2), pieces=2, seed=0)
    large = figure(ratio([3.0] * 50, [1.0] * 50), pieces=50, seed=0)
    nothing = figure(ratio([], []), pieces=0, seed=0)
    assert mean_of([small, large, nothing]).value == 2.0
    assert np.isnan(mean_of([nothing]).value)


def test_the_same_seed_gives_the_same_interval():
    values = np.arange(20.0)
    first, second, other = (
        figure(ratio(values, np.ones(20)), pieces=20, seed=seed).interval for seed in (1, 1, 2)
    )
    assert first == second != other
