"""What the bridges share: the reply to a command, the error that stops a start, who may connect.

Knows no sockets, ports or commands: the table of commands belongs to the daemon.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

#: What travels in a reply or in the stream; each bridge has its own way of writing these four.
Value: TypeAlias = int | float | str | bool


class BridgeError(Exception):
    """A bridge cannot start or reach its peer; the text is one line that names the fix."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command came to: values when it was done, one line of text when it was refused."""

    ok: bool
    values: tuple[Value, ...] = ()

    @classmethod
    def done(cls, *values: Value) -> "Reply":
        """The command was carried out."""
        return cls(True, values)

    @classmethod
    def refused(cls, reason: str) -> "Reply":
        """The command was not carried out; `reason` names the fix."""
        return cls(False, (reason,))

    @property
    def text(self) -> str:
        """The values as one line."""
        return " ".join(str(value) for value in self.values)


#: Carries out one command by name. Called from a bridge's thread; a reply is due at once.
Handle: TypeAlias = Callable[[str, tuple[object, ...]], Reply]

#: Takes one MIDI message and the monotonic time at which it came, and is done in microseconds:
#: it is called from a driver's thread.
Receive: TypeAlias = Callable[[int, bytes], None]


def loopback_address(host: str) -> str:
    """The numeric loopback address for `host`; anything beyond this machine is refused."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise BridgeError(
        f"Segue listens on this machine only and has no keys for others: use 127.0.0.1, not {host}"
    )
