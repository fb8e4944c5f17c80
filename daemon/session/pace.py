"""How fast the mind is, as seen from here: from a request to its first note. Pure.

The first note of an answer has to be there before its line, so what can still be met depends on
how long the mind takes; and that is measured, not assumed. A line is promised only if it lies well
beyond what nineteen answers in twenty have taken (StreamMUSE looks ahead by the same percentile).
"""

from collections import deque

#: So many answers are remembered; and with fewer than a few nothing is said.
KEPT, FEWEST = 40, 8
#: What is promised lies beyond the 95th percentile by half of it again, within these bounds.
MARGIN = 1.5
SHORTEST_NS, LONGEST_NS = 40_000_000, 1_500_000_000


class Pace:
    """Times of the last answers."""

    def __init__(self) -> None:
        self._asked: tuple[int, int] | None = None  # epoch, t_ns
        self._took_ns: deque[int] = deque(maxlen=KEPT)

    def asked(self, epoch: int, t_ns: int) -> None:
        """An answer was asked for; what an older request would have taken is no longer known."""
        self._asked = (epoch, t_ns)

    def answered(self, epoch: int, t_ns: int) -> None:
        """A note of `epoch` came; only the first one counts."""
        if self._asked is not None and self._asked[0] == epoch:
            self._took_ns.append(t_ns - self._asked[1])
            self._asked = None

    def reaction_ns(self, unknown_ns: int) -> int:
        """How long before its line an answer has to be asked for; `unknown_ns` until measured."""
        if len(self._took_ns) < FEWEST:
            return unknown_ns
        p95_ns = sorted(self._took_ns)[round(0.95 * (len(self._took_ns) - 1))]
        return min(max(round(MARGIN * p95_ns), SHORTEST_NS), LONGEST_NS)
