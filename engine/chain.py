"""What the backends of the nested architecture have in common that do without torch.

Knows rows, what the past suggests of them and the numbers that a network reads off; knows no
weights and no arithmetic of networks. A backend here takes rows as entries of its tables
(engine/row_tables.py), and each stage's scores come back with gates behind them, which are added
here to what the looks suggest.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from engine.cache import Logits
from engine.row_tables import (
    entries_of,
    entries_of_key,
    entries_of_length,
    entries_of_where,
)
from engine.rows import Row
from models.nested.events import BAR_LENGTHS, ONSETS, POSITIONS
from models.nested.lookback import LOOKS, NO_KEY, Ints, Lookback
from models.nested.sizes import (
    CHOICES,
    FORCE_STAGE,
    KEY_STAGE,
    LENGTH_STAGE,
    ONSET_STAGE,
    READ_OFF,
)

NOTHING: Ints = (NO_KEY,) * LOOKS


class Chain(ABC):
    """A `NoteBackend` but for the network: what is fed, what was said, and what they suggest."""

    capacity: int

    def __init__(self) -> None:
        self.length = 0
        self._past = Lookback()
        # Of the note that is being said: its time, and what is suggested of it.
        self._note_time, self._note_keys, self._note_forces = 0, NOTHING, NOTHING
        self._scores = [np.zeros(count, dtype=np.float32) for count in READ_OFF]
        # What backends hand out, of the same memory.
        self._logits: list[Logits] = [
            scores[:count] for scores, count in zip(self._scores, CHOICES, strict=True)
        ]

    @abstractmethod
    def _listen(self, rows: list[tuple[int, ...]]) -> None:
        """Take rows as entries, with the time behind them, and fill the onset's scores.

        ValueError, with nothing changed, for an entry that there is not.
        """

    @abstractmethod
    def _go_on(self, stage: int, entries: tuple[int, ...]) -> None:
        """Add entries to the stream, and fill the scores of the next stage."""

    def append(self, rows: Sequence[Row]) -> Logits:
        """Take one or more rows; logits of the next onset. ValueError beyond the capacity."""
        if not rows or self.length + len(rows) > self.capacity:
            raise ValueError(
                f"{len(rows)} rows cannot be added to {self.length}; "
                f"the cache holds {self.capacity}"
            )
        past = self._past
        fed = []
        for row in rows:
            past.hear(row)
            fed.append(entries_of(row, past.suggested))
        try:
            self._listen(fed)
        except ValueError:
            past.rewind(self.length)
            raise
        self.length += len(rows)
        self._add_distances(rows[-1])
        return self._with_gates(ONSET_STAGE, past.onsets)

    def next(self, row: Row) -> Logits:
        """Take one row."""
        return self.append((row,))

    def rewind(self, length: int) -> None:
        """Forget all rows but the first `length`; ValueError for more than there are."""
        self._past.rewind(length)
        self.length = length

    def say_where(self, row: Row) -> Logits:
        """Where the next note falls; logits of its key."""
        keys = self._past.say_onset(row.onset, row.time)
        self._note_time, self._note_keys = row.time, keys
        self._go_on(KEY_STAGE, entries_of_where(row, keys))
        return self._with_gates(KEY_STAGE, keys)

    def say_key(self, key: int) -> Logits:
        """Logits of the note's length."""
        lengths, self._note_forces = self._past.say_key(self._note_time, key, self._note_keys)
        self._go_on(LENGTH_STAGE, entries_of_key(key, lengths))
        return self._with_gates(LENGTH_STAGE, lengths)

    def say_length(self, length: int) -> Logits:
        """Logits of the note's force."""
        self._go_on(FORCE_STAGE, entries_of_length(length, self._note_forces))
        return self._with_gates(FORCE_STAGE, self._note_forces)

    def _with_gates(self, stage: int, suggested: Ints) -> Logits:
        logits, choices = self._logits[stage], CHOICES[stage]
        gates = self._scores[stage][choices : choices + LOOKS].tolist()
        for choice, gate in zip(suggested, gates, strict=True):
            if choice < choices:
                logits[choice] += gate
        return logits

    def _add_distances(self, row: Row) -> None:
        """To each onset of a note the score of how far it is from the last row."""
        logits, distances = self._logits[ONSET_STAGE], self._scores[ONSET_STAGE][ONSETS + LOOKS :]
        position, to_line = row.position, BAR_LENGTHS[row.metre] - row.position
        logits[position:POSITIONS] += distances[: POSITIONS - position]
        logits[POSITIONS : 2 * POSITIONS] += distances[to_line : to_line + POSITIONS]
