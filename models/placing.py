"""Puts played notes on the grid, whole arrays at a time: the canonical list in numbers.

Knows steps, bars and rounding; knows no files, tokens, events or networks. `Placed` is what
models/judged.py calls a piece, with metres and velocities as the numbers that a network reads.

Rounding is MidiTok's, which models/vocabulary.py describes; `place` does it for whole arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.vocabulary import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    MAX_DURATION_BEATS,
    METRES,
    STEPS_A_BEAT,
    VELOCITY_LEVELS,
)

#: Columns of `Placed.notes`, as of `judged.Piece`, but for levels in place of velocities.
BAR, STEP, PITCH, DURATION, LEVEL = range(5)
#: (numerator, denominator) by its number; the order of the vocabulary's time signatures.
METRE_LIST = tuple((n, denominator) for denominator in METRES for n in METRES[denominator])
BAR_STEPS = np.array([STEPS_A_BEAT * n for n, _ in METRE_LIST])  # by metre
STEPS_A_QUARTER = np.array([STEPS_A_BEAT * d // 4 for _, d in METRE_LIST])  # by metre
MAX_DURATION = STEPS_A_BEAT * MAX_DURATION_BEATS

#: Halves go up even where binary fractions fall short of them; far less than a tick of any file.
TOLERANCE = 1e-6

Integers = NDArray[np.int64]

#: The velocity that each level stands for.
VELOCITIES = np.array([int(127 * k / VELOCITY_LEVELS) for k in range(1, VELOCITY_LEVELS + 1)])


def _velocity_levels() -> Integers:
    distance = np.abs(VELOCITIES[None] - np.arange(128)[:, None])
    levels: Integers = VELOCITY_LEVELS - 1 - np.argmin(distance[:, ::-1], axis=1)
    return levels  # a tie goes to the louder


LEVEL_OF_VELOCITY = _velocity_levels()  # 0 .. 15 by MIDI velocity


@dataclass(frozen=True, slots=True)
class Placed:
    """Notes in the order (bar, step, pitch), no two of them at one onset and pitch."""

    notes: Integers  # (n, 5): bar, step in the bar, MIDI pitch, steps of duration, velocity level
    metres: Integers  # (bars,): the metre of each bar, at least up to the bar of the last note

    def __len__(self) -> int:
        return len(self.notes)


@dataclass(frozen=True, slots=True)
class Bars:
    """Where bars begin, in quarters, and their metres; the last one only closes the one before."""

    starts: NDArray[np.float64]  # (bars,)
    metres: Integers  # (bars,)
    finest: int  # steps a quarter of the finest metre of the whole piece


def place(
    onset: NDArray[np.float64],
    duration: NDArray[np.float64],
    pitch: Integers,
    velocity: Integers,
    bars: Bars,
) -> Placed:
    """Round played notes, in quarters and MIDI numbers, to a piece whose bar 0 is `bars`' first.

    What lies before the first bar moves to its line. Pitches outside the keyboard are left out;
    of two notes at one onset and pitch the shorter stays, then the softer.
    """
    last = len(bars.starts) - 1
    bar = np.searchsorted(bars.starts, onset + TOLERANCE, side="right") - 1
    bar = np.clip(bar, 0, last)
    metre = bars.metres[bar]
    grid = STEPS_A_QUARTER[metre]
    fine = np.floor((onset - bars.starts[bar]) * bars.finest + 0.5 + TOLERANCE)
    step = np.maximum(0, np.rint(fine * grid / bars.finest)).astype(np.int64)  # halves to even
    over = (step >= _lengths(bars)[bar]) & (bar < last)
    bar, step = np.where(over, bar + 1, bar), np.where(over, 0, step)
    fine = np.maximum(1, np.floor(duration * bars.finest + 0.5 + TOLERANCE))
    # A duration is in steps of the metre at its rounded onset.
    steps = np.floor(fine * STEPS_A_QUARTER[bars.metres[bar]] / bars.finest + 0.5)
    steps = np.clip(steps, 1, MAX_DURATION).astype(np.int64)
    level = LEVEL_OF_VELOCITY[velocity]
    notes = np.stack((bar, step, pitch, steps, level), axis=1).astype(np.int64)
    notes = notes[(pitch >= LOWEST_PITCH) & (pitch <= HIGHEST_PITCH)]
    return Placed(notes=sorted_notes(notes), metres=bars.metres)


def sorted_notes(notes: Integers) -> Integers:
    """Notes in canonical order, doubles left out."""
    place_of = (notes[:, BAR] * 1024 + notes[:, STEP]) * 128 + notes[:, PITCH]
    ranking = (place_of * 128 + notes[:, DURATION]) * 16 + notes[:, LEVEL]
    order = np.argsort(ranking)
    place_of = place_of[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = place_of[1:] != place_of[:-1]
    return notes[order[first]]


def _lengths(bars: Bars) -> Integers:
    """Steps of each bar; one that is cut short by the next has fewer than its metre."""
    full = BAR_STEPS[bars.metres]
    room = np.diff(bars.starts, append=np.inf) * STEPS_A_QUARTER[bars.metres]
    lengths: Integers = np.minimum(full, np.ceil(room - TOLERANCE)).astype(np.int64)
    return np.maximum(1, lengths)
