"""OSC packets: bytes to messages and back. Knows no sockets and no commands.

python-osc reads the atoms. Messages and bundles are taken apart here, because its own parser drops
what it does not know without a word, turns for ever on a bundle element of negative size, and lets
some errors of the atoms through as they are.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pythonosc.parsing import osc_types

from bridges.control import Value

BUNDLE = b"#bundle\0"
#: Bundles within bundles; real hosts use one.
MAX_DEPTH = 8


class Malformed(Exception):
    """A datagram that is no OSC; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One OSC message, its arguments as Python values."""

    address: str
    values: tuple[object, ...]


def _get_blob(data: bytes, index: int) -> tuple[bytes, int]:
    size, _ = osc_types.get_int(data, index)
    if size < 0:
        raise Malformed(f"a blob cannot have {size} bytes")
    return osc_types.get_blob(data, index)


def _get_char(data: bytes, index: int) -> tuple[str, int]:
    code, index = osc_types.get_int(data, index)
    return chr(code & 0x7F), index


#: Type tag -> reader of (datagram, index), which returns (value, next index).
_READERS: dict[str, Callable[[bytes, int], tuple[Any, int]]] = {
    "i": osc_types.get_int,
    "f": osc_types.get_float,
    "s": osc_types.get_string,
    "b": _get_blob,
    "h": osc_types.get_int64,
    "d": osc_types.get_double,
    "t": osc_types.get_uint64,
    "S": osc_types.get_string,
    "c": _get_char,
    "r": osc_types.get_int,
    "m": osc_types.get_midi,
}
#: Type tags that carry no bytes.
_CONSTANTS: dict[str, object] = {"T": True, "F": False, "N": None, "I": math.inf}


def decode(data: bytes) -> list[Message]:
    """The messages of a datagram, in order; raises Malformed, and then none of them holds.

    Time tags are not waited for: a command acts when it comes.
    """
    try:
        return list(_elements(data, 0))
    except osc_types.ParseError as error:
        raise Malformed(f"the datagram is cut short or broken ({error})") from None
    except UnicodeDecodeError:
        raise Malformed("text must be UTF-8") from None


def _elements(data: bytes, depth: int) -> list[Message]:
    if not data.startswith(BUNDLE):
        return [_message(data)]
    if depth == MAX_DEPTH:
        raise Malformed(f"bundles lie more than {MAX_DEPTH} deep in each other")
    _, index = osc_types.get_uint64(data, len(BUNDLE))
    messages = []
    while index < len(data):
        size, index = osc_types.get_int(data, index)
        if size <= 0 or size % 4 or index + size > len(data):
            raise Malformed(f"a bundle element cannot have {size} bytes")
        messages += _elements(data[index : index + size], depth + 1)
        index += size
    return messages


def _message(data: bytes) -> Message:
    if not data.startswith(b"/"):
        raise Malformed("a datagram begins with / or #bundle")
    address, index = osc_types.get_string(data, 0)
    if index >= len(data):  # senders from before OSC 1.0 leave out the tags
        return Message(address, ())
    tags, index = osc_types.get_string(data, index)
    if not tags.startswith(","):
        raise Malformed(f"type tags begin with a comma, not {tags!r}")
    values, index = _arguments(tags[1:], data, index)
    if index < len(data):
        raise Malformed(f"{len(data) - index} bytes are left over after the arguments {tags}")
    return Message(address, values)


def _arguments(tags: str, data: bytes, index: int) -> tuple[tuple[object, ...], int]:
    stack: list[list[object]] = [[]]
    for tag in tags:
        if tag == "[":
            stack.append([])
        elif tag == "]" and len(stack) > 1:
            array = tuple(stack.pop())
            stack[-1].append(array)
        elif tag in _CONSTANTS:
            stack[-1].append(_CONSTANTS[tag])
        elif tag in _READERS:
            value, index = _READERS[tag](data, index)
            stack[-1].append(value)
        else:
            raise Malformed(f"there is no OSC type {tag!r}")
    if len(stack) > 1:
        raise Malformed(f"an array is not closed in {tags!r}")
    return tuple(stack[0]), index


def encode(address: str, values: tuple[Value, ...]) -> bytes:
    """One message as a datagram, in the types that every host reads: i, f and s.

    So truth is 1 or 0, for Pure Data does not know the tags T and F. Only what does not fit into
    32 bits becomes an h or a d.
    """
    tags, body = ",", b""
    for value in values:
        tag, data = _written(value)
        tags += tag
        body += data
    return osc_types.write_string(address) + osc_types.write_string(tags) + body


def _written(value: Value) -> tuple[str, bytes]:
    if isinstance(value, int) and value.bit_length() < 32:
        return "i", osc_types.write_int(value)  # a bool is an int, too
    if isinstance(value, int) and value.bit_length() < 64:
        return "h", osc_types.write_int64(value)
    if isinstance(value, float):
        try:
            return "f", osc_types.write_float(value)
        except OverflowError:
            return "d", osc_types.write_double(value)
    text = str(value).replace("\0", "").encode("utf-8", "replace").decode()
    return "s", osc_types.write_string(text)
