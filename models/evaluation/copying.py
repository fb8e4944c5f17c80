"""How long a piece of an answer is a piece of something else, note for note.

Knows pieces; knows no models. Two passages are the same when their notes follow each other by the
same intervals after the same times, in whatever key. People quote as well, themselves above all,
and simple music repeats by chance: answers are held against the middle 95 % of what people played
at the same places, whom the training set does not hold either.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.judged import BAR, PITCH, STEP, TICKS_A_QUARTER, Piece, bar_ticks

Longs = NDArray[np.int64]

LONGEST_TICKS = 511
#: A step's number lies between the two that end a query and a text, which equal nothing.
QUERY_END, TEXT_END = 0, 256 * 512
BAND = (0.025, 0.975)


def steps_of(piece: Piece) -> Longs:
    """(notes - 1,): from each note to the next, interval and ticks as one number."""
    intervals = np.diff(piece.notes[:, PITCH]) + 128
    return intervals * 512 + np.minimum(np.diff(piece.onsets), LONGEST_TICKS)


def text_of(pieces: Sequence[Piece]) -> Longs:
    """The steps of many pieces end to end; no passage goes over an end."""
    end = np.array([TEXT_END], dtype=np.int64)
    return np.concatenate([part for piece in pieces for part in (steps_of(piece), end)] or [end])


def longest_shared(queries: Sequence[Piece], text: Longs) -> list[int]:
    """Of each query, the notes of its longest passage that stands in the text; 1 is no passage.

    Passages grow by a step at a time, in all queries and in the text at once; what has no
    counterpart is dropped, so that after a few steps little is left.
    """
    end = np.array([QUERY_END], dtype=np.int64)
    steps = np.concatenate([part for query in queries for part in (steps_of(query), end)] or [end])
    owner = np.repeat(np.arange(len(queries)), [max(1, len(query)) for query in queries])
    found = np.ones(len(queries), dtype=np.int64)
    text = np.append(text, TEXT_END)
    here, name = np.arange(len(owner)), np.zeros(len(owner), dtype=np.int64)
    there, text_name = np.arange(len(text)), np.zeros(len(text), dtype=np.int64)
    length = 0
    while True:
        goes_on = steps[here + length] != QUERY_END
        here, name = here[goes_on], name[goes_on]
        keys, new_name = np.unique(name * TEXT_END + steps[here + length], return_inverse=True)
        if not len(keys):
            break
        # The end of a text makes a key that no step makes, so that no passage goes over it.
        wanted = text_name * TEXT_END + text[there + length]
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        same = keys[at] == wanted
        there, text_name = there[same], at[same]
        is_there = np.zeros(len(keys), dtype=bool)
        is_there[text_name] = True
        here, name = here[is_there[new_name]], new_name[is_there[new_name]]
        if not len(here):
            break
        length += 1
        found[owner[here]] = length + 1
    return [min(number, len(query)) for number, query in zip(found.tolist(), queries, strict=True)]


def band_of(lengths: Sequence[int]) -> tuple[float, float]:
    """The middle 95 % of people's lengths."""
    low, high = np.quantile(lengths, BAND) if lengths else (0.0, 0.0)
    return float(low), float(high)


def loops(music: Piece) -> tuple[int, int]:
    """Bars with notes that repeat an earlier one of the same music, and bars with notes."""
    bars = [
        music.notes[music.notes[:, BAR] == bar][:, [STEP, PITCH]].tobytes()
        for bar in np.unique(music.notes[:, BAR])
    ]
    return len(bars) - len(set(bars)), len(bars)


def stands_still(music: Piece) -> bool:
    """Whether a beat, or half a bar, comes three times on end, all that is struck in it alike.

    A beat is a quarter, or three eighths where the metre is of eighths.
    """
    metre = music.metres[0]
    beat = TICKS_A_QUARTER * (3 if metre[1] == 8 else 2) // 2
    struck: defaultdict[int, set[int]] = defaultdict(set)
    for onset, pitch in zip(music.onsets.tolist(), music.notes[:, PITCH].tolist(), strict=True):
        struck[onset].add(pitch)
    onsets = sorted(struck)
    for length in (beat, bar_ticks(metre) // 2):
        later = {onset + length for onset in onsets if onset + length <= onsets[-1]}
        other = [
            tick
            for tick in sorted(later.union(onsets))
            if tick < length or struck.get(tick) != struck.get(tick - length)
        ]
        if any(onset - other[bisect_right(other, onset) - 1] >= 2 * length for onset in onsets):
            return True
    return False
