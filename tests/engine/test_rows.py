"""Rows of a live prompt are the rows that a nested network was trained on."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.protocol import Meter, Note
from engine.rows import Row, Rows
from engine.tokens import Placed, Tokenizer
from engine.window import MOST_EMPTY
from models import placing
from models.nested.events import NO_KEY_REST, POSITIONS, REST, encode
from models.placing import METRE_LIST
from models.vocabulary import standard_vocabulary

VOCABULARY = standard_vocabulary()
metres = st.lists(st.tuples(st.sampled_from(METRE_LIST), st.integers(1, 9)), min_size=1, max_size=4)


def in_map(stretches: list[tuple[tuple[int, int], int]]) -> tuple[list[Meter], list[int]]:
    """A map of meters, and the number of each bar's metre."""
    meters, numbers, beat = [], [], 0.0
    for metre, bars in stretches:
        meters.append(Meter(beat, *metre))
        numbers += [METRE_LIST.index(metre)] * bars
        beat += bars * 4 * metre[0] / metre[1]
    return meters, numbers


def written(notes: list[Placed], meters: list[Meter], *, first_bar: int = 0) -> list[Row]:
    rows = Rows(Tokenizer(VOCABULARY, meters), first_bar=first_bar)
    rows.spell(sorted(notes))
    return rows.rows


@given(stretches=metres, data=st.data())
def test_rows_are_those_of_the_training(
    stretches: list[tuple[tuple[int, int], int]], data: st.DataObject
) -> None:
    meters, numbers = in_map(stretches)
    grid = Tokenizer(VOCABULARY, meters).grid
    notes: set[tuple[int, ...]] = set()
    bar = 0
    for _ in range(data.draw(st.integers(1, 12))):
        bar = min(bar + data.draw(st.integers(0, MOST_EMPTY + 1)), len(numbers) - 1)
        step = data.draw(st.integers(0, grid.bar(bar).steps - 1))
        notes.add((bar, step, data.draw(st.integers(0, 87)), *data.draw(LENGTH_AND_FORCE)))
    first_bar = min(notes)[0]
    piece = placing.Placed(
        placing.sorted_notes(np.array([in_piece(note, first_bar) for note in notes])),
        np.array([*numbers[first_bar:], numbers[-1]]),
    )
    expected = encode(piece, ends=False)
    found = written([in_tokens(note) for note in notes], meters, first_bar=first_bar)
    assert [list(row[:-1]) for row in found] == expected.tolist()
    assert [row.delta for row in found] == np.diff(expected[:, -1], prepend=0).tolist()


LENGTH_AND_FORCE = st.tuples(st.integers(0, 95), st.integers(0, 15))


def in_piece(note: tuple[int, ...], first_bar: int) -> tuple[int, ...]:
    bar, step, key, length, force = note
    return bar - first_bar, step, key + VOCABULARY.lowest_pitch, length + 1, force


def in_tokens(note: tuple[int, ...]) -> Placed:
    bar, step, key, length, force = note
    words = VOCABULARY
    return Placed(bar, step, words.pitches[key], words.durations[length], words.velocities[force])


def test_a_silence_of_an_hour_is_told_as_some_bars() -> None:
    here, far = (in_tokens((bar, 12, 40, 11, 8)) for bar in (0, 1800))
    rows = written([here, far], [])
    assert [row.onset for row in rows[1:]] == [POSITIONS + 12, REST + 7, POSITIONS + 12]
    assert rows[2].key == NO_KEY_REST
    assert rows[3].time == (MOST_EMPTY + 1) * 48 + 12


def test_a_bar_that_a_meter_cuts_short_keeps_its_place() -> None:
    """5/16 is a 3/8 whose last eighth does not come whole; the next bar line counts from there."""
    tokenizer = Tokenizer(VOCABULARY, [Meter(0.0, 5, 16)])
    notes = [tokenizer.place(Note(onset, 60, 0.25, 80)) for onset in (0.0, 1.25)]
    rows = Rows(tokenizer, first_bar=0)
    rows.spell(note for note in notes if note is not None)
    assert [row.onset for row in rows.rows[1:]] == [POSITIONS, POSITIONS]
    assert rows.rows[2].delta == 36  # as in training, where bars are whole
