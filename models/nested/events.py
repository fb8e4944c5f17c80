"""Notes as events, one row each: what the nested network reads and what it says.

Knows placed pieces; knows no files, audio or networks. `encode` and `decode` are each other's
inverse (a test holds them to it).

A row is a note, or one of three rows without pitch: START opens the music and knows nothing from
before; a REST says that whole bars go by; END closes the music. A row is reached by its *onset*
symbol, which counts from the row before:

    0 .. P-1          a note in the same bar, at this step
    P .. 2P-1         a note in the next bar, at this step
    2P .. 2P+R-1      a rest: 1 .. R bar lines go by and no note comes before the last of them
    2P+R              the end

START lies in the bar before the first. Metres are known one bar ahead: a row carries its bar's
metre and the next bar's, `AHEAD`, so that the onset symbol can be read. A rest goes no further
than the metre stays as it is. What follows the last bar has its metre.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.placing import (
    BAR,
    BAR_STEPS,
    DURATION,
    LEVEL,
    MAX_DURATION,
    METRE_LIST,
    PITCH,
    STEP,
    Integers,
    Placed,
)
from models.vocabulary import HIGHEST_PITCH, LOWEST_PITCH, VELOCITY_LEVELS

#: Columns of an event.
ONSET, KEY, LENGTH, FORCE, POSITION, METRE, AHEAD, TIME = range(8)
COLUMNS = 8

POSITIONS = int(BAR_STEPS.max())  # P
RESTS = 8  # R
REST = 2 * POSITIONS  # the symbol of a rest of one bar
END = REST + RESTS
ONSETS = END + 1  # symbols
KEYS = HIGHEST_PITCH - LOWEST_PITCH + 1
LENGTHS = MAX_DURATION
FORCES = VELOCITY_LEVELS
METRES = len(METRE_LIST)
#: What stands in KEY, LENGTH, FORCE and METRE where there is none. In KEY three kinds differ.
NO_KEY_REST, NO_KEY_END, NO_KEY_START = KEYS, KEYS + 1, KEYS + 2
NO_LENGTH, NO_FORCE, NO_METRE = LENGTHS, FORCES, METRES
NO_ONSET = ONSETS  # START is reached from nowhere
#: Steps of a bar by its METRE; START's bar has none.
BAR_LENGTHS: tuple[int, ...] = (*BAR_STEPS.tolist(), 0)


class EventError(ValueError):
    """Events that no piece encodes to."""


def encode(piece: Placed, *, ends: bool) -> Integers:
    """(rows, COLUMNS): START, then notes and rests, then END if the music `ends` here."""
    notes, metres = piece.notes, piece.metres
    bars = notes[:, BAR]
    before = np.concatenate(([-1], bars[:-1]))
    rows = np.zeros((len(notes), COLUMNS), dtype=np.int64)
    rows[:, ONSET] = notes[:, STEP] + POSITIONS * (bars > before)
    rows[:, KEY] = notes[:, PITCH] - LOWEST_PITCH
    rows[:, LENGTH] = notes[:, DURATION] - 1
    rows[:, FORCE] = notes[:, LEVEL]
    rows[:, POSITION] = notes[:, STEP]
    bar_of = np.concatenate(([-1], bars))
    rows = np.concatenate((_bare(NO_ONSET, NO_KEY_START)[None], rows))
    gaps = np.flatnonzero(bars - before > 1)
    if len(gaps):
        rests = [_landings(int(before[i]), int(bars[i]), metres) for i in gaps]
        at = np.repeat(gaps + 1, [len(landings) for landings in rests])
        lands = np.array([bar for landings in rests for bar, _ in landings], dtype=np.int64)
        resting = np.stack(
            [_bare(REST + n - 1, NO_KEY_REST) for landings in rests for _, n in landings]
        )
        rows, bar_of = np.insert(rows, at, resting, axis=0), np.insert(bar_of, at, lands)
    if ends:
        rows = np.concatenate((rows, _bare(END, NO_KEY_END)[None]))
        bar_of = np.append(bar_of, bar_of[-1])
    starts = np.cumsum(BAR_STEPS[metres]) - BAR_STEPS[metres]
    known = np.maximum(bar_of, 0)
    rows[:, METRE] = metres[known]
    rows[:, AHEAD] = metres[np.minimum(bar_of + 1, len(metres) - 1)]
    rows[:, TIME] = starts[known] + rows[:, POSITION]
    rows[0, METRE], rows[0, TIME] = NO_METRE, 0
    if ends:
        rows[-1, [POSITION, TIME]] = rows[-2, [POSITION, TIME]]
    return rows


def decode(rows: Integers) -> Placed:
    """The notes and the metres up to the last row's bar; raises EventError."""
    if not len(rows) or rows[0, KEY] != NO_KEY_START:
        raise EventError("events begin with a start")
    symbols = rows[1:, ONSET]
    if (symbols < 0).any() or (symbols > END).any() or (symbols[:-1] == END).any():
        raise EventError("an onset that cannot be read")
    crossed = np.where(
        symbols < REST, symbols // POSITIONS, np.where(symbols < END, symbols - REST + 1, 0)
    )
    bars = np.cumsum(crossed) - 1
    is_note = rows[1:, KEY] < KEYS
    if (is_note != (symbols < REST)).any():
        raise EventError("a note without a key, or a rest with one")
    taken = rows[1:][is_note]
    notes = np.stack(
        (
            bars[is_note],
            taken[:, ONSET] % POSITIONS,
            taken[:, KEY] + LOWEST_PITCH,
            taken[:, LENGTH] + 1,
            taken[:, FORCE],
        ),
        axis=1,
    )
    last = int(bars[-1]) if len(bars) else -1
    metres = np.zeros(last + 1, dtype=np.int64)
    # From the end, so that the bars that a rest passes have the metre of the bar it lands in.
    for bar, count, metre in zip(bars[::-1], crossed[::-1], rows[:0:-1, METRE], strict=True):
        if count:
            metres[bar - count + 1 : bar + 1] = metre
    return Placed(notes=notes, metres=metres)


def opened_at(rows: Integers, start: int) -> Integers:
    """START and what follows from row `start` (1 or later) on, as if nothing had been before.

    Where that row is the first of its bar this is what the music from there encodes to, but for a
    later TIME, which only differences are taken of.
    """
    first = rows[start]
    opening = _bare(NO_ONSET, NO_KEY_START)
    passed = max(0, int(first[ONSET]) - REST) if first[ONSET] < END else 0
    bar_steps = int(BAR_STEPS[first[METRE]])
    opening[METRE], opening[AHEAD] = NO_METRE, first[METRE]
    opening[TIME] = first[TIME] - first[POSITION] - passed * bar_steps
    return np.concatenate((opening[None], rows[start:]))


def opening(rows: Integers, at: int, *, room: int) -> int:
    """The row to open at so that up to `room` rows before row `at` stay: the first of a bar."""
    earliest = max(1, at - room)
    lines = np.flatnonzero(crosses(rows[earliest:at, ONSET]))
    return earliest + int(lines[0]) if len(lines) else earliest


def crosses(onset: Any) -> Any:
    """Which onset symbols go over a bar line; for arrays and tensors alike."""
    return (onset >= POSITIONS) & (onset < END)


def _bare(onset: int, key: int) -> Integers:
    """A row that is no note."""
    row = np.zeros(COLUMNS, dtype=np.int64)
    row[[ONSET, KEY, LENGTH, FORCE]] = onset, key, NO_LENGTH, NO_FORCE
    return row


def _landings(bar: int, target: int, metres: Integers) -> list[tuple[int, int]]:
    """(bar, bar lines crossed) of the rests that lead from `bar` to the bar before `target`."""
    found = []
    while bar < target - 1:
        to = bar + 1
        while to < target - 1 and to - bar < RESTS and metres[to + 1] == metres[bar + 1]:
            to += 1
        found.append((to, to - bar))
        bar = to
    return found
