"""Whether an answer is in time: on the grid, and within its turn.

Knows notes as they would be played; knows no clocks and no models.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.judged import TICKS_A_QUARTER, Metre, Sounding, step_ticks

#: A thousandth of a quarter note, half a millisecond at 120 bpm: the schedule's own precision.
TOLERANCE_BEATS = 1e-3


def on_grid(notes: Sequence[Sounding], metre: Metre, *, from_beat: float) -> int:
    """How many notes begin on a step of the metre, counted from a bar line."""
    step = step_ticks(metre) / TICKS_A_QUARTER
    return sum(
        abs((note.onset - from_beat) / step - round((note.onset - from_beat) / step)) * step
        <= TOLERANCE_BEATS
        for note in notes
    )


def crossing(notes: Sequence[Sounding], *, from_beat: float, until_beat: float) -> int:
    """How many notes sound before the answer's turn begins, or after it has ended."""
    return sum(
        note.onset < from_beat - TOLERANCE_BEATS
        or note.onset + note.duration > until_beat + TOLERANCE_BEATS
        for note in notes
    )
