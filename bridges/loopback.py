"""Ports without MIDI: whoever plays and whoever listens sits in the same process.

Knows messages and the time they passed. Knows no drivers. It has the verbs of an input and of an
output port, so the daemon that runs on it is the one that runs on real ports.
"""

import threading
import time
from collections.abc import Callable
from typing import Self

from bridges.control import Receive


class Loopback:
    """A player's side (`play`, `listen`) and the daemon's side (`send`), joined without a wire.

    `clock_ns` is the clock of the session: the monotonic one, or a virtual one that runs faster.
    """

    name = "loopback"
    failures = 0

    def __init__(
        self, *, receive: Receive, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._receive = receive
        self._clock_ns = clock_ns
        self._listeners: tuple[Receive, ...] = ()
        self._sent: list[tuple[int, bytes]] = []
        self._lock = threading.Lock()

    def open(self) -> None:
        """Begin a new record of what is sent."""
        with self._lock:
            self._sent = []

    def close(self) -> None:
        """Nothing to let go of; the record stays."""

    def refresh(self) -> None:
        """A wire that is not there cannot be pulled."""

    def play(self, message: bytes) -> None:
        """The player's side: one message, stamped now, goes to the daemon."""
        self._receive(self._clock_ns(), message)

    def listen(self, listener: Receive) -> None:
        """The player's side: be called with all that the daemon sends from now on."""
        with self._lock:
            self._listeners += (listener,)

    def send(self, message: bytes) -> bool:
        """The daemon's side: one message goes to the record and to each listener."""
        t_ns = self._clock_ns()
        with self._lock:
            self._sent.append((t_ns, message))
            listeners = self._listeners
        for listener in listeners:
            listener(t_ns, message)
        return True

    @property
    def sent(self) -> tuple[tuple[int, bytes], ...]:
        """All that the daemon has sent since `open`, each with its time in nanoseconds."""
        with self._lock:
            return tuple(self._sent)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
