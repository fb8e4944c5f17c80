"""The reference backend of the nested architecture: the PyTorch network with its cache.

Knows tensors and rows of numbers; knows no music and no sampling.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.cache import Logits
from engine.rows import Row
from models.nested.network import (
    FORCE_STAGE,
    KEY_STAGE,
    LENGTH_STAGE,
    ONSET_STAGE,
    NestedNetwork,
)


class TorchNoteBackend:
    """A network, the keys and values of the rows that it has taken, and its chain."""

    def __init__(self, network: NestedNetwork) -> None:
        self.capacity = network.config.context
        self.length = 0
        self._network = network
        self._keys, self._values = network.empty_cache()
        self._stream = torch.zeros(network.config.width)  # of the chain

    def append(self, rows: Sequence[Row]) -> Logits:
        """Take one or more rows; logits of the next onset. ValueError beyond the capacity."""
        with torch.inference_mode():
            columns = torch.tensor([rows])
            known = self._network(
                columns,
                columns[..., -1],
                keys=self._keys,
                values=self._values,
                start=self.length,
            )
            self.length += len(rows)
            return self._stage(ONSET_STAGE, known[0, -1])

    def next(self, row: Row) -> Logits:
        """Take one row."""
        return self.append((row,))

    def rewind(self, length: int) -> None:
        """Forget all rows but the first `length`; ValueError for more than there are."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot rewind {self.length} rows to {length}")
        self.length = length

    def say_where(self, row: Row) -> Logits:
        """Where the next note falls; logits of its key."""
        with torch.inference_mode():
            column = torch.tensor(row)
            said = self._network.say_onset(self._stream, column, column[-1])
            return self._stage(KEY_STAGE, said)

    def say_key(self, key: int) -> Logits:
        """Logits of the note's length."""
        with torch.inference_mode():
            said = self._stream + self._network.said_keys.weight[key]
            return self._stage(LENGTH_STAGE, said)

    def say_length(self, length: int) -> Logits:
        """Logits of the note's force."""
        with torch.inference_mode():
            said = self._stream + self._network.said_lengths.weight[length]
            return self._stage(FORCE_STAGE, said)

    def _stage(self, number: int, stream: Tensor) -> Logits:
        self._stream = self._network.stage(number, stream)
        logits: Logits = self._network.logits(number, self._stream).numpy()
        return logits
