"""The kernel's backend of the nested architecture: a note at a time, int8, one thread.

Knows the compiled kernel, a nested network's shape and its weights, and which entries of its tables
a row is the sum of; knows no music and no sampling. What is said of the kernel in
engine/native_backend.py holds here, too: all instruction sets give the same logits, and so does a
row alone or in a chunk, bit for bit.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.cache import Logits
from engine.native_backend import SHAPE, Kernel, layer_sizes, place_tables, taken
from engine.rows import CHOICES, Row
from models.nested.events import FORCES, KEYS, LENGTHS, METRES, ONSETS, POSITIONS
from models.vocabulary import STEPS_A_BEAT

# As in models/nested/network.py, which needs torch.
MAX_DELTA = 144
SHORTEST_PERIOD, LONGEST_PERIOD = 6.0, 12_288.0
NO_CLASS = 12  # pitch class of what has no pitch
#: What is added up, in this order: nine of the first to a row, the others to the chain.
TABLES = {
    "keys": KEYS + 3,
    "classes": NO_CLASS + 1,
    "lengths": LENGTHS + 1,
    "forces": FORCES + 1,
    "positions": POSITIONS,
    "phases": STEPS_A_BEAT,
    "metres": METRES + 1,
    "aheads": METRES,
    "deltas": MAX_DELTA + 1,
    "said_onsets": ONSETS + 1,
    "said_positions": POSITIONS,
    "said_phases": STEPS_A_BEAT,
    "said_metres": METRES + 1,
    "said_deltas": MAX_DELTA + 1,
    "said_keys": KEYS + 3,
    "said_lengths": LENGTHS + 1,
}
ROW_ENTRIES = 9
#: Where each table begins in all of them, one after the other.
FIRST = list(accumulate(TABLES.values(), initial=0))
KEY, CLASS, LENGTH, FORCE, POSITION, PHASE, METRE, AHEAD, DELTA = FIRST[:ROW_ENTRIES]
SAID_ONSET, SAID_POSITION, SAID_PHASE, SAID_METRE, SAID_DELTA, SAID_KEY, SAID_LENGTH = FIRST[
    ROW_ENTRIES:-1
]
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
        self._five, self._one = Struct("=5i").pack, Struct("=i").pack

    def append(self, rows: Sequence[Row]) -> Logits:
        """Take one or more rows; logits of the next onset. ValueError beyond the capacity."""
        count = len(rows)
        if not count or self.length + count > self.capacity:
            raise ValueError(
                f"{count} rows cannot be added to {self.length}; the cache holds {self.capacity}"
            )
        self._rows[:count] = [_entries(row)[: self._columns] for row in rows]
        if self._append(self._decoder, self._from, count, self.length, self._to[0]):
            raise ValueError("a row says what the network has no entry for")
        self.length += count
        return self._said[0]

    def next(self, row: Row) -> Logits:
        """Take one row."""
        return self.append((row,))

    def say_where(self, row: Row) -> Logits:
        """Where the next note falls; logits of its key."""
        said = self._five(
            SAID_ONSET + row.onset,
            SAID_POSITION + row.position,
            SAID_PHASE + row.position % STEPS_A_BEAT,
            SAID_METRE + row.metre,
            SAID_DELTA + min(row.delta, MAX_DELTA),
        )
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


def _entries(row: Row) -> tuple[int, ...]:
    """What a row is the sum of, and its time."""
    _, key, length, force, position, metre, ahead, time, delta = row
    return (
        KEY + key,
        CLASS + (key % 12 if key < KEYS else NO_CLASS),
        LENGTH + length,
        FORCE + force,
        POSITION + position,
        PHASE + position % STEPS_A_BEAT,
        METRE + metre,
        AHEAD + ahead,
        DELTA + min(delta, MAX_DELTA),
        time,
    )


def _arrays(
    shape: Mapping[str, int], weights: Mapping[str, NDArray[np.float32]]
) -> list[NDArray[Any]]:
    """All weights in the order in which the kernel takes them; ValueError if one is not there."""
    width, chain = shape["width"], shape["chain"]
    tables = taken(weights, {name: (size, width) for name, size in TABLES.items()})
    sizes: dict[str, tuple[int, ...]] = {}
    for number, choices in enumerate(CHOICES):
        sizes |= {
            f"stages.{number}.norm": (width,),
            f"stages.{number}.ffn.gate_up": (2 * chain, width),
            f"stages.{number}.ffn.down": (width, chain),
            f"stages.{number}.head_norm": (width,),
            f"stages.{number}.head": (choices, width),
        }
    return [
        np.concatenate(tables),
        *taken(weights, {"norm": (width,)}),
        *place_tables(shape),
        *([_rates(width // shape["heads"])] if shape["heads"] > 1 else []),
        *taken(weights, layer_sizes(shape) | sizes),
    ]


def _rates(head_dim: int) -> NDArray[np.float32]:
    """Radians a step, (head_dim / 2,), of the heads that turn with time."""
    spread = np.linspace(0, 1, head_dim // 2, dtype=np.float32)
    periods = np.float32(SHORTEST_PERIOD) * np.float32(LONGEST_PERIOD / SHORTEST_PERIOD) ** spread
    rates: NDArray[np.float32] = (2 * math.pi / periods).astype(np.float32)
    return rates
