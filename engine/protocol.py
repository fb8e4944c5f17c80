"""The values that cross between the player process and the mind.

Knows notes, meters and requests, all in beats. Knows no tokens, sockets, clocks or models, so that
a mind can be anything that answers notes with notes.

The player process sends `Prompt`, `Continue`, `Cancel` and `Ping`; the mind sends `Ready`,
`Drafted`, `Finished`, `Refused` and `Pong`. `Lost` is said by the client itself when the mind is
gone. A beat is a quarter note, counted from the start of the transport.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """One note on the beat axis. Ordered by onset, then pitch."""

    onset: float  # beats
    pitch: int  # MIDI note number, 0 to 127
    duration: float  # beats, > 0
    velocity: int  # 1 to 127

    @property
    def end(self) -> float:
        """The beat at which the note is released."""
        return self.onset + self.duration


@dataclass(frozen=True, slots=True)
class Meter:
    """From `beat`, which is a bar line, bars are numerator/denominator."""

    beat: float
    numerator: int
    denominator: int

    @property
    def bar_beats(self) -> float:
        """Length of one bar in beats."""
        return self.numerator * 4 / self.denominator


@dataclass(frozen=True, slots=True)
class Controls:
    """How boldly the mind chooses. `top_k` 0 and `top_p` 1.0 keep every candidate."""

    temperature: float = 0.95
    top_k: int = 0
    top_p: float = 0.98


@dataclass(frozen=True, slots=True)
class Prompt:
    """What changed in what was played, since the last `Prompt`.

    Notes are known by a number that the player process gives and never uses twice. A note that is
    still held stands here with a provisional duration and is put again when it ends. `meters` is
    the whole map. With `reset` the mind forgets all it was told before.
    """

    put: tuple[tuple[int, Note], ...]
    dropped: tuple[int, ...]
    meters: tuple[Meter, ...]
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Continue:
    """Ask for notes with onsets in [from_beat, until_beat). It supersedes every older epoch."""

    epoch: int
    from_beat: float
    until_beat: float
    controls: Controls
    seed: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop drafting `epoch`; answered by `Finished`, if the epoch had not finished already."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask whether the mind is alive; answered by `Pong` with the same number."""

    number: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The mind is loaded and warm."""

    model: str
    parameters: int
    pid: int


@dataclass(frozen=True, slots=True)
class Drafted:
    """One note of the answer, sent as soon as its last token is there; onsets never fall back."""

    epoch: int
    note: Note


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer of `epoch` is whole (or was cancelled), and this is what it cost."""

    epoch: int
    cancelled: bool
    prompt_tokens: int  # length of the prompt in tokens
    cached_tokens: int  # of these, how many the cache already held
    token_ms: tuple[float, ...]  # each decoded token
    note_ms: tuple[float, ...]  # each note, from the end of the one before


@dataclass(frozen=True, slots=True)
class Refused:
    """The mind could not take a message; `reason` is one line that names the fix."""

    reason: str


@dataclass(frozen=True, slots=True)
class Pong:
    """The mind is alive."""

    number: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The mind went away, or fell silent; a new one is on its way."""

    reason: str


ToMind: TypeAlias = Prompt | Continue | Cancel | Ping
FromMind: TypeAlias = Ready | Drafted | Finished | Refused | Pong | Lost
