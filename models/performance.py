"""One MIDI file as it was played: notes in quarters with their voices, bar lines, a tempo.

Knows MIDI files (through symusic); knows no grid, corpora, disks or networks. What augmentation
needs and the grid would lose, the unrounded times and who plays what, is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.placing import METRE_LIST, STEPS_A_QUARTER, Bars, Integers, Placed, place
from models.scores import ScoreError, played_tracks, read_score, supported_metre
from models.vocabulary import HIGHEST_PITCH, LOWEST_PITCH

NOTE = np.dtype(
    [
        ("onset", "<f8"),  # quarters from the first bar line
        ("duration", "<f8"),  # quarters
        ("pitch", "u1"),
        ("velocity", "u1"),
        ("voice", "u1"),  # number of the track in its file
    ]
)
USUAL_BPM = 120.0  # MIDI's own, where a file says nothing
MAX_BARS = 20_000  # every empty bar costs tokens; one stray far note would be nothing but those


@dataclass(frozen=True, slots=True)
class Performance:
    """Notes in order of onset, from the bar of the first one on; bars reach past the last."""

    notes: NDArray[Any]  # (n,) of NOTE
    bars: Bars
    bpm: float  # quarters a minute, where the first note stands

    def placed(self) -> Placed:
        """The canonical list, from the bar of the first note."""
        notes = self.notes
        piece = place(
            notes["onset"],
            notes["duration"],
            notes["pitch"].astype(np.int64),
            notes["velocity"].astype(np.int64),
            self.bars,
        )
        first = int(piece.notes[0, 0])
        piece.notes[:, 0] -= first
        return Placed(notes=piece.notes, metres=piece.metres[first:])


def performance_of(midi: bytes) -> Performance:
    """Read a MIDI file; raises ScoreError where it is left out."""
    score = read_score(midi)
    parts = []
    for voice, track in enumerate(played_tracks(score)):
        columns = track.notes.numpy()
        part = np.zeros(len(columns["time"]), dtype=NOTE)
        part["onset"] = columns["time"] / score.ticks_per_quarter
        part["duration"] = columns["duration"] / score.ticks_per_quarter
        part["pitch"], part["velocity"] = columns["pitch"], columns["velocity"]
        part["voice"] = min(voice, 255)
        parts.append(part)
    notes = np.concatenate(parts) if parts else np.zeros(0, dtype=NOTE)
    on_keys = (notes["pitch"] >= LOWEST_PITCH) & (notes["pitch"] <= HIGHEST_PITCH)
    notes = notes[on_keys & (notes["velocity"] > 0)]
    if not len(notes):
        raise ScoreError("no notes")
    notes = notes[np.argsort(notes["onset"], kind="stable")]
    bars = _bars(score, last=float(notes["onset"][-1]))
    # Nothing is known of the bars before the first note; it may round up onto its next line.
    first = int(np.searchsorted(bars.starts, notes["onset"][0] + 1e-6, side="right")) - 1
    offset = bars.starts[first]
    notes["onset"] -= offset
    bars = Bars(bars.starts[first:] - offset, bars.metres[first:], bars.finest)
    return Performance(notes=notes, bars=bars, bpm=_bpm(score))


def _bars(score: Any, *, last: float) -> Bars:
    """Every bar line up to two bars after the last onset."""
    quarter = score.ticks_per_quarter
    changes = {0.0: (4, 4)}  # the MIDI default
    for sign in score.time_signatures:
        changes[sign.time / quarter] = supported_metre(sign.numerator, sign.denominator)
    times = sorted(changes)
    starts: list[NDArray[np.float64]] = []
    metres: list[Integers] = []
    for index, time in enumerate(times):
        numerator, denominator = changes[time]
        length = 4 * numerator / denominator
        end = times[index + 1] if index + 1 < len(times) else max(last, time) + 3 * length
        count = max(1, int(np.ceil((end - time) / length - 1e-6)))
        if count > MAX_BARS:
            raise ScoreError("too long")
        starts.append(np.asarray(time + length * np.arange(count), dtype=np.float64))
        metres.append(np.full(count, METRE_LIST.index(changes[time]), dtype=np.int64))
    all_metres = np.concatenate(metres)
    finest = int(STEPS_A_QUARTER[all_metres].max())
    return Bars(starts=np.concatenate(starts), metres=all_metres, finest=finest)


def _bpm(score: Any) -> float:
    tempos = [tempo.qpm for tempo in score.tempos if 10 < tempo.qpm < 1000]
    return float(tempos[0]) if tempos else USUAL_BPM
