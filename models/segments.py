"""Draws music to train on from shelves of performances: segments, whatever spells them afterwards.

Knows performances, augmentation and the grid; knows no tokens, events, networks or files. Every
draw is a pure function of the generator it is given, so that a resumed training sees what it would
have seen.

A segment begins at a bar line, any bar line of a piece that has music after it. Metres that are
rare in a corpus are drawn more often than they stand there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.augment import MAX_LEAD_BARS, Chances, augmented
from models.note_cache import Shelf, Shelves
from models.placing import BAR, METRE_LIST, Bars, Integers, Placed, place

METRE_POWER = 0.6  # a metre is drawn as often as the power of its share of the bars
#: Notes that are looked at for each one asked for: voices are dropped, doubles fall together.
NOTES_A_NOTE = 2


@dataclass(frozen=True, slots=True)
class Source:
    """One corpus and split, with its bar lines by metre."""

    shelf: Shelf
    piece_of: Integers  # (bars,): which piece a bar is of
    by_metre: list[Integers]  # bars that a segment may begin with, one array for each metre
    metre_shares: NDArray[np.float64]

    @classmethod
    def of(cls, shelf: Shelf) -> Source:
        """Find the bar lines that have music after them."""
        counts = np.diff(shelf.pieces["bar"])
        piece_of = np.repeat(np.arange(len(shelf)), counts)
        last_onsets = shelf.notes["onset"][shelf.pieces["note"][1:] - 1]
        usable = shelf.bars["start"] <= last_onsets[piece_of]
        by_metre = [
            np.flatnonzero(usable & (shelf.bars["metre"] == metre))
            for metre in range(len(METRE_LIST))
        ]
        by_metre = [bars for bars in by_metre if len(bars)]
        shares = np.array([len(bars) for bars in by_metre], dtype=np.float64) ** METRE_POWER
        return cls(shelf, piece_of, by_metre, shares / shares.sum())

    def segment(
        self, generator: np.random.Generator, *, notes: int, chances: Chances
    ) -> tuple[Placed, bool]:
        """Music from a bar line on, usually at least `notes` of it, and whether the piece ends."""
        metre = int(generator.choice(len(self.by_metre), p=self.metre_shares))
        bar = int(generator.choice(self.by_metre[metre]))
        piece = int(self.piece_of[bar])
        shelf = self.shelf
        first, end = (int(n) for n in shelf.pieces["note"][piece : piece + 2])
        start = float(shelf.bars["start"][bar])
        first += int(np.searchsorted(shelf.notes["onset"][first:end], start - 1e-6))
        stop = min(end, first + NOTES_A_NOTE * notes + 8)
        played = np.array(shelf.notes[first:stop])
        played["onset"] -= start
        bars = shelf.bars[bar : int(shelf.pieces["bar"][piece + 1])]
        played = augmented(
            played,
            generator,
            chances,
            bpm=float(shelf.pieces["bpm"][piece]),
            quarters=METRE_LIST[int(bars["metre"][0])][1] == 4,
        )
        placed = place(
            played["onset"],
            played["duration"],
            played["pitch"].astype(np.int64),
            played["velocity"].astype(np.int64),
            Bars(
                bars["start"] - start,
                bars["metre"].astype(np.int64),
                int(shelf.pieces["finest"][piece]),
            ),
        )
        return without_lead(placed), stop == end


class Mix:
    """The corpora of one split, mixed by their weights."""

    def __init__(self, shelves: Shelves, *, split: str) -> None:
        named = {name: shelves.by_name[name][split] for name in shelves.weights}
        self.names = [name for name, shelf in named.items() if len(shelf)]
        self.sources = [Source.of(named[name]) for name in self.names]
        weights = np.array([shelves.weights[name] for name in self.names])
        self.shares = weights / weights.sum() if len(weights) else weights

    def choose(self, generator: np.random.Generator, *, count: int) -> list[Source]:
        """`count` corpora, drawn by weight."""
        chosen = generator.choice(len(self.sources), size=count, p=self.shares)
        return [self.sources[index] for index in chosen]


def without_lead(placed: Placed) -> Placed:
    """The same music after at most a bar of silence."""
    lead = max(0, int(placed.notes[0, BAR]) - MAX_LEAD_BARS)
    if not lead:
        return placed
    notes = placed.notes.copy()
    notes[:, BAR] -= lead
    return Placed(notes=notes, metres=placed.metres[lead:])
