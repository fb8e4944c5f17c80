"""A backend without a network, and a tiny network, for the tests of the mind."""

import zlib
from collections.abc import Sequence

import numpy as np
import pytest

from engine.cache import Logits
from models.vocabulary import Vocabulary, standard_vocabulary


class HashBackend:
    """A "network" whose logits are a pure function of all tokens before, exact to the bit.

    So a law about caches can be tested as an equality, without a tolerance for rounding.
    """

    def __init__(self, *, capacity: int = 256, size: int | None = None) -> None:
        self.capacity = capacity
        self.held: list[int] = []
        self.fed = 0  # tokens taken in all its life
        self._size = size or len(standard_vocabulary())

    @property
    def length(self) -> int:
        return len(self.held)

    def append(self, tokens: Sequence[int]) -> Logits:
        if not tokens or len(self.held) + len(tokens) > self.capacity:
            raise ValueError("nothing to take, or the cache is full")
        self.held += tokens
        self.fed += len(tokens)
        seed = zlib.crc32(np.array(self.held, dtype=np.int32).tobytes())
        return np.random.default_rng(seed).normal(scale=2.0, size=self._size).astype(np.float32)

    def next(self, token: int) -> Logits:
        return self.append([token])

    def rewind(self, length: int) -> None:
        if not 0 <= length <= len(self.held):
            raise ValueError("cannot rewind forward")
        del self.held[length:]


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return standard_vocabulary()


@pytest.fixture(scope="session")
def hash_backend() -> type[HashBackend]:
    return HashBackend
