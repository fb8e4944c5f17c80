"""Messages that are due, and the ledger of what sounds. Pure: time is an argument.

The ledger knows what was really sent. Whatever happens, `release_all` gives a note-off for each
note-on that has had none, so no way out leaves a note hanging.
"""

import heapq
from dataclasses import dataclass, field

NOTE_OFF, NOTE_ON = 0x80, 0x90


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """One message and the time at which it is to be sent."""

    due_ns: int
    is_on: bool  # at one time, releases come before attacks
    order: int
    message: bytes = field(compare=False)


class Schedule:
    """A heap of due messages, and the notes that sound."""

    def __init__(self) -> None:
        self._heap: list[Due] = []
        self._count = 0
        self._sounding: set[tuple[int, int]] = set()  # (channel, pitch)

    @property
    def sounding(self) -> frozenset[tuple[int, int]]:
        """(channel, pitch) of each note-on sent that awaits its note-off."""
        return frozenset(self._sounding)

    @property
    def next_due_ns(self) -> int | None:
        """When the next message is due, or None."""
        return self._heap[0].due_ns if self._heap else None

    def push(self, due_ns: int, message: bytes) -> None:
        """Plan `message` for `due_ns`."""
        self._count += 1
        heapq.heappush(self._heap, Due(due_ns, is_on(message), self._count, message))

    def pop_due(self, now_ns: int) -> list[Due]:
        """Take out what is due by `now_ns`, in order; the caller sends it at once.

        A second note-on of a sounding pitch is preceded by the note-off of the first.
        """
        popped: list[Due] = []
        while self._heap and self._heap[0].due_ns <= now_ns:
            due = heapq.heappop(self._heap)
            key = (due.message[0] & 0x0F, due.message[1])
            if due.is_on:
                if key in self._sounding:
                    popped.append(Due(due.due_ns, False, due.order, _off(key)))
                self._sounding.add(key)
            elif due.message[0] & 0xF0 in (NOTE_OFF, NOTE_ON):
                self._sounding.discard(key)
            popped.append(due)
        return popped

    def release_all(self, now_ns: int) -> list[Due]:
        """Forget what was planned, and give the note-off of everything that sounds."""
        self._heap.clear()
        offs = [Due(now_ns, False, 0, _off(key)) for key in sorted(self._sounding)]
        self._sounding.clear()
        return offs


def is_on(message: bytes) -> bool:
    """Whether a message strikes a note; a note-on without velocity releases one."""
    return len(message) == 3 and message[0] & 0xF0 == NOTE_ON and message[2] > 0


def _off(key: tuple[int, int]) -> bytes:
    channel, pitch = key
    return bytes((NOTE_OFF | channel, pitch, 0))
