"""Draws training windows of events from shelves of performances.

Knows performances, augmentation and events; knows no files and no networks. Every draw is a pure
function of the generator it is given, so that a resumed training sees the windows it would have
seen.

A window is filled with segments. A segment begins with START and a bar line, any bar line of a
piece; END stands only at the true end of a piece; where room is left behind it, the next segment
follows, from the same corpus. Metres that are rare in a corpus are drawn more often than they
stand there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.augment import MAX_LEAD_BARS, Chances, augmented
from models.nested.events import AHEAD, COLUMNS, KEY, KEYS, LENGTH, TIME, encode
from models.nested.lookback import ALL_COLUMNS, suggestions
from models.note_cache import Shelf, Shelves
from models.placing import BAR, BAR_STEPS, METRE_LIST, Bars, Integers, Placed, place

HELD = COLUMNS  # one more column: 1 where LENGTH was cut short and is not to be learnt
METRE_POWER = 0.6  # a metre is drawn as often as the power of its share of the bars
#: Notes that are looked at for each event of room: voices are dropped, doubles fall together.
NOTES_AN_EVENT = 2


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


class EventWindows:
    """Windows of one split, its corpora mixed by their weights."""

    def __init__(self, shelves: Shelves, *, split: str) -> None:
        named = {name: shelves.by_name[name][split] for name in shelves.weights}
        self.names = [name for name, shelf in named.items() if len(shelf)]
        self.sources = [Source.of(named[name]) for name in self.names]
        weights = np.array([shelves.weights[name] for name in self.names])
        self.shares = weights / weights.sum() if len(weights) else weights

    def draw(
        self, generator: np.random.Generator, *, count: int, length: int, chances: Chances
    ) -> Integers:
        """`count` windows (count, length, ALL_COLUMNS), each from a corpus drawn by weight."""
        chosen = generator.choice(len(self.sources), size=count, p=self.shares)
        windows = np.zeros((count, length, ALL_COLUMNS), dtype=np.int64)
        for row, index in enumerate(chosen):
            filled = 0
            time = 0
            while filled < length:
                room = length - filled
                rows = segment(self.sources[index], generator, room=room, chances=chances)
                rows[:, TIME] += time
                windows[row, filled : filled + len(rows)] = rows
                filled += len(rows)
                time = int(rows[-1, TIME]) + int(BAR_STEPS[rows[-1, AHEAD]])
        return windows


def segment(
    source: Source, generator: np.random.Generator, *, room: int, chances: Chances
) -> Integers:
    """START, music from a bar line on, END if the piece ends within the room; (n, ALL_COLUMNS)."""
    metre = int(generator.choice(len(source.by_metre), p=source.metre_shares))
    bar = int(generator.choice(source.by_metre[metre]))
    piece = int(source.piece_of[bar])
    shelf = source.shelf
    first_note, end_note = (int(n) for n in shelf.pieces["note"][piece : piece + 2])
    end_bar = int(shelf.pieces["bar"][piece + 1])
    start = float(shelf.bars["start"][bar])
    onsets = shelf.notes["onset"][first_note:end_note]
    first_note += int(np.searchsorted(onsets, start - 1e-6))
    stop_note = min(end_note, first_note + NOTES_AN_EVENT * room + 8)
    notes = np.array(shelf.notes[first_note:stop_note])
    notes["onset"] -= start
    bars = shelf.bars[bar:end_bar]
    numerator_over = METRE_LIST[int(bars["metre"][0])][1]
    bpm = float(shelf.pieces["bpm"][piece])
    notes = augmented(notes, generator, chances, bpm=bpm, quarters=numerator_over == 4)
    placed = place(
        notes["onset"],
        notes["duration"],
        notes["pitch"].astype(np.int64),
        notes["velocity"].astype(np.int64),
        Bars(
            bars["start"] - start,
            bars["metre"].astype(np.int64),
            int(shelf.pieces["finest"][piece]),
        ),
    )
    rows = encode(without_lead(placed), ends=stop_note == end_note)[:room]
    held = np.zeros((len(rows), 1), dtype=np.int64)
    rows = np.concatenate((rows, held), axis=1)
    if generator.random() < chances.hold:
        hold(rows, at=int(generator.integers(len(rows))))
    return np.concatenate((rows, np.array(suggestions(rows.tolist()))), axis=1)


def without_lead(placed: Placed) -> Placed:
    """The same music after at most a bar of silence."""
    lead = max(0, int(placed.notes[0, BAR]) - MAX_LEAD_BARS)
    if not lead:
        return placed
    notes = placed.notes.copy()
    notes[:, BAR] -= lead
    return Placed(notes=notes, metres=placed.metres[lead:])


def hold(rows: Integers, *, at: int) -> None:
    """Let the notes that sound at row `at` look like held keys: as long as they have sounded."""
    now = rows[at, TIME]
    before = rows[:at]
    sounded = now - before[:, TIME]
    held = (before[:, KEY] < KEYS) & (before[:, LENGTH] + 1 > sounded) & (sounded > 0)
    before[held, LENGTH] = sounded[held] - 1
    before[held, HELD] = 1
