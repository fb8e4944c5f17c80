"""Distances: 0 from oneself, 1 from what shares nothing, and each property counted by hand."""

import numpy as np
import pytest
from composers import crotchets, piece, pieces, tune
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.distance import (
    BINS,
    PROPERTIES,
    divergence,
    divergence_of,
    groove,
    histogram,
    keys_held,
    notes_in_bars,
)
from models.evaluation.excerpts import transposed
from models.judged import STEP

counts = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)

C_MAJOR = crotchets([60, 64, 67, 72], [65, 69, 67, 64], [62, 67, 71, 67], [60, 64, 67, 60])


@settings(max_examples=60)
@given(counts, counts)
def test_a_divergence_is_a_symmetric_share(first, second):
    one, other = np.array(first, float), np.array(second, float)
    found = float(divergence(one, other))
    assert 0 <= found <= 1 + 1e-12
    assert found == pytest.approx(float(divergence(other, one)))
    assert divergence(one, 3 * one) == pytest.approx(0, abs=1e-12)


def test_known_divergences():
    assert divergence(np.array([4.0, 0]), np.array([0, 2.0])) == 1
    # Half against all of one bin: 1/2 (1/2 log 2/3 + 1/2 log 2) + 1/2 log 4/3, to the base 2.
    expected = 0.5 * (0.5 * np.log2(2 / 3) + 0.5) + 0.5 * np.log2(4 / 3)
    assert divergence(np.array([1.0, 1]), np.array([1.0, 0])) == pytest.approx(expected)
    assert np.isnan(divergence(np.array([0.0, 0]), np.array([1.0, 0])))


def test_pieces_are_added_up_before_they_are_compared():
    first, second = np.array([[2.0, 0], [0, 2.0]]), np.array([[0, 2.0], [2.0, 0]])
    statistic = divergence_of(first, second)
    assert statistic(np.array([[1.0, 1.0], [2.0, 0.0]])).tolist() == [0.0, 1.0]


@settings(max_examples=40)
@given(pieces())
def test_histograms_fit_their_bins(music):
    for name in PROPERTIES:
        found = histogram(name, music, prompt=music)
        assert found.shape == (BINS[name],)
    assert histogram("pitch_class", music, prompt=music).sum() == len(music)
    assert histogram("density", music, prompt=music).sum() == 4
    assert histogram("polyphony", music, prompt=music).sum() == music.bar_starts[-1]


def test_each_property_counted_by_hand():
    music = piece([(0, 0, 60, 24), (0, 0, 64, 12), (0, 12, 67, 12), (1, 6, 72, 48)], bars=3)
    counted = {
        name: {int(i): int(n) for i, n in enumerate(histogram(name, music, prompt=music)) if n}
        for name in PROPERTIES
    }
    assert counted["onset_position"] == {0: 2, 24: 1, 12: 1}
    assert counted["inter_onset"] == {24: 1, 84: 1}
    assert counted["duration"] == {24: 2, 48: 1, 96: 1}
    assert counted["density"] == {3: 1, 1: 1, 0: 1}
    assert counted["polyphony"] == {2: 48, 0: 3 * 96 - 48 - 96, 1: 96}


def test_pitch_classes_count_from_the_prompts_tonic():
    in_d = transposed(C_MAJOR, 2)
    own = histogram("pitch_class", in_d, prompt=in_d)
    assert own.tolist() == histogram("pitch_class", C_MAJOR, prompt=C_MAJOR).tolist()
    assert histogram("pitch_class", in_d, prompt=C_MAJOR).tolist() == np.roll(own, 2).tolist()


def test_a_note_held_over_the_end_is_held_to_the_end():
    assert keys_held(piece([(0, 36, 60, 96)])).tolist() == [0] * 72 + [1] * 24


def test_empty_bars_are_counted():
    assert notes_in_bars(piece([(1, 0, 60, 12)], bars=3)).tolist() == [0, 1, 0]


def test_groove_is_one_for_equal_bars_and_less_by_each_onset_that_differs():
    same = crotchets(*[[60, 62, 64, 65]] * 4)
    assert groove(same) == (3.0, 3)
    # The second bar lacks two of 48 places.
    other = crotchets([60, 62, 64, 65], [60, None, 64, None])
    assert groove(other) == (pytest.approx(1 - 2 / 48), 1)
    assert groove(tune(bars=1)) == (0.0, 0)


def test_groove_hears_rhythm_alone():
    music = tune(bars=6)
    moved = transposed(music, 3)
    assert groove(moved) == groove(music) == (5.0, 5)
    swung = music.notes.copy()
    swung[::4, STEP] += 2  # the same bar by bar
    assert groove(type(music)(music.metres, swung)) == (5.0, 5)
