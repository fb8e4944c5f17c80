"""Match with what followed: known values, the bounds, and baselines that are what they say."""

import numpy as np
import pytest
from composers import crotchets, piece, pieces, tune
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.evaluation.continuation import Bars, f1, pitch_overlap, repeated
from models.evaluation.excerpts import excerpt, same_notes, transposed
from models.judged import PITCH

TRUTH = crotchets([60, 62, 64, 65])


@settings(max_examples=60)
@given(pieces(least=2))
def test_music_matches_itself_wholly(music):
    assert f1(music, music) == 1
    assert pitch_overlap(music, music) == pytest.approx(1)


@settings(max_examples=60)
@given(pieces(least=2), pieces(least=0))
def test_a_match_is_a_share(truth, answer):
    assert 0 <= f1(answer, truth) <= 1
    assert 0 <= pitch_overlap(answer, truth) <= 1 + 1e-9


@settings(max_examples=30)
@given(pieces(least=2), st.integers(-12, 12))
def test_another_key_costs_no_match_of_intervals(truth, semitones):
    moved = transposed(truth, semitones)
    assume(moved is not None)
    assert f1(moved, truth) == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        # Of four notes, three lie as in the truth: two beside the one that always matches, of three
        # on both sides.
        ([60, 62, 64, 72], 2 / 3),
        ([60, 62, 64, None], 0.8),  # all of two, and two of three
        ([67, 69, 71, 72], 1.0),  # the same in G
        ([65, 64, 62, 60], 0.0),  # backwards nothing fits
        ([60, None, None, None], 0.0),
        ([None, None, None, None], 0.0),
    ],
)
def test_notes_that_match_are_counted(answer, expected):
    assert f1(crotchets(answer), TRUTH) == pytest.approx(expected)


def test_pitches_that_both_play_are_counted_by_their_share():
    assert pitch_overlap(crotchets([60, 60, 62, 67]), TRUTH) == pytest.approx(0.5)
    assert pitch_overlap(crotchets([72, 74, 76, 77]), TRUTH) == 0
    assert pitch_overlap(piece([]), TRUTH) == 0


def test_one_true_note_can_be_met_by_nothing():
    with pytest.raises(ValueError, match="no intervals"):
        f1(TRUTH, crotchets([60, None, None, None]))


def test_repeating_begins_as_many_bars_before_the_end():
    music = crotchets([60, 60], [62, 62], [64, 64])
    assert repeated(music, 2).notes[:, PITCH].tolist() == [62, 62, 64, 64]
    assert repeated(music, 4).notes[:, PITCH].tolist() == [60, 60, 62, 62, 64, 64, 60, 60]
    assert len(repeated(music, 4).metres) == 4


def test_repeating_a_loop_is_right_and_of_a_tune_is_not():
    loop = crotchets(*[[60, 64, 67, 72]] * 8)
    other = tune(bars=8)
    for music, expected in ((loop, True), (other, False)):
        assert same_notes(repeated(excerpt(music, 0, 4), 4), excerpt(music, 4, 8)) is expected


def test_random_bars_are_bars_of_the_corpus_and_of_the_metre():
    waltz = crotchets([60, 62, 64], [65, 67, 69], metre=(3, 4))
    march = tune(bars=16)
    bars = Bars([waltz, march])
    random = np.random.default_rng(1)
    drawn = bars.draw((3, 4), 12, random)
    single = [excerpt(drawn, bar, bar + 1).notes[:, PITCH].tolist() for bar in range(12)]
    assert set(map(tuple, single)) == {(60, 62, 64), (65, 67, 69)}
    assert drawn.metres == ((3, 4),) * 12
    assert len(bars.draw((7, 8), 4, random)) == 0
