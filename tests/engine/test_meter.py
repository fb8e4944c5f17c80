"""Bars and beats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.meter import Bar, bar_at, bars_later, line_after, meter_at
from engine.protocol import Meter

FOUR = Meter(0.0, 4, 4)
CHANGING = (FOUR, Meter(8.0, 3, 4), Meter(14.0, 7, 8))


@pytest.mark.parametrize(
    ("beat", "bar"),
    [
        (0.0, Bar(0.0, 4.0, CHANGING[0])),
        (3.999, Bar(0.0, 4.0, CHANGING[0])),
        (4.0, Bar(4.0, 8.0, CHANGING[0])),
        (7.9999999, Bar(8.0, 11.0, CHANGING[1])),
        (8.0, Bar(8.0, 11.0, CHANGING[1])),
        (13.0, Bar(11.0, 14.0, CHANGING[1])),
        (14.0, Bar(14.0, 17.5, CHANGING[2])),
        (-1.0, Bar(-4.0, 0.0, CHANGING[0])),
    ],
)
def test_bars_of_changing_meters(beat: float, bar: Bar) -> None:
    assert bar_at(CHANGING, beat) == bar
    assert meter_at(CHANGING, beat) == bar.meter


def test_a_change_within_a_bar_cuts_it_short() -> None:
    meters = (FOUR, Meter(6.0, 3, 4))
    assert bar_at(meters, 5.0) == Bar(4.0, 6.0, FOUR)
    assert bar_at(meters, 6.5) == Bar(6.0, 9.0, meters[1])


def test_lines() -> None:
    assert [line_after(CHANGING, beat) for beat in (0.0, 0.1, 4.0, 8.5, 13.9, 14.0)] == [
        0.0,
        4.0,
        4.0,
        11.0,
        14.0,
        14.0,
    ]
    assert bars_later(CHANGING, 4.0, 0) == 4.0
    assert bars_later(CHANGING, 4.0, 4) == 17.5


meters = st.tuples(st.integers(1, 16), st.sampled_from([2, 4, 8, 16]))


@given(meters, st.integers(0, 10_000), st.floats(0, 0.999))
def test_every_beat_lies_in_its_bar_and_a_line_belongs_to_the_bar_it_opens(
    meter: tuple[int, int], number: int, into: float
) -> None:
    here = (Meter(0.0, *meter),)
    line = bars_later(here, 0.0, 1) * number
    bar = bar_at(here, line)
    assert (bar.start, line_after(here, line)) == (line, line)
    inside = bar_at(here, line + into * (bar.end - bar.start))
    assert inside == bar
