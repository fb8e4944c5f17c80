"""A checkpoint of REMI tokens as evaluation wants it: what notes cost it, and what it answers.

Knows backends, the live decoder and quantized pieces; knows no measures. What is judged is what
plays: the same backend takes the tokens one by one, and answers come from the decoder that a
musician hears, window, grammar, sampling and all.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.cache import Backend, Logits, common_prefix
from engine.decoder import Decoder
from engine.protocol import Continue, Controls, Meter, Note, Prompt
from engine.tokens import Placed, Tokenizer
from models.judged import (
    BAR,
    DURATION,
    FIELDS,
    PITCH,
    STEP,
    TICKS_A_QUARTER,
    VELOCITY,
    NotTheSame,
    Piece,
    Sounding,
)
from models.vocabulary import Vocabulary

ONSET = FIELDS.index("onset")


class FlatJudge:
    """A backend that says what each token costs; `Judged`."""

    def __init__(self, backend: Backend, vocabulary: Vocabulary) -> None:
        self._backend = backend
        self._words = vocabulary
        self._fed: list[int] = []  # what the backend holds
        self._bits: list[float] = []  # of each of these tokens
        columns = np.full(len(vocabulary), ONSET)
        columns[list(vocabulary.pitches)] = FIELDS.index("pitch")
        columns[list(vocabulary.durations)] = FIELDS.index("duration")
        columns[list(vocabulary.velocities)] = FIELDS.index("velocity")
        self._columns = columns

    def note_bits(self, piece: Piece) -> NDArray[np.float64]:
        """(N, 4): see `Judged`."""
        tokens = self._spelled(piece)
        bits = np.array(self._token_bits([self._words.bos, *tokens])[1:])
        words = self._words
        codes = np.array(tokens)
        is_pitch = (codes >= words.pitches.start) & (codes < words.pitches.stop)
        # Velocity and duration stand behind their note's pitch, all else before it; the end of the
        # piece belongs to the last note.
        column = self._columns[codes]
        counted = np.cumsum(is_pitch)
        note = np.where(column == ONSET, counted, counted - 1).clip(0, max(0, len(piece) - 1))
        found = np.zeros((len(piece), len(FIELDS)))
        if len(piece):
            np.add.at(found, (note, column), bits)
        return found

    def _spelled(self, piece: Piece) -> list[int]:
        """The piece as tokens, proven to be read as the piece again."""
        words = self._words
        tokenizer = Tokenizer(words, meters_of(piece))
        placed = [
            Placed(
                bar=int(note[BAR]),
                step=int(note[STEP]),
                pitch=words.pitch_token(int(note[PITCH])),
                duration=words.duration_token(int(note[DURATION])),
                velocity=words.velocity_token(int(note[VELOCITY])),
            )
            for note in piece.notes
        ]
        tokens = tokenizer.spell(placed, first_bar=0)
        again = [
            (
                note.bar,
                note.step,
                note.pitch - words.pitches.start + words.lowest_pitch,
                note.duration - words.durations.start + 1,
                words.velocity_values[note.velocity - words.velocities.start],
            )
            for note in tokenizer.read(tokens, first_bar=0)
        ]
        if not np.array_equal(np.array(again, dtype=np.int64).reshape(-1, 5), piece.notes):
            raise NotTheSame(
                f"{len(piece)} notes became {len(again)} others when they were told as tokens"
            )
        return [*tokens, words.eos] if piece.ends else tokens

    def _token_bits(self, tokens: list[int]) -> list[float]:
        """What each token cost, 0 for the first; a beginning that was fed before is kept."""
        backend = self._backend
        keep = max(1, common_prefix(self._fed, tokens))
        bits = self._bits[:keep] if self._fed else [0.0]
        backend.rewind(min(backend.length, keep - 1))
        logits = backend.next(tokens[keep - 1])
        for index in range(keep, len(tokens)):
            bits.append(_bits(logits, tokens[index]))
            if backend.length == backend.capacity:
                self._begin_again(tokens[:index])
            logits = backend.next(tokens[index])
        fits = backend.length == len(tokens)
        self._fed, self._bits = (list(tokens), bits) if fits else ([], [])
        return bits

    def _begin_again(self, tokens: list[int]) -> None:
        """Forget the older half of what was told, as far as a bar line or else a Position."""
        words = self._words
        half = len(tokens) - self._backend.capacity // 2
        start = next((at for at in range(half, len(tokens)) if tokens[at] == words.bar), None)
        if start is None:
            places = (at for at in range(half, len(tokens)) if tokens[at] in words.positions)
            start = next(places, half)
        self._backend.rewind(0)
        self._backend.append([words.bos, *tokens[start:]])


class LiveAnswerer:
    """The live decoder, asked as the player process asks it; `Answerer`."""

    def __init__(self, decoder: Decoder, controls: Controls | None = None) -> None:
        self._decoder = decoder
        self._controls = controls or Controls()

    def answer(
        self, prompt: Piece, *, from_beat: float, until_beat: float, seed: int
    ) -> Sequence[Sounding]:
        """See `Answerer`."""
        notes = tuple(enumerate(notes_of(prompt)))
        self._decoder.apply(Prompt(notes, (), meters_of(prompt), reset=True))
        answer = self._decoder.answer(Continue(1, from_beat, until_beat, self._controls, seed))
        found: list[Sounding] = []
        while not answer.finished:
            note = answer.step()
            if note is not None:
                found.append(Sounding(note.onset, note.pitch, note.duration, note.velocity))
        return found


def meters_of(piece: Piece) -> tuple[Meter, ...]:
    """The map of meters of a piece's bars."""
    found: list[Meter] = []
    for start, metre in zip(piece.bar_starts, piece.metres, strict=False):
        if not found or (found[-1].numerator, found[-1].denominator) != metre:
            found.append(Meter(float(start) / TICKS_A_QUARTER, *metre))
    return tuple(found)


def notes_of(piece: Piece) -> list[Note]:
    """A piece's notes in beats."""
    onsets, durations = piece.onsets / TICKS_A_QUARTER, piece.durations / TICKS_A_QUARTER
    return [
        Note(float(onset), int(note[PITCH]), float(duration), int(note[VELOCITY]))
        for onset, duration, note in zip(onsets, durations, piece.notes, strict=True)
    ]


def _bits(logits: Logits, token: int) -> float:
    centred = logits - logits.max()
    nats = float(np.log(np.exp(centred).sum())) - float(centred[token])
    return 0.0 if nats < 0 else nats / float(np.log(2))  # rounding; what is no number stays none
