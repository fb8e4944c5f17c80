"""What an answer tires of: rounds of half a beat to sixteen bars that would come a third time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.protocol import Meter
from engine.rows import Row, Rows
from engine.tokens import Placed, Tokenizer
from engine.wear import WEAR, Wear
from models.nested.events import KEYS
from models.vocabulary import standard_vocabulary

V = standard_vocabulary()
FORCE = V.velocities.start
BEAT, BAR = 12, 48
C, E, G = 39, 43, 46  # keys


def rows_of(notes: list[tuple[int, int]], *, metre: tuple[int, int] = (4, 4)) -> list[Row]:
    """Rows of (step from the first line, key) in bars of one metre."""
    bar = V.steps_a_bar(metre)
    rows = Rows(Tokenizer(V, (Meter(0.0, *metre),)), first_bar=0)
    rows.spell(
        Placed(
            step // bar, step % bar, V.pitches.start + key, V.durations.start, V.velocities.start
        )
        for step, key in sorted(set(notes))
    )
    return rows.rows


def round_and_round(figure: list[tuple[int, int]], *, steps: int, times: int) -> list[Row]:
    return rows_of([(step + steps * n, key) for n in range(times) for step, key in figure])


def worn(rows: list[Row], row: Row) -> dict[int, float]:
    return Wear(rows).of(row.time)


FIGURES = {
    "half a beat": (6, [(0, C), (3, E)]),
    "a beat": (12, [(0, C), (4, E), (8, G)]),
    "half a bar": (24, [(0, C), (6, G), (12, E), (18, G)]),
    "a bar of chords": (48, [(0, C), (0, E), (0, G), (24, C + 2), (24, G + 2)]),
    "two bars": (96, [(0, C), (30, E), (50, G), (72, E)]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_round_is_worn_from_its_third_time_on_and_more_each_time(name):
    steps, figure = FIGURES[name]
    rows = round_and_round(figure, steps=steps, times=4)
    for number, (_, following) in enumerate(pairwise(rows)):
        times = number // len(figure)  # that the figure has been played, START left out
        found = worn(rows[: number + 1], following)
        if times < 2:
            assert found == {}
        else:
            assert found == {following.key: WEAR * (times - 1)}


def test_a_round_may_begin_anywhere():
    figure = FIGURES["half a bar"][1]
    pickup = [(step, key + 1) for step, key in figure]
    notes = [*pickup, *((step + 24 * n, key) for n in (1, 2) for step, key in figure)]
    rows = rows_of(notes)
    assert worn(rows, rows_of([*notes, (72, C)])[-1]) == {C: WEAR}


def test_what_goes_on_otherwise_is_not_worn():
    rows = rows_of([(step, C + step // BEAT % 7) for step in range(0, 4 * BAR, BEAT)])
    for number, following in enumerate(rows[1:], 1):
        assert worn(rows[:number], following) == {}


def test_a_tune_over_what_goes_round_wears_nothing_out():
    left = [(step, C if step % BEAT else E) for step in range(0, 2 * BAR, 6)]
    tune = [(step, G + step // 6) for step in range(0, 2 * BAR, 6)]
    rows = rows_of(left + tune)
    for number, following in enumerate(rows[1:], 1):
        assert worn(rows[:number], following) == {}


def test_a_new_key_ends_the_round():
    steps, figure = FIGURES["a beat"]
    notes = [(step + steps * n, key) for n in range(3) for step, key in figure]
    rows = rows_of([*notes[:-1], (notes[-1][0], G + 1), (36, C)])
    assert worn(rows[:-1], rows[-1]) == {}


def test_in_six_eight_half_a_bar_is_a_round():
    notes = [(36 * n + step, key) for n in range(2) for step, key in ((0, C), (12, E), (24, G))]
    rows = rows_of([*notes, (72, C)], metre=(6, 8))
    assert worn(rows[:-1], rows[-1]) == {C: WEAR}


music = st.lists(
    st.tuples(st.integers(0, 30).map(lambda place: 6 * place), st.sampled_from((C, E))),
    min_size=1,
    max_size=40,
)


@given(music, st.sampled_from(((4, 4), (3, 4), (6, 8))), st.data())
def test_it_hears_row_by_row_what_it_finds_going_backwards(notes, metre, data):
    rows = rows_of(notes, metre=metre)
    known = data.draw(st.integers(1, len(rows)))
    grown = Wear(rows[:known])
    for row in rows[known:]:
        grown.hear(row)
    whole = Wear(rows)
    for time in range(rows[-1].time, rows[-1].time + BAR, 6):
        assert grown.of(time) == whole.of(time)


@given(music)
def test_only_what_was_played_a_round_earlier_is_worn(notes):
    rows = rows_of(notes)
    played = {(row.time, row.key) for row in rows if row.key < KEYS}
    for number, following in enumerate(rows[1:], 1):
        for key, nats in worn(rows[:number], following).items():
            assert nats % WEAR == 0
            assert any((following.time - back, key) in played for back in (6, 12, 24, 48, 96, 192))
