"""Pieces on the grid as REMI tokens, whole arrays at a time.

Knows placed pieces and the vocabulary; knows no files, windows or networks. For the same notes the
tokens are MidiTok's (tests/models/test_spelling.py); `engine/tokens.py` writes the same live.
"""

from __future__ import annotations

import numpy as np

from models.placing import BAR, DURATION, LEVEL, PITCH, STEP, Integers, Placed
from models.vocabulary import Vocabulary

BAR_TOKENS, NOTE_TOKENS = 2, 3  # Bar, TimeSig; Pitch, Velocity, Duration


def spelled(placed: Placed, vocabulary: Vocabulary) -> Integers:
    """The tokens from bar 0 to the last note, empty bars between included."""
    words, notes = vocabulary, placed.notes
    bars = notes[:, BAR]
    before = np.concatenate(([-1], bars[:-1]))
    moved = (bars > before) | (np.diff(notes[:, STEP], prepend=-1) != 0)
    # Before its own three tokens a note has the bars that it opens, and its Position if it moves.
    sizes = BAR_TOKENS * (bars - before) + moved + NOTE_TOKENS
    ends = np.cumsum(sizes)
    tokens = np.empty(ends[-1], dtype=np.int64)
    tokens[ends - 3] = words.pitches.start + notes[:, PITCH] - words.lowest_pitch
    tokens[ends - 2] = words.velocities.start + notes[:, LEVEL]
    tokens[ends - 1] = words.durations.start + notes[:, DURATION] - 1
    tokens[ends[moved] - NOTE_TOKENS - 1] = words.positions.start + notes[moved, STEP]
    numbers = np.arange(bars[-1] + 1)
    opener = np.searchsorted(bars, numbers)  # the note before which a bar is opened
    at = ends[opener] - sizes[opener] + BAR_TOKENS * (numbers - before[opener] - 1)
    tokens[at] = words.bar
    tokens[at + 1] = words.time_signatures.start + placed.metres[numbers]
    return tokens
