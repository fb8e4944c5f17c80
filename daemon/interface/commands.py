"""The one table of commands. OSC, ZeroMQ, the command line and the README are all driven by it.

Knows names, arguments and their ranges; not what a command does: that is the session's.
A setting is a command with one argument whose value stays; it is also a flag of `segue run` and a
key of the configuration file.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from daemon.interface.events import Argument

#: What a program sends for a switch.
NO_OR_YES = ("0", "1")


class CommandError(ValueError):
    """A command that cannot be carried out; the text says what to give instead."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument: one of `choices`, if there are any, or an int or float in [low, high]."""

    name: str
    kind: type[int] | type[float] | type[str]
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()

    @property
    def range_text(self) -> str:
        """The values it takes, for people."""
        return "|".join(self.choices) if self.choices else f"{self.low:g} to {self.high:g}"

    def check(self, value: object) -> Argument:
        """Return `value` as this parameter's kind, or raise CommandError."""
        if self.kind is str:
            if isinstance(value, str) and value in self.choices:
                return value
        elif isinstance(value, (int, float, str)) and not isinstance(value, bool):
            try:
                number = float(value)
            except (ValueError, OverflowError):
                number = math.nan
            if self._takes(number):
                return self.kind(number)
        elif isinstance(value, bool) and self.choices == NO_OR_YES:  # OSC has both of its own
            return int(value)
        raise CommandError(f"{self.name} takes {self.range_text}, not {value!r:.60}")

    def _takes(self, number: float) -> bool:
        if self.choices:
            return number.is_integer() and str(int(number)) in self.choices
        return self.low <= number <= self.high and (self.kind is float or number.is_integer())


@dataclass(frozen=True, slots=True)
class Command:
    """One command, and for a setting the value it has when nothing is said."""

    name: str
    help: str
    parameters: tuple[Parameter, ...] = ()
    default: Argument | None = None

    @property
    def is_setting(self) -> bool:
        """Whether its value stays, and may be given as a flag or in the configuration."""
        return self.default is not None

    @property
    def usage(self) -> str:
        """The name and its arguments, for people: `bars <1 to 64>`."""
        if len(self.parameters) == 1:
            return f"{self.name} <{self.parameters[0].range_text}>"
        return " ".join([self.name, *(f"<{p.name}: {p.range_text}>" for p in self.parameters)])


def _number(name: str, low: float, high: float, default: float, help_: str) -> Command:
    return Command(name, help_, (Parameter(name, float, low, high),), default)


#: Where a host is, in quarter notes of its own count; a count-in may lie before 0.
_BEAT = Parameter("beat", float, -99_999, 99_999)
#: The same metres as in the configuration.
_METER = (
    Parameter("numerator", int, 1, 16),
    Parameter("denominator", int, choices=("2", "4", "8", "16")),
)


def _count(name: str, low: int, high: int, default: int, help_: str) -> Command:
    return Command(name, help_, (Parameter(name, int, low, high),), default)


def _choice(name: str, choices: tuple[str, ...], default: str, help_: str) -> Command:
    return Command(name, help_, (Parameter(name, str, choices=choices),), default)


COMMANDS: tuple[Command, ...] = (
    Command("ping", "Ask whether Segue is there; answered with pong and the version."),
    Command("state", "Ask for mode, phase, bars, tempo, playing, mind, clock and beat."),
    # Four bars is what musicians mean by trading when they say nothing else.
    _choice(
        "mode",
        ("off", "trade", "answer", "follow"),
        "trade",
        "Take turns of equal length, answer after a silence, play along, or only listen.",
    ),
    _count("bars", 1, 64, 4, "Length of a turn in bars."),
    # A little under 1: a small model's least likely notes sound like mistakes.
    _number("temperature", 0.0, 2.0, 0.95, "How boldly notes are chosen; 0 takes the likeliest."),
    _count("top_k", 0, 500, 0, "Choose among this many candidates at most; 0 is no limit."),
    _number("top_p", 0.05, 1.0, 0.98, "Choose among the candidates that make up this share."),
    # Half a bar of common time: longer than a breath inside a phrase, short enough for a talk.
    _number(
        "silence",
        0.25,
        32.0,
        2.0,
        "The rest in beats that ends your phrase, before Segue knows how you phrase.",
    ),
    _choice(
        "enter",
        ("beat", "bar"),
        "beat",
        "The line on which Segue enters after a silence or when it is called.",
    ),
    _choice(
        "give_way",
        ("stop", "beat", "along"),
        "stop",
        "When you come back, Segue stops, ends with the beat, or plays its turn out.",
    ),
    # On the grid, until somebody asks for more.
    _number(
        "feel", 0.0, 100.0, 0.0, "Percent of your swing, push and loudness that Segue takes on."
    ),
    _number("bpm", 20.0, 400.0, 120.0, "Tempo, where no MIDI clock and no host leads; Link's too."),
    Command("meter", "Bars of this metre from the next bar line on.", _METER),
    Command(
        "host/transport",
        "Where your host is: whether it plays, at which beat of its own, at how many bpm.",
        (Parameter("playing", int, choices=NO_OR_YES), _BEAT, Parameter("bpm", float, 20, 400)),
    ),
    Command(
        "host/meter",
        "Your host's metre, and any beat of its own that is a bar line in it.",
        (*_METER, replace(_BEAT, name="bar_beat")),
    ),
    Command(
        "host/loop",
        "Whether your host loops, from which beat of its own, over how many beats.",
        (
            Parameter("on", int, choices=NO_OR_YES),
            replace(_BEAT, name="start"),
            Parameter("length", float, 0.25, 99_999),
        ),
    ),
    Command(
        "takeover",
        "Segue enters on the next beat (or bar, as `enter` says) for `bars` bars, in any mode.",
    ),
    Command("handback", "Segue stops at once, and it is your turn."),
    Command("panic", "Release every note, drop what is planned, and listen."),
    Command("take/record", "Begin a take here; without it the whole session is one take."),
    Command("take/stop", "End the take, and write it as a MIDI file."),
)

_BY_NAME = {command.name: command for command in COMMANDS}


def find(name: str) -> Command:
    """Return the command called `name`, or raise CommandError."""
    try:
        return _BY_NAME[name]
    except KeyError:
        known = ", ".join(_BY_NAME)
        raise CommandError(f"no command {name!r}; there are {known}") from None


def check(name: str, arguments: Sequence[object]) -> tuple[Argument, ...]:
    """Return the arguments of `name` in their kinds, or raise CommandError."""
    command = find(name)
    if len(arguments) != len(command.parameters):
        raise CommandError(f"usage: {command.usage}")
    pairs = zip(command.parameters, arguments, strict=True)
    return tuple(parameter.check(value) for parameter, value in pairs)


def settings() -> tuple[Command, ...]:
    """The commands whose values stay."""
    return tuple(command for command in COMMANDS if command.is_setting)


def markdown_table() -> str:
    """The table as it stands in the README."""
    rows = ["| command | default | what it does |", "| --- | --- | --- |"]
    for command in COMMANDS:
        usage = command.usage.replace("|", "\\|")
        default = "" if command.default is None else f"{command.default}"
        rows.append(f"| `{usage}` | {default} | {command.help} |")
    return "\n".join(rows) + "\n"
