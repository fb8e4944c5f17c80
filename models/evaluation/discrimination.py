"""Does a model prefer what really followed to what could not have been meant?

Knows pieces, cases and `Judged`. The true continuation stands against foils, each alone; the model
prefers the one whose notes cost fewer bits on average, given the same prompt. Chance is one half,
which is what a model that hears nothing gets. Continuations of different length compare by the
note. Velocity is left out: another piece is often simply louder. The task is the implicit one of
MIREX's Patterns for Prediction (2018 to 2020: tell the genuine continuation from a foil), with
foils that each need another kind of ear:

  another piece  the bars of another piece of the style, in the same metre, moved into the same key
                 and, since models hear beats and no tempo, as dense as can be found
  a bar off      the same piece, one bar later
  transposed     the truth, moved by one to six semitones
  shuffled       the truth, its bars in another order
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.evaluation.cases import LEAST_NOTES, Case
from models.evaluation.excerpts import (
    bars_in_order,
    cut,
    excerpt,
    joined,
    same_notes,
    transposed,
)
from models.evaluation.keys import key_of
from models.judged import BAR, FIELDS, Judged, Piece

FOILS = ("another piece", "a bar off", "transposed", "shuffled")
HEARD = [FIELDS.index(field) for field in ("onset", "pitch", "duration")]
MOST_SEMITONES = 6
ORDERS_TRIED = 8


def foils_of(
    case: Case, *, pieces: Sequence[Piece], others: Sequence[Case], seed: int
) -> dict[str, Piece]:
    """The foils that can be made here; one that equals the truth, as in a loop, is none.

    `pieces` is what `case.piece` counts in; `others` are cases to take another piece's bars from.
    """
    random = np.random.default_rng([seed, case.piece, case.bar])
    found = {
        "another piece": another_piece(case, others),
        "a bar off": a_bar_off(case, pieces[case.piece]),
        "transposed": moved(case.truth, random),
        "shuffled": shuffled(case.truth, random),
    }
    return {
        name: foil
        for name, foil in found.items()
        if foil is not None and len(foil) >= LEAST_NOTES and not same_notes(foil, case.truth)
    }


def another_piece(case: Case, others: Sequence[Case]) -> Piece | None:
    """The truth of the case most alike in density, in this one's key."""
    fitting = [
        other
        for other in others
        if other.piece != case.piece and other.truth.metres == case.truth.metres
    ]
    tonic, minor = key_of(case.prompt)
    for other in sorted(fitting, key=lambda other: abs(len(other.truth) - len(case.truth))):
        other_tonic, other_minor = key_of(other.prompt)
        if other_minor == minor:
            up = (tonic - other_tonic) % 12
            foil = transposed(other.truth, up if up <= MOST_SEMITONES else up - 12)
            if foil is not None:
                return foil
    return None


def a_bar_off(case: Case, piece: Piece) -> Piece | None:
    """What followed one bar later."""
    first, end = case.bar + 1, case.bar + 1 + len(case.truth.metres)
    if end > len(piece.metres) or set(piece.metres[first:end]) != set(case.truth.metres):
        return None
    return cut(excerpt(piece, first, end))


def moved(truth: Piece, random: np.random.Generator) -> Piece | None:
    """The truth in another key."""
    semitones = int(random.integers(1, MOST_SEMITONES + 1)) * int(random.choice([-1, 1]))
    return transposed(truth, semitones) or transposed(truth, -semitones)


def shuffled(truth: Piece, random: np.random.Generator) -> Piece | None:
    """The truth with its bars in an order that sounds otherwise."""
    for _ in range(ORDERS_TRIED):
        found = bars_in_order(truth, random.permutation(len(truth.metres)).tolist())
        if not same_notes(found, truth):
            return cut(found)
    return None


def preferred(judged: Judged, prompt: Piece, truth: Piece, foil: Piece) -> float:
    """1 where the truth costs less than the foil, 0 where more, one half where they are equal."""
    true_bits, foil_bits = (mean_bits(judged, prompt, music) for music in (truth, foil))
    return 1.0 if true_bits < foil_bits else 0.5 if true_bits == foil_bits else 0.0


def mean_bits(judged: Judged, prompt: Piece, music: Piece) -> float:
    """Bits a note of `music` behind `prompt`, velocity left out."""
    whole = joined(prompt, music)
    is_behind = whole.notes[:, BAR] >= len(prompt.metres)
    bits = judged.note_bits(whole)[is_behind]
    return float(bits[:, HEARD].sum(axis=1).mean())
