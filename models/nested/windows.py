"""Training windows of events, encoded from segments as they are drawn.

Knows segments and events; knows no files and no networks.

A window is filled with segments. A segment begins with START and a bar line; END stands only at the
true end of a piece; where room is left behind it, the next segment follows, from the same corpus.
"""

from __future__ import annotations

import numpy as np

from models.augment import Chances
from models.nested.events import AHEAD, COLUMNS, KEY, KEYS, LENGTH, TIME, encode
from models.nested.lookback import ALL_COLUMNS, suggestions
from models.placing import BAR_STEPS, Integers
from models.segments import Mix, Source

HELD = COLUMNS  # one more column: 1 where LENGTH was cut short and is not to be learnt


class EventWindows(Mix):
    """Windows of one split, its corpora mixed by their weights."""

    def draw(
        self, generator: np.random.Generator, *, count: int, length: int, chances: Chances
    ) -> Integers:
        """`count` windows (count, length, ALL_COLUMNS), each from a corpus drawn by weight."""
        windows = np.zeros((count, length, ALL_COLUMNS), dtype=np.int64)
        for window, source in zip(windows, self.choose(generator, count=count), strict=True):
            filled = 0
            time = 0
            while filled < length:
                room = length - filled
                rows = segment(source, generator, room=room, chances=chances)
                rows[:, TIME] += time
                window[filled : filled + len(rows)] = rows
                filled += len(rows)
                time = int(rows[-1, TIME]) + int(BAR_STEPS[rows[-1, AHEAD]])
        return windows


def segment(
    source: Source, generator: np.random.Generator, *, room: int, chances: Chances
) -> Integers:
    """START, music from a bar line on, END if the piece ends within the room; (n, ALL_COLUMNS)."""
    placed, ends = source.segment(generator, notes=room, chances=chances)
    rows = encode(placed, ends=ends)[:room]
    held = np.zeros((len(rows), 1), dtype=np.int64)
    rows = np.concatenate((rows, held), axis=1)
    if generator.random() < chances.hold:
        hold(rows, at=int(generator.integers(len(rows))))
    return np.concatenate((rows, np.array(suggestions(rows.tolist()))), axis=1)


def hold(rows: Integers, *, at: int) -> None:
    """Let the notes that sound at row `at` look like held keys: as long as they have sounded."""
    now = rows[at, TIME]
    before = rows[:at]
    sounded = now - before[:, TIME]
    held = (before[:, KEY] < KEYS) & (before[:, LENGTH] + 1 > sounded) & (sounded > 0)
    before[held, LENGTH] = sounded[held] - 1
    before[held, HELD] = 1
