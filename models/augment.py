"""Makes written and edited music look like live playing, and one piece like many.

Knows performances as arrays of notes; knows no files, events or networks. Every choice comes from
the generator, so that a resumed training sees what it would have seen. Pieces are split before any
of this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.vocabulary import HIGHEST_PITCH, LOWEST_PITCH

Notes = NDArray[Any]  # (n,) of performance.NOTE

MAX_TRANSPOSITION = 6  # semitones; with both signs that is every key
MAX_JITTER_MS = 30.0
SWING = (0.5, 0.68)  # where the second of two quavers falls in its beat; 2/3 is a triplet
EVEN_SHARE = 0.95  # of onsets on sixteenths, so that a passage may be swung
MAX_LEAD_BARS = 1  # of silence at the beginning
MOST_WRITTEN = 8  # velocities in music that was set down and not played
LEVEL = (45.0, 95.0)  # velocity of a whole segment
SWELL, SWELL_QUARTERS = 12.0, (4.0, 32.0)  # at most, and from one to the next
ACCENT = 8.0  # of what falls on a beat, at most
TOP = 15.0  # of the highest key that is struck at once, at most
TOUCH = (2.0, 7.0)  # standard deviation from note to note
HELD = (0.5, 1.0)  # of a note's written length, in the mean of a segment
HELD_DEVIATION = 0.08
SHORTEST = 1 / 24  # quarters that a changed note keeps at least


@dataclass(frozen=True, slots=True)
class Chances:
    """How often each change is made to a segment; 0 everywhere leaves music as it is."""

    transpose: float = 1.0
    jitter: float = 0.12
    swing: float = 0.06
    drop_voices: float = 0.12
    dynamics: float = 0.3
    articulate: float = 0.15
    hold: float = 0.2


PLAIN = Chances(
    transpose=0.0,
    jitter=0.0,
    swing=0.0,
    drop_voices=0.0,
    dynamics=0.0,
    articulate=0.0,
    hold=0.0,
)


def augmented(
    notes: Notes, generator: np.random.Generator, chances: Chances, *, bpm: float, quarters: bool
) -> Notes:
    """A changed copy, in order of onset; `quarters` says that beats are quarters."""
    notes = notes.copy()
    rolls = generator.random(6)  # always as many, so that one chance does not shift the others
    if rolls[0] < chances.drop_voices:
        notes = without_voices(notes, generator)
    if rolls[1] < chances.transpose:
        transpose(notes, generator)
    if is_written(notes):
        if rolls[4] < chances.dynamics:
            dynamics(notes, generator)
        if rolls[5] < chances.articulate:
            articulate(notes, generator)
    if rolls[2] < chances.swing and quarters:
        swing(notes, generator)
    if rolls[3] < chances.jitter:
        jitter(notes, generator, bpm=bpm)
    return notes[np.argsort(notes["onset"], kind="stable")]


def without_voices(notes: Notes, generator: np.random.Generator) -> Notes:
    """Some of the voices, never none: the melody alone, or the chords alone, is a prompt too."""
    voices = np.unique(notes["voice"])
    if len(voices) < 2:
        return notes
    keep = generator.choice(voices, size=int(generator.integers(1, len(voices))), replace=False)
    return notes[np.isin(notes["voice"], keep)]


def transpose(notes: Notes, generator: np.random.Generator) -> None:
    """Move all up to six semitones up or down, as far as the keyboard reaches."""
    if len(notes):
        down = max(-MAX_TRANSPOSITION, LOWEST_PITCH - int(notes["pitch"].min()))
        up = min(MAX_TRANSPOSITION, HIGHEST_PITCH - int(notes["pitch"].max()))
        shift = int(generator.integers(down, up + 1))
        notes["pitch"] = notes["pitch"].astype(np.int64) + shift


def is_written(notes: Notes) -> bool:
    """Whether nobody played this: its loudness is that of a score, if it has any."""
    return 0 < len(np.unique(notes["velocity"])) <= MOST_WRITTEN


def dynamics(notes: Notes, generator: np.random.Generator) -> None:
    """Play written notes as loud as hands would: swells, accents, a tune above its chords.

    Without it a network takes whoever plays with a touch for one of the few corpora that were
    played, and answers hymns with their accompaniments.
    """
    onset, velocity = notes["onset"], notes["velocity"].astype(np.float64)
    velocity += generator.uniform(*LEVEL) - velocity.mean()
    turns = onset / generator.uniform(*SWELL_QUARTERS) + generator.random()
    velocity += generator.uniform(0, SWELL) * np.sin(2 * np.pi * turns)
    velocity += generator.uniform(0, ACCENT) * (np.abs(onset - np.rint(onset)) < 1 / 24)
    downwards = np.lexsort((-notes["pitch"].astype(np.int64), onset))
    highest = downwards[np.diff(onset[downwards], prepend=-1.0) > 0]
    velocity[highest] += generator.uniform(0, TOP)
    velocity += generator.normal(0, generator.uniform(*TOUCH), size=len(notes))
    notes["velocity"] = np.clip(np.rint(velocity), 1, 127)


def articulate(notes: Notes, generator: np.random.Generator) -> None:
    """Let go of written notes before their time, from legato to half of it."""
    share = generator.normal(generator.uniform(*HELD), HELD_DEVIATION, size=len(notes))
    notes["duration"] = np.maximum(SHORTEST, notes["duration"] * share)


def swing(notes: Notes, generator: np.random.Generator) -> None:
    """Delay the second half of each beat, where the music has no triplets of its own."""
    steps = np.rint(notes["onset"] * 12) % 12
    if np.mean(steps % 3 == 0) < EVEN_SHARE:
        return
    ratio = generator.uniform(*SWING)
    end = _swung(notes["onset"] + notes["duration"], ratio)
    notes["onset"] = _swung(notes["onset"], ratio)
    notes["duration"] = end - notes["onset"]


def _swung(quarters: NDArray[np.float64], ratio: float) -> NDArray[np.float64]:
    beat = np.floor(quarters)
    within = quarters - beat
    first = within * 2 * ratio
    second = ratio + (within - 0.5) * 2 * (1 - ratio)
    return beat + np.where(within < 0.5, first, second)


def jitter(notes: Notes, generator: np.random.Generator, *, bpm: float) -> None:
    """Play each onset a little early or late, by up to 30 ms; ends stay where they were."""
    reach = generator.uniform(0, MAX_JITTER_MS) / 60_000 * bpm  # quarters
    shift = generator.uniform(-reach, reach, size=len(notes))
    onset = np.maximum(0, notes["onset"] + shift)
    notes["duration"] = np.maximum(SHORTEST, notes["duration"] + notes["onset"] - onset)
    notes["onset"] = onset
