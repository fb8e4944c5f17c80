"""How long this player rests within a phrase, and so how long a rest ends one. Pure; knows beats.

The setting `silence` is where it begins. Someone who plays legato has said all after a short
rest, someone who leaves holes has not; so the rest that ends a phrase is half as long again as the
longest one that the player came out of by himself, lately, between half and twice the setting.
"""

from collections import deque

#: So many notes are remembered, about a phrase or two; and with fewer than a few the setting holds.
KEPT, FEWEST = 24, 8
LONGER = 1.5
LEAST, MOST = 0.5, 2.0


class Phrasing:
    """The rests before the player's last notes."""

    def __init__(self) -> None:
        self._rests: deque[float] = deque(maxlen=KEPT)

    def resumed(self, rest_beats: float) -> None:
        """The player struck a note of the same phrase after a rest, which may be none."""
        self._rests.append(rest_beats)

    def silence_beats(self, setting: float) -> float:
        """The rest in beats that ends a phrase of this player, beginning from `setting`."""
        if len(self._rests) < FEWEST:
            return setting
        return min(max(LONGER * max(self._rests), LEAST * setting), MOST * setting)
