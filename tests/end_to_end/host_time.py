"""Whether the host itself kept time: asked before Segue is blamed for a note beside the beat.

JACK's dummy driver loses periods on a machine of which others take their share: its frames stand
still, and with them the music of a host that counts by them. No follower can know of that until it
is over. So a performance in which it happened is played again, and a test of time is skipped, with
the figure, if it happened each time.

It is measured beside Segue, on the frames of JACK and the clock on the wall. Knows no ports, and
nothing of Segue.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Protocol, TypeVar

import pytest

#: (t_ns, what the host's own time was then, in ns)
Samples = Sequence[tuple[int, int]]

#: Standstills are summed up over so long: several that follow each other are as bad as one.
TOGETHER_NS = 100_000_000
#: Of a standstill as long as a tick of MIDI clock nobody could say that it was none: 10 ms are half
#: a tick at 120 bpm.
STEADY_MS = 10.0
#: Where all count by the clock on the wall, what JACK carries is only heard later.
LATE_MS = 50.0
TRIES = 3


class HasStoodStill(Protocol):
    """A performance, and how steady its host was."""

    @property
    def stood_still_ms(self) -> float:
        """How long the host stood still in it, at the worst."""


Performed = TypeVar("Performed", bound=HasStoodStill)


def stood_still_ms(samples: Samples, begin_ns: int, end_ns: int) -> float:
    """For how long the host stood still between two times, at the worst within a tenth of a second.

    Who notes the samples may be late, and then the host seems to have stood still, and to catch up.
    A host cannot catch up: what it has lost is the least that it is behind from then on.
    """
    times = [t_ns for t_ns, _ in samples]
    behind = [t_ns - host_ns for t_ns, host_ns in samples]
    lost = list(accumulate(reversed(behind), min))[::-1]
    worst_ns = 0
    for number, t_ns in enumerate(times):
        if begin_ns <= t_ns <= end_ns:
            before = max(0, bisect_left(times, max(begin_ns, t_ns - TOGETHER_NS)) - 1)
            worst_ns = max(worst_ns, lost[number] - lost[before])
    return worst_ns / 1e6


def play_until_steady(play: Callable[[], Performed], *, limit_ms: float = STEADY_MS) -> Performed:
    """Play, and play again while the host did not keep time; the last performance."""
    for _ in range(TRIES):
        performance = play()
        if performance.stood_still_ms < limit_ms:
            break
    return performance


def in_time(performance: Performed, *, limit_ms: float = STEADY_MS) -> Performed:
    """The same, where it says something about time; else the test is skipped."""
    stood_ms = performance.stood_still_ms
    if stood_ms >= limit_ms:
        pytest.skip(f"the machine is too busy: the host stood still for {stood_ms:.0f} ms")
    return performance
