"""The draw of engine/sampling.py in the kernel: a third of the time that numpy takes for it.

Knows the compiled kernel and arrays of logits, whichever backend they are of; knows no music.
"""

from collections.abc import Sequence
from struct import Struct

from engine import sampling
from engine.cache import Logits
from engine.native_library import library
from engine.sampling import Draw

#: Kinds of tokens that may follow one another; three so far.
MOST_SPANS = 8


class NativeDraw:
    """A `Draw` in C."""

    def __init__(self) -> None:
        self._call = library().segue_choose
        self._logits: Logits | None = None  # seen last: backends write into the same array
        self._at = 0
        # As `Choice` in engine/kernel/choose.c; the spans follow.
        self._pack = [Struct(f"=3d3i{2 * count}i").pack for count in range(MOST_SPANS + 1)]

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
        count = len(allowed)
        choice = self._pack[count](temperature, top_p, number, top_k, again, count, *bounds)
        token: int = self._call(self._at, choice)
        return token


def best_draw() -> Draw:
    """The one in C where it was built, else the one in numpy; both choose the same tokens."""
    try:
        return NativeDraw()
    except ImportError:
        return sampling.draw
