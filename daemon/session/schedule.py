"""Messages that are due, and the ledger of what sounds. Pure: time is an argument.

The ledger knows what was really sent. Whatever happens, `release_all` gives a note-off for each
note-on that has had none, and `stop_clock` a Stop for a clock that runs, so no way out leaves a
note hanging, or a machine that follows Segue's clock playing on by itself.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from daemon.interface.messages import (
    CLOCK_STATUSES,
    CONTINUE,
    NOTE_OFF,
    NOTE_ON,
    START,
    STOP,
    is_on,
)

#: At one time the clock comes first, for the sake of its evenness, and releases before attacks.
CLOCK, RELEASE, ATTACK = range(3)


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """One message and the time at which it is to be sent."""

    due_ns: int
    rank: int
    order: int
    message: bytes = field(compare=False)


class Schedule:
    """A heap of due messages, the notes that sound, and whether our clock runs."""

    def __init__(self) -> None:
        self._heap: list[Due] = []
        self._count = 0
        self._sounding: set[tuple[int, int]] = set()  # (channel, pitch)
        self._clock_runs = False

    @property
    def sounding(self) -> frozenset[tuple[int, int]]:
        """(channel, pitch) of each note-on sent that awaits its note-off."""
        return frozenset(self._sounding)

    @property
    def next_due_ns(self) -> int | None:
        """When the next message is due, or None."""
        return self._heap[0].due_ns if self._heap else None

    def push(self, due_ns: int, message: bytes) -> None:
        """Plan `message` for `due_ns`. A Stop takes back what the clock had planned for later."""
        if message[0] == STOP:
            self._forget(lambda due: due.rank == CLOCK and due.due_ns > due_ns)
        self._count += 1
        heapq.heappush(self._heap, Due(due_ns, _rank(message), self._count, message))

    def pop_due(self, now_ns: int) -> list[Due]:
        """Take out what is due by `now_ns`, in order; the caller sends it at once.

        A second note-on of a sounding pitch is preceded by the note-off of the first.
        """
        popped: list[Due] = []
        while self._heap and self._heap[0].due_ns <= now_ns:
            due = heapq.heappop(self._heap)
            if due.rank == CLOCK:
                self._enter_clock(due.message[0])
            elif due.message[0] & 0xF0 in (NOTE_OFF, NOTE_ON):
                popped += self._enter_note(due)
            popped.append(due)
        return popped

    def release_all(self, now_ns: int) -> list[Due]:
        """Forget what was planned, and give the note-off of everything that sounds.

        The clock goes on: a stop is a message of its own.
        """
        self._forget(lambda due: due.rank != CLOCK)
        offs = [Due(now_ns, RELEASE, 0, _off(key)) for key in sorted(self._sounding)]
        self._sounding.clear()
        return offs

    def stop_clock(self, now_ns: int) -> list[Due]:
        """Forget what the clock had planned, and give the Stop of a clock that runs."""
        self._forget(lambda due: due.rank == CLOCK)
        stops = [Due(now_ns, CLOCK, 0, bytes((STOP,)))] if self._clock_runs else []
        self._clock_runs = False
        return stops

    def _enter_clock(self, status: int) -> None:
        if status in (START, CONTINUE):
            self._clock_runs = True
        elif status == STOP:
            self._clock_runs = False

    def _enter_note(self, due: Due) -> list[Due]:
        """Enter it in the ledger; return what has to be sent before it."""
        key = (due.message[0] & 0x0F, due.message[1])
        before: list[Due] = []
        if due.rank == ATTACK:
            if key in self._sounding:
                before.append(Due(due.due_ns, RELEASE, due.order, _off(key)))
            self._sounding.add(key)
        else:
            self._sounding.discard(key)
        return before

    def _forget(self, planned: Callable[[Due], bool]) -> None:
        self._heap = [due for due in self._heap if not planned(due)]
        heapq.heapify(self._heap)


def _rank(message: bytes) -> int:
    if message[0] in CLOCK_STATUSES:
        return CLOCK
    return ATTACK if is_on(message) else RELEASE


def _off(key: tuple[int, int]) -> bytes:
    channel, pitch = key
    return bytes((NOTE_OFF | channel, pitch, 0))
