"""Reads a piece written down as text, one line for a bar and a hand.

Knows the notation (README.md) and exact beats. Knows nothing of how a person would play it.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["melody", "inner", "bass"]

_VOICES = "RrLl"
_PEDAL = "P"
_LENGTHS = {name: Fraction(4, parts) for name, parts in zip("whqes", (1, 2, 4, 8, 16), strict=True)}
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_KEY = re.compile(r"([A-G])([#b]?)([0-8])")
_WORD = re.compile(
    r"(?P<keys>-|[A-G][^:]*):(?P<length>[whqes])(?P<dot>\.?)(?P<third>t?)(?P<marks>\S*)"
)
_GRACE = re.compile(r"(?P<keys>[A-G][^:]*):g")
_BARS = re.compile(r"(\d+)(?:-(\d+))? = (\d+)(?:-(\d+))?")


class NotationError(ValueError):
    """A line cannot be read; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key to be pressed, as it is written."""

    onset: Fraction  # beats from the first bar line
    duration: Fraction  # beats; 0 for a crushed note
    pitch: int
    voice: str  # R, r, L or l
    role: Role
    accent: bool = False
    staccato: bool = False

    @property
    def end(self) -> Fraction:
        """The beat at which it is written to end."""
        return self.onset + self.duration


@dataclass(frozen=True, slots=True)
class Phrase:
    """From one bar line to another, played in one breath."""

    start: Fraction
    end: Fraction
    dynamic: str  # p, mp, mf or f


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece as it is written. Positions are beats from its first bar line."""

    title: str
    source: str
    numerator: int
    denominator: int
    bpm: float
    swing: Fraction  # where in its beat an off-beat eighth falls
    behind_ms: float  # by how much the right hand plays behind the beat
    seed: int
    bars: int
    keys: tuple[Key, ...]  # by onset, then voice, then pitch
    pedal: tuple[tuple[Fraction, Fraction], ...]
    phrases: tuple[Phrase, ...]

    @property
    def bar_beats(self) -> Fraction:
        """Length of a bar in beats."""
        return Fraction(4 * self.numerator, self.denominator)


def read_piece(path: Path) -> Piece:
    """Read the piece at `path`. Raises `NotationError`."""
    head: dict[str, str] = {}
    bars: dict[int, dict[str, str]] = {}
    starts: list[tuple[int, str]] = []  # the bar each phrase begins with, and its dynamic
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split()
        if not words or words[0] == "#":
            continue
        if words[0] == "phrase":
            starts.append((len(bars) + 1, words[1]))
        elif words[0].endswith(":"):
            head[words[0][:-1]] = " ".join(words[1:])
        elif copied := _BARS.fullmatch(line.strip()):
            _copy(bars, *(int(group) for group in copied.groups("0")))
        elif words[0].isdigit() and words[1] in _VOICES + _PEDAL:
            bars.setdefault(int(words[0]), {})[words[1]] = " ".join(words[2:])
        else:
            raise NotationError(f"line {number} of {path.name} is none of the notation: {line}")
    if list(bars) != list(range(1, len(bars) + 1)):
        raise NotationError(f"the bars of {path.name} are not in order")
    return _piece(head, bars, starts)


def _copy(bars: dict[int, dict[str, str]], first: int, last: int, of: int, until: int) -> None:
    if max(last - first, 0) != max(until - of, 0):
        raise NotationError(f"bars {first} and following copy another number of bars")
    for bar in range(first, max(first, last) + 1):
        bars[bar] = bars[bar - first + of]


def _piece(
    head: dict[str, str], bars: dict[int, dict[str, str]], starts: list[tuple[int, str]]
) -> Piece:
    numerator, denominator = (int(number) for number in head["meter"].split("/"))
    piece = Piece(
        title=head["title"],
        source=head["source"],
        numerator=numerator,
        denominator=denominator,
        bpm=float(head["bpm"]),
        swing=Fraction(int(head.get("swing", 50)), 100),
        behind_ms=float(head.get("behind", 0)),
        seed=int(head["seed"]),
        bars=len(bars),
        keys=(),
        pedal=(),
        phrases=(),
    )
    keys = [key for voice in _VOICES for key in _voice(bars, voice, piece.bar_beats)]
    lines = [piece.bar_beats * (bar - 1) for bar, _ in starts] + [piece.bar_beats * len(bars)]
    return replace(
        piece,
        keys=tuple(sorted(keys, key=lambda key: (key.onset, key.voice, key.duration, key.pitch))),
        pedal=_pedal(bars, piece.bar_beats),
        phrases=tuple(
            Phrase(lines[number], lines[number + 1], dynamic)
            for number, (_, dynamic) in enumerate(starts)
        ),
    )


def _voice(bars: dict[int, dict[str, str]], voice: str, bar_beats: Fraction) -> list[Key]:
    """Return the keys of one voice through all bars; a bar without the voice is a rest."""
    keys: list[Key] = []
    tied: dict[int, int] = {}  # pitch -> place in `keys`
    for bar, lines in bars.items():
        at, line = bar_beats * (bar - 1), bar_beats * bar
        for word in lines.get(voice, "").split():
            if grace := _GRACE.fullmatch(word):
                keys += _keys(grace["keys"], voice, at, Fraction(0), "")
                continue
            match, length = _measured(word)
            held, tied = tied, {}
            for key in _keys(match["keys"], voice, at, length, match["marks"]):
                if key.pitch in held:
                    place = held[key.pitch]
                    keys[place] = replace(keys[place], duration=key.end - keys[place].onset)
                else:
                    place = len(keys)
                    keys.append(key)
                if "~" in match["marks"]:
                    tied[key.pitch] = place
            at += length
        if voice in lines and at != line:
            raise NotationError(f"bar {bar} {voice} is {at - line + bar_beats} beats long")
    return keys


def _keys(names: str, voice: str, at: Fraction, length: Fraction, marks: str) -> list[Key]:
    if names == "-":
        return []
    pitches = sorted(_pitch(name) for name in names.split("+"))
    roles: dict[int, Role] = dict.fromkeys(pitches, "inner")
    if voice == "R":
        roles[pitches[-1]] = "melody"
    if voice == "L":
        roles[pitches[0]] = "bass"
    accent, staccato = ">" in marks, "'" in marks
    return [Key(at, length, pitch, voice, roles[pitch], accent, staccato) for pitch in pitches]


def _pedal(
    bars: dict[int, dict[str, str]], bar_beats: Fraction
) -> tuple[tuple[Fraction, Fraction], ...]:
    presses: list[tuple[Fraction, Fraction]] = []
    for bar, lines in bars.items():
        at = bar_beats * (bar - 1)
        for word in lines.get(_PEDAL, "").split():
            match, length = _measured(word if ":" in word else f"C4:{word}")
            if match["keys"] != "-":
                presses.append((at, at + length))
            at += length
        if _PEDAL in lines and at != bar_beats * bar:
            raise NotationError(f"the pedal of bar {bar} does not fill it")
    return tuple(presses)


def _measured(word: str) -> tuple[re.Match[str], Fraction]:
    match = _WORD.fullmatch(word)
    if not match or set(match["marks"]) - set(">'~"):
        raise NotationError(f"{word} is no word of the notation")
    length = _LENGTHS[match["length"]]
    if match["dot"]:
        length *= Fraction(3, 2)
    if match["third"]:
        length *= Fraction(2, 3)
    return match, length


def _pitch(name: str) -> int:
    """Return the MIDI note number; C4 is middle C, 60."""
    match = _KEY.fullmatch(name)
    if not match:
        raise NotationError(f"{name} is no key")
    step, sign, octave = match.groups()
    return 12 * (int(octave) + 1) + _STEPS[step] + {"#": 1, "b": -1, "": 0}[sign]
