"""The words of the model: MidiTok's REMI vocabulary as a plain value.

Knows which token has which number, and what each means in pitches, steps, velocities and metres.
Knows no notes, files or networks. MidiTok itself is nowhere imported but in the tests, which hold
our words and our rounding to it; a live player reads the vocabulary from the checkpoint.

How MidiTok quantizes (version 3.1, read in its source and tried out), for whoever writes a
tokenizer:

*Grammar.*  ``Bar TimeSig (Position (Pitch Velocity Duration)+)*`` again and again, from bar 0 of
the music, empty bars included, up to the bar of the last onset (no trailing bars). Position is
written once per onset time, before its first note. Notes of one onset go upwards in pitch.

*Grid.*  A step is a twelfth of the metre's denominator: a twelfth of a quarter in x/4, of an
eighth in x/8. So a quarter note has ``3 * denominator`` steps, and a bar ``12 * numerator``.

*Onset.*  In steps from the start, ``floor(steps + 1/2)``: halves go up. Position is the remainder
in its bar; an onset that rounds onto the next bar line belongs to the next bar. Where x/4 and x/8
stand in one piece, all onsets are first rounded so on the finer grid of x/8, and those in x/4
a second time, from the start of their stretch of x/4, halves to the even step.

*Duration.*  Rounded by itself, not by its end: in steps of the metre at its onset, floor(steps +
1/2), at least 1 and at most 96 (8 beats of the denominator). In x/4 of a mixed piece it is first
rounded on the finer grid, then to the nearest step, halves going up. `Duration_b.p.12` is
``12 * b + p`` steps.

*Velocity.*  To the nearest of 7, 15, ... 127 (``int(127 * k / 16)``); a tie goes to the louder.

*Doubles.*  Of notes with one onset step and one pitch, only the first in the order (duration,
velocity) stays. Pitches outside 21..108 are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LOWEST_PITCH = 21  # A0, the piano's lowest key
HIGHEST_PITCH = 108  # C8; MidiTok 3.1 counts both ends of pitch_range in
STEPS_A_BEAT = 12  # sixteenths and triplets
MAX_DURATION_BEATS = 8
VELOCITY_LEVELS = 16
# Numerators by denominator. Other denominators are rewritten to an equal bar (2/2 to 4/4) or left
# out, since each new one doubles MidiTok's grid.
METRES: dict[int, tuple[int, ...]] = {4: (1, 2, 3, 4, 5, 6, 7, 8), 8: (3, 5, 6, 7, 9, 12)}

PAD, BOS, EOS, BAR = "PAD_None", "BOS_None", "EOS_None", "Bar_None"


class VocabularyError(ValueError):
    """A token list that is not a REMI vocabulary of the kind Segue speaks."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The ordered tokens and, of each kind, the range of their numbers.

    Built by `from_tokens`. The tokens of a kind lie side by side and in rising order, so that a
    kind is a `range` and arithmetic on numbers is arithmetic on pitches or steps.
    """

    tokens: tuple[str, ...]
    pad: int
    bos: int
    eos: int
    bar: int
    pitches: range  # one for each semitone from `lowest_pitch`
    velocities: range  # one for each of `velocity_values`
    durations: range  # 1, 2, ... `max_duration_steps` steps
    positions: range  # steps 0, 1, ... in the bar
    time_signatures: range  # one for each of `metres`
    lowest_pitch: int
    velocity_values: tuple[int, ...]
    metres: tuple[tuple[int, int], ...]
    steps_a_beat: int  # of the metre's denominator

    @classmethod
    def from_tokens(cls, tokens: Sequence[str]) -> Vocabulary:
        """Read a token list such as MidiTok's; raises VocabularyError where it does not fit."""
        words = tuple(tokens)
        numbers = {word: number for number, word in enumerate(words)}
        if len(numbers) != len(words):
            raise VocabularyError("the vocabulary names a token twice")
        try:
            singles = [numbers[word] for word in (PAD, BOS, EOS, BAR)]
        except KeyError as missing:
            raise VocabularyError(f"the vocabulary has no token {missing}") from None
        pitches = _range_of(words, "Pitch")
        durations = _range_of(words, "Duration")
        positions = _range_of(words, "Position")
        pitch_values = [int(_value(words[i])) for i in pitches]
        steps, steps_a_beat = _durations([_value(words[i]) for i in durations])
        velocities = _range_of(words, "Velocity")
        metres = _range_of(words, "TimeSig")
        _check_rising("Pitch", pitch_values, first=pitch_values[0])
        _check_rising("Duration", steps, first=1)
        _check_rising("Position", [int(_value(words[i])) for i in positions], first=0)
        return cls(
            tokens=words,
            pad=singles[0],
            bos=singles[1],
            eos=singles[2],
            bar=singles[3],
            pitches=pitches,
            velocities=velocities,
            durations=durations,
            positions=positions,
            time_signatures=metres,
            lowest_pitch=pitch_values[0],
            velocity_values=tuple(int(_value(words[i])) for i in velocities),
            metres=tuple(_metre(_value(words[i])) for i in metres),
            steps_a_beat=steps_a_beat,
        )

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def max_duration_steps(self) -> int:
        """The longest duration that one token can say, in steps."""
        return len(self.durations)

    @property
    def highest_pitch(self) -> int:
        """The highest MIDI pitch with a token."""
        return self.lowest_pitch + len(self.pitches) - 1

    def pitch_token(self, pitch: int) -> int:
        """Number of the token of a MIDI pitch; ValueError outside the keyboard."""
        return _nth(self.pitches, pitch - self.lowest_pitch, f"pitch {pitch}")

    def velocity_token(self, velocity: int) -> int:
        """Number of the token nearest to a velocity; of two as near, the louder."""
        values = self.velocity_values
        best = min(range(len(values)), key=lambda i: (abs(values[i] - velocity), -values[i]))
        return self.velocities[best]

    def duration_token(self, steps: int) -> int:
        """Number of the token of a duration; it is clipped to what can be said."""
        return self.durations[min(max(steps, 1), self.max_duration_steps) - 1]

    def position_token(self, step: int) -> int:
        """Number of the token of a step in its bar; ValueError beyond the longest bar."""
        return _nth(self.positions, step, f"position {step}")

    def time_signature_token(self, metre: tuple[int, int]) -> int:
        """Number of the token of a (numerator, denominator); ValueError if it has none."""
        if metre not in self.metres:
            raise ValueError(f"the vocabulary has no time signature {metre[0]}/{metre[1]}")
        return self.time_signatures[self.metres.index(metre)]

    def steps_a_quarter(self, denominator: int) -> int:
        """Steps in a quarter note under a metre with this denominator."""
        return self.steps_a_beat * denominator // 4

    def steps_a_bar(self, metre: tuple[int, int]) -> int:
        """Steps in a bar of a (numerator, denominator)."""
        return self.steps_a_beat * metre[0]


def standard_tokens() -> tuple[str, ...]:
    """The token list of MidiTok's REMI with `tokenizer_settings`, made without MidiTok."""
    steps = range(1, STEPS_A_BEAT * MAX_DURATION_BEATS + 1)
    longest_bar = STEPS_A_BEAT * max(max(numerators) for numerators in METRES.values())
    velocities = [int(127 * k / VELOCITY_LEVELS) for k in range(1, VELOCITY_LEVELS + 1)]
    return (
        *(PAD, BOS, EOS, BAR),
        *(f"Pitch_{pitch}" for pitch in range(LOWEST_PITCH, HIGHEST_PITCH + 1)),
        *(f"Velocity_{velocity}" for velocity in velocities),
        *(f"Duration_{s // STEPS_A_BEAT}.{s % STEPS_A_BEAT}.{STEPS_A_BEAT}" for s in steps),
        *(f"Position_{step}" for step in range(longest_bar)),
        *(f"TimeSig_{n}/{denominator}" for denominator in METRES for n in METRES[denominator]),
    )


def standard_vocabulary() -> Vocabulary:
    """The vocabulary that new checkpoints are trained with."""
    return Vocabulary.from_tokens(standard_tokens())


def tokenizer_settings() -> dict[str, Any]:
    """The keyword arguments of MidiTok's TokenizerConfig, as the checkpoint records them."""
    return {
        "pitch_range": (LOWEST_PITCH, HIGHEST_PITCH),
        "beat_res": {(0, MAX_DURATION_BEATS): STEPS_A_BEAT},
        "num_velocities": VELOCITY_LEVELS,
        "remove_duplicated_notes": True,  # also sorts a chord upwards, whatever its durations
        "special_tokens": ["PAD", "BOS", "EOS"],
        "use_chords": False,
        "use_rests": False,
        "use_tempos": False,
        "use_programs": False,
        "use_pitchdrum_tokens": False,
        "use_time_signatures": True,
        "time_signature_range": {d: list(numerators) for d, numerators in METRES.items()},
    }


def _value(token: str) -> str:
    return token.partition("_")[2]


def _range_of(tokens: tuple[str, ...], kind: str) -> range:
    numbers = [i for i, token in enumerate(tokens) if token.startswith(f"{kind}_")]
    if not numbers:
        raise VocabularyError(f"the vocabulary has no token of the kind {kind}")
    whole = range(numbers[0], numbers[-1] + 1)
    if len(whole) != len(numbers):
        raise VocabularyError(f"the tokens of the kind {kind} do not lie side by side")
    return whole


def _durations(values: Sequence[str]) -> tuple[list[int], int]:
    parts = [tuple(int(part) for part in value.split(".")) for value in values]
    resolutions = {part[2] for part in parts if len(part) == 3}
    if len(resolutions) != 1 or any(len(part) != 3 for part in parts):
        raise VocabularyError("the durations are not all on one grid")
    grid = resolutions.pop()
    return [beats * grid + steps for beats, steps, _ in parts], grid


def _metre(value: str) -> tuple[int, int]:
    numerator, denominator = value.split("/")
    return int(numerator), int(denominator)


def _check_rising(kind: str, values: Sequence[int], *, first: int) -> None:
    if list(values) != list(range(first, first + len(values))):
        raise VocabularyError(f"the tokens of the kind {kind} do not rise by one from {first}")


def _nth(numbers: range, index: int, name: str) -> int:
    if not 0 <= index < len(numbers):
        raise ValueError(f"the vocabulary has no {name}")
    return numbers[index]
