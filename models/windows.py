"""Draws training windows from tokenized corpora.

Knows tokens, bars and weights; knows no files and no networks. Every draw is a pure function of
the generator it is given, so that a resumed training sees the windows it would have seen.

A window is filled with segments. A segment begins with BOS and then a bar line, any bar line of
a piece: BOS means "you know nothing from before here", and a live player sends it first, whether
the session begins or its context was re-anchored. EOS stands only at the true end of a piece;
where room is left behind it, the next segment follows, from the same corpus.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.corpus import Corpora, Tokens
from models.vocabulary import Vocabulary

MAX_TRANSPOSITION = 6  # semitones; with both signs that is every key


@dataclass(frozen=True, slots=True)
class Source:
    """One corpus and split, with its bar lines."""

    tokens: Tokens
    bars: NDArray[np.int64]  # index of each Bar token in tokens.tokens
    ends: NDArray[np.int64]  # for each bar, where its piece ends

    @classmethod
    def of(cls, tokens: Tokens, vocabulary: Vocabulary) -> Source:
        """Find the bar lines of a corpus."""
        bars = np.flatnonzero(tokens.tokens == vocabulary.bar)
        pieces = np.searchsorted(tokens.offsets, bars, side="right")
        return cls(tokens=tokens, bars=bars, ends=tokens.offsets[pieces])


class Windows:
    """Windows of one split, its corpora mixed by their weights."""

    def __init__(self, corpora: Corpora, vocabulary: Vocabulary, *, split: str) -> None:
        self.vocabulary = vocabulary
        named = {
            name: Source.of(corpora.by_name[name][split], vocabulary) for name in corpora.weights
        }
        self.names = [name for name, source in named.items() if len(source.bars)]
        self.sources = [named[name] for name in self.names]
        weights = np.array([corpora.weights[name] for name in self.names])
        self.shares = weights / weights.sum() if len(weights) else weights

    def draw(
        self, generator: np.random.Generator, *, count: int, length: int, transpose: bool
    ) -> NDArray[np.int64]:
        """`count` windows (count, length), each from a corpus drawn by weight."""
        chosen = generator.choice(len(self.sources), size=count, p=self.shares)
        windows = np.empty((count, length), dtype=np.int64)
        for row, index in enumerate(chosen):
            filled = 0
            while filled < length:
                segment = self._segment(
                    self.sources[index], generator, room=length - filled, transpose=transpose
                )
                windows[row, filled : filled + len(segment)] = segment
                filled += len(segment)
        return windows

    def _segment(
        self, source: Source, generator: np.random.Generator, *, room: int, transpose: bool
    ) -> NDArray[np.int64]:
        """BOS, music from a bar line on, EOS if the piece ends within the room."""
        at = int(generator.integers(len(source.bars)))
        start, end = int(source.bars[at]), int(source.ends[at])
        music = np.asarray(source.tokens.tokens[start : min(end, start + room)], dtype=np.int64)
        if transpose:
            music = transposed(music, self.vocabulary, generator)
        marked = np.concatenate(([self.vocabulary.bos], music, [self.vocabulary.eos]))
        return marked[:room]


def transposed(
    tokens: NDArray[np.int64], vocabulary: Vocabulary, generator: np.random.Generator
) -> NDArray[np.int64]:
    """The same music up to six semitones up or down, as far as the keyboard reaches."""
    pitches = vocabulary.pitches
    is_pitch = (tokens >= pitches.start) & (tokens < pitches.stop)
    if not is_pitch.any():
        return tokens
    lowest, highest = int(tokens[is_pitch].min()), int(tokens[is_pitch].max())
    down = max(-MAX_TRANSPOSITION, pitches.start - lowest)
    up = min(MAX_TRANSPOSITION, pitches.stop - 1 - highest)
    shift = generator.integers(down, up + 1)
    return tokens + shift * is_pitch
