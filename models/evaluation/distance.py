"""How far answers, taken together, are from what people played at the same places.

Knows pieces and cases; knows no models. Six properties are counted, and the two histograms of each
are compared by the Jensen-Shannon divergence (Lin, IEEE Transactions on Information Theory 37,
1991; to the base 2: 0 for equal ones, 1 for such that share nothing):

  pitch class     above the tonic of the prompt's key
  onset position  ticks from the bar line
  inter-onset     ticks from one onset to the next
  duration        ticks
  density         notes in a bar
  polyphony       keys held down, tick by tick

Two people's bars differ, too, and so do two handfuls of one person's bars: the floor is the
distance of the truth from the bars that the same player played just before, as many of them.
Empty bars and groove consistency, how alike the onset patterns of neighbouring bars are (Wu and
Yang, The Jazz Transformer on the Front Line, ISMIR 2020; 1 for equal ones), stand beside it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.evaluation.bootstrap import Floats, Statistic
from models.evaluation.keys import key_of
from models.judged import BAR, PITCH, Piece

PROPERTIES = (
    "pitch_class",
    "onset_position",
    "inter_onset",
    "duration",
    "density",
    "polyphony",
)
#: The last bin of each stands for all beyond; a bar of 8/4 has 192 ticks.
BINS = {
    "pitch_class": 12,
    "onset_position": 192,
    "inter_onset": 97,
    "duration": 193,
    "density": 49,
    "polyphony": 13,
}


def histogram(name: str, music: Piece, *, prompt: Piece) -> Floats:
    """Counts (BINS[name],) of one property; `prompt` says which key it is in."""
    match name:
        case "pitch_class":
            values = (music.notes[:, PITCH] - key_of(prompt)[0]) % 12
        case "onset_position":
            values = music.onsets - music.bar_starts[music.notes[:, BAR]]
        case "inter_onset":
            values = inter_onsets(music)
        case "duration":
            values = music.durations
        case "density":
            values = notes_in_bars(music)
        case _:
            values = keys_held(music)
    size = BINS[name]
    return np.bincount(np.minimum(values, size - 1), minlength=size).astype(np.float64)


def inter_onsets(music: Piece) -> NDArray[np.int64]:
    """Ticks from each onset to the next one that differs."""
    onsets = np.unique(music.onsets)
    return onsets[1:] - onsets[:-1]


def notes_in_bars(music: Piece) -> NDArray[np.int64]:
    """(bars,): notes that begin in each."""
    return np.bincount(music.notes[:, BAR], minlength=len(music.metres))


def keys_held(music: Piece) -> NDArray[np.int64]:
    """(ticks,): notes that sound at each tick of the bars."""
    end = int(music.bar_starts[-1])
    change = np.zeros(end + 1, dtype=np.int64)
    np.add.at(change, music.onsets, 1)
    np.add.at(change, np.minimum(music.onsets + music.durations, end), -1)
    return np.cumsum(change)[:end]


def groove(music: Piece) -> tuple[float, int]:
    """The sum of the likenesses of neighbouring bars of one length, and how many there are."""
    starts = music.bar_starts
    lengths = np.diff(starts)
    patterns = np.zeros((len(lengths), int(lengths.max(initial=1))), dtype=bool)
    bars = music.notes[:, BAR]
    patterns[bars, music.onsets - starts[bars]] = True
    pairs = np.flatnonzero(lengths[1:] == lengths[:-1])
    steps = lengths[pairs] // music.step_ticks[pairs]  # positions that an onset may have
    different = (patterns[pairs] != patterns[pairs + 1]).sum(axis=1)
    return float((1 - different / steps).sum()), len(pairs)


def divergence(first: Floats, second: Floats) -> Floats:
    """Jensen-Shannon of two histograms (..., bins), in bits; NaN where one of them is empty."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = [counts / counts.sum(axis=-1, keepdims=True) for counts in (first, second)]
        middle = (shares[0] + shares[1]) / 2
        parts = [
            np.where(share > 0, share * np.log2(share / middle), share).sum(axis=-1)
            for share in shares
        ]
    found: Floats = np.maximum(0.0, (parts[0] + parts[1]) / 2)
    return found


def divergence_of(first: Floats, second: Floats) -> Statistic:
    """The divergence of histograms (P, bins) that are added up over pieces."""
    return lambda weights: divergence(weights @ first, weights @ second)
