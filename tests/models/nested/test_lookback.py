"""What the past suggests: laws of models/nested/lookback.py, and a tune that comes again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.nested.events import KEY, KEYS, ONSET, TIME, encode
from models.nested.lookback import (
    LAGS,
    LONGEST_RUN,
    LOOKS,
    NO_KEY,
    NO_ONSET,
    RUN,
    SAID_FORCE,
    SAID_KEY,
    SAID_LENGTH,
    SUGGESTED_KEY,
    SUGGESTED_ONSET,
    Lookback,
    suggestions,
)
from models.placing import METRE_LIST, Placed

FOUR_FOUR = METRE_LIST.index((4, 4))
A_BAR, PASSAGE_LOOK, SHAPE_LOOK = 0, len(LAGS), len(LAGS) + 1


def piece(notes, *, bars):
    """Rows of (bar, step, pitch, duration, level) in 4/4."""
    notes = np.array(sorted(set(notes)), dtype=np.int64).reshape(-1, 5)
    metres = np.full(bars, FOUR_FOUR)
    return encode(Placed(notes=notes, metres=metres), ends=False).tolist()


def of(columns, first, row, look):
    return columns[row][first - SUGGESTED_ONSET + look]


BAR = [(0, 60, 12, 8), (12, 64, 6, 4), (18, 67, 6, 5), (24, 72, 24, 9)]


def repeated(shift=0, times=2):
    return [
        (bar, step, pitch + shift * bar, duration, level)
        for bar in range(times)
        for step, pitch, duration, level in BAR
    ]


def test_a_bar_that_comes_again_is_foretold_note_for_note():
    rows = piece(repeated(), bars=3)
    columns = suggestions(rows)
    for number in range(len(BAR) + 1, len(rows) - 1):  # from a bar behind the first note on
        assert of(columns, SUGGESTED_ONSET, number, A_BAR) == rows[number + 1][ONSET]
        assert of(columns, SUGGESTED_KEY, number, A_BAR) == rows[number + 1][KEY]
    for number in range(len(BAR) + 1, len(rows)):
        again = rows[number]
        assert of(columns, SAID_KEY, number, A_BAR) == again[KEY]
        assert of(columns, SAID_LENGTH, number, A_BAR) == again[2]
        assert of(columns, SAID_FORCE, number, A_BAR) == again[3]
    assert of(columns, RUN, len(rows) - 1, A_BAR) == len(BAR) - 1


def test_nothing_is_suggested_where_there_is_no_past():
    columns = suggestions(piece(repeated(times=1), bars=2))
    for number in range(len(BAR)):
        for look in range(LOOKS):
            assert of(columns, SUGGESTED_ONSET, number, look) == NO_ONSET
            assert of(columns, SAID_KEY, number, look) == NO_KEY


def test_a_passage_is_found_again_anywhere_in_the_bar():
    late = [(3, step + 6, pitch, 6, 8) for step, pitch, _, _ in BAR]
    rows = piece(repeated(times=1) + late, bars=5)
    columns = suggestions(rows)
    assert (
        of(columns, SUGGESTED_KEY, len(rows) - 2, PASSAGE_LOOK) == NO_KEY
    )  # 3 of 4, first differs
    tail = [(3, step + 6, pitch, 6, 8) for step, pitch, _, _ in BAR]
    tail.append((4, 0, 48, 6, 8))
    rows = piece([*repeated(times=1), (1, 0, 48, 6, 8), *tail], bars=6)
    found = suggestions(rows)
    assert of(found, SUGGESTED_KEY, len(rows) - 2, PASSAGE_LOOK) == rows[-1][KEY]


def test_a_sequence_is_foretold_at_its_new_pitch():
    rows = piece(repeated(shift=2, times=3), bars=4)
    columns = suggestions(rows)
    last = len(rows) - 2
    assert of(columns, SUGGESTED_KEY, last, SHAPE_LOOK) == rows[-1][KEY]
    assert of(columns, SUGGESTED_ONSET, last, SHAPE_LOOK) == rows[-1][ONSET]
    assert of(columns, SUGGESTED_KEY, last, A_BAR) != rows[-1][KEY]


NOTES = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.sampled_from([0, 12, 24, 36]),
        st.sampled_from([60, 62, 64, 67]),
        st.integers(1, 24),
        st.integers(0, 15),
    ),
    min_size=1,
    max_size=60,
    unique_by=lambda note: note[:3],
)


@given(notes=NOTES, at=st.integers(0, 70))
def test_going_back_is_as_if_nothing_had_come_after(notes, at):
    rows = piece(notes, bars=11)
    at = min(at, len(rows))
    past = Lookback()
    for row in rows:
        past.hear(row)
    past.rewind(at)
    assert len(past) == at
    again = []
    for row in rows[at:]:
        past.hear(row)
        again.append(past.suggested)
    assert again == [tuple(row[: 3 * LOOKS]) for row in suggestions(rows)[at:]]


@given(notes=NOTES)
def test_only_what_is_known_is_suggested(notes):
    rows = piece(notes, bars=11)
    whole = suggestions(rows)
    for end in range(1, len(rows)):
        assert suggestions(rows[:end]) == whole[:end]


@given(notes=NOTES)
def test_a_suggestion_can_be_said(notes):
    rows = piece(notes, bars=11)
    past = Lookback()
    for row in rows:
        past.hear(row)
        for onset, key, run in zip(past.onsets, past.keys, past.runs, strict=True):
            assert 0 <= run <= LONGEST_RUN
            assert (onset == NO_ONSET) <= (key == NO_KEY)
            assert 0 <= key <= KEYS
    suggested = past.say_onset(0, rows[-1][TIME])
    assert all(key == NO_KEY or key > rows[-1][KEY] for key in suggested[: len(LAGS)])


def test_more_than_there_is_cannot_be_kept():
    with pytest.raises(ValueError, match="cannot rewind 0 rows to 1"):
        Lookback().rewind(1)
