"""Events: what is told is read again, in any metre and over any silence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.nested.events import (
    AHEAD,
    END,
    KEY,
    KEYS,
    METRE,
    NO_METRE,
    ONSET,
    POSITIONS,
    REST,
    RESTS,
    TIME,
    EventError,
    crosses,
    decode,
    encode,
    opened_at,
    opening,
)
from models.placing import BAR_STEPS, METRE_LIST, Placed, sorted_notes

FOUR_FOUR, THREE_EIGHT = METRE_LIST.index((4, 4)), METRE_LIST.index((3, 8))


@st.composite
def pieces(draw):
    """Notes over bars whose metres come in runs, with silences of many bars."""
    runs = draw(st.lists(st.tuples(st.integers(0, 13), st.integers(1, 12)), min_size=1, max_size=6))
    metres = np.repeat([m for m, _ in runs], [n for _, n in runs])
    notes = []
    for _ in range(draw(st.integers(1, 12))):
        bar = draw(st.integers(0, len(metres) - 1))
        step = draw(st.integers(0, int(BAR_STEPS[metres[bar]]) - 1))
        notes.append(
            (
                *(bar, step, draw(st.integers(21, 108))),
                *(draw(st.integers(1, 96)), draw(st.integers(0, 15))),
            )
        )
    found = sorted_notes(np.array(notes))
    return Placed(found, metres[: found[-1, 0] + 1])


@given(pieces(), st.booleans())
def test_decoding_the_encoding_gives_back_the_list(piece, ends):
    again = decode(encode(piece, ends=ends))
    assert again.notes.tolist() == piece.notes.tolist()
    assert again.metres.tolist() == piece.metres.tolist()


@given(pieces())
def test_time_is_the_steps_from_the_first_bar_line(piece):
    rows = encode(piece, ends=False)
    starts = np.cumsum(BAR_STEPS[piece.metres]) - BAR_STEPS[piece.metres]
    notes = rows[rows[:, KEY] < KEYS]
    assert notes[:, TIME].tolist() == (starts[piece.notes[:, 0]] + piece.notes[:, 1]).tolist()
    assert (np.diff(rows[:, TIME]) >= 0).all()


def told(*notes, metres, ends=True):
    return encode(Placed(np.array(notes), np.array(metres)), ends=ends)


def test_a_chord_and_the_next_bar():
    rows = told(
        (0, 0, 60, 12, 9), (0, 0, 64, 12, 9), (1, 6, 62, 6, 9), metres=[FOUR_FOUR, FOUR_FOUR]
    )
    assert rows[1:, ONSET].tolist() == [POSITIONS, 0, POSITIONS + 6, END]
    assert rows[0, METRE] == NO_METRE
    assert rows[0, AHEAD] == FOUR_FOUR


def test_silence_is_told_in_rests_that_stay_within_a_metre():
    metres = [FOUR_FOUR] * 12 + [THREE_EIGHT] * 2
    rows = told((0, 0, 60, 12, 9), (13, 0, 60, 12, 9), metres=metres, ends=False)
    # 8 bars and 3 more of 4/4, one of 3/8, and a note in the next.
    assert rows[2:, ONSET].tolist() == [REST + RESTS - 1, REST + 2, REST, POSITIONS]


@given(pieces(), st.data())
def test_what_is_opened_at_a_bar_is_what_the_rest_encodes_to(piece, data):
    rows = encode(piece, ends=True)
    lines = np.flatnonzero(crosses(rows[:, ONSET]))
    at = data.draw(st.sampled_from(lines.tolist()))
    crossed = np.cumsum(
        [0 if not crosses(s) else 1 if s < REST else s - REST + 1 for s in rows[1:, ONSET]]
    )
    before = int(crossed[at - 2]) if at > 1 else 0  # bars that are over
    keep = piece.notes[:, 0] >= before
    notes = piece.notes[keep] - [before, 0, 0, 0, 0]
    fresh = encode(Placed(notes, piece.metres[before:]), ends=True)
    opened = opened_at(rows, at)
    opened[:, TIME] -= opened[0, TIME]
    if rows[at, ONSET] < REST or at == 1:
        assert opened.tolist() == fresh.tolist()
    else:  # a rest may be told in other parts from here, its notes are the same
        assert decode(opened).notes.tolist() == notes.tolist()


@given(pieces(), st.integers(1, 8))
def test_a_window_opens_near_and_at_a_bar_if_it_can(piece, room):
    rows = encode(piece, ends=True)
    for at in range(1, len(rows)):
        start = opening(rows, at, room=room)
        assert max(1, at - room) <= start <= at
        lines = [n for n in range(max(1, at - room), at) if crosses(rows[n, ONSET])]
        assert start == (lines[0] if lines else max(1, at - room))


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda rows: rows[1:], "begin with a start"),
        (lambda rows: rows[:0], "begin with a start"),
        (lambda rows: _with(rows, 1, ONSET, END), "cannot be read"),
        (lambda rows: _with(rows, 1, ONSET, END + 1), "cannot be read"),
        (lambda rows: _with(rows, 1, ONSET, REST), "a rest with one"),
        (lambda rows: _with(rows, 1, KEY, KEYS), "without a key"),
    ],
)
def test_what_no_piece_encodes_to_is_an_error(spoil, complaint):
    rows = told((0, 0, 60, 12, 9), (0, 6, 62, 6, 9), metres=[FOUR_FOUR])
    with pytest.raises(EventError, match=complaint):
        decode(spoil(rows))


def _with(rows, row, column, value):
    spoilt = rows.copy()
    spoilt[row, column] = value
    return spoilt
