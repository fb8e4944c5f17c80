"""Cutting, moving and joining music, and putting what was played on the grid."""

import numpy as np
import pytest
from composers import crotchets, pieces
from composers import piece as piece_of
from hypothesis import given, settings

from models.evaluation.excerpts import (
    bars_in_order,
    cut,
    excerpt,
    first_beats,
    joined,
    on_the_grid,
    played,
    same_notes,
    transposed,
)
from models.judged import BAR, DURATION, PITCH, Sounding


def test_an_excerpt_begins_at_its_first_bar():
    tune = crotchets([60, 62, 64, 65], [67, 65, 64, 62], [60, None, None, None])
    middle = excerpt(tune, 1, 2)
    assert middle.notes[:, PITCH].tolist() == [67, 65, 64, 62]
    assert middle.notes[:, BAR].tolist() == [0, 0, 0, 0]
    assert middle.metres == ((4, 4),)
    assert not middle.ends


@settings(max_examples=40)
@given(pieces())
def test_two_halves_make_the_whole_again(piece):
    again = joined(excerpt(piece, 0, 2), excerpt(piece, 2, 4))
    assert np.array_equal(again.notes, piece.notes)
    assert again.metres == piece.metres


@settings(max_examples=40)
@given(pieces())
def test_what_is_played_comes_back_to_its_place_on_the_grid(piece):
    again = on_the_grid(played(piece), piece.metres, from_beat=0.0)
    assert np.array_equal(again.notes, piece.notes)


@settings(max_examples=40)
@given(pieces())
def test_cut_music_ends_at_its_last_bar_line(piece):
    short = cut(piece)
    assert (short.onsets + short.durations).max() <= piece.bar_starts[-1]
    assert (short.notes[:, DURATION] <= piece.notes[:, DURATION]).all()


def test_transposition_ends_where_the_keyboard_does():
    tune = crotchets([104, 106])
    assert transposed(tune, 2).notes[:, PITCH].tolist() == [106, 108]
    assert transposed(tune, 3) is None


def test_bars_take_their_notes_along():
    tune = crotchets([60, 60], [62, 62], [64, 64])
    assert bars_in_order(tune, [2, 0, 1]).notes[:, PITCH].tolist() == [64, 64, 60, 60, 62, 62]
    assert same_notes(bars_in_order(tune, [0, 1, 2]), tune)
    assert not same_notes(bars_in_order(tune, [1, 0, 2]), tune)


def test_beats_are_quarter_notes_in_every_metre():
    quavers = piece_of([(0, 12 * beat, 60, 12) for beat in range(6)], metre=(6, 8))
    assert len(first_beats(quavers, 2)) == 4


@pytest.mark.parametrize(
    ("onset", "place"),
    [
        (8.0, (0, 0)),
        (8.02, (0, 0)),  # a quarter of a step late
        (8.05, (0, 1)),
        (11.99, (1, 0)),  # the next bar's line is nearest
        (12.5, (1, 6)),
    ],
)
def test_an_onset_goes_to_the_nearest_step(onset, place):
    found = on_the_grid([Sounding(onset, 60, 1.0, 80)], ((4, 4), (4, 4)), from_beat=8.0)
    assert tuple(found.notes[0, :2]) == place


def test_what_lies_outside_of_the_answer_is_left_out_and_doubles_too():
    notes = [Sounding(beat, 60, 1.0, 80) for beat in (7.0, 8.0, 8.001, 15.99, 16.0)]
    assert len(on_the_grid(notes, ((4, 4), (4, 4)), from_beat=8.0)) == 1
