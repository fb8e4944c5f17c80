"""Training windows of REMI tokens, spelled from segments as they are drawn.

Knows segments and tokens; knows no files and no networks.

A window is filled with segments. A segment begins with BOS and then a bar line: BOS means "you
know nothing from before here", and a live player sends it first, whether the session begins or its
context was re-anchored. EOS stands only at the true end of a piece; where room is left behind it,
the next segment follows, from the same corpus.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.augment import Chances
from models.note_cache import Shelves
from models.placing import (
    BAR,
    BAR_STEPS,
    DURATION,
    STEP,
    STEPS_A_QUARTER,
    Integers,
    Placed,
)
from models.segments import Mix, Source
from models.spelling import NOTE_TOKENS, spelled
from models.vocabulary import Vocabulary, standard_vocabulary

#: Columns of a window: the token, and whether it is to be learnt. A length that was cut short is
#: not, nor is BOS, which nobody says.
TOKEN, LEARNT = range(2)
USUAL_NOTE_TOKENS = 4  # of a note with its share of bars and places, more than most take


class TokenWindows(Mix):
    """Windows of one split, its corpora mixed by their weights."""

    def __init__(self, shelves: Shelves, *, split: str) -> None:
        super().__init__(shelves, split=split)
        self.vocabulary = standard_vocabulary()

    def draw(
        self, generator: np.random.Generator, *, count: int, length: int, chances: Chances
    ) -> Integers:
        """`count` windows (count, length, 2), each from a corpus drawn by weight."""
        windows = np.empty((count, length, 2), dtype=np.int64)
        for window, source in zip(windows, self.choose(generator, count=count), strict=True):
            filled = 0
            while filled < length:
                rows = segment(
                    source, generator, self.vocabulary, room=length - filled, chances=chances
                )
                window[filled : filled + len(rows)] = rows
                filled += len(rows)
        return windows


def segment(
    source: Source,
    generator: np.random.Generator,
    vocabulary: Vocabulary,
    *,
    room: int,
    chances: Chances,
) -> Integers:
    """(up to `room`, 2): BOS, music from a bar line on, EOS if the piece ends within the room."""
    placed, ends = source.segment(generator, notes=room // NOTE_TOKENS, chances=chances)
    cut = np.zeros(len(placed), dtype=bool)
    if generator.random() < chances.hold:
        likely = max(1, min(len(placed), room // USUAL_NOTE_TOKENS))
        placed, cut = held(placed, at=int(generator.integers(likely)))
    music = spelled(placed, vocabulary)
    rows = np.ones((len(music) + 2, 2), dtype=np.int64)
    rows[:, TOKEN] = np.concatenate(([vocabulary.bos], music, [vocabulary.eos]))
    rows[0, LEARNT] = 0
    lengths = (music >= vocabulary.durations.start) & (music < vocabulary.durations.stop)
    rows[1:-1, LEARNT][lengths] = ~cut
    return (rows if ends else rows[:-1])[:room]


def held(placed: Placed, *, at: int) -> tuple[Placed, NDArray[np.bool_]]:
    """Let the notes that sound at the onset of note `at` look like held keys: as long as they have
    sounded; and which these are."""
    metres = placed.metres
    lengths = BAR_STEPS[metres] / STEPS_A_QUARTER[metres]
    grid = STEPS_A_QUARTER[metres[placed.notes[:, BAR]]]  # steps a quarter, of each note
    onsets = (np.cumsum(lengths) - lengths)[placed.notes[:, BAR]] + placed.notes[:, STEP] / grid
    sounded = np.rint((onsets[at] - onsets) * grid).astype(np.int64)
    cut = (sounded > 0) & (placed.notes[:, DURATION] > sounded)
    notes = placed.notes.copy()
    notes[cut, DURATION] = sounded[cut]
    return Placed(notes=notes, metres=metres), cut
