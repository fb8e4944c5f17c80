"""The reference backend of the nested architecture: the PyTorch network with its cache.

Knows tensors and rows of numbers; knows no music and no sampling.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.cache import Logits
from engine.rows import Row
from models.nested.events import COLUMNS, KEY, LENGTH, TIME
from models.nested.lookback import (
    ALL_COLUMNS,
    SAID_FORCE,
    SAID_KEY,
    SAID_LENGTH,
    Lookback,
)
from models.nested.network import NestedNetwork, looks
from models.nested.sizes import FORCE_STAGE, KEY_STAGE, LENGTH_STAGE, ONSET_STAGE

DELTA = COLUMNS  # of a `Row`, behind the columns of an event


class TorchNoteBackend:
    """A network, the keys and values of the rows that it has taken, and its chain."""

    def __init__(self, network: NestedNetwork) -> None:
        self.capacity = network.config.context
        self.length = 0
        self._network = network
        self._keys, self._values = network.empty_cache()
        self._past = Lookback()
        self._stream = torch.zeros(network.config.width)  # of the chain
        self._next = torch.zeros(ALL_COLUMNS, dtype=torch.int64)  # the row that it says

    def append(self, rows: Sequence[Row]) -> Logits:
        """Take one or more rows; logits of the next onset. ValueError beyond the capacity."""
        with torch.inference_mode():
            columns = torch.zeros(1, len(rows), ALL_COLUMNS, dtype=torch.int64)
            for number, row in enumerate(rows):
                self._past.hear(row)
                columns[0, number, :SAID_KEY] = torch.tensor([*row, *self._past.suggested])
            known = self._network(
                columns,
                columns[..., DELTA],
                keys=self._keys,
                values=self._values,
                start=self.length,
            )
            self.length += len(rows)
            self._stream = self._network.stage(ONSET_STAGE, known[0, -1])
            logits: Logits = self._network.onset_logits(self._stream, columns[0, -1]).numpy()
            return logits

    def next(self, row: Row) -> Logits:
        """Take one row."""
        return self.append((row,))

    def rewind(self, length: int) -> None:
        """Forget all rows but the first `length`; ValueError for more than there are."""
        self._past.rewind(length)
        self.length = length

    def say_where(self, row: Row) -> Logits:
        """Where the next note falls; logits of its key."""
        self._tell(0, row)
        self._tell(SAID_KEY, self._past.say_onset(row.onset, row.time))
        with torch.inference_mode():
            said = self._network.say_onset(self._stream, self._next, self._next[DELTA])
        return self._stage(KEY_STAGE, said, SAID_KEY)

    def say_key(self, key: int) -> Logits:
        """Logits of the note's length."""
        self._tell(KEY, (key,))
        suggested = tuple(looks(self._next, SAID_KEY).tolist())
        lengths, forces = self._past.say_key(int(self._next[TIME]), key, suggested)
        self._tell(SAID_LENGTH, lengths)
        self._tell(SAID_FORCE, forces)
        with torch.inference_mode():
            said = self._network.say_key(self._stream, self._next)
        return self._stage(LENGTH_STAGE, said, SAID_LENGTH)

    def say_length(self, length: int) -> Logits:
        """Logits of the note's force."""
        self._tell(LENGTH, (length,))
        with torch.inference_mode():
            said = self._network.say_length(self._stream, self._next)
        return self._stage(FORCE_STAGE, said, SAID_FORCE)

    def _tell(self, first: int, numbers: Sequence[int]) -> None:
        self._next[first : first + len(numbers)] = torch.tensor(numbers)

    def _stage(self, number: int, stream: Tensor, suggested: int) -> Logits:
        with torch.inference_mode():
            self._stream = self._network.stage(number, stream)
            said = looks(self._next, suggested)
            logits: Logits = self._network.logits(number, self._stream, said).numpy()
        return logits
