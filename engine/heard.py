"""What the mind has heard: the session's notes on the grid, kept in order.

Knows notes by the numbers that the player process gives; knows no tokens in a row, no caches.
It holds the notes that came last, no more than `most`: a session has no end, and the model sees
no more than a window of it. What is forgotten lies several windows back, so it would matter only
if everything since were dropped again without a reset.
"""

from bisect import bisect_left, insort
from itertools import islice

from engine.protocol import Meter, Note, Prompt
from engine.tokens import Placed, Tokenizer
from models.vocabulary import Vocabulary


class Heard:
    """Notes by number, and sorted."""

    def __init__(self, vocabulary: Vocabulary, *, most: int) -> None:
        self._vocabulary = vocabulary
        self._most = most
        self._meters: tuple[Meter, ...] = ()
        self.tokenizer = Tokenizer(vocabulary, ())
        self._notes: dict[int, Note] = {}  # in the order in which they first came
        self._placed: dict[int, Placed] = {}  # without those that the model has no key for
        self.sorted: list[Placed] = []

    def __len__(self) -> int:
        return len(self._notes)

    def apply(self, prompt: Prompt) -> None:
        """Take what changed. A number that is dropped but not known is passed over."""
        if prompt.reset:
            self._notes.clear()
            self._placed.clear()
            self.sorted.clear()
        if prompt.meters != self._meters:
            self._meters = prompt.meters
            self.tokenizer = Tokenizer(self._vocabulary, prompt.meters)
            self._place_all()
        for number in prompt.dropped:
            self._drop(number)
        for number, note in prompt.put:
            self._put(number, note)
        for number in list(islice(self._notes, max(0, len(self._notes) - self._most))):
            self._drop(number)

    def index_at(self, where: tuple[int, int]) -> int:
        """How many of the sorted notes lie before (bar number, step)."""
        return bisect_left(self.sorted, where)

    def _put(self, number: int, note: Note) -> None:
        self._lift(number)
        self._notes[number] = note
        placed = self.tokenizer.place(note)
        if placed is not None:
            self._placed[number] = placed
            insort(self.sorted, placed)

    def _drop(self, number: int) -> None:
        self._lift(number)
        self._notes.pop(number, None)

    def _lift(self, number: int) -> None:
        placed = self._placed.pop(number, None)
        if placed is not None:
            del self.sorted[bisect_left(self.sorted, placed)]

    def _place_all(self) -> None:
        pairs = ((number, self.tokenizer.place(note)) for number, note in self._notes.items())
        self._placed = {number: placed for number, placed in pairs if placed is not None}
        self.sorted = sorted(self._placed.values())
