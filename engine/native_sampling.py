"""The draw of engine/sampling.py in the kernel: what a token costs beside the network halves by it.

Knows the compiled kernel and arrays of logits, whichever backend they are of; knows no music.
"""

from collections.abc import Sequence
from struct import Struct

from engine import sampling
from engine.cache import Logits
from engine.native_library import library
from engine.sampling import Draw


class NativeDraw:
    """A `Draw` in C."""

    def __init__(self) -> None:
        self._call = library().segue_draw
        self._logits: Logits | None = None  # seen last: backends write into the same array
        self._at = 0
        self._pack = [Struct(f"={2 * count}i").pack for count in range(8)]

    def __call__(
        self,
        logits: Logits,
        allowed: Sequence[range],
        temperature: float,
        top_k: int,
        top_p: float,
        number: float,
        again: bool,
    ) -> int:
        """See `Draw`."""
        if logits is not self._logits:
            if logits.dtype != "float32" or not logits.flags.c_contiguous:
                raise ValueError("logits are float32, one after the other")
            self._logits, self._at = logits, logits.__array_interface__["data"][0]
        bounds = [bound for span in allowed for bound in (span.start, span.stop)]
        spans = self._pack[len(allowed)](*bounds)
        token: int = self._call(
            self._at, spans, len(allowed), temperature, top_k, top_p, number, again
        )
        return token


def best_draw() -> Draw:
    """The one in C where it was built, else the one in numpy; both choose the same tokens."""
    try:
        return NativeDraw()
    except ImportError:
        return sampling.draw
