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

from collections.abc import Sequence
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


#: For whoever asks at each token: `Kind.BAR` is a function call in Python 3.11, ten times slower.
BAR, TIME_SIGNATURE, POSITION, PITCH, VELOCITY, DURATION = Kind

FOLLOWS: dict[Kind, tuple[Kind, ...]] = {
    BAR: (TIME_SIGNATURE,),
    TIME_SIGNATURE: (POSITION, BAR),
    POSITION: (PITCH,),
    PITCH: (VELOCITY,),
    VELOCITY: (DURATION,),
    DURATION: (PITCH, POSITION, BAR),
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
        number, self.step = self._grid.place_after(from_beat)
        self.bar = self._grid.bar(number)
        self._last = POSITION
        self._pitch: int | None = None  # the last one at this step
        self._notes_here = 0
        self._bar_is_empty = False
        self._bar_before_is_empty = False
        self._allowed: Sequence[range] = ()  # what follows here, once it was asked for
        self.finished = self.bar.beat_of(self.step) >= self._until

    def allowed(self) -> Sequence[range]:
        """Token numbers that may follow, as non-empty ranges; at least one."""
        if not self._allowed:
            self._allowed = [found for kind in FOLLOWS[self._last] if (found := self._open(kind))]
        return self._allowed

    def only(self) -> int | None:
        """The token that leaves no choice, if one alone may follow."""
        allowed = self.allowed()
        return allowed[0].start if len(allowed) == 1 == len(allowed[0]) else None

    def take(self, token: int) -> Kind:
        """Go on behind one of the allowed tokens, or finish with it; what it says."""
        kinds = FOLLOWS[self._last]
        kind = kinds[0] if len(kinds) == 1 else self._kind(token)
        self._last = kind
        self._allowed = ()
        if kind is PITCH:
            self._pitch = token
            self._notes_here += 1
        elif kind is POSITION:
            self._go_to(token - self._words.positions.start)
        elif kind is BAR:
            self._open_bar()
        return kind

    def _kind(self, token: int) -> Kind:
        """Of a token where several kinds may follow."""
        if token in self._words.pitches:
            return PITCH
        return BAR if token == self._words.bar else POSITION

    def _open(self, kind: Kind) -> range:
        """The tokens of a kind that are possible here."""
        words = self._words
        if kind is VELOCITY:
            return words.velocities
        if kind is DURATION:
            return words.durations
        if kind is PITCH:
            if self._notes_here >= MAX_NOTES_A_STEP:
                return range(0)
            lowest = words.pitches.start if self._pitch is None else self._pitch + 1
            return range(lowest, words.pitches.stop)
        if kind is POSITION:
            first, stop = words.positions.start, words.positions.stop
            return range(first + self.step + 1, min(first + self.bar.steps, stop))
        if kind is TIME_SIGNATURE:
            token = words.time_signature_token(self.bar.metre)
            return range(token, token + 1)
        silent = self._last is TIME_SIGNATURE and self._bar_before_is_empty
        return range(0) if silent else range(words.bar, words.bar + 1)

    def _open_bar(self) -> None:
        self._bar_before_is_empty = self._bar_is_empty
        self._bar_is_empty = True
        self.bar = self._grid.bar(self.bar.number + 1)
        self.step = -1
        self.finished = self.bar.start >= self._until

    def _go_to(self, step: int) -> None:
        self._bar_is_empty = False
        self._pitch = None
        self._notes_here = 0
        self.step = step
        self.finished = self.bar.beat_of(step) >= self._until
