"""How much room the player leaves to a voice that plays along. Pure; knows notes in beats.

The mind hears both voices as one piece of music, and answers as densely as what it hears. Left
alone, two voices become four. So Segue plays no more notes than the player does, on average over
the last bars, and none on a key that he holds; of a chord that has to be thinner, the outer notes
are what the ear follows.
"""

from collections import deque
from collections.abc import Collection, Sequence
from copy import copy
from itertools import groupby

from engine.protocol import Note

#: The player's notes are counted over two bars of common time.
COUNTED_BEATS = 8.0
#: Even beside a long note there is room for one a beat.
FEWEST_A_BEAT = 1.0
#: What was not played can be saved up for a chord, and not for a cadenza.
SAVED_BEATS = 2.0


class Room:
    """The player's last onsets, and how many notes Segue may still play."""

    def __init__(self) -> None:
        self._onsets: deque[float] = deque()
        self._saved = 0.0
        self._saved_at = 0.0  # beat

    def heard(self, onset: float) -> None:
        """The player struck a note."""
        self._onsets.append(onset)
        while self._onsets[0] < onset - COUNTED_BEATS:
            self._onsets.popleft()

    def fitting(self, notes: Sequence[Note], held: Collection[int]) -> list[Note]:
        """Of `notes`, in order of onset, those for which there is room beside `held` pitches."""
        kept: list[Note] = []
        for onset, chord in groupby(notes, key=lambda note: note.onset):
            self._save_until(onset)
            for note in _from_outside([note for note in chord if note.pitch not in held]):
                if self._saved >= 1.0:
                    self._saved -= 1.0
                    kept.append(note)
        return sorted(kept)

    def foreseen(self, notes: Sequence[Note], held: Collection[int]) -> list[Note]:
        """What `fitting` would keep of `notes`, as far as is known now; it takes no room yet."""
        return copy(self).fitting(notes, held)

    def _save_until(self, beat: float) -> None:
        recent = sum(onset >= beat - COUNTED_BEATS for onset in self._onsets)
        a_beat = max(FEWEST_A_BEAT, recent / COUNTED_BEATS)
        passed = max(0.0, beat - self._saved_at)
        self._saved = min(self._saved + passed * a_beat, SAVED_BEATS * a_beat)
        self._saved_at = max(beat, self._saved_at)


def _from_outside(chord: list[Note]) -> list[Note]:
    """The highest note, the lowest, and so on inwards."""
    left = deque(chord)
    return [left.pop() if count % 2 == 0 else left.popleft() for count in range(len(chord))]
