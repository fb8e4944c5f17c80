"""The player's feel, measured over the last bars, and given to Segue's notes. Pure; knows beats.

Theory of operation. The mind answers on the grid. A player doesn't play there: off-beats are late
(swing), everything leans ahead or behind (push, drag), and there is a loudness and a spread of it.
Each is measured as a median or a mean over what was played lately, and given to the answer by an
amount from 0, which is the straight grid, to 1. Swing moves what stands on halves and quarters of a
beat, as if the beat were bent at its middle; what stands on triplets is swung already, and stays.
(On swing as the place of the off-beat: Friberg and Sundstrom, "Swing ratios and ensemble timing in
jazz performance", Music Perception 19, 2002.)
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, median, pstdev

from engine.meter import BEAT_TOLERANCE
from engine.protocol import Note

#: What was played this long ago no longer counts, and more notes than these are not needed.
KEPT_BEATS, KEPT_NOTES = 16.0, 96
#: Fewer notes than this on the beat, or off it, say nothing.
FEWEST = 4
#: An onset this near to a beat is meant to be on it.
ON_BEAT = 0.12
#: Off-beats from a little ahead of the middle to a hard swing; beyond are sixteenths.
OFF_BEAT = (0.42, 0.70)
#: More than this, at 120 bpm 30 ms, is not lean but a mistake, or an uncalibrated port.
MOST_PUSH = 0.06
STEPS = 12
#: A spread wider than that of the player is brought in, a narrower one at most doubled.
MOST_SPREAD = 2.0


class Feel:
    """The player's last notes, and Segue's own last velocities."""

    def __init__(self) -> None:
        self._heard: deque[tuple[float, int]] = deque(maxlen=KEPT_NOTES)  # onset, velocity
        self._drafted: deque[int] = deque(maxlen=KEPT_NOTES)  # velocities
        self.push_beats = 0.0  # behind the beat; ahead of it is negative
        self.off_beat = 0.5  # where in the beat its second half begins

    def heard(self, onset: float, velocity: int) -> None:
        """The player struck a note."""
        while self._heard and self._heard[0][0] < onset - KEPT_BEATS:
            self._heard.popleft()
        self._heard.append((onset, velocity))
        leans = [_signed_phase(onset) for onset, _ in self._heard]
        leans = [lean for lean in leans if abs(lean) <= ON_BEAT]
        push = median(leans) if len(leans) >= FEWEST else 0.0
        self.push_beats = min(max(push, -MOST_PUSH), MOST_PUSH)
        halves = [(onset - self.push_beats) % 1.0 for onset, _ in self._heard]
        halves = [phase for phase in halves if OFF_BEAT[0] <= phase <= OFF_BEAT[1]]
        self.off_beat = max(0.5, median(halves)) if len(halves) >= FEWEST else 0.5

    def given_to(self, note: Note, amount: float) -> Note:
        """Return `note`, which stands on the grid, as it is played; `amount` is from 0 to 1."""
        self._drafted.append(note.velocity)
        if amount == 0:
            return note
        onset, end = self.place_of(note.onset, amount), self.place_of(note.end, amount)
        return replace(
            note,
            onset=onset,
            duration=max(end - onset, BEAT_TOLERANCE),
            velocity=self._loudness(note.velocity, amount),
        )

    def place_of(self, beat: float, amount: float) -> float:
        """Where what stands at `beat` on the grid is played."""
        return self._swung(beat, amount) + amount * self.push_beats

    def early_beats(self, amount: float) -> float:
        """How far ahead of the grid a note may be played."""
        return max(0.0, -amount * self.push_beats)

    def _swung(self, beat: float, amount: float) -> float:
        whole = math.floor(beat + BEAT_TOLERANCE)
        step = (beat - whole) * STEPS
        place = {3: self.off_beat / 2, 6: self.off_beat, 9: (1 + self.off_beat) / 2}
        if abs(step - round(step)) > STEPS * BEAT_TOLERANCE or round(step) not in place:
            return beat
        return beat + amount * (place[round(step)] - step / STEPS)

    def _loudness(self, velocity: int, amount: float) -> int:
        if len(self._heard) < FEWEST:
            return velocity
        theirs = [velocity for _, velocity in self._heard]
        own = self._drafted
        scale = _spread(theirs) / _spread(own) if _spread(own) > 0 else 1.0
        aim = fmean(theirs) + min(scale, MOST_SPREAD) * (velocity - fmean(own))
        return min(max(round(velocity + amount * (aim - velocity)), 1), 127)


def _signed_phase(beat: float) -> float:
    """The distance from the nearest beat, behind it positive."""
    return beat - math.floor(beat + 0.5)


def _spread(velocities: Sequence[int] | deque[int]) -> float:
    return pstdev(velocities)
