"""How much of an answer is what really followed, and two ways to answer without a model.

Knows pieces. The cardinality score and the pitch score are those of MIREX's Patterns for Prediction
(Janssen, Collins, Ren, 2018 to 2020; github.com/BeritJanssen/PatternsForPrediction): of all vectors
(time, pitch) that move a note of the truth onto one of the answer, the commonest says how many
notes match, whatever the key and the place they stand in; one of them matches always and is not
counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from models.evaluation.excerpts import NO_NOTES, cut, excerpt, joined
from models.judged import PITCH, Metre, Piece

SPANS_BEATS = (2, 4, 8)
#: With one note on a side nothing can be said about intervals.
LEAST_NOTES = 2
PITCHES = 128


def f1(answer: Piece, truth: Piece) -> float:
    """F1 of the cardinality score, 0 to 1; the truth has to have LEAST_NOTES."""
    if len(truth) < LEAST_NOTES:
        raise ValueError(f"a truth of {len(truth)} notes has no intervals to be met")
    if len(answer) < LEAST_NOTES:
        return 0.0
    time = answer.onsets[:, None] - truth.onsets[None, :]
    pitch = answer.notes[:, PITCH][:, None] - truth.notes[:, PITCH][None, :]
    _, counts = np.unique(time * 2 * PITCHES + pitch, return_counts=True)
    matched = int(counts.max()) - 1
    precision, recall = matched / (len(answer) - 1), matched / (len(truth) - 1)
    return 2 * precision * recall / (precision + recall) if matched else 0.0


def pitch_overlap(answer: Piece, truth: Piece) -> float:
    """What the two histograms of pitches have in common, 0 to 1; 0 where one of them is empty."""
    shares = [
        np.bincount(piece.notes[:, PITCH], minlength=PITCHES) / max(1, len(piece))
        for piece in (answer, truth)
    ]
    return float(np.minimum(*shares).sum())


def repeated(prompt: Piece, bars: int) -> Piece:
    """The prompt's last bars once more, from the first of them again where `bars` is more."""
    count = min(bars, len(prompt.metres))
    last = cut(excerpt(prompt, len(prompt.metres) - count, len(prompt.metres)))
    found = last
    while len(found.metres) < bars:
        found = joined(found, last)
    return excerpt(found, 0, bars)


class Bars:
    """The bars of some pieces, by their metre, to draw from."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self._places: dict[Metre, list[tuple[int, int]]] = defaultdict(list)
        for index, piece in enumerate(pieces):
            for bar, metre in enumerate(piece.metres):
                self._places[metre].append((index, bar))

    def draw(self, metre: Metre, bars: int, random: np.random.Generator) -> Piece:
        """Single bars, each drawn by itself; none of that metre gives empty ones."""
        found = Piece((), NO_NOTES, ends=False)
        places = self._places.get(metre, [])
        for _ in range(bars):
            if places:
                index, bar = places[int(random.integers(len(places)))]
                found = joined(found, cut(excerpt(self._pieces[index], bar, bar + 1)))
            else:
                found = joined(found, Piece((metre,), NO_NOTES, ends=False))
        return found
