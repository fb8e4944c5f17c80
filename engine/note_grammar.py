"""What a nested network may say next, so that no malformed answer can be sampled.

Knows the grid, the symbols of models/nested/events.py and the span of an answer; knows no logits
and no caches.

Theory of operation. A row's onset says where it falls, seen from the row before. What may follow:

  in this bar   at the step of the last note, if another key above it is free, or behind it.
                Notes of one onset go upwards, so that the answer comes back from the player as the
                same rows. No more than MAX_NOTES_A_STEP of them. Not behind a rest.
  next bar      at any of its steps.
  a rest        of one bar, and not behind another: an answer never falls silent. Longer ones
                where nothing of the answer is left behind them.
  the end       never.

An answer begins with the forced onset of its first beat: we enter on the line. It ends with the
first onset that leads to its end or past it; that one is chosen like any other, is not part of the
answer, and is how the model says that it has no more to say before. A note's key lies above the
last one at its step; length and force are free.
"""

from collections.abc import Sequence

from engine.grammar import MAX_NOTES_A_STEP
from engine.meter import BEAT_TOLERANCE
from engine.tokens import Tokenizer
from models.nested.events import FORCES, KEYS, LENGTHS, POSITIONS, REST, RESTS

ANY_LENGTH: Sequence[range] = (range(LENGTHS),)
ANY_FORCE: Sequence[range] = (range(FORCES),)


class NoteGrammar:
    """Where an answer stands, and what may come next. It begins at the onset of its first note."""

    def __init__(self, tokenizer: Tokenizer, *, from_beat: float, until_beat: float) -> None:
        self._grid = tokenizer.grid
        self._until = until_beat - BEAT_TOLERANCE
        number, self.step = self._grid.place_after(from_beat)
        self.bar = self._grid.bar(number)
        self._next = self._grid.bar(number + 1)
        last = self._grid.bar_at(until_beat)
        self._last_bar = last.number - (last.start >= self._until)
        self._key = -1  # the last one at this step
        self._notes_here = 0
        self.rested = False
        self.finished = self.bar.beat_of(self.step) >= self._until

    def onsets(self) -> Sequence[range]:
        """Symbols of the next onset, as non-empty ranges; at least one."""
        found = [range(POSITIONS, POSITIONS + self._next.steps)]
        if self.rested:
            return found
        full = self._notes_here >= MAX_NOTES_A_STEP or self._key >= KEYS - 1
        here = range(self.step + full, min(self.bar.steps, POSITIONS))
        # Behind the last of these lines no bar of the answer is left.
        ends = max(1, self._last_bar - self.bar.number)
        rests = [range(REST, REST + 1), range(REST + max(1, ends - 1), REST + RESTS)]
        return [span for span in (here, *found, *rests) if span]

    def take_onset(self, symbol: int) -> None:
        """Go on behind one of the allowed onsets, or finish with it."""
        self.rested = symbol >= REST
        if self.rested:
            self._open(self.bar.number + symbol - REST + 1)
            self.step = 0
            self.finished = self._next.start >= self._until
            return
        if symbol >= POSITIONS:
            self._open(self.bar.number + 1)
            symbol -= POSITIONS
        elif symbol == self.step:
            return
        self.step = symbol
        self._key, self._notes_here = -1, 0
        self.finished = self.bar.beat_of(symbol) >= self._until

    def keys(self) -> Sequence[range]:
        """Keys that the note may have, as one non-empty range."""
        return (range(self._key + 1, KEYS),)

    def take_key(self, key: int) -> None:
        """Strike one of the allowed keys here."""
        self._key = key
        self._notes_here += 1

    def _open(self, number: int) -> None:
        self.bar = self._next if number == self.bar.number + 1 else self._grid.bar(number)
        self._next = self._grid.bar(number + 1)
        self._key, self._notes_here = -1, 0
