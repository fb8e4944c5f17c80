"""Bits per note: each note judged once, from enough notes before it, and nothing dropped."""

import numpy as np
import pytest
from composers import Constant, tune
from composers import piece as piece_of

from models.evaluation.bits import CONTEXT, WINDOW, NoBits, piece_bits, windows
from models.judged import BAR, PITCH


class Remembering:
    """A judge that writes down what it was shown, and charges a note its place in the excerpt."""

    def __init__(self):
        self.shown = []

    def note_bits(self, music):
        self.shown.append(music)
        return np.tile(np.arange(len(music), dtype=float)[:, None], (1, 4))


def long_tune(notes):
    rows = [(n // 8, 6 * (n % 8), 40 + n % 41, 6) for n in range(notes)]
    return piece_of(rows, ends=True)


def test_the_bits_of_a_short_piece_are_the_judges_own():
    bits = piece_bits(Constant(0.5, 2.0, 1.0, 0.25), tune(bars=8))
    assert bits.shape == (32, 4)
    assert bits.sum() == 32 * 3.75


def test_every_note_is_judged_once_and_from_enough_notes_before_it():
    piece = long_tune(700)
    bits = piece_bits(Remembering(), piece)
    known_before = bits[:, 0]
    assert len(bits) == 700
    assert (known_before[:WINDOW] == np.arange(WINDOW)).all()
    assert (known_before[CONTEXT:] >= CONTEXT).all()
    assert known_before.max() < WINDOW + 8  # and the rest of a bar


def test_windows_begin_on_bar_lines_and_lose_no_note():
    piece = long_tune(700)
    judged = [
        pitch for window in windows(piece) for pitch in window.excerpt.notes[window.first :, PITCH]
    ]
    assert judged == piece.notes[:, PITCH].tolist()
    assert all(window.excerpt.notes[0, BAR] == 0 for window in windows(piece))


def test_the_end_is_paid_for_once_and_only_where_the_piece_ends():
    piece = long_tune(700)
    assert [window.excerpt.ends for window in windows(piece)][-1]
    assert sum(window.excerpt.ends for window in windows(piece)) == 1
    assert not any(window.excerpt.ends for window in windows(piece, most=400))
    assert sum(len(w.excerpt) - w.first for w in windows(piece, most=400)) == 400


@pytest.mark.parametrize("cost", [-1.0, np.nan, np.inf])
def test_what_cannot_be_bits_is_an_error(cost):
    with pytest.raises(NoBits, match="finite"):
        piece_bits(Constant(1.0, cost, 1.0, 1.0), tune(bars=2))
