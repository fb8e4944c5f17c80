"""What an answer has played so often that it tires of it: keys, and by how much.

Knows rows; knows no networks, sampling or grammar. A *round* is a stretch of half a beat, a beat,
half a bar, or of 1, 2, 4, 8 or 16 bars, which may begin anywhere. If all of a round has been played
twice, what would begin it a third time is worn, and the more so the longer it has gone round.

What repeats makes repetition likelier at each turn, in music as in a network, and a person tires of
it: people play the same beat three times on end in 2 of 100 continuations of eight bars.
"""

from bisect import bisect_left
from collections.abc import Sequence

from engine.rows import Row
from models.nested.events import BAR_LENGTHS, KEYS
from models.nested.lookback import LAGS, SPAN
from models.vocabulary import STEPS_A_BEAT

#: Nats that a key loses with which a round would come a third time, and for each time more.
WEAR = 3.0


def _rounds(bar: int) -> tuple[int, ...]:
    """The lengths of rounds, in steps, where a bar has so many; none where it has none."""
    parts = {STEPS_A_BEAT // 2, STEPS_A_BEAT, bar // 2} if bar else set()
    return (*sorted(parts), *(lag * bar for lag in LAGS if bar))


_ROUNDS = tuple(_rounds(bar) for bar in BAR_LENGTHS)  # by metre


class Wear:
    """Follows `rows`, which grow: call `hear` for each one that is added."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._codes = [row.time * SPAN + row.key for row in rows]  # place and key of each row
        self._metre = -1
        #: Of each length of a round: the row that stands it before the last one, or -1; and since
        #: when the rows have been as they were then.
        self._there: list[int] = []
        self._since: list[int] = []
        self._begin(rows[-1].metre)

    def hear(self, row: Row) -> None:
        """Take the next row."""
        codes, code = self._codes, row.time * SPAN + row.key
        codes.append(code)
        if row.metre != self._metre:
            self._begin(row.metre)
            return
        for number, back in enumerate(_ROUNDS[row.metre]):
            before = code - back * SPAN
            there = self._there[number] + 1
            if there and codes[there] == before:
                self._there[number] = there
            else:
                self._there[number] = self._at(before)
                self._since[number] = row.time

    def of(self, time: int) -> dict[int, float]:
        """Nats by key, for the next note if it falls at this time."""
        worn: dict[int, float] = {}
        for number, back in enumerate(_ROUNDS[self._metre]):
            there, gone = self._there[number] + 1, time - self._since[number]
            if there and gone >= back:
                key = self._codes[there] - (time - back) * SPAN
                if 0 <= key < KEYS:
                    worn[key] = max(worn.get(key, 0.0), WEAR * (gone // back))
        return worn

    def _begin(self, metre: int) -> None:
        """Find out by going backwards how long each round has been going on."""
        codes = self._codes
        self._metre, self._there, self._since = metre, [], []
        for back in _ROUNDS[metre]:
            shift = back * SPAN
            there = self._at(codes[-1] - shift)
            gone = 0
            while gone < there and codes[there - gone - 1] == codes[-2 - gone] - shift:
                gone += 1
            self._there.append(there)
            self._since.append(codes[-1 - gone] // SPAN)

    def _at(self, code: int) -> int:
        at = bisect_left(self._codes, code)
        return at if self._codes[at] == code else -1
