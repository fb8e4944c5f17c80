"""Plays a written piece as a person would: not on the grid, and not one key like another.

Knows the written piece and how hands deviate from it; knows no session. Everything is drawn from
the piece's seed by plain arithmetic, so that every machine makes the same recording.

What it does, and after whom:
- Timing wanders like 1/f noise, some milliseconds wide: the hands together, each hand, each finger
  (Gilden, Thornton and Mallon, "1/f noise in human cognition", 1995). The tempo itself stays.
- The melody sounds ahead of its chord (Goebl, "Melody lead in piano performance", 2001), and the
  rest of the chord is not struck at once.
- Loudness follows the phrase, the metre and the line; melody over bass over inner keys.
- Lines are bound by overlapping, repeated keys are lifted first, chords are a little short.
- The pedal goes up with the new chord and down after it.

Run `python -m daemon.performances.performer` to record all pieces again.
"""

import random
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from mido import Message, MetaMessage

from daemon.performances.notation import Key, Phrase, Piece, read_piece
from daemon.take.midi_bytes import midi_bytes
from daemon.take.midi_file import TICKS_PER_BEAT

#: No key is struck further from its written place; `recordings.py` cuts turns by it.
EARLIEST_MS, LATEST_MS = -45.0, 60.0

_TOGETHER_MS, _HAND_MS, _FINGER_MS = 6.0, 3.0, 3.0
_LEAD_MS = {"melody": -9.0, "inner": 4.0, "bass": -2.0}
_SPREAD_MS = 4.0  # from one key of a chord to the next
_GRACE_MS = (-34.0, 14.0)  # a crushed note, and the note it is crushed into
_SHORTEST_MS = 45.0

_LOUDNESS = {"p": 50.0, "mp": 59.0, "mf": 70.0, "f": 83.0}
_WEIGHT = {"melody": 7.0, "inner": -10.0, "bass": -3.0}
_ARC, _PEAK = 9.0, 0.6  # how much louder a phrase is at its peak, and where that is
_ACCENT = 13.0
_CONTOUR = 0.35  # for each semitone above the middle of the melody
_PEDAL_DOWN_MS, _PEDAL_UP_MS = (70.0, 110.0), (0.0, 20.0)


@dataclass(frozen=True, slots=True)
class Press:
    """A key as it was pressed; times in beats."""

    down: float
    up: float
    pitch: int
    velocity: int


class Wander:
    """Numbers that wander like 1/f noise, of deviation about 1: Voss's sum of slower dice."""

    _ROWS = 5

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._rows = [self._throw() for _ in range(self._ROWS)]
        self._count = 0

    def step(self) -> float:
        """Return the next number."""
        self._count += 1
        for row in range(self._ROWS):
            if self._count % (1 << row) == 0:
                self._rows[row] = self._throw()
        return sum(self._rows) / 1.29  # the deviation of a sum of five

    def _throw(self) -> float:
        return 2 * self._dice.random() - 1


class Performer:
    """Plays one piece, once."""

    def __init__(self, piece: Piece) -> None:
        self._piece = piece
        self._dice = random.Random(piece.seed)
        self._together = Wander(self._dice)
        self._hands = {hand: Wander(self._dice) for hand in "RL"}
        self._touch = {hand: Wander(self._dice) for hand in "RL"}
        melody = [key.pitch for key in piece.keys if key.role == "melody"]
        self._middle = sum(melody) / len(melody)

    def play(self) -> list[Press]:
        """Return what the hands did, in the order of the written keys."""
        presses: list[tuple[Key, Press]] = []
        for onset in sorted({key.onset for key in self._piece.keys}):
            keys = [key for key in self._piece.keys if key.onset == onset]
            presses += self._strike(keys)
        lifted = [self._lift(key, press, presses) for key, press in presses]
        return _one_press_a_key(self._begin_at_zero(lifted))

    def pedal(self) -> list[tuple[float, int]]:
        """Return the pedal's moves as (beat, controller value)."""
        moves: list[tuple[float, int]] = []
        for start, end in self._piece.pedal:
            depth = self._dice.randrange(92, 120)
            moves.append((float(start) + self._beats(self._between(*_PEDAL_DOWN_MS)), depth))
            moves.append((float(end) + self._beats(self._between(*_PEDAL_UP_MS)), 0))
        return moves

    def swung(self, beat: Fraction) -> float:
        """Return where a written place is played: only the middle of a beat swings."""
        whole, part = divmod(beat, 1)
        return float(whole + (self._piece.swing if part == Fraction(1, 2) else part))

    # When.

    def _strike(self, keys: list[Key]) -> list[tuple[Key, Press]]:
        """Strike the keys that are written at one place."""
        together = _TOGETHER_MS * self._together.step()
        hands = {hand: _HAND_MS * wander.step() for hand, wander in self._hands.items()}
        touch = {hand: wander.step() for hand, wander in self._touch.items()}
        grace = {key.voice for key in keys if not key.duration}
        ranks: dict[str, int] = {}
        presses = []
        for key in keys:
            hand = key.voice.upper()
            late = together + hands[hand] + self._between(-_FINGER_MS, _FINGER_MS)
            late += _LEAD_MS[key.role] + self._breath(key)
            late += self._piece.behind_ms if hand == "R" else 0.0
            if key.voice in grace:
                late += _GRACE_MS[bool(key.duration)]
            if key.role != "melody":
                late += _SPREAD_MS * ranks.get(hand, 0)
                ranks[hand] = ranks.get(hand, 0) + 1
            late = min(max(late, EARLIEST_MS), LATEST_MS)
            down = self.swung(key.onset) + self._beats(late)
            presses.append((key, Press(down, down, key.pitch, self._loudness(key, touch[hand]))))
        return presses

    def _breath(self, key: Key) -> float:
        """Take a breath before a phrase and linger on its last bar, in milliseconds."""
        phrase = self._phrase(key)
        if key.onset == phrase.start:
            return 5.0
        return 4.0 if key.onset >= phrase.end - self._piece.bar_beats else 0.0

    def _begin_at_zero(self, presses: list[Press]) -> list[Press]:
        """Shift the very first chord, which a recording cannot begin before its own start."""
        first = min(press.down for press in presses)
        if first >= 0:
            return presses
        return [
            replace(press, down=press.down - first) if press.down < 0.2 else press
            for press in presses
        ]

    # How loud.

    def _loudness(self, key: Key, touch: float) -> int:
        phrase = self._phrase(key)
        part = float((key.onset - phrase.start) / (phrase.end - phrase.start))
        slope = _PEAK if part < _PEAK else 1 - _PEAK
        loudness = _LOUDNESS[phrase.dynamic] + _WEIGHT[key.role] + self._meter(key)
        loudness += _ARC * (0.5 - ((part - _PEAK) / slope) ** 2)
        loudness += 2.5 * touch + self._between(-2.0, 2.0)
        loudness += _ACCENT if key.accent else 0.0
        if key.role == "melody":
            loudness += _CONTOUR * (key.pitch - self._middle)
        if not key.duration:
            loudness -= _ACCENT
        return round(min(max(loudness, 24.0), 118.0))

    def _meter(self, key: Key) -> float:
        """Weigh the place in the bar; swing leans on the off-beats."""
        place = key.onset % self._piece.bar_beats
        swings = self._piece.swing != Fraction(1, 2)
        if place == 0:
            return 5.0
        if place.denominator > 1:
            return 2.0 if swings else -5.0
        return 2.0 if place * 2 == self._piece.bar_beats else -1.0

    # How long.

    def _lift(self, key: Key, press: Press, presses: list[tuple[Key, Press]]) -> Press:
        """Decide when the key goes up, now that it is known when the next ones go down."""
        if not key.duration:
            up = press.down + self._beats(self._between(50.0, 75.0))
            return replace(press, up=up)
        length = self.swung(key.end) - press.down
        following = [
            (other, after)
            for other, after in presses
            if other.onset == key.end and other.voice == key.voice and other.duration
        ]
        if key.staccato:
            up = press.down + length * self._between(0.36, 0.5)
        elif not following:
            up = press.down + length * self._between(0.86, 0.94)
        elif any(other.pitch == key.pitch for other, _ in following):
            up = min(after.down for _, after in following) - self._beats(self._between(50.0, 90.0))
        elif key.role == "melody":
            up = min(after.down for _, after in following) + self._beats(self._between(4.0, 34.0))
        else:
            up = press.down + length * self._between(0.88, 0.98)
        return replace(press, up=max(up, press.down + self._beats(_SHORTEST_MS)))

    # Small tools.

    def _phrase(self, key: Key) -> Phrase:
        return next(p for p in self._piece.phrases if p.start <= key.onset < p.end)

    def _between(self, low: float, high: float) -> float:
        return low + (high - low) * self._dice.random()

    def _beats(self, ms: float) -> float:
        return ms * self._piece.bpm / 60_000


def record(piece: Piece) -> bytes:
    """Return the recording as a MIDI file: one track of title, meter and tempo, one of the playing.

    Both are as long as the piece is in whole bars.
    """
    performer = Performer(piece)
    end = int(piece.bars * piece.bar_beats * TICKS_PER_BEAT)
    events: list[tuple[int, int, bytes]] = []
    for press in performer.play():
        down, up = round(press.down * TICKS_PER_BEAT), round(press.up * TICKS_PER_BEAT)
        events.append((down, 1, bytes((0x90, press.pitch, press.velocity))))
        events.append((min(max(up, down + 1), end), 0, bytes((0x80, press.pitch, 64))))
    for beat, value in performer.pedal():
        events.append((min(round(beat * TICKS_PER_BEAT), end), 2, bytes((0xB0, 64, value))))
    events.sort()
    name, last = MetaMessage("track_name", name="piano"), MetaMessage("end_of_track")
    played = [(tick, Message.from_bytes(message)) for tick, _, message in events]
    head = [(0, message) for message in _head(piece)]
    tracks = [[*head, (end, last)], [(0, name), *played, (end, last)]]
    return midi_bytes(tracks, ticks_per_beat=TICKS_PER_BEAT)


def record_all(folder: Path) -> None:
    """Record every piece in `folder`, beside its text."""
    for text in sorted(folder.glob("*.txt")):
        text.with_suffix(".mid").write_bytes(record(read_piece(text)))


def _head(piece: Piece) -> list[Any]:
    return [
        MetaMessage("track_name", name=piece.title),
        MetaMessage("text", text=piece.source),
        MetaMessage(
            "time_signature",
            numerator=piece.numerator,
            denominator=piece.denominator,
            clocks_per_click=96 // piece.denominator,
        ),
        MetaMessage("set_tempo", tempo=round(60_000_000 / piece.bpm)),
    ]


def _one_press_a_key(presses: list[Press]) -> list[Press]:
    """Lift a key before it is struck again; of two strokes at one place the longer stays."""
    kept: list[Press] = []
    last: dict[int, int] = {}  # pitch -> place in `kept`
    for press in sorted(presses, key=lambda press: (press.down, press.pitch)):
        place = last.get(press.pitch)
        if place is not None and kept[place].up > press.down - 0.02:
            before = kept[place]
            if press.down - before.down < 0.1:
                kept[place] = replace(before, up=max(before.up, press.up))
                continue
            kept[place] = replace(before, up=press.down - 0.02)
        last[press.pitch] = len(kept)
        kept.append(press)
    return kept


if __name__ == "__main__":
    record_all(Path(__file__).parent)
