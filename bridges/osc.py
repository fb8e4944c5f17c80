"""The OSC server: commands in, replies out, and a stream for those who subscribe.

Knows UDP and OSC. Knows no command but `subscribe` and `unsubscribe`, which are about itself.

    /segue/NAME values...           a command
    /segue/reply NAME values...     it was done (ping is answered by /segue/pong values...)
    /segue/error TEXT               it was not, or the datagram was no OSC; counted
    /segue/subscribe [PORT]         send me the stream, at my own port or at PORT
    /segue/unsubscribe [PORT]
    /segue/TOPIC values...          the stream

Everything leaves from the server's own port, so a host can answer to where it came from.
"""

import errno
import logging
import threading
from collections.abc import Callable
from typing import Any, Self

from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import OSCUDPServer

from bridges.control import BridgeError, Handle, Reply, Value, loopback_address
from bridges.osc_packets import Malformed, Message, decode, encode

PREFIX = "/segue/"
DEFAULT_PORT = 9100
#: Far more than there are hosts on one machine; a broken one cannot fill the memory.
MAX_SUBSCRIBERS = 64
#: An answer is never answered: two servers that get each other's errors would never stop.
ANSWERS = frozenset({"reply", "error", "pong"})

log = logging.getLogger(__name__)


class OscBridge:
    """Listens on loopback UDP, and hands each command to `handle` from a thread of its own."""

    def __init__(
        self, *, handle: Handle, host: str = "127.0.0.1", port: int = DEFAULT_PORT
    ) -> None:
        self.errors = 0  # messages that were answered with /segue/error
        self.dropped = 0  # datagrams of ours that the system would not take
        self._handle = handle
        self._host = host
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        # Replaced, never changed: publish reads it from other threads.
        self._subscribers: frozenset[tuple[str, int]] = frozenset()

    @property
    def port(self) -> int:
        """The port, once open the real one."""
        return self._port

    def open(self) -> None:
        """Bind and start to answer. Raises BridgeError."""
        host = loopback_address(self._host)
        try:
            server = _Server((host, self._port), self._take)
        except (OSError, OverflowError) as error:
            raise BridgeError(_bind_error(self._port, error)) from None
        self._server, self._port = server, server.server_address[1]
        self._thread = threading.Thread(
            target=server.serve_forever, args=(0.1,), name="segue-osc", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port."""
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            self._thread.join()
            server.server_close()

    def publish(self, topic: str, values: tuple[Value, ...]) -> None:
        """Send `/segue/<topic> values…` to all subscribers. From any thread; never blocks."""
        subscribers = self._subscribers
        if subscribers:
            datagram = encode(PREFIX + topic, values)
            for subscriber in subscribers:
                self._send(datagram, subscriber)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _take(self, datagram: bytes, sender: tuple[str, int]) -> None:
        try:
            messages = decode(datagram)
        except Malformed as error:
            self._answer("", Reply.refused(f"this is not OSC: {error}"), sender)
            return
        for message in messages:
            name = message.address.removeprefix(PREFIX)
            if name not in ANSWERS:
                self._answer(name, self._reply(name, message, sender), sender)

    def _reply(self, name: str, message: Message, sender: tuple[str, int]) -> Reply:
        if not message.address.startswith(PREFIX):
            return Reply.refused(f"unknown address {message.address}: they begin with {PREFIX}")
        if name == "subscribe":
            return self._subscribe(message.values, sender)
        if name == "unsubscribe":
            return self._unsubscribe(message.values, sender)
        try:
            return self._handle(name, message.values)
        except Exception:  # a bug of ours; whoever plays must not lose the bridge to it
            log.exception("The command %s failed.", name)
            return Reply.refused(f"{name} failed inside Segue: see its log")

    def _answer(self, name: str, reply: Reply, receiver: tuple[str, int]) -> None:
        if not reply.ok:
            self.errors += 1
            self._send(encode(f"{PREFIX}error", reply.values), receiver)
        elif name == "ping":
            self._send(encode(f"{PREFIX}pong", reply.values), receiver)
        else:
            self._send(encode(f"{PREFIX}reply", (name, *reply.values)), receiver)

    def _subscribe(self, values: tuple[object, ...], sender: tuple[str, int]) -> Reply:
        subscriber = _stream_address(values, sender)
        if subscriber is None:
            return Reply.refused("subscribe takes a UDP port from 1 to 65535, or nothing")
        subscribers = self._subscribers | {subscriber}
        if len(subscribers) > MAX_SUBSCRIBERS:
            return Reply.refused(f"there are {MAX_SUBSCRIBERS} subscribers: unsubscribe one first")
        self._subscribers = subscribers
        return Reply.done(subscriber[1])

    def _unsubscribe(self, values: tuple[object, ...], sender: tuple[str, int]) -> Reply:
        subscriber = _stream_address(values, sender)
        if subscriber not in self._subscribers:
            return Reply.refused("unsubscribe: this port gets no stream")
        self._subscribers -= {subscriber}
        return Reply.done()

    def _send(self, datagram: bytes, receiver: tuple[str, int]) -> None:
        server = self._server
        if server is None:
            return
        try:
            server.socket.sendto(datagram, receiver)
        except OSError:  # the buffer is full, or the receiver is gone: the stream does not wait
            self.dropped += 1


def _stream_address(values: tuple[object, ...], sender: tuple[str, int]) -> tuple[str, int] | None:
    """Where a subscriber wants the stream; None when that is no port. Pure Data sends floats."""
    if not values:
        return sender[0], sender[1]
    port = values[0]
    if len(values) > 1 or not isinstance(port, int | float) or not 1 <= port <= 65_535:
        return None
    return sender[0], int(port)


def _bind_error(port: int, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"UDP port {port} is in use: stop what has it, or choose another with --osc-port"
    return f"UDP port {port} cannot be used ({error}): choose another with --osc-port"


class _Server(OSCUDPServer):
    """python-osc's UDP server, with our own decoding: nothing is dropped before it is seen."""

    max_packet_size = 65_535

    def __init__(
        self, address: tuple[str, int], take: Callable[[bytes, tuple[str, int]], None]
    ) -> None:
        self._take = take
        super().__init__(address, Dispatcher())
        self.socket.setblocking(False)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Let everything through: what is no OSC is answered, too."""
        return True

    def finish_request(self, request: Any, client_address: Any) -> None:
        """One datagram, in the server's own thread."""
        self._take(request[0], client_address[:2])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Instead of printing to stderr."""
        log.exception("A datagram from port %d could not be answered.", client_address[1])
