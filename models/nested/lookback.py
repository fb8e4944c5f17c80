"""What the past suggests comes next: where music repeats, a network need not find out by itself.

Knows rows of events, one after the other; knows no arrays, networks or files. Each of `LOOKS` looks
points at an earlier row, and suggests that what followed there follows here:

    1, 2, 4, 8, 16 bars ago            the row that came next, seen from the same place so many
                                       bars ago (as in Magenta's Lookback RNN, Waite 2016)
    the last passage like this         the row behind the latest place where the last rows stood,
                                       too (a match model, as in PAQ, Mahoney 2005)
    the last passage shaped like this  the same by intervals, at any pitch

With a look goes its *run*: how many rows it has foretold without a miss. A look suggests an onset
and a key for the next row; once the row's onset is known, the key at that place in the past; once
its key is known, the length and the force that it had there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import chain
from typing import TypeAlias

from models.nested.events import (
    AHEAD,
    BAR_LENGTHS,
    COLUMNS,
    FORCE,
    FORCES,
    KEY,
    KEYS,
    LENGTH,
    LENGTHS,
    METRE,
    ONSET,
    ONSETS,
    POSITION,
    POSITIONS,
    TIME,
)

LAGS = (1, 2, 4, 8, 16)  # bars
PASSAGE, SHAPE = 3, 5  # rows that must be alike for a passage to count as the same
LOOKS = len(LAGS) + 2
LONGEST_RUN = 15
#: What a look says that has nothing to suggest.
NO_ONSET, NO_KEY, NO_LENGTH, NO_FORCE = ONSETS, KEYS, LENGTHS, FORCES
#: Columns behind those of an event: what is suggested after a row, then what was suggested of it.
SUGGESTED_ONSET, SUGGESTED_KEY, RUN, SAID_KEY, SAID_LENGTH, SAID_FORCE = range(
    COLUMNS + 1, COLUMNS + 1 + 6 * LOOKS, LOOKS
)
ALL_COLUMNS = SAID_FORCE + LOOKS

Ints: TypeAlias = tuple[int, ...]
_Row: TypeAlias = Sequence[int]  # the columns of an event at least

_NOTHING: tuple[Ints, Ints, Ints] = (NO_ONSET,) * LOOKS, (NO_KEY,) * LOOKS, (0,) * LOOKS
_NOTHING_SAID = ((NO_KEY,) * LOOKS, (NO_LENGTH,) * LOOKS, (NO_FORCE,) * LOOKS)
#: By metre: how many steps each lag is; 0 from START, which has no bar.
_BACKS = tuple(tuple(lag * steps for lag in LAGS) for steps in BAR_LENGTHS)
SPAN = 128  # more than any key: time * SPAN + key goes upwards from row to row


class Lookback:
    """The rows so far, from START on, and what they suggest behind the last one.

    `onsets`, `keys` and `runs` have one number for each look, `suggested` is all of them.
    """

    def __init__(self) -> None:
        self.onsets, self.keys, self.runs = _NOTHING
        self._rows: list[_Row] = []
        self._codes: list[int] = []  # place and key of each row
        self._exact, self._shaped = _Passages(PASSAGE), _Passages(SHAPE)
        self._before: list[tuple[Ints, Ints, Ints]] = []  # what was so before each row

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def suggested(self) -> Ints:
        """The columns from SUGGESTED_ONSET to SAID_KEY of the last row."""
        return self.onsets + self.keys + self.runs

    def hear(self, row: _Row) -> None:
        """Take the next row; the first is START."""
        rows, last = self._rows, self._rows[-1] if self._rows else None
        self._before.append((self.onsets, self.keys, self.runs))
        rows.append(row)
        time, key = row[TIME], row[KEY]
        if last is None:
            self._codes.append(time * SPAN - 1)
            self._exact.hear(-1)
            self._shaped.hear(-1)
            return
        self._codes.append(time * SPAN + key)
        delta = time - last[TIME]
        self._exact.hear(delta * SPAN + key)
        self._shaped.hear((2 * delta + 1) * SPAN + key - last[KEY])
        said = zip(*self._lags(row), *self._matches(row), strict=True)
        self.onsets, self.keys, self.runs = said

    def rewind(self, length: int) -> None:
        """Forget all rows but the first `length`; ValueError for more than there are."""
        if not 0 <= length <= len(self._rows):
            raise ValueError(f"cannot rewind {len(self._rows)} rows to {length}")
        if length < len(self._rows):
            self.onsets, self.keys, self.runs = self._before[length]
            for all_of in (self._rows, self._codes, self._before):
                del all_of[length:]
            self._exact.rewind(length)
            self._shaped.rewind(length)

    def say_onset(self, onset: int, time: int) -> Ints:
        """The key that each look suggests for a note at this onset and time."""
        rows, last = self._rows, self._rows[-1]
        lowest = last[KEY] if time == last[TIME] else -1
        keys = []
        for back in _BACKS[last[METRE]]:
            place = (time - back) * SPAN
            found = bisect_right(self._codes, place + lowest) if back else len(rows)
            there = found < len(rows) and self._codes[found] < place + KEYS
            keys.append(rows[found][KEY] if there else NO_KEY)
        for look in range(len(LAGS), LOOKS):
            keys.append(self.keys[look] if self.onsets[look] == onset else NO_KEY)
        return tuple(keys)

    def say_key(self, time: int, key: int, suggested: Ints) -> tuple[Ints, Ints]:
        """The length and the force that each look suggests for this note.

        `suggested` are the keys of `say_onset`.
        """
        rows, codes = self._rows, self._codes
        found = []
        for back in _BACKS[rows[-1][METRE]]:
            code = (time - back) * SPAN + key
            at = bisect_left(codes, code) if back else len(rows)
            found.append(rows[at] if at < len(rows) and codes[at] == code else None)
        for look, passages in enumerate((self._exact, self._shaped), len(LAGS)):
            found.append(rows[passages.at + 1] if suggested[look] == key else None)
        lengths = tuple(NO_LENGTH if row is None else row[LENGTH] for row in found)
        return lengths, tuple(NO_FORCE if row is None else row[FORCE] for row in found)

    def _lags(self, row: _Row) -> list[tuple[int, int, int]]:
        """What the looks so many bars back suggest after a row: onset, key, run."""
        rows, onset, key, time = self._rows, row[ONSET], row[KEY], row[TIME]
        said = []
        for look, back in enumerate(_BACKS[row[METRE]]):
            hit = self.onsets[look] == onset and self.keys[look] == key
            run = min(self.runs[look] + 1, LONGEST_RUN) if hit else 0
            if back and time - back >= rows[0][TIME]:
                there = rows[bisect_right(self._codes, (time - back) * SPAN + key)]
                said.append((*_seen_from(row, there, there[TIME] + back, 0), run))
            else:
                said.append((NO_ONSET, NO_KEY, run))
        return said

    def _matches(self, row: _Row) -> list[tuple[int, int, int]]:
        """What the same passages suggest after a row: onset, key, run."""
        said = []
        for passages in (self._exact, self._shaped):
            if passages.at < 0:
                said.append((NO_ONSET, NO_KEY, 0))
                continue
            same, there = self._rows[passages.at], self._rows[passages.at + 1]
            time = row[TIME] + there[TIME] - same[TIME]
            shift = row[KEY] - same[KEY] if passages is self._shaped else 0
            said.append((*_seen_from(row, there, time, shift), passages.run))
        return said


class _Passages:
    """Where the last rows stood before, told by one number a row."""

    def __init__(self, least: int) -> None:
        self.at = -1  # an earlier row that is like the last one, or -1
        self.run = 0  # rows up to it that are like the last ones
        self._least = least
        self._tokens: list[int] = []
        self._places: dict[Ints, int] = {}
        self._before: list[tuple[int, int, Ints, int]] = []

    def hear(self, token: int) -> None:
        """Take the next row."""
        tokens, number = self._tokens, len(self._tokens)
        tokens.append(token)
        passage = tuple(tokens[-self._least :])
        place = self._places.get(passage, -1)
        self._before.append((self.at, self.run, passage, place))
        self._places[passage] = number
        if self.at >= 0 and tokens[self.at + 1] == token:
            self.at, self.run = self.at + 1, min(self.run + 1, LONGEST_RUN)
            return
        self.at, self.run = place, 0
        while self.run < min(place + 1, LONGEST_RUN) and (
            tokens[place - self.run] == tokens[number - self.run]
        ):
            self.run += 1

    def rewind(self, length: int) -> None:
        """Forget all rows but the first `length`."""
        for at, run, passage, place in reversed(self._before[length:]):
            self.at, self.run = at, run
            if place < 0:
                del self._places[passage]
            else:
                self._places[passage] = place
        del self._tokens[length:], self._before[length:]


def suggestions(rows: Sequence[_Row]) -> list[list[int]]:
    """Of each row, the columns from SUGGESTED_ONSET on; the first row is START."""
    past = Lookback()
    columns = []
    for row in rows:
        of_it = _NOTHING_SAID
        if past and row[KEY] < KEYS:
            keys = past.say_onset(row[ONSET], row[TIME])
            of_it = (keys, *past.say_key(row[TIME], row[KEY], keys))
        past.hear(row)
        columns.append([*chain(past.suggested, *of_it)])
    return columns


def _seen_from(row: _Row, there: _Row, time: int, shift: int) -> tuple[int, int]:
    """Onset and key of what stands `there`, as if it came at `time` behind a row."""
    if there[KEY] >= KEYS:
        return there[ONSET], NO_KEY
    here = BAR_LENGTHS[row[METRE]]
    step = time - row[TIME] + row[POSITION]
    key = there[KEY] + shift
    if step >= here + BAR_LENGTHS[row[AHEAD]] or not 0 <= key < KEYS:
        return NO_ONSET, NO_KEY
    return (step if step < here else POSITIONS + step - here), key
