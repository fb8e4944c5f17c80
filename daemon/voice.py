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


class Voice:
    """What sounds, by pitch."""

    def __init__(self) -> None:
        self._sounding: dict[int, Struck] = {}

    @property
    def next_release_beat(self) -> float | None:
        """When the next of our notes ends, or None."""
        return min((struck.note.end for struck in self._sounding.values()), default=None)

    def strike(self, number: int, note: Note) -> Struck | None:
        """Take up `note`; return the note of the same pitch that it cuts short, if one sounds."""
        before = self._sounding.pop(note.pitch, None)
        self._sounding[note.pitch] = Struck(number, note)
        return before and _shortened(before, note.onset)

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
