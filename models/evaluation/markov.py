"""An order-k Markov model of notes: the baseline that a network has to beat.

Knows pieces; knows no tokens and no networks. Each field of a note is drawn given the same field
of up to k notes before it, and given what is known of the note already:

  onset     ticks since the note before, given where that one lies in its bar, and that bar's length
  pitch     given whether it begins with the note before
  duration  the same
  velocity  the same

Shorter contexts stand in for unseen ones by Witten and Bell's interpolation (IEEE Transactions on
Information Theory 37, 1991, method C): a context that was followed by t different symbols in n
places leaves t / (n + t) to the next shorter one, the shortest to the uniform distribution. Metres
and ends cost it nothing, which favours it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.judged import (
    BAR,
    DURATION,
    FIELDS,
    PITCH,
    TICKS_A_QUARTER,
    VELOCITY,
    Piece,
    Sounding,
    bar_ticks,
)

ORDER = 3
#: Levels of contexts beside those with notes: one with nothing, one without notes.
LEVELS_MORE = 2
SYMBOL_BITS = 8
#: Longer pauses are this one symbol, and then a number whose bits are counted.
LONG_PAUSE = 192
#: How many symbols each field has.
SYMBOLS = {"onset": LONG_PAUSE + 1, "pitch": 88, "duration": 96, "velocity": 16}
LOWEST_PITCH = 21
#: A note drawn before the answer begins is drawn again this often, and then stands on the line.
TRIES = 32
MOST_NOTES_A_BEAT = 48

Longs = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What followed each context of one field and length, sorted by context and symbol."""

    keys: Longs  # context << SYMBOL_BITS | symbol
    counts: Longs
    contexts: Longs
    totals: Longs  # of each context
    kinds: Longs  # different symbols behind each context

    @classmethod
    def of(cls, contexts: Longs, symbols: Longs) -> Table:
        """Count."""
        keys, counts = np.unique(contexts << SYMBOL_BITS | symbols, return_counts=True)
        unique, first, kinds = np.unique(keys >> SYMBOL_BITS, return_index=True, return_counts=True)
        return cls(keys, counts, unique, np.add.reduceat(counts, first), kinds)

    def blend(self, contexts: Longs, symbols: Longs, shorter: NDArray[np.float64]) -> None:
        """Turn the shares that shorter contexts gave into those of this one, in place."""
        row, known = _find(self.contexts, contexts)
        at, seen = _find(self.keys, contexts << SYMBOL_BITS | symbols)
        count = np.where(seen, self.counts[at], 0)
        total, kinds = self.totals[row], self.kinds[row]
        shorter[known] = ((count + kinds * shorter) / (total + kinds))[known]

    def draw(self, context: int, random: np.random.Generator) -> int | None:
        """A symbol that followed; None where this context leaves it to a shorter one."""
        row = int(np.searchsorted(self.contexts, context))
        if row == len(self.contexts) or self.contexts[row] != context:
            return None
        at = int(random.integers(self.totals[row] + self.kinds[row]))
        if at >= self.totals[row]:
            return None
        first = int(np.searchsorted(self.keys, context << SYMBOL_BITS))
        counts = self.counts[first : first + int(self.kinds[row])]
        index = first + int(np.searchsorted(np.cumsum(counts), at, side="right"))
        return int(self.keys[index]) & ((1 << SYMBOL_BITS) - 1)


class Markov:
    """Counts of a style; it judges and answers as a model does."""

    def __init__(self, pieces: Sequence[Piece], *, order: int = ORDER) -> None:
        self.order = order
        parts = [_symbols(piece) for piece in pieces if len(piece)]
        self._tables: dict[str, list[Table]] = {}
        for field in FIELDS:
            found = [(_contexts(symbols, field, order), symbols[field]) for symbols in parts]
            symbols = np.concatenate([part for _, part in found]) if found else np.zeros(0, int)
            self._tables[field] = [
                Table.of(np.concatenate([contexts[level] for contexts, _ in found]), symbols)
                for level in range(order + LEVELS_MORE if found else 0)
            ]

    def note_bits(self, piece: Piece) -> NDArray[np.float64]:
        """(N, 4) as `Judged` has it."""
        if not len(piece):
            return np.zeros((0, len(FIELDS)))
        symbols = _symbols(piece)
        bits = np.empty((len(piece), len(FIELDS)))
        for column, field in enumerate(FIELDS):
            shares = np.full(len(piece), 1 / SYMBOLS[field])
            contexts = _contexts(symbols, field, self.order)
            for table, context in zip(self._tables[field], contexts, strict=False):
                table.blend(context, symbols[field], shares)
            bits[:, column] = -np.log2(shares)
        bits[:, 0] += symbols["more"]
        return bits

    def answer(
        self, prompt: Piece, *, from_beat: float, until_beat: float, seed: int
    ) -> list[Sounding]:
        """Notes drawn one after the other, as `Answerer` has it."""
        random = np.random.default_rng(seed)
        first, end = (round(beat * TICKS_A_QUARTER) for beat in (from_beat, until_beat))
        past = _Past.of(prompt)
        found: list[Sounding] = []
        most = int((until_beat - from_beat) * MOST_NOTES_A_BEAT)
        while len(found) < most:
            onset = self._onset(past, first, random)
            if onset >= end:
                break
            together = int(onset == past.onset)
            pitch, duration, velocity = (
                self._draw(field, past.context(field, together), random) for field in FIELDS[1:]
            )
            past.take(onset, pitch, duration, velocity)
            ticks = min((duration + 1) * past.step_ticks, end - onset)
            found.append(
                Sounding(
                    onset / TICKS_A_QUARTER,
                    pitch + LOWEST_PITCH,
                    ticks / TICKS_A_QUARTER,
                    _velocity(velocity),
                )
            )
        return found

    def _onset(self, past: _Past, first: int, random: np.random.Generator) -> int:
        """The next onset, on the grid."""
        context = past.onset_context()
        for _ in range(TRIES):
            delta = self._draw("onset", context, random)
            onset = past.onset + delta // past.step_ticks * past.step_ticks
            if onset >= first:
                return onset
        return first

    def _draw(self, field: str, context: list[int], random: np.random.Generator) -> int:
        tables = self._tables[field]
        for level in range(len(tables) - 1, -1, -1):
            found = tables[level].draw(_packed(context, field, level), random)
            if found is not None:
                return found
        return int(random.integers(SYMBOLS[field]))


class _Past:
    """What an answer has been so far, as contexts see it."""

    def __init__(self, onset: int, bar: int, start: int, history: dict[str, list[int]]) -> None:
        self.onset = onset
        self._bar = bar  # ticks in a bar
        self._start = start  # a bar line
        self._history = history
        self.step_ticks = 2

    @classmethod
    def of(cls, prompt: Piece) -> _Past:
        symbols = _symbols(prompt)
        history = {field: symbols[field].tolist() for field in FIELDS}
        onset = int(prompt.onsets[-1]) if len(prompt) else 0
        past = cls(onset, bar_ticks(prompt.metres[-1]), int(prompt.bar_starts[-1]), history)
        past.step_ticks = int(prompt.step_ticks[-1])
        return past

    def take(self, onset: int, pitch: int, duration: int, velocity: int) -> None:
        delta = min(onset - self.onset, LONG_PAUSE)
        self.onset = onset
        for field, symbol in zip(FIELDS, (delta, pitch, duration, velocity), strict=True):
            self._history[field].append(symbol)

    def onset_context(self) -> list[int]:
        phase = (self.onset - self._start) % self._bar
        return [phase, self._bar, *reversed(self._history["onset"])]

    def context(self, field: str, together: int) -> list[int]:
        return [together, *reversed(self._history[field])]


def _symbols(piece: Piece) -> dict[str, Longs]:
    """Each field as numbers from 0, and what the contexts need beside them."""
    onsets = piece.onsets
    bars = piece.notes[:, BAR]
    starts = piece.bar_starts
    delta = np.diff(onsets, prepend=0)
    long = np.maximum(delta - LONG_PAUSE + 1, 1)
    before = np.concatenate(([0], bars[:-1])) if len(bars) else bars
    phase = np.concatenate(([0], (onsets - starts[bars])[:-1])) if len(bars) else bars
    return {
        "onset": np.minimum(delta, LONG_PAUSE),
        "pitch": piece.notes[:, PITCH] - LOWEST_PITCH,
        "duration": piece.notes[:, DURATION] - 1,
        "velocity": piece.notes[:, VELOCITY] // 8,
        "together": (delta == 0).astype(np.int64),
        "phase": phase,
        "bar": np.diff(starts)[before],
        # Elias's gamma code of how much longer a long pause is.
        "more": np.where(delta >= LONG_PAUSE, 2 * np.floor(np.log2(long)) + 1, 0),
    }


def _contexts(symbols: dict[str, Longs], field: str, order: int) -> list[Longs]:
    """An array a level: nothing, what is known of the note, and then one note before it more."""
    own = symbols[field]
    known = [symbols["phase"], symbols["bar"]] if field == "onset" else [symbols["together"]]
    past = [_before(own, k) for k in range(1, order + 1)]
    return [_pack([*known, *past], field, level) for level in range(order + LEVELS_MORE)]


def _before(symbols: Longs, count: int) -> Longs:
    """The symbol `count` notes before; none is the highest number that a context can hold."""
    none = np.full(min(count, len(symbols)), (1 << SYMBOL_BITS) - 1)
    return np.concatenate((none, symbols[: len(symbols) - len(none)]))


def _width(field: str, level: int) -> int:
    """Parts of a context at this level."""
    return 0 if level == 0 else level + (1 if field == "onset" else 0)


def _pack(parts: list[Longs], field: str, level: int) -> Longs:
    packed = np.zeros(len(parts[0]), dtype=np.int64)
    for part in parts[: _width(field, level)]:
        packed = packed << SYMBOL_BITS | part
    return packed


def _packed(parts: list[int], field: str, level: int) -> int:
    packed = 0
    width = _width(field, level)
    for part in (parts + [(1 << SYMBOL_BITS) - 1] * width)[:width]:
        packed = packed << SYMBOL_BITS | part
    return packed


def _find(sorted_values: Longs, wanted: Longs) -> tuple[Longs, NDArray[np.bool_]]:
    """Where each stands, and whether it does; somewhere where it does not."""
    at = np.minimum(np.searchsorted(sorted_values, wanted), len(sorted_values) - 1)
    return at, sorted_values[at] == wanted


def _velocity(level: int) -> int:
    return math.floor(127 * (level + 1) / SYMBOLS["velocity"])
