"""Quantized pieces of a data folder: its notes as they were played, put on the grid.

Knows the note cache and the numbers that networks read; knows no models and no measures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.judged import VELOCITY, NotTheSame, Piece
from models.note_cache import Shelf
from models.placing import BAR, LEVEL, METRE_LIST, VELOCITIES, Placed


@dataclass(frozen=True, slots=True)
class Split:
    """The pieces of one corpus and split, each read when it is asked for."""

    shelf: Shelf

    def __len__(self) -> int:
        return len(self.shelf)

    def __getitem__(self, index: int) -> Piece:
        return piece_of(self.shelf.performance(index).placed())


def piece_of(placed: Placed) -> Piece:
    """The notes and metres of a whole piece, up to the bar of its last note."""
    notes = placed.notes.copy()
    notes[:, VELOCITY] = VELOCITIES[placed.notes[:, LEVEL]]
    metres = placed.metres[: int(notes[-1, BAR]) + 1]
    return Piece(tuple(METRE_LIST[metre] for metre in metres), notes)


def placed_of(piece: Piece) -> Placed:
    """A piece in numbers, the inverse of `piece_of`; raises NotTheSame for what has none."""
    notes = piece.notes.copy()
    notes[:, LEVEL] = np.searchsorted(VELOCITIES, notes[:, VELOCITY]).clip(max=len(VELOCITIES) - 1)
    try:
        metres = np.array([METRE_LIST.index(metre) for metre in piece.metres], dtype=np.int64)
    except ValueError as error:
        raise NotTheSame(f"a metre that has no number: {error}") from None
    return Placed(notes=notes, metres=metres)
