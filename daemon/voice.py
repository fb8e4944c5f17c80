"""Segue's own voice: the notes it has struck and not yet released. Pure; knows beats.

A pitch sounds once: striking it again releases it first, at that beat.
"""

from dataclasses import dataclass, replace

from engine.protocol import Note


@dataclass(frozen=True, slots=True)
class Struck:
    """A note of ours that sounds, under its number in the prompt."""

    number: int
    note: Note
    due_ns: int  # when its note-on was sent, or is going to be


class Voice:
    """What sounds, by pitch."""

    def __init__(self) -> None:
        self._sounding: dict[int, Struck] = {}

    @property
    def next_release_beat(self) -> float | None:
        """When the next of our notes ends, or None."""
        return min((struck.note.end for struck in self._sounding.values()), default=None)

    def strike(self, struck: Struck) -> None:
        """Take up a note whose pitch does not sound."""
        self._sounding[struck.note.pitch] = struck

    def onset_of(self, pitch: int) -> float | None:
        """When the note that sounds on `pitch` was struck, or None."""
        struck = self._sounding.get(pitch)
        return struck.note.onset if struck else None

    def give_way(self, pitch: int, beat: float) -> Struck | None:
        """Take out the note that sounds on `pitch`, if one does, as ended by `beat`."""
        struck = self._sounding.pop(pitch, None)
        return struck and _shortened(struck, beat)

    def release_until(self, beat: float) -> list[Struck]:
        """Take out the notes that end before `beat`, earliest end first."""
        ended = [struck for struck in self._sounding.values() if struck.note.end < beat]
        for struck in ended:
            del self._sounding[struck.note.pitch]
        return sorted(ended, key=lambda struck: (struck.note.end, struck.note.pitch))

    def cut(self, beat: float) -> list[Struck]:
        """Take out everything, as ended at `beat`.

        A note that had not begun by then comes out with a duration of zero or less.
        """
        cut = [_shortened(struck, beat) for struck in self._sounding.values()]
        self._sounding = {}
        return cut


def _shortened(struck: Struck, beat: float) -> Struck:
    duration = min(struck.note.duration, beat - struck.note.onset)
    return replace(struck, note=replace(struck.note, duration=duration))
