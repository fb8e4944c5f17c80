"""Prompts by hands: louder and softer, and otherwise the same."""

import numpy as np
from composers import tune

from models.evaluation.cases import cases_of
from models.evaluation.hands import by_hands
from models.judged import VELOCITY

CASES = cases_of([tune(bars=24, seed=seed) for seed in range(3)], each=3, seed=0)


def test_hands_change_the_loudness_of_the_prompt_alone():
    for case in CASES:
        found = by_hands(case, seed=1)
        assert len(np.unique(found.prompt.notes[:, VELOCITY])) > 8
        without = np.arange(found.prompt.notes.shape[1]) != VELOCITY
        assert (found.prompt.notes[:, without] == case.prompt.notes[:, without]).all()
        assert found.truth is case.truth
        assert (found.from_beat, found.until_beat) == (case.from_beat, case.until_beat)


def test_the_same_seed_is_the_same_hands():
    once, again, others = (
        by_hands(CASES[0], seed=seed).prompt.notes[:, VELOCITY].tolist() for seed in (1, 1, 2)
    )
    assert once == again != others


def test_what_was_played_is_left_as_it_was():
    case = by_hands(CASES[0], seed=1)
    assert by_hands(case, seed=2) is case
