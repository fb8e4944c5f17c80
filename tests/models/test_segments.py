"""Segments of music: from bar lines on, the end known, corpora and metres mixed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.augment import PLAIN, Chances
from models.note_cache import Shelf, Shelves
from models.performance import performance_of
from models.placing import PITCH, Placed
from models.segments import Mix, Source, without_lead


@pytest.fixture(scope="module")
def source(toy):
    """Semitones upwards, a crotchet each: eight bars of 4/4 from pitch 40, of 3/4 from 80."""
    files = [
        toy.midi_file([("RH", 0, [(n, 40 + n, 1) for n in range(32)])]),
        toy.midi_file([("RH", 0, [(n, 80 + n, 1) for n in range(24)])], metre=(3, 4)),
        toy.midi_file([("RH", 0, [(n, 40 + n, 1) for n in range(32)])]),
    ]
    return Source.of(Shelf.of([performance_of(file) for file in files]))


def drawn(source, seed, *, notes=4, chances=PLAIN):
    return source.segment(np.random.default_rng(seed), notes=notes, chances=chances)


@given(seed=st.integers(0, 10_000))
def test_a_segment_begins_at_a_bar_line_and_knows_where_its_piece_ends(source, seed):
    placed, ends = drawn(source, seed)
    first, last = placed.notes[0, PITCH], placed.notes[-1, PITCH]
    assert placed.notes[:, PITCH].tolist() == list(range(first, last + 1))
    assert (first - 80) % 3 == 0 if first >= 80 else (first - 40) % 4 == 0
    assert ends == (last in (71, 103))
    assert ends or len(placed) >= 4


@given(seed=st.integers(0, 10_000))
def test_the_same_seed_draws_the_same(source, seed):
    (first, ends), (again, same) = (drawn(source, seed, chances=Chances()) for _ in range(2))
    assert first.notes.tolist() == again.notes.tolist()
    assert ends == same


def test_rare_metres_come_more_often_than_they_stand_there(source):
    bars = np.array([len(found) for found in source.by_metre])
    assert len(bars) == 2
    rare = bars.argmin()
    assert source.metre_shares[rare] > bars[rare] / bars.sum()


def test_corpora_are_mixed_by_weight(toy):
    one = Shelf.of([performance_of(toy.scale())])
    by_name = {name: {"train": one, "valid": Shelf.of([])} for name in ("high", "low", "unread")}
    shelves = Shelves(by_name=by_name, weights={"high": 0.9, "low": 0.1}, left_out={})
    mix = Mix(shelves, split="train")
    chosen = mix.choose(np.random.default_rng(0), count=1000)
    low = sum(source is mix.sources[mix.names.index("low")] for source in chosen)
    assert 60 < low < 140  # 100 expected; outside once in 40,000 seeds
    assert Mix(shelves, split="valid").sources == []


def test_silence_at_the_beginning_is_at_most_a_bar():
    late = Placed(np.array([(7, 12, 60, 12, 9), (9, 0, 62, 12, 9)]), np.full(10, 3))
    assert without_lead(late).notes[:, 0].tolist() == [1, 3]
    assert len(without_lead(late).metres) == 4
    soon = Placed(np.array([(1, 12, 60, 12, 9)]), np.full(2, 3))
    assert without_lead(soon) is soon
