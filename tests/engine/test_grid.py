"""Bars and steps over any map of meters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.grid import Grid
from engine.meter import bar_at
from engine.protocol import Meter
from models.vocabulary import standard_vocabulary

VOCABULARY = standard_vocabulary()


def bars(numerator: int, denominator: int, *, until: float) -> list[str]:
    grid = Grid((Meter(0.0, numerator, denominator),), VOCABULARY)
    found = []
    number = 0
    while (bar := grid.bar(number)).start < until:
        found.append(f"{bar.start:g}-{bar.end:g} {bar.metre[0]}/{bar.metre[1]}")
        number += 1
    return found


@pytest.mark.parametrize(
    ("meter", "expected"),
    [
        ((4, 4), ["0-4 4/4"]),
        ((6, 8), ["0-3 6/8"]),
        ((2, 2), ["0-4 4/4"]),
        ((3, 2), ["0-6 6/4"]),
        ((6, 16), ["0-1.5 3/8"]),
        ((12, 16), ["0-3 3/4"]),
        ((1, 1), ["0-4 4/4"]),
        ((9, 4), ["0-3 3/4", "3-6 3/4", "6-9 3/4"]),
        ((13, 4), ["0-8 8/4", "8-13 5/4"]),
        ((11, 8), ["0-5.5 6/4"]),
        ((15, 8), ["0-7.5 8/4"]),
        ((5, 16), ["0-1.25 3/8"]),
        ((1, 64), ["0-0.0625 1/4"]),
    ],
)
def test_each_real_bar_is_said_in_known_metres(meter: tuple[int, int], expected: list[str]) -> None:
    assert bars(*meter, until=meter[0] * 4 / meter[1]) == expected


def test_a_meter_in_the_middle_of_a_bar_cuts_it_short() -> None:
    grid = Grid((Meter(0.0, 4, 4), Meter(6.0, 3, 4)), VOCABULARY)
    assert [(grid.bar(n).start, grid.bar(n).end) for n in range(4)] == [
        (0.0, 4.0),
        (4.0, 6.0),
        (6.0, 9.0),
        (9.0, 12.0),
    ]
    assert grid.bar(1).steps == 24
    assert grid.place(5.99) == (2, 0)


def test_bars_before_the_first_meter_count_backward() -> None:
    grid = Grid((Meter(8.0, 3, 4),), VOCABULARY)
    assert grid.bar(0).start == 8.0
    assert grid.bar(-2).start == 2.0
    assert grid.bar_at(0.0).number == -3
    assert grid.bar(-3).beat_of(12) == 0.0


def test_the_first_step_at_or_after_a_beat() -> None:
    grid = Grid((), VOCABULARY)
    assert grid.place_after(16.0) == (4, 0)
    assert grid.place_after(16.0 + 1e-9) == (4, 0)
    assert grid.place_after(16.01) == (4, 1)
    assert grid.place_after(19.99) == (5, 0)


meters = st.builds(
    Meter,
    beat=st.integers(0, 64).map(float),
    numerator=st.integers(1, 40),
    denominator=st.sampled_from([1, 2, 4, 8, 16, 32, 64]),
)
maps = st.lists(meters, min_size=1, max_size=5, unique_by=lambda meter: meter.beat).map(
    lambda found: tuple(sorted(found, key=lambda meter: meter.beat))
)


@given(maps, st.integers(-200, 800))
def test_bars_join_and_every_real_bar_line_is_one(
    map_of_meters: tuple[Meter, ...], number: int
) -> None:
    grid = Grid(map_of_meters, VOCABULARY)
    bar = grid.bar(number)
    assert bar.start < bar.end == grid.bar(number + 1).start
    assert grid.bar_at(bar.start) == bar
    assert bar.metre in VOCABULARY.metres
    assert bar.steps <= VOCABULARY.steps_a_bar(bar.metre)
    if bar.start >= map_of_meters[0].beat:
        real = bar_at(map_of_meters, bar.start)
        assert grid.bar_at(real.start).start == pytest.approx(real.start)
        assert grid.bar_at(real.end).start == pytest.approx(real.end)


@given(maps, st.floats(-100, 400))
def test_rounding_moves_an_onset_by_half_a_step_and_a_bit(
    map_of_meters: tuple[Meter, ...], beat: float
) -> None:
    grid = Grid(map_of_meters, VOCABULARY)
    number, step = grid.place(beat)
    assert 0 <= step < grid.bar(number).steps
    assert abs(grid.bar(number).beat_of(step) - beat) <= 1.01 / 12
    bar_number, after = grid.place_after(beat)
    assert grid.bar(bar_number).beat_of(after) >= beat - 1e-6
    assert grid.place(grid.bar(number).beat_of(step)) == (number, step)
