"""The cache follows the music: what a backend is, and how a prompt is fed to it.

Knows token numbers and their order; knows no music, no network and no sampling. `Backend` is what
every engine offers (torch now, others later). `TokenCache` remembers which tokens a backend holds,
keeps the longest common prefix of what it holds and what it should hold, and feeds the rest in
chunks, so that whoever drives it can look up between two of them.
"""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Logits: TypeAlias = NDArray[np.float32]  # (V,), one for each token of the vocabulary

#: Tokens fed in one go: long enough to be cheap for each token, short enough to be interrupted.
CHUNK_TOKENS = 64


class Backend(Protocol):
    """A network with its cache: tokens in, logits of the next token out.

    The logits are the backend's own array, which its next call may write again.
    """

    @property
    def capacity(self) -> int:
        """Tokens that the cache holds at most."""

    @property
    def length(self) -> int:
        """Tokens that the cache holds now."""

    def append(self, tokens: Sequence[int]) -> Logits:
        """Take one or more tokens; logits after the last. ValueError beyond the capacity."""

    def next(self, token: int) -> Logits:
        """Take one token: what `append` does, by the shortest way."""

    def rewind(self, length: int) -> None:
        """Forget all tokens but the first `length`; ValueError for more than there are."""


class TokenCache:
    """A backend, the tokens that it holds, and those it still has to take."""

    def __init__(self, backend: Backend, *, chunk: int = CHUNK_TOKENS) -> None:
        self._backend = backend
        self._chunk = chunk
        self._held: list[int] = []
        self._todo: list[int] = []

    @property
    def capacity(self) -> int:
        """Tokens that the backend holds at most."""
        return self._backend.capacity

    @property
    def length(self) -> int:
        """Tokens held, and those to be fed."""
        return len(self._held) + len(self._todo)

    @property
    def fed(self) -> bool:
        """Whether nothing is left to feed."""
        return not self._todo

    def aim(self, tokens: list[int], *, for_logits: bool = True) -> int:
        """Set what the cache should hold; return how many of these tokens it holds already.

        Without `for_logits`, a cache that begins with all of `tokens` is left as it is, with what
        it holds behind them: Segue's own notes come back one by one, and are still there then.
        With it, the last token is fed again if need be, since its logits are wanted.
        """
        shared = common_prefix(self._held, tokens)
        keep = min(shared, len(tokens) - 1) if for_logits else shared
        self._todo = tokens[keep:]
        if self._todo:
            self._backend.rewind(keep)
            del self._held[keep:]
        return shared

    def extend(self, token: int) -> None:
        """Let the cache hold this token, too."""
        self._todo.append(token)

    def feed(self) -> Logits | None:
        """Feed one chunk; the logits after the last token when all is fed, None before."""
        chunk, self._todo = self._todo[: self._chunk], self._todo[self._chunk :]
        if not chunk:
            return None
        backend = self._backend
        logits = backend.next(chunk[0]) if len(chunk) == 1 else backend.append(chunk)
        self._held += chunk
        return None if self._todo else logits


def common_prefix(first: list[int], second: list[int]) -> int:
    """How many tokens two sequences begin with in common."""
    shortest = min(len(first), len(second))
    if first[:shortest] == second[:shortest]:
        return shortest
    return next(i for i in range(shortest) if first[i] != second[i])
