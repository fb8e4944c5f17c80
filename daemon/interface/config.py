"""The one configuration tree: defaults, then a TOML file, then flags. Checked here alone.

Every default says why. `Config.from_table` takes the parsed TOML; a mistake in it is a ConfigError
whose text names the key and what it may be.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from daemon.interface import commands

NS_PER_MS = 1_000_000
#: More than any driver or synthesizer has; so long before its time a note can't be taken back.
MOST_LATENCY_MS = 500
#: Who may lead: each clock by its name, or the first that speaks.
ClockChoice: TypeAlias = Literal["auto", "internal", "midi", "link", "host"]
CLOCKS: tuple[ClockChoice, ...] = ("auto", "internal", "midi", "link", "host")
Tree = TypeVar("Tree")


class ConfigError(ValueError):
    """The configuration cannot be used; the text says which key, and what it may be."""


def _default(name: str) -> Any:
    return commands.find(name).default


@dataclass(frozen=True, slots=True)
class Settings:
    """What a player may change while playing; defaults and ranges stand in the command table."""

    mode: str = _default("mode")
    bars: int = _default("bars")
    temperature: float = _default("temperature")
    top_k: int = _default("top_k")
    top_p: float = _default("top_p")
    silence: float = _default("silence")
    enter: str = _default("enter")
    give_way: str = _default("give_way")
    feel: float = _default("feel")
    bpm: float = _default("bpm")

    @property
    def feel_share(self) -> float:
        """`feel`, from 0 to 1."""
        return self.feel / 100

    def changed(self, name: str, value: object) -> "Settings":
        """Return the settings with one of them changed; raises CommandError if it cannot be."""
        (checked,) = commands.check(name, (value,))
        changes: dict[str, Any] = {name: checked}
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """All that a session's decisions depend on beside its inbox. It stands in every journal."""

    settings: Settings = field(default_factory=Settings)
    meter: tuple[int, int] = (4, 4)
    #: Follow a host or a clock once one is heard; a musician without one never has to think of it.
    clock: ClockChoice = "auto"
    #: Machines that were not told to follow Segue should not begin to play with it.
    send_clock: bool = False
    #: The same seed and the same inbox give the same answers.
    seed: int = 0
    #: Segue plays on this channel, counted from 0 (MIDI channel 1).
    channel: int = 0
    #: Sostenuto: the pedal that most keyboards have and few players use.
    foot_switch: int = 66
    #: Notes are committed this long before they sound: long enough for a thread that the system
    #: wakes late, short enough that a tempo change or a stop is obeyed at once.
    horizon_ns: int = 25 * NS_PER_MS
    #: A line nearer than this is not promised to a take-over: the mind's first note takes about
    #: a tenth of a second on a small machine.
    reaction_ns: int = 150 * NS_PER_MS
    #: What comes in was played so long before it arrived; the shell stamps it accordingly.
    input_latency_ns: int = 0
    #: What is sent sounds so long after it left; the shell sends it earlier by as much.
    output_latency_ns: int = 0

    def __post_init__(self) -> None:
        if self.send_clock and self.clock == "midi":
            raise ConfigError(
                'send_clock does not go with clock = "midi", a clock that Segue follows itself: '
                'take clock = "auto"'
            )

    def to_json(self) -> dict[str, Any]:
        """Return the values as they stand in a journal."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "SessionConfig":
        """Read back what `to_json` wrote; raises ConfigError."""
        try:
            settings = Settings()
            for name, value in values["settings"].items():
                settings = settings.changed(name, value)
            meter = parse_meter("/".join(map(str, values["meter"])))
            if values["clock"] not in CLOCKS:
                raise ConfigError(f"clock takes {'|'.join(CLOCKS)}")
            return cls(**{**values, "settings": settings, "meter": meter})
        except (AttributeError, KeyError, TypeError, commands.CommandError) as error:
            raise ConfigError(f"no set-up of a session: {error}") from None


@dataclass(frozen=True, slots=True)
class PortsConfig:
    """MIDI ports. Without names Segue offers virtual ports of its own."""

    api: str | None = None
    input: str | None = None
    output: str | None = None
    #: None is known until somebody measures; a MIDI cable takes a millisecond, a synthesizer tens.
    input_latency_ms: float = 0.0
    output_latency_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class ControlConfig:
    """Where commands come in and the stream goes out; loopback only, 0 switches one off."""

    osc_port: int = 9100
    control_port: int = 9101
    stream_port: int = 9102

    def __post_init__(self) -> None:
        if self.control_port and self.control_port == self.stream_port:
            raise ConfigError(
                f"[control] control_port and stream_port are both {self.control_port}: "
                "give one of them another"
            )


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """Ableton Link. It speaks to the whole network, and so only where somebody has said so."""

    join: bool = False
    #: Most peers have their own start and stop, as in Live; then Link alone says what the beat is.
    start_stop: bool = False


@dataclass(frozen=True, slots=True)
class MindConfig:
    """Which model answers, and where it runs: a child of ours, unless there is an address."""

    checkpoint: str | None = None
    address: str | None = None
    keys: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything `segue run` depends on."""

    session: SessionConfig = field(default_factory=SessionConfig)
    ports: PortsConfig = field(default_factory=PortsConfig)
    control: ControlConfig = field(default_factory=ControlConfig)
    link: LinkConfig = field(default_factory=LinkConfig)
    mind: MindConfig = field(default_factory=MindConfig)
    #: The folder for takes; None is the user's data folder of this system.
    takes: str | None = None

    @property
    def played(self) -> SessionConfig:
        """The session as it is played behind these ports: it decides earlier by their latency."""
        output_ns = round(self.ports.output_latency_ms * NS_PER_MS)
        return replace(
            self.session,
            horizon_ns=self.session.horizon_ns + output_ns,
            reaction_ns=self.session.reaction_ns + output_ns,
            input_latency_ns=round(self.ports.input_latency_ms * NS_PER_MS),
            output_latency_ns=output_ns,
        )

    @property
    def joins_link(self) -> bool:
        """Whether Segue is a peer of the Link session: where it was told to, and would follow."""
        return self.session.clock == "link" or (self.session.clock == "auto" and self.link.join)

    @classmethod
    def from_file(cls, path: Path) -> "Config":
        """Read a TOML file; raises ConfigError with the line or key that is wrong."""
        try:
            with path.open("rb") as file:
                table = tomllib.load(file)
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path} is not TOML: {error}") from None
        return cls.from_table(table)

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> "Config":
        """Build the tree from a table of tables; raises ConfigError."""
        names = ["session", "ports", "control", "link", "mind", "takes"]
        _known(table, "the configuration", names)
        takes = table.get("takes")
        if takes is not None and not isinstance(takes, str):
            raise ConfigError("takes has to be the path of a folder")
        return cls(
            session=_session(_section(table, "session")),
            ports=_filled(PortsConfig(), _section(table, "ports"), "ports", _at_ports),
            control=_filled(ControlConfig(), _section(table, "control"), "control", parse_port),
            link=_filled(LinkConfig(), _section(table, "link"), "link", _switch),
            mind=_filled(MindConfig(), _section(table, "mind"), "mind", _at_mind),
            takes=takes,
        )


def parse_meter(text: str) -> tuple[int, int]:
    """Return (3, 4) for "3/4"; raises ConfigError."""
    parts = text.split("/")
    if len(parts) == 2 and all(part.isascii() and part.isdigit() for part in parts):
        numerator, denominator = int(parts[0]), int(parts[1])
        if 1 <= numerator <= 16 and denominator in (2, 4, 8, 16):
            return numerator, denominator
    raise ConfigError(f"meter has to be like 4/4, 3/4 or 6/8, not {text!r:.60}")


def parse_latency_ms(key: str, value: object) -> float:
    """Return `value` if it is a latency in milliseconds; raises ConfigError."""
    match value:
        case bool():
            pass
        case int() | float() if 0 <= value <= MOST_LATENCY_MS:
            return float(value)
    raise ConfigError(f"{key} takes milliseconds from 0 to {MOST_LATENCY_MS}, not {value!r:.60}")


def parse_port(key: str, value: object) -> int:
    """Return `value` if it is the number of a port, or 0 for none; raises ConfigError."""
    return _integer(key, value, 0, 65535)


def parse_address(key: str, value: object) -> str:
    """Return `value` if a mind can be there; raises ConfigError."""
    text = _text(key, value)
    kind, _, place = text.partition("://")
    port = place.rpartition(":")[2]
    if (kind == "ipc" and place) or (kind == "tcp" and place != port and port.isdigit()):
        return text
    raise ConfigError(f"{key} takes an address like tcp://192.168.1.20:7340, not {text!r:.60}")


def _section(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = table.get(name, {})
    if not isinstance(section, Mapping):
        raise ConfigError(f"{name} has to be a table: [{name}]")
    return section


def _known(table: Mapping[str, Any], where: str, names: list[str]) -> None:
    for key in table:
        if key not in names:
            raise ConfigError(f"{where} has no {key!r}; it may have {', '.join(names)}")


def _session(table: Mapping[str, Any]) -> SessionConfig:
    names = [command.name for command in commands.settings()]
    others = ["meter", "clock", "send_clock", "seed", "channel", "foot_switch"]
    _known(table, "[session]", [*names, *others])
    settings = Settings()
    session = SessionConfig()
    for key, value in table.items():
        if key in names:
            try:
                settings = settings.changed(key, value)
            except commands.CommandError as error:
                raise ConfigError(f"[session] {error}") from None
        elif key == "meter":
            session = replace(session, meter=parse_meter(_text("meter", value)))
        elif key == "clock":
            if value not in CLOCKS:
                raise ConfigError(f"[session] clock takes {'|'.join(CLOCKS)}, not {value!r:.60}")
            session = replace(session, clock=value)
        elif key == "send_clock":
            session = replace(session, send_clock=_switch("send_clock", value))
        elif key == "seed":
            session = replace(session, seed=_integer("seed", value, 0, 2**31 - 1))
        elif key == "channel":  # people count channels from 1
            session = replace(session, channel=_integer("channel", value, 1, 16) - 1)
        else:
            session = replace(session, foot_switch=_integer("foot_switch", value, 0, 127))
    return replace(session, settings=settings)


def _filled(
    tree: Tree, table: Mapping[str, Any], where: str, check: Callable[[str, object], Any]
) -> Tree:
    _known(table, f"[{where}]", [f.name for f in fields(tree)])  # type: ignore[arg-type]
    changes = {key: check(f"[{where}] {key}", value) for key, value in table.items()}
    return replace(tree, **changes)  # type: ignore[type-var]


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{key} has to be a text in quotes, not {value!r:.60}")
    return value


def _at_ports(key: str, value: object) -> str | float:
    return parse_latency_ms(key, value) if key.endswith("_latency_ms") else _text(key, value)


def _at_mind(key: str, value: object) -> str:
    return parse_address(key, value) if key.endswith(" address") else _text(key, value)


def _switch(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{key} has to be true or false, not {value!r:.60}")
    return value


def _integer(key: str, value: object, low: int, high: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise ConfigError(f"{key} has to be a whole number from {low} to {high}, not {value!r:.60}")
