"""The cache follows the music: what a backend is, and how a prompt is fed to it.

Knows steps and their order: token numbers, or the rows of a network that takes a note at a time
(engine/rows.py). Knows no music, no network and no sampling. `Backend` is what every engine offers
that plays tokens. `TokenCache` remembers which steps a backend holds, keeps the longest common
prefix of what it holds and what it should hold, and feeds the rest in chunks, so that whoever
drives it can look up between two of them.
"""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Logits: TypeAlias = NDArray[np.float32]  # (V,), one for each token of the vocabulary

Step = TypeVar("Step")
Step_contra = TypeVar("Step_contra", contravariant=True)

#: Tokens fed in one go: long enough to be cheap for each token, short enough to be interrupted.
CHUNK_TOKENS = 64


class Fed(Protocol[Step_contra]):
    """A network with its cache: steps in, logits of what follows out.

    The logits are the backend's own array, which its next call may write again.
    """

    @property
    def capacity(self) -> int:
        """Steps that the cache holds at most."""

    @property
    def length(self) -> int:
        """Steps that the cache holds now."""

    def append(self, steps: Sequence[Step_contra], /) -> Logits:
        """Take one or more steps; logits after the last. ValueError beyond the capacity."""

    def next(self, step: Step_contra, /) -> Logits:
        """Take one step: what `append` does, by the shortest way."""

    def rewind(self, length: int) -> None:
        """Forget all steps but the first `length`; ValueError for more than there are."""


class Backend(Fed[int], Protocol):
    """A network of tokens: the logits are those of the next token."""


class TokenCache(Generic[Step]):
    """A backend, the steps that it holds, and those it still has to take."""

    def __init__(self, backend: Fed[Step], *, chunk: int = CHUNK_TOKENS) -> None:
        self.backend = backend
        self._chunk = chunk
        self._held: list[Step] = []
        self._todo: list[Step] = []

    @property
    def capacity(self) -> int:
        """Steps that the backend holds at most."""
        return self.backend.capacity

    @property
    def length(self) -> int:
        """Steps held, and those to be fed."""
        return len(self._held) + len(self._todo)

    @property
    def fed(self) -> bool:
        """Whether nothing is left to feed."""
        return not self._todo

    def aim(self, steps: list[Step], *, for_logits: bool = True) -> int:
        """Set what the cache should hold; return how many of these steps it holds already.

        Without `for_logits`, a cache that begins with all of `steps` is left as it is, with what
        it holds behind them: Segue's own notes come back one by one, and are still there then.
        With it, the last step is fed again if need be, since its logits are wanted.
        """
        shared = common_prefix(self._held, steps)
        keep = min(shared, len(steps) - 1) if for_logits else shared
        self._todo = steps[keep:]
        if self._todo:
            self.backend.rewind(keep)
            del self._held[keep:]
        return shared

    def extend(self, step: Step) -> None:
        """Let the cache hold this step, too."""
        self._todo.append(step)

    def feed(self) -> Logits | None:
        """Feed one chunk; the logits after the last step when all is fed, None before."""
        chunk, self._todo = self._todo[: self._chunk], self._todo[self._chunk :]
        if not chunk:
            return None
        backend = self.backend
        logits = backend.next(chunk[0]) if len(chunk) == 1 else backend.append(chunk)
        self._held += chunk
        return None if self._todo else logits


def common_prefix(first: list[Step], second: list[Step]) -> int:
    """How many steps two sequences begin with in common."""
    shortest = min(len(first), len(second))
    if first[:shortest] == second[:shortest]:
        return shortest
    return next(i for i in range(shortest) if first[i] != second[i])
