"""Which tokens may follow, so that no malformed answer can be sampled.

Knows the grid, the vocabulary and the span of an answer; knows no logits and no caches.

Theory of operation. Music is `Bar TimeSig (Position (Pitch Velocity Duration)+)*`, again and again.
What may follow a token depends on its kind, and `FOLLOWS` is that table. Within a kind, where we
stand narrows the choice further:

  TimeSig    only the one that the map of meters says.
  Position   behind the last one in this bar, and inside the bar.
  Pitch      above the last one at this position: notes of one onset go upwards, as the tokenizer
             writes them, so that the answer comes back from the player as the same tokens. No more
             than MAX_NOTES_A_STEP of them.
  Bar        not in a second empty bar in a row: an answer never falls silent.
  PAD, BOS, EOS never.

An answer begins behind the forced Position of its first beat: we enter on the line. It ends with
the first token that leads to its end or past it, a Bar or a Position; that token is chosen like any
other, is not part of the answer, and is how the model says that it has no more to say before.
"""

from enum import IntEnum, auto

from engine.meter import BEAT_TOLERANCE
from engine.tokens import Tokenizer

#: As many as both hands have fingers.
MAX_NOTES_A_STEP = 10


class Kind(IntEnum):
    """What a token says. A number, because other members of an enum are slow keys."""

    BAR = auto()
    TIME_SIGNATURE = auto()
    POSITION = auto()
    PITCH = auto()
    VELOCITY = auto()
    DURATION = auto()


FOLLOWS: dict[Kind, tuple[Kind, ...]] = {
    Kind.BAR: (Kind.TIME_SIGNATURE,),
    Kind.TIME_SIGNATURE: (Kind.POSITION, Kind.BAR),
    Kind.POSITION: (Kind.PITCH,),
    Kind.PITCH: (Kind.VELOCITY,),
    Kind.VELOCITY: (Kind.DURATION,),
    Kind.DURATION: (Kind.PITCH, Kind.POSITION, Kind.BAR),
}


class Grammar:
    """Where an answer stands, and what may come next.

    It begins behind the Position token of `entry`; the caller writes the bars up to there.
    """

    def __init__(self, tokenizer: Tokenizer, *, from_beat: float, until_beat: float) -> None:
        words = tokenizer.vocabulary
        self._words = words
        self._grid = tokenizer.grid
        self._until = until_beat - BEAT_TOLERANCE
        self._ranges = {
            Kind.VELOCITY: words.velocities,
            Kind.DURATION: words.durations,
            Kind.BAR: range(words.bar, words.bar + 1),
        }
        number, self.step = self._grid.place_after(from_beat)
        self.bar = self._grid.bar(number)
        self._last = Kind.POSITION
        self._pitch: int | None = None  # the last one at this step
        self._notes_here = 0
        self._bar_is_empty = False
        self._bar_before_is_empty = False
        self._allowed: list[range] = []  # what follows here, once it was asked for
        self.finished = self._grid.beat_of(number, self.step) >= self._until

    def allowed(self) -> list[range]:
        """Token numbers that may follow, as non-empty ranges; at least one."""
        if not self._allowed:
            self._allowed = [found for kind in FOLLOWS[self._last] if (found := self._open(kind))]
        return self._allowed

    def take(self, token: int) -> None:
        """Go on behind one of the allowed tokens, or finish with it."""
        self._allowed = []
        words = self._words
        if token == words.bar:
            self._open_bar()
        elif token in words.time_signatures:
            self._last = Kind.TIME_SIGNATURE
        elif token in words.positions:
            self._go_to(token - words.positions.start)
        elif token in words.pitches:
            self._last = Kind.PITCH
            self._pitch = token
            self._notes_here += 1
        elif token in words.velocities:
            self._last = Kind.VELOCITY
        elif token in words.durations:
            self._last = Kind.DURATION

    def _open(self, kind: Kind) -> range:
        """The tokens of a kind that are possible here."""
        words = self._words
        if kind is Kind.BAR and self._last is Kind.TIME_SIGNATURE and self._bar_before_is_empty:
            return range(0)
        if kind is Kind.TIME_SIGNATURE:
            token = words.time_signature_token(self.bar.metre)
            return range(token, token + 1)
        if kind is Kind.POSITION:
            first = words.positions.start
            return range(first + self.step + 1, min(first + self.bar.steps, words.positions.stop))
        if kind is Kind.PITCH:
            if self._notes_here >= MAX_NOTES_A_STEP:
                return range(0)
            lowest = words.pitches.start if self._pitch is None else self._pitch + 1
            return range(lowest, words.pitches.stop)
        return self._ranges[kind]

    def _open_bar(self) -> None:
        self._last = Kind.BAR
        self._bar_before_is_empty = self._bar_is_empty
        self._bar_is_empty = True
        self.bar = self._grid.bar(self.bar.number + 1)
        self.step = -1
        self.finished = self.bar.start >= self._until

    def _go_to(self, step: int) -> None:
        self._last = Kind.POSITION
        self._bar_is_empty = False
        self._pitch = None
        self._notes_here = 0
        self.step = step
        self.finished = self._grid.beat_of(self.bar.number, step) >= self._until
