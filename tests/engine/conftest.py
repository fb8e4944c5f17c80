"""Backends without a network, for the tests of the mind."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from engine.cache import Logits
from engine.protocol import Meter, Note
from engine.rows import Row, Rows
from engine.tokens import Tokenizer, tokenize
from models.nested.events import FORCES, KEYS, LENGTHS, ONSETS
from models.vocabulary import Vocabulary, standard_vocabulary


class HashBackend:
    """A "network" whose logits are a pure function of all tokens before, exact to the bit.

    So a law about caches can be tested as an equality, without a tolerance for rounding.
    """

    small, too_small = 128, 64  # capacities

    def __init__(self, *, capacity: int = 256, size: int | None = None) -> None:
        self.capacity = capacity
        self.held: list[Any] = []
        self.fed = 0  # steps taken in all its life
        self._size = size or len(standard_vocabulary())

    @property
    def length(self) -> int:
        return len(self.held)

    def append(self, steps: Sequence[Any]) -> Logits:
        if not steps or len(self.held) + len(steps) > self.capacity:
            raise ValueError("nothing to take, or the cache is full")
        self.held += steps
        self.fed += len(steps)
        return drawn(self.held, self._size)

    def next(self, step: Any) -> Logits:
        return self.append([step])

    @staticmethod
    def spelled(notes: Sequence[Note], meters: Sequence[Meter], first_bar: int) -> list[Any]:
        """What should be held of these notes, but for what opens the music."""
        return tokenize(notes, meters, standard_vocabulary(), first_bar=first_bar)

    def rewind(self, length: int) -> None:
        if not 0 <= length <= len(self.held):
            raise ValueError("cannot rewind forward")
        del self.held[length:]


class HashNoteBackend(HashBackend):
    """The same for rows, with a chain."""

    small, too_small = 40, 31

    def __init__(self, *, capacity: int = 256) -> None:
        super().__init__(capacity=capacity, size=ONSETS)
        self._said: list[int] = []

    def append(self, steps: Sequence[Any]) -> Logits:
        self._said = []
        soon = -np.arange(ONSETS, dtype=np.float32) / 40  # or an answer would be a note a bar
        return super().append(steps) + soon

    def say_where(self, row: Row) -> Logits:
        return self._say((row.onset, *row[4:]), KEYS)

    def say_key(self, key: int) -> Logits:
        return self._say((key,), LENGTHS)

    def say_length(self, length: int) -> Logits:
        return self._say((length,), FORCES)

    @staticmethod
    def spelled(notes: Sequence[Note], meters: Sequence[Meter], first_bar: int) -> list[Any]:
        tokenizer = Tokenizer(standard_vocabulary(), meters)
        rows = Rows(tokenizer, first_bar=first_bar)
        rows.spell(sorted(placed for note in notes if (placed := tokenizer.place(note))))
        return rows.rows[1:]

    def _say(self, what: tuple[int, ...], size: int) -> Logits:
        self._said += what
        return drawn([*(number for row in self.held for number in row), *self._said], size)


def drawn(numbers: Sequence[Any], size: int) -> Logits:
    """Logits that say nothing but which numbers these are."""
    seed = zlib.crc32(np.array(numbers, dtype=np.int32).tobytes())
    return np.random.default_rng(seed).normal(scale=2.0, size=size).astype(np.float32)


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return standard_vocabulary()


@pytest.fixture(scope="session")
def hash_backend() -> type[HashBackend]:
    return HashBackend


@pytest.fixture(scope="session")
def hash_note_backend() -> type[HashNoteBackend]:
    return HashNoteBackend


@pytest.fixture(scope="session", params=[HashBackend, HashNoteBackend], ids=["tokens", "notes"])
def any_hash_backend(request: pytest.FixtureRequest) -> type[HashBackend]:
    """Each kind of network."""
    kind: type[HashBackend] = request.param
    return kind
