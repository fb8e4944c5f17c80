"""The same prompts as hands would play them: scores have one loudness, live players never do.

Knows cases and the dynamics of models/augment.py; knows no models. Onsets, keys and lengths stay,
and so does what followed, so that figures compare with those of the prompts as they were written.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.augment import dynamics, is_written
from models.evaluation.cases import Case
from models.judged import PITCH, TICKS_A_QUARTER, VELOCITY, Piece
from models.performance import NOTE


def by_hands(case: Case, *, seed: int) -> Case:
    """The case with a prompt that has a player's dynamics; unchanged if it was played already."""
    prompt = case.prompt
    struck = np.zeros(len(prompt), dtype=NOTE)
    struck["onset"] = prompt.onsets / TICKS_A_QUARTER
    struck["pitch"], struck["velocity"] = prompt.notes[:, PITCH], prompt.notes[:, VELOCITY]
    if not is_written(struck):
        return case
    dynamics(struck, np.random.default_rng([seed, case.piece, case.bar]))
    notes = prompt.notes.copy()
    notes[:, VELOCITY] = struck["velocity"]
    return replace(case, prompt=Piece(prompt.metres, notes, prompt.ends))
