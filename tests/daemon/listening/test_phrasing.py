"""How long a rest ends a phrase."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.listening.phrasing import FEWEST, KEPT, LEAST, MOST, Phrasing


def after(*rests: float) -> Phrasing:
    phrasing = Phrasing()
    for rest in rests:
        phrasing.resumed(rest)
    return phrasing


def test_it_begins_with_the_setting() -> None:
    assert after(*[0.1] * (FEWEST - 1)).silence_beats(2.0) == 2.0


@pytest.mark.parametrize(
    ("rests", "silence"),
    [
        ([0.0] * 12, 1.0),
        ([0.5] * 12, 1.0),
        ([0.0] * 11 + [1.0], 1.5),
        ([0.0] * 11 + [2.0], 3.0),
        ([0.0] * 11 + [9.0], 4.0),
        ([2.0] + [0.5] * KEPT, 1.0),
    ],
)
def test_it_is_half_as_long_again_as_the_longest_rest_within(
    rests: list[float], silence: float
) -> None:
    assert after(*rests).silence_beats(2.0) == silence


@given(st.lists(st.floats(0, 100), max_size=60), st.floats(0.25, 32))
def test_it_stays_near_the_setting(rests: list[float], setting: float) -> None:
    assert LEAST * setting <= after(*rests).silence_beats(setting) <= MOST * setting
