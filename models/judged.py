"""What evaluation judges: a piece on the grid, and the two things that a model can do with one.

Knows quantized notes and metres; knows no tokens, networks, files or measures. An architecture is
judged by offering `Judged` (what did each note cost?) and `Answerer` (what would you play now?),
whatever it makes of the notes inside, so that figures compare across tokenizations.

A piece is the canonical list of models/scores.py's notes: on a grid of 12 steps to the beat of the
metre's denominator, sorted by bar, step and pitch, no two with one place and pitch. A *tick* is a
24th of a quarter note, in which both kinds of steps (x/4 and x/8) are whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Metre: TypeAlias = tuple[int, int]
#: (N, 5): bar, step in the bar, MIDI pitch, duration in steps of the bar it begins in, velocity.
Notes: TypeAlias = NDArray[np.int64]
Ticks: TypeAlias = NDArray[np.int64]

BAR, STEP, PITCH, DURATION, VELOCITY = range(5)
#: The columns of what `Judged.note_bits` returns.
FIELDS = ("onset", "pitch", "duration", "velocity")
STEPS_A_BEAT = 12  # of the metre's denominator
TICKS_A_QUARTER = 24


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Quantized notes over bars; `metres` has one for each bar, `ends` says the music ends here.

    An excerpt that is cut from something longer does not end: nothing is paid for its end.
    """

    metres: tuple[Metre, ...]
    notes: Notes
    ends: bool = True

    def __len__(self) -> int:
        return len(self.notes)

    @property
    def bar_starts(self) -> Ticks:
        """(bars + 1,): where each bar begins, and where the last one ends."""
        lengths = [bar_ticks(metre) for metre in self.metres]
        return np.cumsum([0, *lengths], dtype=np.int64)

    @property
    def onsets(self) -> Ticks:
        """(N,): where each note begins, from the first bar line."""
        bars = self.notes[:, BAR]
        return self.bar_starts[bars] + self.notes[:, STEP] * self.step_ticks[bars]

    @property
    def durations(self) -> Ticks:
        """(N,): how long each note is."""
        return self.notes[:, DURATION] * self.step_ticks[self.notes[:, BAR]]

    @property
    def step_ticks(self) -> Ticks:
        """(bars,): the ticks in a step of each bar."""
        return np.array([step_ticks(metre) for metre in self.metres], dtype=np.int64)


class Sounding(NamedTuple):
    """A note of an answer as it would be played, before anyone put it on a grid."""

    onset: float  # beats (quarter notes) from the prompt's first bar line
    pitch: int
    duration: float  # beats
    velocity: int


class Judged(Protocol):
    """A model that says what music costs it."""

    def note_bits(self, piece: Piece) -> NDArray[np.float64]:
        """(N, 4): bits that each note cost, by field, knowing the notes before it in `piece` alone.

        The sum over all is -log2 of the piece's probability, nothing masked or left out: what is
        not a note (bar lines, metres, and the end if `ends`) counts as part of an onset. Raises
        NotTheSame if the piece cannot be said without loss.
        """


class Answerer(Protocol):
    """A model that answers."""

    def answer(
        self, prompt: Piece, *, from_beat: float, until_beat: float, seed: int
    ) -> Sequence[Sounding]:
        """Notes with onsets in [from_beat, until_beat); the prompt's last metre goes on."""


class NotTheSame(AssertionError):
    """Decoding what a model was fed does not give back the notes; its figures would be void."""


def step_ticks(metre: Metre) -> int:
    """Ticks in a step: two in x/4, one in x/8."""
    return 4 * TICKS_A_QUARTER // (STEPS_A_BEAT * metre[1])


def bar_ticks(metre: Metre) -> int:
    """Ticks in a bar."""
    return STEPS_A_BEAT * metre[0] * step_ticks(metre)
