"""The kernel's backend of the nested architecture: a note at a time, int8, one thread.

Knows the compiled kernel, a nested network's shape and its tables; knows no music and no sampling.
What is said of the kernel in engine/native_backend.py holds here, too: all instruction sets give
the same logits, and so does a row alone or in a chunk, bit for bit.
"""

from collections.abc import Mapping
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.chain import Chain
from engine.native_backend import SHAPE, Kernel, layer_sizes, place_tables, taken
from engine.row_tables import ROW_ENTRIES, TABLES, all_tables, stage_sizes, time_rates
from models.nested.sizes import ONSET_STAGE, READ_OFF

#: Whole numbers as the kernel takes them, by how many there are.
PACK = [Struct(f"={count}i").pack for count in range(ROW_ENTRIES + 2)]


class NativeNoteBackend(Chain, Kernel):
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
        numbers += [ROW_ENTRIES, timed_heads, shape["chain"], len(READ_OFF), *READ_OFF]
        arrays = _arrays(shape, weights)
        Kernel.__init__(self, "segue_open_nested", shape, numbers, arrays, path=path)
        Chain.__init__(self)
        self._say = self._library.segue_say
        columns = ROW_ENTRIES + bool(timed_heads)
        self._rows = np.zeros((self.capacity, columns), dtype=np.int32)
        self._from = self._rows.ctypes.data
        self._columns = columns
        self._to = [scores.ctypes.data for scores in self._scores]

    def _listen(self, rows: list[tuple[int, ...]]) -> None:
        count, columns = len(rows), self._columns
        steps: bytes | int = self._from
        if count == 1:
            steps = PACK[columns](*rows[0][:columns])
        else:
            self._rows[:count] = [row[:columns] for row in rows]
        if self._append(self._decoder, steps, count, self.length, self._to[ONSET_STAGE]):
            raise ValueError("a row says what the network has no entry for")

    def _go_on(self, stage: int, entries: tuple[int, ...]) -> None:
        count = len(entries)
        if self._say(self._decoder, stage, PACK[count](*entries), count, self._to[stage]):
            raise ValueError("the chain was told what the network has no entry for")


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
