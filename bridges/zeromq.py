"""ZeroMQ: commands as REQ/REP, the stream as PUB, both in JSON. Knows sockets, and no command.

    -> {"command": "bars", "args": [4]}
    <- {"ok": true, "values": [4]}    or    {"ok": false, "error": "one line that names the fix"}

A message of the stream is two frames, the topic and a JSON list of values. Each of the two sockets
belongs to one thread, as ZeroMQ demands; closing the context wakes and ends both.
"""

import json
import logging
import queue
import threading
from typing import Any, NoReturn, Self
from urllib.parse import urlsplit

import zmq

from bridges.control import BridgeError, Handle, Reply, Value, loopback_address

DEFAULT_CONTROL = "tcp://127.0.0.1:9101"
DEFAULT_STREAM = "tcp://127.0.0.1:9102"
#: A longer request is no command. It is refused unread; beyond the second bound ZeroMQ hangs up.
MAX_REQUEST_BYTES = 65_536
MAX_FRAME_BYTES = 1 << 24

log = logging.getLogger(__name__)


class ZmqBridge:
    """Answers requests from one thread and publishes the stream from another."""

    def __init__(
        self,
        *,
        handle: Handle,
        control_address: str = DEFAULT_CONTROL,
        stream_address: str = DEFAULT_STREAM,
    ) -> None:
        self.control_address = control_address  # once open, the real ones
        self.stream_address = stream_address
        self.errors = 0  # requests that were answered with an error
        self._handle = handle
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._threads: tuple[threading.Thread, ...] = ()
        self._stream: queue.SimpleQueue[tuple[str, tuple[Value, ...]] | None] = queue.SimpleQueue()

    def open(self) -> None:
        """Bind both sockets and start to answer. Raises BridgeError."""
        context = self._context = zmq.Context()
        try:
            control = _bound(context, zmq.REP, self.control_address, flag="--control-port")
            stream = _bound(context, zmq.PUB, self.stream_address, flag="--stream-port")
        except BridgeError:
            context.destroy(linger=0)
            self._context = None
            raise
        self.control_address = control.getsockopt_string(zmq.LAST_ENDPOINT)
        self.stream_address = stream.getsockopt_string(zmq.LAST_ENDPOINT)
        self._threads = (
            threading.Thread(
                target=self._answer_all, args=(control,), name="segue-zmq", daemon=True
            ),
            threading.Thread(
                target=self._publish_all, args=(stream,), name="segue-zmq-stream", daemon=True
            ),
        )
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop answering and free the ports."""
        context, self._context = self._context, None
        if context is not None:
            self._stream.put(None)
            context.term()  # wakes the thread that waits for a request, and waits for both sockets
            for thread in self._threads:
                thread.join()

    def publish(self, topic: str, values: tuple[Value, ...]) -> None:
        """Send the values to all who subscribe to `topic`. From any thread; never blocks."""
        if self._context is not None:
            self._stream.put((topic, values))

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _answer_all(self, control: zmq.Socket[bytes]) -> None:
        try:
            while True:
                reply = self._reply(control.recv_multipart())
                if not reply.ok:
                    self.errors += 1
                control.send(_body(reply))
        except zmq.ContextTerminated:
            pass
        finally:
            control.close()

    def _reply(self, frames: list[bytes]) -> Reply:
        try:
            command, args = _parse(frames)
        except ValueError as error:
            return Reply.refused(str(error))
        try:
            return self._handle(command, args)
        except Exception:  # a bug of ours; whoever plays must not lose the bridge to it
            log.exception("The command %s failed.", command)
            return Reply.refused(f"{command} failed inside Segue: see its log")

    def _publish_all(self, stream: zmq.Socket[bytes]) -> None:
        try:
            while (item := self._stream.get()) is not None:
                topic, values = item
                stream.send_multipart((topic.encode(), json.dumps(values).encode()))
        except zmq.ContextTerminated:
            pass
        finally:
            stream.close()


def request(
    address: str, command: str, args: tuple[Value, ...] = (), *, timeout_s: float = 2.0
) -> Reply:
    """Send one command to a running Segue. Raises BridgeError when none answers in time."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.rcvtimeo = int(timeout_s * 1000)
        try:
            socket.connect(address)
            socket.send_json({"command": command, "args": list(args)})
            answer = json.loads(socket.recv())
        except zmq.ZMQError as error:
            why = "nobody answers" if isinstance(error, zmq.Again) else str(error)
            raise BridgeError(
                f"no Segue at {address} ({why}): start one with `segue run`"
            ) from None
        except ValueError:
            answer = None
    match answer:
        case {"ok": True, "values": list(values)}:
            return Reply.done(*values)
        case {"ok": False, "error": str(text)}:
            return Reply.refused(text)
    raise BridgeError(f"what answers at {address} is not Segue: give the address of one")


def _bound(
    context: zmq.Context[zmq.Socket[bytes]], kind: int, address: str, *, flag: str
) -> zmq.Socket[bytes]:
    bindable = _loopback_endpoint(address, flag=flag)
    socket = context.socket(kind)
    socket.linger = 0
    if kind == zmq.REP:
        socket.maxmsgsize = MAX_FRAME_BYTES
    try:
        socket.bind(bindable)
    except zmq.ZMQError as error:
        socket.close()
        if error.errno == zmq.EADDRINUSE:
            raise BridgeError(
                f"{address} is in use: stop what has it, or choose another with {flag}"
            ) from None
        raise BridgeError(
            f"{address} cannot be used ({error}): choose another with {flag}"
        ) from None
    return socket


def _loopback_endpoint(address: str, *, flag: str) -> str:
    """`address` with a numeric host. Only TCP on loopback: beyond it there must be keys."""
    parts = urlsplit(address)
    host, _, port = parts.netloc.rpartition(":")
    # libzmq takes a port of 99999 without a word, and binds another one.
    possible = port == "*" or (port.isdecimal() and int(port) <= 65_535)
    if parts.scheme != "tcp" or not host or not possible:
        raise BridgeError(f"{address!r} is no address like {DEFAULT_CONTROL}: mend {flag}")
    return f"tcp://{loopback_address(host.strip('[]'))}:{port}"


def _parse(frames: list[bytes]) -> tuple[str, tuple[object, ...]]:
    """The command and its arguments, or ValueError with what is wrong."""
    if len(frames) != 1:
        raise ValueError(f"a request is one frame, not {len(frames)}")
    if len(frames[0]) > MAX_REQUEST_BYTES:
        raise ValueError(f"a request has at most {MAX_REQUEST_BYTES} bytes")
    try:
        body = json.loads(frames[0].decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ValueError('a request is JSON in UTF-8, like {"command": "ping"}') from None
    match body:
        case {"command": str(command), **rest} if rest.keys() <= {"args"}:
            args = rest.get("args", [])
            if isinstance(args, list):
                return command, tuple(args)
    raise ValueError('a request has "command" (text), "args" (a list), and nothing else')


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _body(reply: Reply) -> bytes:
    body: dict[str, Any] = {"ok": reply.ok}
    if reply.ok:
        body["values"] = reply.values
    else:
        body["error"] = reply.text
    return json.dumps(body).encode()
