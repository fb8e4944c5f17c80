"""What a nested network says of music, and what it answers: reference figures and grammar."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.judged import NotTheSame, Piece
from models.nested.events import (
    FORCES,
    KEYS,
    LENGTHS,
    METRES,
    ONSETS,
    POSITIONS,
    REST,
    encode,
)
from models.nested.judging import NestedJudge, bars_until
from models.nested.network import NestedConfig, NestedNetwork
from models.nested.sampling import Choice, Place, allowed_onsets
from models.placing import METRE_LIST, Placed
from models.vocabulary import standard_vocabulary

pytestmark = pytest.mark.usefixtures("one_thread")

V = standard_vocabulary()
FOUR_FOUR = METRE_LIST.index((4, 4))


def network(*, context=64, seed=5):
    torch.manual_seed(seed)
    shape = NestedConfig(
        vocabulary=362, layers=1, width=32, heads=4, ffn=48, chain=48, context=context
    )
    return NestedNetwork(shape).eval()


def tune(bars=4, *, ends=True, metre=(4, 4)):
    notes = [(bar, 12 * n, 60 + 4 * n, 12, 79) for bar in range(bars) for n in range(metre[0])]
    return Piece((metre,) * bars, np.array(notes), ends)


def uniform():
    """A network that finds everything alike."""
    plain = network()
    for parameter in plain.parameters():
        torch.nn.init.zeros_(parameter)
    return plain


def test_a_network_that_knows_nothing_pays_for_every_choice():
    bits = NestedJudge(uniform(), V).note_bits(tune(bars=2))
    onset, metre = math.log2(ONSETS), math.log2(METRES)
    fields = [math.log2(KEYS), math.log2(LENGTHS), math.log2(FORCES)]
    assert np.allclose(bits[:, 1:], fields)
    # The first pays the first metre and, as each first note of a bar does, the next bar's; the
    # last pays the end.
    extra = np.array([2 * metre, 0, 0, 0, metre, 0, 0, onset])
    assert np.allclose(bits[:, 0], onset + extra)


def test_an_excerpt_does_not_pay_for_an_end():
    judge = NestedJudge(uniform(), V)
    whole, cut = judge.note_bits(tune(bars=2)), judge.note_bits(tune(bars=2, ends=False))
    assert np.allclose(whole[:-1], cut[:-1])
    assert whole[-1, 0] - cut[-1, 0] == pytest.approx(math.log2(ONSETS))


def test_silence_is_paid_by_the_note_after_it():
    judge = NestedJudge(uniform(), V)
    notes = np.array([(0, 0, 60, 12, 79), (9, 0, 60, 12, 79)])
    bits = judge.note_bits(Piece(((4, 4),) * 10, notes, ends=False))
    onset, metre = math.log2(ONSETS), math.log2(METRES)
    assert np.allclose(bits[:, 0], [onset + 2 * metre, 2 * (onset + metre)])


def test_what_fits_the_context_costs_the_same_in_a_longer_one():
    long, short = network(context=64), network(context=32)
    music = tune(bars=12)
    wide, narrow = (NestedJudge(n, V).note_bits(music) for n in (long, short))
    assert np.allclose(wide[:32], narrow[:32], atol=1e-4)
    assert wide.shape == narrow.shape == (48, 4)
    assert (narrow > 0).all()


def test_pieces_that_cannot_be_told_are_no_figures():
    judge = NestedJudge(network(), V)
    with pytest.raises(NotTheSame, match="no number"):
        judge.note_bits(tune(metre=(11, 4)))
    off_grid = Piece(((4, 4),), np.array([(0, 0, 60, 12, 80)]))
    with pytest.raises(NotTheSame, match="told as events"):
        judge.note_bits(off_grid)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 99),
    from_bar=st.integers(2, 6),
    beats=st.integers(1, 9),
    metre=st.sampled_from([(4, 4), (3, 4), (6, 8)]),
)
def test_an_answer_keeps_to_its_time_and_to_the_grammar(seed, from_bar, beats, metre):
    judge = NestedJudge(network(seed=seed), V)
    from_beat = from_bar * 4 * metre[0] / metre[1]
    prompt = tune(bars=2, ends=False, metre=metre)
    answer = judge.answer(prompt, from_beat=from_beat, until_beat=from_beat + beats, seed=seed)
    places = [(note.onset, note.pitch) for note in answer]
    assert places == sorted(set(places))
    assert all(from_beat <= note.onset < from_beat + beats for note in answer)
    assert all(21 <= note.pitch <= 108 and note.duration > 0 for note in answer)
    assert answer == judge.answer(
        prompt, from_beat=from_beat, until_beat=from_beat + beats, seed=seed
    )


def test_an_answer_longer_than_the_context_goes_on():
    judge = NestedJudge(network(context=32), V, temperature=0.3)
    answer = judge.answer(tune(ends=False), from_beat=16, until_beat=600, seed=1)
    assert len(answer) > 64


def allowed(note, *, metres=(FOUR_FOUR,) * 6, first=(0, 0)):
    rows = encode(Placed(np.array([note]), np.array(metres)), ends=False)
    mask = allowed_onsets(rows[-1], note[0], np.array(metres), Place(*first))
    return np.flatnonzero(mask).tolist()


def test_onsets_go_forward_in_the_bar_and_into_the_next():
    found = allowed((0, 40, 60, 12, 9))
    assert found[:8] == list(range(40, 48))
    assert found[8:56] == list(range(POSITIONS, POSITIONS + 48))
    assert found[56:] == list(range(REST, REST + 5))


def test_nothing_goes_above_the_highest_key():
    assert allowed((0, 40, 108, 12, 9))[0] == 41


def test_what_is_too_early_is_reached_by_a_rest():
    assert allowed((0, 40, 60, 12, 9), first=(3, 24)) == [REST + 1]
    in_next = allowed((0, 40, 60, 12, 9), first=(1, 24))
    assert in_next[:24] == list(range(POSITIONS + 24, POSITIONS + 48))
    assert in_next[24:] == list(range(REST, REST + 5))


def test_a_rest_stays_within_its_metre():
    metres = (FOUR_FOUR, FOUR_FOUR, FOUR_FOUR, 0, 0, 0)
    rests = [symbol for symbol in allowed((0, 40, 60, 12, 9), metres=metres) if symbol >= REST]
    assert rests == [REST, REST + 1]


def test_the_last_metre_goes_on():
    assert bars_until([(3, 4), (4, 4)], 10) == ((3, 4), (4, 4), (4, 4), (4, 4))


def test_choices_are_the_seeds_and_never_forbidden():
    logits = torch.tensor([2.0, 1.0, 3.0, 0.0])
    mask = np.array([True, True, False, True])
    drawn = [Choice(seed=7).pick(logits, mask) for _ in range(3)]
    assert len(set(drawn)) == 1
    many = Choice(seed=7)
    assert {many.pick(logits, mask) for _ in range(300)} == {0, 1, 3}
    assert Choice(seed=7, temperature=0).pick(logits, mask) == 0
    narrow = Choice(seed=7, top_p=0.5)
    assert {narrow.pick(logits, mask) for _ in range(50)} == {0}
