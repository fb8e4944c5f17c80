"""Where answers are asked for: some bars as a prompt, and what really followed.

Knows pieces and bars; knows no models and no measures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.excerpts import cut, excerpt
from models.judged import TICKS_A_QUARTER, Piece, bar_ticks

PROMPT_BARS = 8
#: An answer has four bars, or as many as hold eight beats, to which its match is measured.
ANSWER_BARS, ANSWER_BEATS = 4, 8
#: With fewer notes there is nothing to go on from, or to be compared with.
LEAST_NOTES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One place in one piece, all bars of one metre; both parts are bars of their own."""

    piece: int  # which of the pieces that were given
    bar: int  # where in it the answer begins
    prompt: Piece
    truth: Piece  # cut at its last bar line, as an answer is

    @property
    def from_beat(self) -> float:
        """Where the answer begins, in beats from the prompt's first bar line."""
        return float(self.prompt.bar_starts[-1]) / TICKS_A_QUARTER

    @property
    def until_beat(self) -> float:
        """Where it ends."""
        return self.from_beat + float(self.truth.bar_starts[-1]) / TICKS_A_QUARTER


def answer_bars(metre: tuple[int, int]) -> int:
    """Bars of an answer in a metre."""
    return max(ANSWER_BARS, math.ceil(ANSWER_BEATS * TICKS_A_QUARTER / bar_ticks(metre)))


def case_at(piece: Piece, bar: int, *, index: int) -> Case | None:
    """The case whose answer begins with `bar`; None where it cannot be judged."""
    if not PROMPT_BARS <= bar < len(piece.metres):
        return None
    end = bar + answer_bars(piece.metres[bar])
    first = bar - PROMPT_BARS
    if end > len(piece.metres) or len(set(piece.metres[first:end])) > 1:
        return None
    prompt, truth = excerpt(piece, first, bar), cut(excerpt(piece, bar, end))
    if min(len(prompt), len(truth)) < LEAST_NOTES:
        return None
    return Case(index, bar, prompt, truth)


def cases_of(pieces: Sequence[Piece], *, each: int, seed: int) -> list[Case]:
    """At most `each` places of every piece, drawn without a look at anything but metres."""
    found: list[Case] = []
    for index, piece in enumerate(pieces):
        random = np.random.default_rng([seed, index])
        bars = random.permutation(np.arange(PROMPT_BARS, len(piece.metres)))
        count = 0
        for bar in bars.tolist():
            case = case_at(piece, bar, index=index)
            if case is not None:
                found.append(case)
                count += 1
            if count == each:
                break
    return found
