"""Segue's own voice: strikes notes and releases them. Pure; knows beats, a transport and a channel.

A pitch sounds once: striking it again releases it first, at that beat. What a note was drafted as
and what it is played as may differ, by the player's feel; the mind remembers its own draft.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from daemon.clock.transport import Transport
from daemon.interface.events import Effect, NoteEnded, NoteStarted, Send
from daemon.interface.messages import NOTE_OFF, NOTE_ON
from daemon.listening.memory import Memory
from daemon.listening.timeline import SHORTEST_BEATS
from engine.protocol import Note

#: However the tempo moves between a note and its release, it sounds for as long as this.
SHORTEST_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Struck:
    """A note of ours that sounds, under its number in the prompt."""

    number: int
    drafted: Note
    note: Note  # as it is played
    due_ns: int  # when its note-on was sent, or is going to be


class Voice:
    """What sounds, by pitch; whatever changes is an effect, and is remembered."""

    def __init__(self, channel: int, memory: Memory, emit: Callable[[Effect], None]) -> None:
        self._channel = channel
        self._memory = memory
        self._emit = emit
        self._sounding: dict[int, Struck] = {}

    @property
    def next_release_beat(self) -> float | None:
        """When the next of our notes ends, or None."""
        return min((struck.note.end for struck in self._sounding.values()), default=None)

    def strike(self, number: int, drafted: Note, note: Note, transport: Transport) -> None:
        """Play `note`, drafted as `drafted`; leave it out if its pitch was struck just now."""
        due_ns = transport.ns_at(note.onset)
        before = self._sounding.get(note.pitch)
        if before is not None:
            if note.onset < before.note.onset + SHORTEST_BEATS:
                self._memory.drop(number)
                return
            del self._sounding[note.pitch]
            due_ns = max(due_ns, self._release(_shortened(before, note.onset), transport))
        note = replace(note, duration=max(note.duration, SHORTEST_BEATS))
        self._sounding[note.pitch] = Struck(number, drafted, note, due_ns)
        self._emit(Send(due_ns, bytes((NOTE_ON | self._channel, note.pitch, note.velocity))))
        self._emit(NoteStarted("segue", note.onset, note.pitch, note.velocity))
        self._memory.put(number, drafted)

    def release_until(self, beat: float, transport: Transport) -> None:
        """Release the notes that end before `beat`, earliest end first."""
        ended = [struck for struck in self._sounding.values() if struck.note.end < beat]
        for struck in sorted(ended, key=lambda struck: (struck.note.end, struck.note.pitch)):
            del self._sounding[struck.note.pitch]
            self._release(struck, transport)

    def end_by(self, beat: float) -> None:
        """Nothing that sounds now is to ring on beyond `beat`."""
        for pitch, struck in self._sounding.items():
            if struck.note.onset < beat:
                self._sounding[pitch] = _shortened(struck, beat)

    def cut(self, beat: float) -> None:
        """Everything ends at `beat`, and somebody else releases it.

        A note that was committed and had not begun by then is told as one without duration.
        """
        for sounding in self._sounding.values():
            struck = _shortened(sounding, beat)
            if struck.note.duration > 0:
                self._ended(struck)
            else:
                self._emit(NoteEnded("segue", replace(struck.note, duration=0.0)))
                self._memory.drop(struck.number)
        self._sounding = {}

    def _release(self, struck: Struck, transport: Transport) -> int:
        """Send a note-off; return when it is due."""
        due_ns = max(transport.ns_at(struck.note.end), struck.due_ns + SHORTEST_NS)
        self._emit(Send(due_ns, bytes((NOTE_OFF | self._channel, struck.note.pitch, 0))))
        self._ended(struck)
        return due_ns

    def _ended(self, struck: Struck) -> None:
        self._emit(NoteEnded("segue", struck.note))
        self._memory.put(struck.number, struck.drafted)


def _shortened(struck: Struck, beat: float) -> Struck:
    """`struck` as it is when it ends by `beat`."""
    if struck.note.end <= beat:
        return struck
    duration = beat - struck.note.onset
    drafted = replace(struck.drafted, duration=max(duration, SHORTEST_BEATS))
    return replace(struck, note=replace(struck.note, duration=duration), drafted=drafted)
