"""Quantized pieces of a data folder: its tokens read back into notes.

Knows the vocabulary and the token cache; knows no models and no measures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.corpus import Tokens
from models.judged import Piece
from models.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Split:
    """The pieces of one corpus and split, each read when it is asked for."""

    tokens: Tokens
    vocabulary: Vocabulary

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> Piece:
        start, end = self.tokens.offsets[index : index + 2]
        return piece_of(np.asarray(self.tokens.tokens[start:end]), self.vocabulary)


def piece_of(tokens: NDArray[np.int16], vocabulary: Vocabulary) -> Piece:
    """The notes and metres of a whole piece, from its first bar line on."""
    words = vocabulary
    bars = np.cumsum(tokens == words.bar) - 1
    is_position = (tokens >= words.positions.start) & (tokens < words.positions.stop)
    places = np.maximum.accumulate(np.where(is_position, np.arange(len(tokens)), 0))
    at = np.flatnonzero((tokens >= words.pitches.start) & (tokens < words.pitches.stop))
    velocities = np.array(words.velocity_values)
    notes = np.stack(
        (
            bars[at],
            tokens[places[at]] - words.positions.start,
            tokens[at] - words.pitches.start + words.lowest_pitch,
            tokens[at + 2] - words.durations.start + 1,
            velocities[tokens[at + 1] - words.velocities.start],
        ),
        axis=1,
    ).astype(np.int64)
    signatures = tokens[
        (tokens >= words.time_signatures.start) & (tokens < words.time_signatures.stop)
    ]
    metres = tuple(words.metres[token - words.time_signatures.start] for token in signatures)
    return Piece(metres, notes)
