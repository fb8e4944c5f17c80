"""The kernel's backend of the nested architecture: a note at a time, int8, one thread.

Knows the compiled kernel, a nested network's shape and its tables; knows no music and no sampling.
What is said of the kernel in engine/native_backend.py holds here, too: all instruction sets give
the same logits, and so does a row alone or in a chunk, bit for bit.
"""

from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.cache import Logits
from engine.native_backend import SHAPE, Kernel, layer_sizes, place_tables, taken
from engine.row_tables import (
    ROW_ENTRIES,
    SAID_KEY,
    SAID_LENGTH,
    TABLES,
    all_tables,
    entries_of,
    entries_of_where,
    stage_sizes,
    time_rates,
)
from engine.rows import CHOICES, Row

KEY_STAGE, LENGTH_STAGE, FORCE_STAGE = 1, 2, 3


class NativeNoteBackend(Kernel):
    """A nested network in the kernel, with its cache and its chain."""

    def __init__(
        self,
        shape: Mapping[str, int],
        weights: Mapping[str, NDArray[np.float32]],
        *,
        path: str | None = None,
    ) -> None:
        """As of `NativeBackend`."""
        if not isinstance(shape.get("chain"), int):
            raise ValueError("its description has no number of chain")
        timed_heads = shape["heads"] // 2
        numbers = [shape[name] for name in SHAPE]
        numbers[SHAPE.index("vocabulary")] = sum(TABLES.values())
        numbers += [ROW_ENTRIES, timed_heads, shape["chain"], len(CHOICES), *CHOICES]
        arrays = _arrays(shape, weights)
        super().__init__("segue_open_nested", shape, numbers, arrays, path=path)
        self._say = self._library.segue_say
        columns = ROW_ENTRIES + bool(timed_heads)
        self._rows = np.zeros((self.capacity, columns), dtype=np.int32)
        self._from = self._rows.ctypes.data
        self._columns = columns
        # Of each stage: an array of its own, and where it lies.
        self._said: list[Logits] = [np.zeros(count, dtype=np.float32) for count in CHOICES]
        self._to = [logits.ctypes.data for logits in self._said]
        self._row, self._five, self._one = (Struct(f"={n}i").pack for n in (columns, 5, 1))

    def append(self, rows: Sequence[Row]) -> Logits:
        """Take one or more rows; logits of the next onset. ValueError beyond the capacity."""
        count = len(rows)
        if not count or self.length + count > self.capacity:
            raise ValueError(
                f"{count} rows cannot be added to {self.length}; the cache holds {self.capacity}"
            )
        self._rows[:count] = [entries_of(row)[: self._columns] for row in rows]
        if self._append(self._decoder, self._from, count, self.length, self._to[0]):
            raise ValueError("a row says what the network has no entry for")
        self.length += count
        return self._said[0]

    def next(self, row: Row) -> Logits:
        """Take one row: what `append` does, by the shortest way."""
        step = self._row(*entries_of(row)[: self._columns])
        if self._append(self._decoder, step, 1, self.length, self._to[0]):
            raise ValueError(
                f"{row} cannot be added to {self.length} rows; the cache holds {self.capacity}"
            )
        self.length += 1
        return self._said[0]

    def say_where(self, row: Row) -> Logits:
        """Where the next note falls; logits of its key."""
        said = self._five(*entries_of_where(row))
        return self._go_on(KEY_STAGE, said, 5)

    def say_key(self, key: int) -> Logits:
        """Logits of the note's length."""
        return self._go_on(LENGTH_STAGE, self._one(SAID_KEY + key), 1)

    def say_length(self, length: int) -> Logits:
        """Logits of the note's force."""
        return self._go_on(FORCE_STAGE, self._one(SAID_LENGTH + length), 1)

    def _go_on(self, stage: int, said: bytes, count: int) -> Logits:
        if self._say(self._decoder, stage, said, count, self._to[stage]):
            raise ValueError("the chain was told what the network has no entry for")
        return self._said[stage]


def _arrays(
    shape: Mapping[str, int], weights: Mapping[str, NDArray[np.float32]]
) -> list[NDArray[Any]]:
    """All weights in the order in which the kernel takes them; ValueError if one is not there."""
    width = shape["width"]
    return [
        all_tables(weights, width),
        *taken(weights, {"norm": (width,)}),
        *place_tables(shape),
        *([time_rates(width // shape["heads"])] if shape["heads"] > 1 else []),
        *taken(weights, layer_sizes(shape) | stage_sizes(width, shape["chain"])),
    ]
