"""Notes in beats to the model's tokens and back, as MidiTok's REMI does it.

Knows the vocabulary and a grid; knows no windows, caches or sampling, and imports neither MidiTok,
torch nor numpy. For the same notes and meters the tokens are MidiTok's, token for token (see
tests/engine/test_tokens.py), where every meter begins on a bar line and before the last onset:
MidiTok writes empty bars up to a later one, a live prompt ends with its last note.

It works in two steps, because the first is done once for each note and the second for each prompt:
`place` rounds a note to a `Placed`, and `spell` writes sorted `Placed`s as tokens. Spelling is a
walk from left to right, so prompts with equal beginnings have equal first tokens.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine.grid import Grid, GridBar
from engine.protocol import Meter, Note
from models.vocabulary import Vocabulary

#: Tokens that open a bar (Bar, TimeSig), a step (Position), and that say a note.
BAR_TOKENS, STEP_TOKENS, NOTE_TOKENS = 2, 1, 3


class Placed(NamedTuple):
    """A note on the grid. Sorting gives the order in which MidiTok writes notes."""

    bar: int
    step: int
    pitch: int  # token
    duration: int  # token
    velocity: int  # token

    @property
    def where(self) -> tuple[int, int]:
        """(bar number, step)."""
        return self.bar, self.step


class Tokenizer:
    """One vocabulary over one map of meters."""

    def __init__(self, vocabulary: Vocabulary, meters: Sequence[Meter]) -> None:
        self.vocabulary = vocabulary
        self.grid = Grid(meters, vocabulary)
        self._velocities = [vocabulary.velocity_token(velocity) for velocity in range(128)]

    def place(self, note: Note) -> Placed | None:
        """Round a note to the grid; None for a pitch that the model has no key for."""
        words = self.vocabulary
        if not words.lowest_pitch <= note.pitch <= words.highest_pitch:
            return None
        number, step = self.grid.place(note.onset)
        bar = self.grid.bar(number)
        return Placed(
            number,
            step,
            words.pitches.start + note.pitch - words.lowest_pitch,
            words.durations.start + self.grid.duration_steps(note.duration, bar) - 1,
            self._velocities[note.velocity],
        )

    def note(self, placed: Placed) -> Note:
        """The note that a `Placed` stands for."""
        return self.note_in(self.grid.bar(placed.bar), placed)

    def note_in(self, bar: GridBar, placed: Placed) -> Note:
        """The same for whoever has the note's bar at hand."""
        words = self.vocabulary
        return Note(
            onset=bar.beat_of(placed.step),
            pitch=words.lowest_pitch + placed.pitch - words.pitches.start,
            duration=(placed.duration - words.durations.start + 1) / bar.steps_a_quarter,
            velocity=words.velocity_values[placed.velocity - words.velocities.start],
        )

    def open_bar(self, number: int) -> list[int]:
        """The tokens that open a bar."""
        words = self.vocabulary
        return [words.bar, words.time_signature_token(self.grid.bar(number).metre)]

    def spell(
        self, placed: Iterable[Placed], *, first_bar: int, last_bar: int | None = None
    ) -> list[int]:
        """Write sorted notes from the bar line of `first_bar` on; none may lie before it.

        Empty bars are written too, those up to `last_bar` even behind the last note. Of notes
        with one place and pitch only the first is written.
        """
        tokens: list[int] = []
        next_bar = first_bar
        here: tuple[int, int] | None = None
        pitch = -1
        for note in placed:
            if note.where != here:
                while next_bar <= note.bar:
                    tokens += self.open_bar(next_bar)
                    next_bar += 1
                tokens.append(self.vocabulary.positions[note.step])
                here = note.where
            elif note.pitch == pitch:
                continue
            pitch = note.pitch
            tokens += (pitch, note.velocity, note.duration)
        while last_bar is not None and next_bar <= last_bar:
            tokens += self.open_bar(next_bar)
            next_bar += 1
        return tokens

    def read(self, tokens: Iterable[int], *, first_bar: int) -> list[Placed]:
        """Notes of well-formed tokens whose first Bar opens `first_bar`."""
        words = self.vocabulary
        found: list[Placed] = []
        bar, step, pitch, velocity = first_bar - 1, 0, 0, 0
        for token in tokens:
            if token == words.bar:
                bar += 1
            elif token in words.positions:
                step = token - words.positions.start
            elif token in words.pitches:
                pitch = token
            elif token in words.velocities:
                velocity = token
            elif token in words.durations:
                found.append(Placed(bar, step, pitch, token, velocity))
        return found


def tokenize(
    notes: Iterable[Note], meters: Sequence[Meter], vocabulary: Vocabulary, *, first_bar: int = 0
) -> list[int]:
    """Notes in any order to token numbers, from the bar line of `first_bar` on."""
    tokenizer = Tokenizer(vocabulary, meters)
    placed = sorted(filter(None, map(tokenizer.place, notes)))
    return tokenizer.spell((note for note in placed if note.bar >= first_bar), first_bar=first_bar)


def untokenize(
    tokens: Iterable[int], meters: Sequence[Meter], vocabulary: Vocabulary, *, first_bar: int = 0
) -> list[Note]:
    """Token numbers to notes; what is no part of a note is passed over."""
    tokenizer = Tokenizer(vocabulary, meters)
    return [tokenizer.note(placed) for placed in tokenizer.read(tokens, first_bar=first_bar)]
