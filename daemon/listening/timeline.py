"""Turns raw messages into notes. Knows beats; no ports, clocks or models.

A note sounds from its key to its release, or to the release of the sustain pedal that holds it. A
repeated key closes the note before it. Channels are kept apart while notes sound and merged after.
"""

from dataclasses import dataclass

from daemon.interface.messages import CONTROL_CHANGE, MAX_DATA, NOTE_OFF, NOTE_ON, SUSTAIN
from engine.protocol import Note

RESET_CONTROLLERS = 121
#: All sound off, all notes off, and the four mode messages that imply it.
RELEASING = frozenset({120, 123, 124, 125, 126, 127})
PEDAL_DOWN = 64  # a controller value from here on is down
#: A key that was released on the beat it was struck still made a sound: a 128th of a beat.
SHORTEST_BEATS = 1 / 128


@dataclass(frozen=True, slots=True)
class Opened:
    """A key went down."""

    number: int
    onset: float
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class Closed:
    """A note ended, and is whole."""

    number: int
    note: Note


@dataclass(slots=True)
class _Sounding:
    opened: Opened
    released: bool = False  # the key is up, the pedal holds the note


class Timeline:
    """Feed it messages in time order; it numbers the notes and says what opened and closed."""

    def __init__(self) -> None:
        self._next_number = 0
        self._sounding: dict[tuple[int, int], _Sounding] = {}  # (channel, pitch)
        self._pedal: set[int] = set()  # channels

    @property
    def open_notes(self) -> tuple[Opened, ...]:
        """Notes that still sound."""
        return tuple(sounding.opened for sounding in self._sounding.values())

    @property
    def held(self) -> bool:
        """Whether a key is down; a note that only the pedal holds does not count."""
        return any(not sounding.released for sounding in self._sounding.values())

    def number(self) -> int:
        """Return a fresh note number."""
        self._next_number += 1
        return self._next_number

    def feed(self, beat: float, message: bytes) -> list[Opened | Closed]:
        """Take one channel message; anything that is not one changes nothing."""
        if len(message) != 3 or max(message[1:]) > MAX_DATA:
            return []
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        if kind == NOTE_ON and message[2] > 0:
            return self._strike(beat, channel, message[1], message[2])
        if kind in (NOTE_ON, NOTE_OFF):
            return self._release(beat, channel, message[1])
        if kind == CONTROL_CHANGE:
            return self._control(beat, channel, message[1], message[2])
        return []

    def close_all(self, beat: float) -> list[Opened | Closed]:
        """End every note at `beat`: the transport stopped, or the player is gone."""
        self._pedal.clear()
        return [self._close(beat, key) for key in list(self._sounding)]

    def _strike(
        self, beat: float, channel: int, pitch: int, velocity: int
    ) -> list[Opened | Closed]:
        key = (channel, pitch)
        changes: list[Opened | Closed] = [self._close(beat, key)] if key in self._sounding else []
        opened = Opened(self.number(), beat, pitch, velocity)
        self._sounding[key] = _Sounding(opened)
        return [*changes, opened]

    def _release(self, beat: float, channel: int, pitch: int) -> list[Opened | Closed]:
        key = (channel, pitch)
        if key not in self._sounding:
            return []
        if channel in self._pedal:
            self._sounding[key].released = True
            return []
        return [self._close(beat, key)]

    def _control(
        self, beat: float, channel: int, controller: int, value: int
    ) -> list[Opened | Closed]:
        if controller == SUSTAIN and value >= PEDAL_DOWN:
            self._pedal.add(channel)
            return []
        keys = [key for key in self._sounding if key[0] == channel]
        if controller in (SUSTAIN, RESET_CONTROLLERS):  # a reset lifts the pedal, too
            self._pedal.discard(channel)
            keys = [key for key in keys if self._sounding[key].released]
        elif controller not in RELEASING:
            return []
        return [self._close(beat, key) for key in keys]

    def _close(self, beat: float, key: tuple[int, int]) -> Closed:
        opened = self._sounding.pop(key).opened
        duration = max(beat - opened.onset, SHORTEST_BEATS)
        return Closed(opened.number, Note(opened.onset, opened.pitch, duration, opened.velocity))
