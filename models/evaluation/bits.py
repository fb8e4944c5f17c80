"""Bits per note: what music costs a model, comparable whatever the model makes of notes inside.

Knows pieces and `Judged`; knows no tokens. The notes are one canonical list, nothing is masked, and
the context is equal in notes, not in tokens: a piece is told in windows that overlap, so that each
note but the first ones is judged from CONTEXT notes before it at least, from the bar line before
those, and from WINDOW at most. A tokenization that needs more room for a note sees as much music as
one that needs less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.evaluation.excerpts import excerpt
from models.judged import BAR, FIELDS, Judged, Piece

CONTEXT = 96  # notes
WINDOW = 192  # notes, and the rest of the bar that the context begins in
#: Of a longer piece the first so many are judged: a sonata shall not be the whole of a style.
MOST_NOTES = 1200


class NoBits(ValueError):
    """What a model says that music costs cannot be; its weights are damaged or it has a bug."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """An excerpt, and from which of its notes on it is judged."""

    excerpt: Piece
    first: int


def windows(piece: Piece, *, most: int = MOST_NOTES) -> Iterator[Window]:
    """Windows over a piece that together judge each of its first `most` notes once."""
    count = min(len(piece), most)
    begin = 0
    while begin < count:
        end = min(count, begin + (WINDOW - CONTEXT if begin else WINDOW))
        first_bar = int(piece.notes[max(0, begin - CONTEXT), BAR]) if begin else 0
        start = int(np.searchsorted(piece.notes[:, BAR], first_bar))
        bars = excerpt(piece, first_bar, int(piece.notes[end - 1, BAR]) + 1)
        is_end = end == len(piece) and piece.ends
        part = Piece(bars.metres, bars.notes[: end - start], ends=is_end)
        yield Window(part, begin - start)
        begin = end


def piece_bits(judged: Judged, piece: Piece) -> NDArray[np.float64]:
    """(notes, 4): bits of each note by field; raises NoBits for what cannot be bits."""
    parts = []
    for window in windows(piece):
        found = judged.note_bits(window.excerpt)
        if found.shape != (len(window.excerpt), len(FIELDS)):
            raise NoBits(f"{len(window.excerpt)} notes were judged with {found.shape} numbers")
        if not (np.isfinite(found).all() and (found >= 0).all()):
            raise NoBits("bits have to be finite numbers, and not below 0")
        parts.append(found[window.first :])
    return np.concatenate(parts) if parts else np.zeros((0, len(FIELDS)))
