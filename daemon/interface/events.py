"""What goes into a session and what comes out of it. Values only.

Every entry of the inbox carries the time at which it happened; the session knows no other time.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from engine.protocol import FromMind, Note, ToMind

Voice: TypeAlias = Literal["player", "segue"]
HostSource: TypeAlias = Literal["link", "host"]  # Ableton Link, or the host transport over OSC
Argument: TypeAlias = int | float | str


# The inbox.


@dataclass(frozen=True, slots=True)
class MidiIn:
    """A message arrived at the input port."""

    t_ns: int
    message: bytes


@dataclass(frozen=True, slots=True)
class CommandIn:
    """A command was given; its arguments are already checked against the table."""

    t_ns: int
    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class MindIn:
    """The mind said something."""

    t_ns: int
    value: FromMind


@dataclass(frozen=True, slots=True)
class Tick:
    """The time that the session asked to be woken at has come."""

    t_ns: int


@dataclass(frozen=True, slots=True)
class HostIn:
    """A host said where its music is: at `beat` of its own count at `t_ns`, going at `bpm`."""

    t_ns: int
    source: HostSource
    playing: bool
    beat: float
    bpm: float


Entry: TypeAlias = MidiIn | CommandIn | MindIn | HostIn | Tick


# The effects.


@dataclass(frozen=True, slots=True)
class Send:
    """Send `message` at `due_ns`: final, it is within the commit horizon."""

    due_ns: int
    message: bytes


@dataclass(frozen=True, slots=True)
class ReleaseAll:
    """Forget what is planned and release what sounds, now."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Pass `value` on to the mind."""

    value: ToMind


@dataclass(frozen=True, slots=True)
class NoteStarted:
    """`voice` struck a note."""

    voice: Voice
    beat: float
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class NoteEnded:
    """`voice` ended a note, which is now whole."""

    voice: Voice
    note: Note


@dataclass(frozen=True, slots=True)
class Planned:
    """Segue means to play `note`, and may think better of it."""

    epoch: int
    note: Note


@dataclass(frozen=True, slots=True)
class Cut:
    """`note` came too late to be in time and was left out."""

    note: Note


@dataclass(frozen=True, slots=True)
class Handover:
    """From `beat`, due at `due_ns`, it is `voice`'s turn."""

    voice: Voice
    beat: float
    due_ns: int


@dataclass(frozen=True, slots=True)
class TempoChanged:
    """From `beat` on the music goes at `bpm`."""

    beat: float
    bpm: float


@dataclass(frozen=True, slots=True)
class TakeMarked:
    """A take begins (`recording`) or ends at `beat`."""

    beat: float
    recording: bool


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that the player should know, in one line that names the fix."""

    text: str


@dataclass(frozen=True, slots=True)
class StateChanged:
    """What a player would like to see at a glance."""

    mode: str
    phase: str
    bars: int
    bpm: float
    playing: bool
    mind: str
    clock: str  # who leads, and whether that one was lost
    beat: float


Effect: TypeAlias = (
    Send
    | ReleaseAll
    | Tell
    | NoteStarted
    | NoteEnded
    | Planned
    | Cut
    | Handover
    | TempoChanged
    | TakeMarked
    | Noticed
    | StateChanged
)
