"""A token model judged note by note: what its tokens cost is what its notes cost, all of it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decoder import Decoder
from engine.judging import FlatJudge, LiveAnswerer, meters_of, notes_of
from engine.tokens import tokenize
from models.evaluation.bits import piece_bits
from models.evaluation.excerpts import on_the_grid
from models.judged import NotTheSame, Piece
from models.vocabulary import standard_vocabulary

WORDS = standard_vocabulary()


@st.composite
def pieces(draw, *, ends=None):
    """Some bars with changing metres, empty ones among them."""
    metres = tuple(
        draw(st.lists(st.sampled_from([(4, 4), (3, 4), (6, 8), (5, 8)]), min_size=1, max_size=5))
    )
    places = st.tuples(st.integers(0, len(metres) - 1), st.integers(0, 35), st.integers(21, 108))
    found = draw(st.lists(places, min_size=1, max_size=20, unique=True))
    rest = st.tuples(st.integers(1, 96), st.sampled_from(WORDS.velocity_values))
    rows = sorted((*place, *draw(rest)) for place in found)
    metres = metres[: rows[-1][0] + 1]  # music ends with its last note
    notes = np.array(rows, dtype=np.int64)
    return Piece(metres, notes, ends=draw(st.booleans()) if ends is None else ends)


def log_shares(logits):
    centred = logits.astype(np.float64) - logits.max()
    return centred - np.log(np.exp(centred).sum())


def cost(backend, tokens):
    """What tokens cost behind the first, the plain way."""
    backend.rewind(0)
    rows = [log_shares(backend.next(token)) for token in tokens[:-1]]
    return -sum(row[token] for row, token in zip(rows, tokens[1:], strict=True)) / np.log(2)


def spelled(piece):
    tokens = tokenize(notes_of(piece), meters_of(piece), WORDS)
    return [WORDS.bos, *tokens, *([WORDS.eos] if piece.ends else [])]


@settings(max_examples=60)
@given(pieces())
def test_notes_cost_what_all_of_their_tokens_cost(hash_backend, piece):
    bits = FlatJudge(hash_backend(), WORDS).note_bits(piece)
    assert bits.shape == (len(piece), 4)
    assert bits.sum() == pytest.approx(cost(hash_backend(), spelled(piece)), rel=1e-5)


@settings(max_examples=30)
@given(pieces(ends=True))
def test_the_end_is_the_last_notes_and_no_one_elses(hash_backend, piece):
    judge = FlatJudge(hash_backend(), WORDS)
    more = judge.note_bits(piece) - judge.note_bits(Piece(piece.metres, piece.notes, ends=False))
    assert (more[:-1] == 0).all()
    assert (more[-1, 1:] == 0).all()
    assert more[-1, 0] > 0


@settings(max_examples=30)
@given(st.lists(pieces(), min_size=2, max_size=4))
def test_what_was_judged_before_changes_nothing(hash_backend, many):
    judge = FlatJudge(hash_backend(), WORDS)
    for piece in [*many, many[0]]:
        fresh = FlatJudge(hash_backend(), WORDS).note_bits(piece)
        assert np.array_equal(judge.note_bits(piece), fresh)


def test_fields_are_told_apart(hash_backend):
    class Certain:
        """A backend that is certain of the token that comes, but for one kind."""

        capacity = 256

        def __init__(self, tokens, unsure):
            self.tokens, self.unsure, self.length = tokens, unsure, 0

        def next(self, token):
            self.length += 1
            coming = self.tokens[self.length] if self.length < len(self.tokens) else 0
            logits = np.zeros(len(WORDS), dtype=np.float32)
            if coming not in self.unsure:
                logits[coming] = 100.0
            return logits

        def rewind(self, length):
            self.length = length

    notes = np.array([[0, 0, 60, 12, 79], [0, 0, 64, 12, 79], [1, 6, 67, 24, 127]])
    piece = Piece(((4, 4), (3, 4)), notes)
    every = np.log2(len(WORDS))
    kinds = {
        1: WORDS.pitches,
        2: WORDS.durations,
        3: WORDS.velocities,
    }
    for column, unsure in kinds.items():
        bits = FlatJudge(Certain(spelled(piece), unsure), WORDS).note_bits(piece)
        expected = np.zeros((3, 4))
        expected[:, column] = every
        assert bits == pytest.approx(expected, abs=1e-4)
    onsets = FlatJudge(Certain(spelled(piece), {*WORDS.time_signatures}), WORDS).note_bits(piece)
    assert onsets[:, 0] == pytest.approx([every, 0, every], abs=1e-4)
    lines = {WORDS.bar, *WORDS.positions, WORDS.eos}
    onsets = FlatJudge(Certain(spelled(piece), lines), WORDS).note_bits(piece)
    assert onsets[:, 0] == pytest.approx([2 * every, 0, 3 * every], abs=1e-4)


def test_a_piece_that_outgrows_the_context_is_judged_to_its_end(hash_backend):
    rows = [(n // 8, 6 * (n % 8), 40 + n % 41, 6, 79) for n in range(160)]
    piece = Piece(((4, 4),) * 20, np.array(rows))
    bits = FlatJudge(hash_backend(capacity=128), WORDS).note_bits(piece)
    roomy = FlatJudge(hash_backend(capacity=2048), WORDS).note_bits(piece)
    assert np.array_equal(bits[:20], roomy[:20])
    assert (bits > 0).all()


def test_one_bar_that_outgrows_the_context_is_judged_too(hash_backend):
    rows = [(0, n // 4, 40 + n % 4, 6, 79) for n in range(190)]
    piece = Piece(((4, 4),), np.array(rows))
    assert (FlatJudge(hash_backend(capacity=128), WORDS).note_bits(piece)[:, 1:] > 0).all()


def test_music_that_tokens_cannot_say_is_refused(hash_backend):
    double = Piece(((4, 4),), np.array([[0, 0, 60, 12, 79], [0, 0, 60, 24, 79]]))
    odd = Piece(((4, 4),), np.array([[0, 0, 60, 12, 80]]))
    for piece in (double, odd):
        with pytest.raises(NotTheSame, match="notes became"):
            FlatJudge(hash_backend(), WORDS).note_bits(piece)


def test_the_suite_can_judge_with_it(hash_backend):
    rows = [(n // 8, 6 * (n % 8), 40 + n % 41, 6, 79) for n in range(400)]
    piece = Piece(((4, 4),) * 50, np.array(rows))
    bits = piece_bits(FlatJudge(hash_backend(capacity=1024), WORDS), piece)
    assert bits.shape == (400, 4)
    # Logits with a spread of 2 say nothing about music: a token costs more than a draw of all.
    assert bits.sum() / (400 * 4.25) > np.log2(len(WORDS))


@settings(max_examples=15)
@given(pieces(), st.integers(0, 9))
def test_an_answer_lies_in_its_turn_and_comes_again(hash_backend, prompt, seed):
    from_beat = float(prompt.bar_starts[-1]) / 24
    turn = {"from_beat": from_beat, "until_beat": from_beat + 8, "seed": seed}
    answerer = LiveAnswerer(Decoder(hash_backend(), WORDS))
    answer = answerer.answer(prompt, **turn)
    assert all(from_beat <= note.onset < from_beat + 8 for note in answer)
    assert all(note.onset + note.duration <= from_beat + 8 + 1e-6 for note in answer)
    assert all(first.onset <= second.onset for first, second in pairwise(answer))
    assert answerer.answer(prompt, **turn) == answer
    bars = (prompt.metres[-1],) * 8
    if prompt.metres[-1] in ((4, 4), (3, 4)):  # 5/8 and 6/8: steps of the truth are finer
        assert len(on_the_grid(answer, bars, from_beat=from_beat)) == len(answer)
