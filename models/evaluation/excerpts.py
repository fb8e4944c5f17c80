"""Cuts, moves and joins quantized pieces, and puts what was played on the grid.

Knows `Piece` and `Sounding`; knows no models and no measures. Every function gives a new piece.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.judged import (
    BAR,
    DURATION,
    PITCH,
    TICKS_A_QUARTER,
    VELOCITY,
    Metre,
    Notes,
    Piece,
    Sounding,
)

LOWEST_PITCH, HIGHEST_PITCH = 21, 108
MAX_DURATION_STEPS = 96
NO_NOTES: Notes = np.zeros((0, 5), dtype=np.int64)


def excerpt(piece: Piece, first: int, end: int) -> Piece:
    """Bars [first, end) with what begins in them; the first becomes bar 0."""
    low, high = np.searchsorted(piece.notes[:, BAR], [first, end])
    notes = piece.notes[low:high].copy()
    notes[:, BAR] -= first
    return Piece(piece.metres[first:end], notes, ends=False)


def joined(first: Piece, second: Piece) -> Piece:
    """The bars of `second` behind those of `first`."""
    notes = second.notes.copy()
    notes[:, BAR] += len(first.metres)
    return Piece(first.metres + second.metres, np.concatenate((first.notes, notes)), ends=False)


def cut(piece: Piece) -> Piece:
    """Notes held over the last bar line end there, as those of an answer do."""
    rest = piece.bar_starts[-1] - piece.onsets
    steps = rest // piece.step_ticks[piece.notes[:, BAR]]
    notes = piece.notes.copy()
    notes[:, DURATION] = np.minimum(notes[:, DURATION], np.maximum(1, steps))
    return Piece(piece.metres, notes, piece.ends)


def transposed(piece: Piece, semitones: int) -> Piece | None:
    """The same music higher or lower; None where the keyboard ends."""
    notes = piece.notes.copy()
    notes[:, PITCH] += semitones
    if len(notes) and (
        notes[:, PITCH].min() < LOWEST_PITCH or notes[:, PITCH].max() > HIGHEST_PITCH
    ):
        return None
    return Piece(piece.metres, notes, piece.ends)


def bars_in_order(piece: Piece, order: Sequence[int]) -> Piece:
    """The same bars in another order; they have to be of one metre for it to be music."""
    place = np.empty(len(order), dtype=np.int64)
    place[list(order)] = np.arange(len(order))
    notes = piece.notes.copy()
    notes[:, BAR] = place[notes[:, BAR]]
    metres = tuple(piece.metres[bar] for bar in order)
    return Piece(metres, notes[np.argsort(notes[:, BAR], kind="stable")], ends=False)


def first_beats(piece: Piece, beats: float) -> Piece:
    """The notes that begin in the first `beats` quarter notes; the bars stay."""
    return Piece(piece.metres, piece.notes[piece.onsets < beats * TICKS_A_QUARTER], ends=False)


def same_notes(first: Piece, second: Piece) -> bool:
    """Whether both have the same onsets and pitches; how loud and how long is left aside."""
    return bool(
        np.array_equal(first.onsets, second.onsets)
        and np.array_equal(first.notes[:, PITCH], second.notes[:, PITCH])
    )


def played(piece: Piece) -> list[Sounding]:
    """The notes in beats."""
    onsets, durations = piece.onsets / TICKS_A_QUARTER, piece.durations / TICKS_A_QUARTER
    return [
        Sounding(float(onset), int(note[PITCH]), float(duration), int(note[VELOCITY]))
        for onset, duration, note in zip(onsets, durations, piece.notes, strict=True)
    ]


def on_the_grid(notes: Sequence[Sounding], metres: tuple[Metre, ...], *, from_beat: float) -> Piece:
    """An answer as bars of their own: `metres` from `from_beat`, a bar line, on.

    Each onset goes to the nearest step, halves upwards; what then lies outside of the bars is left
    out, and of notes with one place and pitch only the first is kept.
    """
    bars = Piece(metres, NO_NOTES)
    starts, units = bars.bar_starts, bars.step_ticks
    found: dict[tuple[int, int, int], tuple[int, ...]] = {}
    for note in sorted(notes):
        ticks = (note.onset - from_beat) * TICKS_A_QUARTER
        bar = int(np.searchsorted(starts, ticks + 1e-6, side="right")) - 1
        if not 0 <= bar < len(metres):
            continue
        step = int((ticks - starts[bar]) / units[bar] + 0.5 + 1e-6)
        if step * units[bar] >= starts[bar + 1] - starts[bar]:
            bar, step = bar + 1, 0
        if bar >= len(metres):
            continue
        steps = int(note.duration * TICKS_A_QUARTER / units[bar] + 0.5 + 1e-6)
        steps = min(max(1, steps), MAX_DURATION_STEPS)
        found.setdefault((bar, step, note.pitch), (bar, step, note.pitch, steps, note.velocity))
    rows = [found[place] for place in sorted(found)]
    return Piece(metres, np.array(rows, dtype=np.int64) if rows else NO_NOTES.copy(), ends=False)
