"""The Markov baseline: its shares add up to one, it learns what is there, and it can be sampled."""

import numpy as np
import pytest
from composers import crotchets, piece, pieces, tune
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.excerpts import on_the_grid
from models.evaluation.markov import SYMBOLS, Markov, Table
from models.judged import FIELDS, PITCH

LOOP = crotchets(*[[60, 64, 67, 72]] * 8)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 15)), min_size=1, max_size=40),
    st.integers(0, 4),
)
def test_the_shares_of_a_context_add_up_to_one(seen, context):
    contexts, symbols = (np.array(column) for column in zip(*seen, strict=True))
    every = np.arange(16)
    shares = np.full(16, 1 / 16)
    Table.of(np.zeros_like(contexts), symbols).blend(np.zeros(16, int), every, shares)
    Table.of(contexts, symbols).blend(np.full(16, context), every, shares)
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).all()


def test_the_shares_are_witten_and_bells():
    # After context 7 came 1, 1 and 2: three places, two kinds; the uniform share of 16 is below.
    table = Table.of(np.array([7, 7, 7]), np.array([1, 1, 2]))
    shares = np.full(3, 1 / 16)
    table.blend(np.full(3, 7), np.array([1, 2, 3]), shares)
    assert shares == pytest.approx([(2 + 2 / 16) / 5, (1 + 2 / 16) / 5, (2 / 16) / 5])


@settings(max_examples=40)
@given(pieces(), st.integers(1, 4))
def test_every_music_has_finite_bits_even_to_who_never_heard_any(music, order):
    for model in (Markov([], order=order), Markov([LOOP], order=order)):
        bits = model.note_bits(music)
        assert bits.shape == (len(music), len(FIELDS))
        assert np.isfinite(bits).all()
        assert (bits >= 0).all()


def test_who_never_heard_any_draws_from_everything():
    bits = Markov([]).note_bits(LOOP)[5]
    assert bits == pytest.approx(np.log2([SYMBOLS[field] for field in FIELDS]))


def test_a_loop_is_learnt_and_another_tune_is_not():
    model = Markov([LOOP] * 8)
    assert model.note_bits(LOOP)[4:].sum(axis=1).max() < 0.5
    assert model.note_bits(tune(bars=8))[4:, 1].mean() > 3


def test_a_long_pause_costs_what_its_length_costs():
    short, long = (piece([(0, 0, 60, 12), (bars, 0, 60, 12)]) for bars in (3, 9))
    model = Markov([LOOP])
    assert model.note_bits(long)[1, 0] > model.note_bits(short)[1, 0]


def test_an_answer_goes_on_with_the_loop():
    answer = Markov([LOOP] * 8).answer(LOOP, from_beat=32.0, until_beat=40.0, seed=3)
    heard = on_the_grid(answer, ((4, 4), (4, 4)), from_beat=32.0)
    assert heard.notes[:, PITCH].tolist() == [60, 64, 67, 72] * 2
    assert [note.onset for note in answer] == [32.0 + beat for beat in range(8)]


@settings(max_examples=30)
@given(pieces(least=2), st.integers(0, 99))
def test_an_answer_keeps_to_its_turn(prompt, seed):
    from_beat = float(prompt.bar_starts[-1]) / 24
    answer = Markov([prompt]).answer(
        prompt, from_beat=from_beat, until_beat=from_beat + 8, seed=seed
    )
    assert all(from_beat <= n.onset and n.onset + n.duration <= from_beat + 8 for n in answer)
    again = Markov([prompt]).answer(
        prompt, from_beat=from_beat, until_beat=from_beat + 8, seed=seed
    )
    assert answer == again
