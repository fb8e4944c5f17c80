"""Protocol values to bytes and back.

Knows the shape and the bounds of every message; knows no sockets. A message is one JSON array, the
name of its type first and its fields in the order of `engine.protocol`:

    ["Prompt", [[7, [4.0, 60, 0.5, 80]]], [3], [[0.0, 4, 4]], false]
    ["Continue", 12, 16.0, 32.0, [0.95, 0, 0.95], 42]      ["Cancel", 12]      ["Ping", 1]
    ["Ready", "segue-flat", 4800000, 4711]                ["Pong", 1]
    ["Drafted", 12, [16.0, 62, 0.5, 80]]                   ["Refused", "what was wrong"]
    ["Finished", 12, false, 310, 296, [4.1, 3.9], [16.2]]

What a peer sends is believed only as far as it was checked here: `decode` raises WireError, and
nothing else, for whatever bytes it is given. `Lost` does not cross; the client says it itself.
"""

import json
import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any, NoReturn, cast, get_args

from engine.protocol import (
    Cancel,
    Continue,
    Controls,
    Drafted,
    Finished,
    FromMind,
    Meter,
    Note,
    Ping,
    Pong,
    Prompt,
    Ready,
    Refused,
    ToMind,
)

#: A whole session of a hundred thousand notes is still smaller.
MAX_BYTES = 16 * 1024 * 1024
MAX_TEXT = 10_000  # characters
#: Far beyond any session (200 days at 120 bpm), and small enough to keep a float exact to a tick.
MAX_BEAT = 1e8
MAX_INTEGER = 2**63 - 1

#: Looked up once, since a draft has hundreds of notes.
_FIELDS: dict[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind))
    for kind in (*get_args(ToMind), *get_args(FromMind), Note, Meter, Controls)
}


def _values(value: object) -> list[Any]:
    """The fields of a message, or of a value within one."""
    return [getattr(value, name) for name in _FIELDS[type(value)]]


_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_values)

Reader = Callable[[object, str], Any]


class WireError(ValueError):
    """A peer sent something that is not a message; the text is one line that says what."""


def encode(value: ToMind | FromMind) -> bytes:
    """Write a message. Raises ValueError for NaN, TypeError for what does not cross."""
    name = type(value).__name__
    if name not in _MESSAGES:
        raise TypeError(f"{name} does not cross the wire")
    return _JSON.encode([name, *_values(value)]).encode()


def decode(frame: bytes) -> ToMind | FromMind:
    """Read a message; raises WireError."""
    if len(frame) > MAX_BYTES:
        raise WireError(f"a message of {len(frame)} bytes is longer than {MAX_BYTES}")
    try:
        array = json.loads(frame.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not a JSON message: {_one_line(error)}") from None
    if not isinstance(array, list) or not array or not isinstance(array[0], str):
        raise WireError("a message is a JSON array that begins with the name of its type")
    reader = _MESSAGES.get(array[0])
    if reader is None:
        raise WireError(f"no message is called {array[0][:40]!r}; known are {', '.join(_MESSAGES)}")
    return cast("ToMind | FromMind", reader(array[1:], array[0]))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that can be played")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _integer(low: int, high: int) -> Reader:
    def read(value: object, where: str) -> int:
        # bool is an int in Python, but `true` is no count of anything
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise WireError(f"{where} is {_shown(value)}; it must be an integer, {low} to {high}")
        return value

    return read


def _number(low: float, high: float, *, exclusive: bool = False) -> Reader:
    def read(value: object, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise WireError(f"{where} is {_shown(value)}; it must be a number")
        # An integer beyond every float compares well with both bounds but does not convert.
        if not low <= value <= high or (exclusive and value == low) or not math.isfinite(value):
            bound = "above" if exclusive else "from"
            raise WireError(f"{where} is {_shown(value)}; it must be {bound} {low:g} to {high:g}")
        return float(value)

    return read


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise WireError(f"{where} must be a text of at most {MAX_TEXT} characters")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise WireError(f"{where} is {_shown(value)}; it must be true or false")
    return value


def _many(reader: Reader) -> Reader:
    def read(value: object, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise WireError(f"{where} is {_shown(value)}; it must be an array")
        return tuple(reader(part, f"{where}[{index}]") for index, part in enumerate(value))

    return read


def _pair(first: Reader, second: Reader) -> Reader:
    def read(value: object, where: str) -> tuple[Any, Any]:
        if not isinstance(value, list) or len(value) != 2:
            raise WireError(f"{where} is {_shown(value)}; it must be an array of two")
        return first(value[0], f"{where}[0]"), second(value[1], f"{where}[1]")

    return read


def _record(kind: Callable[..., Any], **readers: Reader) -> Reader:
    def read(value: object, where: str) -> Any:
        if not isinstance(value, list) or len(value) != len(readers):
            raise WireError(f"{where} takes {len(readers)} fields: {', '.join(readers)}")
        return kind(
            *(
                reader(part, f"{where}.{name}")
                for part, (name, reader) in zip(value, readers.items(), strict=True)
            )
        )

    return read


def _denominator(value: object, where: str) -> int:
    denominator: int = _integer(1, 64)(value, where)
    if denominator & (denominator - 1):
        raise WireError(f"{where} is {denominator}; it must be 1, 2, 4, 8, 16, 32 or 64")
    return denominator


def _rising_meters(value: object, where: str) -> tuple[Meter, ...]:
    meters: tuple[Meter, ...] = _many(_METER)(value, where)
    for index in range(1, len(meters)):
        if meters[index].beat <= meters[index - 1].beat:
            raise WireError(f"{where}[{index}].beat does not come after the meter before it")
    return meters


_BEAT = _number(-MAX_BEAT, MAX_BEAT)
_COUNT = _integer(0, MAX_INTEGER)
_MILLISECONDS = _many(_number(0.0, 1e9))
_NOTE = _record(
    Note,
    onset=_BEAT,
    pitch=_integer(0, 127),
    duration=_number(0.0, MAX_BEAT, exclusive=True),
    velocity=_integer(1, 127),
)
_METER = _record(Meter, beat=_BEAT, numerator=_integer(1, 255), denominator=_denominator)
_CONTROLS = _record(
    Controls,
    temperature=_number(0.0, 100.0),
    top_k=_COUNT,
    top_p=_number(0.0, 1.0),
)

_MESSAGES: dict[str, Reader] = {
    "Prompt": _record(
        Prompt,
        put=_many(_pair(_COUNT, _NOTE)),
        dropped=_many(_COUNT),
        meters=_rising_meters,
        reset=_flag,
    ),
    "Continue": _record(
        Continue,
        epoch=_COUNT,
        from_beat=_BEAT,
        until_beat=_BEAT,
        controls=_CONTROLS,
        seed=_integer(-MAX_INTEGER, MAX_INTEGER),
    ),
    "Cancel": _record(Cancel, epoch=_COUNT),
    "Ping": _record(Ping, number=_COUNT),
    "Ready": _record(Ready, model=_text, parameters=_COUNT, pid=_COUNT),
    "Drafted": _record(Drafted, epoch=_COUNT, note=_NOTE),
    "Finished": _record(
        Finished,
        epoch=_COUNT,
        cancelled=_flag,
        prompt_tokens=_COUNT,
        cached_tokens=_COUNT,
        token_ms=_MILLISECONDS,
        note_ms=_MILLISECONDS,
    ),
    "Refused": _record(Refused, reason=_text),
    "Pong": _record(Pong, number=_COUNT),
}
