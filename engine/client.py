"""The player's side of the mind: one thread that keeps a mind alive and talks to it.

Knows the wire, the socket and when to give a mind up; knows no music, and imports neither torch nor
numpy. It starts a mind beside the player, or seeks one at an address, and pings it. When the mind
dies or falls silent it says `Lost`, ends it for good, and starts or seeks the next one.

The contract for whoever owns it: `receive` is called from this thread alone, with what the mind
says and with `Lost`; `Pong`s stay here. Each `Ready` is the beginning of a mind that has heard
nothing, also when no `Lost` came before it (a network may drop and come back). Answer it with a
`Prompt` that has `reset` set and holds the whole session. What is sent while no mind is ready is
dropped, because that prompt will hold it.
"""

import contextlib
import logging
import math
import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

import zmq

from engine.child import Child, mind_command
from engine.keys import KeysError, PlayerKeys, needs_keys, player_keys
from engine.protocol import FromMind, Lost, Ping, Pong, Ready, ToMind
from engine.wire import MAX_BYTES, WireError, decode, encode

log = logging.getLogger("segue.mind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for what, in seconds."""

    ping_s: float = 0.5
    silence_s: float = 2.0  # an unanswered ping means a dead mind: its longest work is a tenth
    loading_s: float = 120.0  # torch from a slow card in a Raspberry Pi
    seeking_s: float = 15.0  # at an address, before it is said that nobody is there
    tick_s: float = 0.05  # between two looks at the child
    backoff_s: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
    steady_s: float = 10.0  # a mind that was ready for so long begins the backoff anew


@dataclass(slots=True)
class _Life:
    """What is known of one mind, from its start or the first ping until it is lost."""

    child: Child | None  # None for a mind at an address
    begun_s: float
    ready_s: float | None = None
    pings: int = 0
    pinged_s: float = -math.inf
    unanswered_s: float | None = None  # when the oldest unanswered ping was sent


class MindClient:
    """Keeps one mind at hand. `open` starts the thread, `close` ends it and a mind of its own.

    With `address` it talks to a mind there, with `keys` beyond this machine; without, it starts
    `command` (by default a mind from where this code lies) with --bind and --exit-with-parent.
    """

    def __init__(
        self,
        *,
        receive: Callable[[FromMind], None],
        address: str | None = None,
        command: Sequence[str] | None = None,
        keys: Path | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.restarts = 0
        self._receive = receive
        self._address = address
        self._command = command or mind_command()
        self._keys_folder = keys
        self._keys: PlayerKeys | None = None
        self._patience = patience or Patience()
        self._outbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Start the thread; returns at once. KeysError for keys that are needed or unusable."""
        if self._address is not None and self._keys_folder is None and needs_keys(self._address):
            raise KeysError(
                f"{self._address} is beyond this machine and needs keys: make them with "
                "`segue engine --make-keys DIR`, copy DIR to both machines, and add --keys DIR"
            )
        if self._keys_folder is not None:
            self._keys = player_keys(self._keys_folder)
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="mind", daemon=True)
        self._thread.start()

    def send(self, value: ToMind) -> None:
        """Send from any thread, without waiting; dropped while no mind is ready."""
        self._outbox.put(encode(value))
        self._wake()

    def close(self) -> None:
        """End the thread and, if it is ours, the mind."""
        if self._thread is None:
            return
        self._stopping.set()
        self._wake()
        self._thread.join()
        self._thread = None
        self._woken.close()
        self._waker.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _wake(self) -> None:
        # A full pipe means that the thread has been woken already; a closed one, that it is gone.
        with contextlib.suppress(OSError):
            self._waker.send(b"!")

    def _run(self) -> None:
        """One mind after the other."""
        backoff = self._patience.backoff_s
        failures = 0
        with zmq.Context() as context:
            while True:
                life = _Life(None if self._address else Child(self._command), time.monotonic())
                reason = self._lead(life, context)
                if reason is None:
                    return
                self._receive(Lost(reason))
                if life.ready_s and time.monotonic() - life.ready_s >= self._patience.steady_s:
                    failures = 0
                if self._stopping.wait(backoff[min(failures, len(backoff) - 1)]):
                    return
                failures += 1
                self.restarts += 1

    def _lead(self, life: _Life, context: "zmq.Context[zmq.Socket[bytes]]") -> str | None:
        """Talk to one mind until it is lost, and return why; None when the client closes."""
        reason: str | None = "the player's side failed"
        try:
            with context.socket(zmq.DEALER) as dealer:
                reason = self._connect(life, dealer) or self._talk(life, dealer)
        finally:
            if life.child is not None:
                life.child.end(at_once=reason is not None)
        return reason

    def _connect(self, life: _Life, dealer: "zmq.Socket[bytes]") -> str | None:
        """Start the mind or find its address; return why that failed, or None."""
        dealer.linger = 0
        dealer.maxmsgsize = MAX_BYTES
        if self._keys is not None:
            dealer.curve_publickey, dealer.curve_secretkey = self._keys.public, self._keys.secret
            dealer.curve_serverkey = self._keys.mind
        try:
            dealer.connect(life.child.start() if life.child else str(self._address))
        except (OSError, zmq.ZMQError) as error:
            return f"the mind cannot be started or reached: {error}"
        return None

    def _talk(self, life: _Life, dealer: "zmq.Socket[bytes]") -> str | None:
        poller = zmq.Poller()
        poller.register(dealer, zmq.POLLIN)
        poller.register(self._woken, zmq.POLLIN)
        while not self._stopping.is_set():
            poller.poll(int(self._patience.tick_s * 1e3))
            self._hear(life, dealer)
            self._say(life, dealer)
            reason = self._why_lost(life)
            if reason is not None:
                return reason
            self._ping(life, dealer)
        return None

    def _hear(self, life: _Life, dealer: "zmq.Socket[bytes]") -> None:
        """Take all that the mind has said."""
        while dealer.poll(0):
            frame = dealer.recv()
            life.unanswered_s = None
            try:
                message = cast("FromMind", decode(frame))
            except WireError as error:
                log.warning("The mind said what nobody understands: %s.", error)
                continue
            if isinstance(message, Ready):
                life.ready_s = time.monotonic()
            if not isinstance(message, Pong):
                self._receive(message)

    def _say(self, life: _Life, dealer: "zmq.Socket[bytes]") -> None:
        """Send all that waits, or drop it."""
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass
        with contextlib.suppress(queue.Empty):
            while True:
                frame = self._outbox.get_nowait()
                if life.ready_s is not None:
                    _send(dealer, frame)

    def _ping(self, life: _Life, dealer: "zmq.Socket[bytes]") -> None:
        now_s = time.monotonic()
        if now_s - life.pinged_s >= self._patience.ping_s:
            life.pinged_s = now_s
            life.pings += 1
            _send(dealer, encode(Ping(life.pings)))
            if life.unanswered_s is None:
                life.unanswered_s = now_s

    def _why_lost(self, life: _Life) -> str | None:
        """Why this mind is given up, or None."""
        if life.child is not None and (reason := life.child.died()) is not None:
            return reason
        now_s, patience = time.monotonic(), self._patience
        if life.ready_s is not None:
            if life.unanswered_s and now_s - life.unanswered_s > patience.silence_s:
                return f"the mind was silent for {patience.silence_s:g} s"
        elif life.child is not None:
            if now_s - life.begun_s > patience.loading_s:
                return f"the mind was not ready after {patience.loading_s:g} s"
        elif now_s - life.begun_s > patience.seeking_s:
            return f"no mind answers at {self._address}; start one there with `segue engine`"
        return None


def _send(dealer: "zmq.Socket[bytes]", frame: bytes) -> None:
    # A queue that is full belongs to a mind that has not listened for a thousand messages.
    with contextlib.suppress(zmq.Again):
        dealer.send(frame, zmq.NOBLOCK)
