"""Notes on the grid as rows, one a note: what a nested network is fed, and what plays one.

Knows the grid and the events of models/nested/events.py; knows no caches, sampling or networks. The
rows of a piece are those that its network was trained on (a test holds them to it), written from
left to right, so that prompts with equal beginnings have equal first rows.

A row stands for a note, or for bars that go by without one. A network hears rows and says the next
one as a chain: where it falls, then its key, its length and its force, each knowing those before.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from engine.cache import Backend, Fed, Logits
from engine.tokens import Placed, Tokenizer
from engine.window import MOST_EMPTY
from models.nested.events import (
    NO_FORCE,
    NO_KEY_REST,
    NO_KEY_START,
    NO_LENGTH,
    NO_METRE,
    NO_ONSET,
    POSITIONS,
    REST,
    RESTS,
)


class Row(NamedTuple):
    """One event: the columns of models/nested/events.py, and the steps since the row before."""

    onset: int
    key: int
    length: int
    force: int
    position: int
    metre: int
    ahead: int
    time: int
    delta: int


@runtime_checkable
class NoteBackend(Fed[Row], Protocol):
    """A network that plays a note at a time: `append` and `next` return the logits of the onset.

    The calls below go on from there, in this order. They change nothing that the cache holds, and
    the next row that is fed ends them.
    """

    def say_where(self, row: Row) -> Logits:
        """Where the next note falls, of which nothing else counts; logits of its key."""

    def say_key(self, key: int) -> Logits:
        """Logits of the note's length."""

    def say_length(self, length: int) -> Logits:
        """Logits of the note's force."""


AnyBackend: TypeAlias = Backend | NoteBackend


class Rows:
    """Rows in the writing: `rows` so far, and what comes next by `lead_to`, `where` and `write`."""

    def __init__(self, tokenizer: Tokenizer, *, first_bar: int) -> None:
        self._grid = tokenizer.grid
        self._words = tokenizer.vocabulary
        self._metres = {metre: number for number, metre in enumerate(self._words.metres)}
        self._bar = first_bar - 1
        self._metre, self._steps = NO_METRE, 0  # START's bar has neither
        self._ahead, self._steps_ahead = self._metre_of(first_bar)
        self._line = 0  # where the bar begins, in steps
        start = Row(
            NO_ONSET, NO_KEY_START, NO_LENGTH, NO_FORCE, 0, NO_METRE, self._ahead, self._line, 0
        )
        self.rows: list[Row] = [start]

    def spell(self, placed: Iterable[Placed]) -> None:
        """Write sorted notes. Of notes with one place and pitch only the first is written.

        What `where` and `write` do, in one piece: a prompt has hundreds of notes, and is spelled
        again whenever the player strikes a key.
        """
        words, rows, make = self._words, self.rows, tuple.__new__
        lowest, shortest, softest = (
            words.pitches.start,
            words.durations.start,
            words.velocities.start,
        )
        before, time = (0, 0, -1), rows[-1].time
        for bar, step, pitch, duration, velocity in placed:
            if (bar, step, pitch) == before:
                continue
            before = bar, step, pitch
            onset = step
            if bar > self._bar:
                if bar > self._bar + 1:
                    self.lead_to(bar)
                    time = rows[-1].time
                self._cross()
                onset += POSITIONS
            last, time = time, self._line + step
            fields = pitch - lowest, duration - shortest, velocity - softest
            what = (onset, *fields, step, self._metre, self._ahead, time, time - last)
            rows.append(make(Row, what))

    def lead_to(self, bar: int) -> None:
        """Write the rests after which a note may fall in `bar`; long silences are shortened."""
        self._bar = max(self._bar, bar - 1 - MOST_EMPTY)
        while self._bar < bar - 1:
            self.rest(self._lines_to(bar - 1))

    def rest(self, lines: int) -> Row:
        """Write that so many bar lines go by, and no note before the last of them."""
        for _ in range(lines):
            self._cross()
        row = self._row(REST + lines - 1, NO_KEY_REST, 0)
        self.rows.append(row)
        return row

    def where(self, bar: int, step: int) -> Row:
        """A row for a note in this bar or the next, whose key, length and force are not known."""
        crosses = bar > self._bar
        if crosses:
            self._cross()
        return self._row(step + POSITIONS * crosses, NO_KEY_REST, step)

    def write(self, where: Row, key: int, length: int, force: int) -> Row:
        """Write a row from `where` as a note."""
        row = Row(where[0], key, length, force, *where[4:])
        self.rows.append(row)
        return row

    def _row(self, onset: int, key: int, position: int) -> Row:
        time = self._line + position
        delta = time - self.rows[-1].time
        return Row(onset, key, NO_LENGTH, NO_FORCE, position, self._metre, self._ahead, time, delta)

    def _cross(self) -> None:
        self._line += self._steps
        self._bar += 1
        self._metre, self._steps = self._ahead, self._steps_ahead
        self._ahead, self._steps_ahead = self._metre_of(self._bar + 1)

    def _lines_to(self, bar: int) -> int:
        """How many of the lines up to that of `bar` one rest may cross: the metre stays."""
        lines = 1
        while (
            lines < min(bar - self._bar, RESTS)
            and self._metre_of(self._bar + 1 + lines)[0] == self._ahead
        ):
            lines += 1
        return lines

    def _metre_of(self, bar: int) -> tuple[int, int]:
        """The number of a bar's metre, and its steps. One that is cut short counts as whole."""
        metre = self._grid.bar(bar).metre
        return self._metres[metre], self._words.steps_a_bar(metre)
