"""`segue engine`: a mind in a process of its own, behind a ZeroMQ socket.

Knows the socket, the checkpoint and the life of the process; what is done with a message is in
engine/service.py. torch and numpy are imported only when a mind is really started. One player is
served at a time, the latest that came: each connection begins with nothing heard, is told `Ready`,
and must tell the session from its beginning.

Nothing listens beyond this machine without keys; see engine/keys.py.
"""

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import zmq
from zmq.auth.thread import ThreadAuthenticator

from engine.backends import NAMES
from engine.keys import KeysError, be_mind, make_keys, needs_keys
from engine.protocol import FromMind, Ping, Ready, Refused
from engine.wire import MAX_BYTES, WireError, decode, encode

if TYPE_CHECKING:
    from engine.service import Service

log = logging.getLogger("segue.engine")

NICENESS = 5
#: An answer is some hundred messages; a player that reads slowly should still get them all.
QUEUE_MESSAGES = 100_000
LATER_PLAYER = "a player that came later has this mind; close one of them or start another mind"


class UsageError(Exception):
    """A mind that cannot be started as it was asked to; the text names the fix."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `segue engine`."""
    parser.add_argument(
        "--bind",
        metavar="ADDR",
        default="tcp://127.0.0.1:7340",
        help="where to listen: ipc://PATH or tcp://HOST:PORT (default %(default)s)",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="PATH",
        type=Path,
        help="the checkpoint to play (default: the shipped one)",
    )
    parser.add_argument(
        "--backend",
        choices=NAMES,
        default="auto",
        help="native: the compiled kernel; onnx: an exported graph, with segue[onnx]; numpy: one "
        "step a note without a compiler; torch: the reference; auto: what is there and fits "
        "(default)",
    )
    parser.add_argument(
        "--keys",
        metavar="DIR",
        type=Path,
        help="CURVE keys; needed to be heard beyond this machine",
    )
    parser.add_argument(
        "--make-keys", metavar="DIR", type=Path, help="write new keys for both machines, and end"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="threads for the network; the kernel has one in any case (default %(default)s)",
    )
    parser.add_argument(
        "--exit-with-parent",
        action="store_true",
        help="end when standard input ends, as a child of the player does",
    )


def main(arguments: Sequence[str]) -> int:
    """Run a mind from its own command line, as the player process does."""
    parser = argparse.ArgumentParser(prog="segue engine", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    """Serve until the end; 0 done, 1 failed, 2 wrong use or configuration."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    if args.exit_with_parent:
        _live_as_child()
    try:
        if args.make_keys:
            make_keys(args.make_keys)
            log.info("Keys are in %s; copy the folder to the other machine.", args.make_keys)
        else:
            _serve_at(args)
    except (KeysError, UsageError) as error:
        log.error("segue engine: %s", error)
        return 2
    except zmq.ZMQError as error:
        log.error("segue engine: cannot listen at %s: %s", args.bind, error)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def serve(socket: "zmq.Socket[bytes]", service: "Service") -> None:
    """Answer whoever speaks at a ROUTER socket, for ever."""
    players = _Players()
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    while True:
        while poller.poll(0 if service.busy else None):
            player, *frames = socket.recv_multipart()
            for message in _heard(players, player, frames, service):
                _send(socket, player, message)
        for message in service.work():
            _send(socket, players.latest, message)


def _send(socket: "zmq.Socket[bytes]", player: bytes, message: FromMind) -> None:
    # Frame by frame: for each note, `send_multipart` looks at every frame again.
    socket.send(player, zmq.SNDMORE)
    socket.send(encode(message))


class _Players:
    """Who is served, and who was before and is not any more."""

    def __init__(self) -> None:
        self.latest = b""
        self.malformed = 0
        self._earlier: deque[bytes] = deque(maxlen=64)

    def is_new(self, player: bytes) -> bool:
        """Whether a player speaks for the first time; it is the latest from then on."""
        if player == self.latest or player in self._earlier:
            return False
        if self.latest:
            self._earlier.append(self.latest)
        self.latest = player
        return True


def _heard(
    players: _Players, player: bytes, frames: Sequence[bytes], service: "Service"
) -> list[FromMind]:
    """What to reply to the frames of a player."""
    replies = service.greet() if players.is_new(player) else []
    try:
        if len(frames) != 1:
            raise WireError(f"a message is one frame, not {len(frames)}")
        message = decode(frames[0])
    except WireError as error:
        players.malformed += 1
        log.warning("Message refused, the %dth so far: %s", players.malformed, error)
        return [*replies, Refused(str(error))]
    if player != players.latest:
        return [Refused(LATER_PLAYER)] if isinstance(message, Ping) else []
    return replies + service.handle(message)


def _serve_at(args: argparse.Namespace) -> None:
    begun_s = time.monotonic()
    with _listening(args.bind, args.keys) as socket:
        service = _load(args)
        service.warm_up()
        log.info("The mind listens at %s; %.1f s.", args.bind, time.monotonic() - begun_s)
        serve(socket, service)


@contextlib.contextmanager
def _listening(address: str, keys: Path | None) -> Iterator["zmq.Socket[bytes]"]:
    """A bound ROUTER; before the weights are loaded, so that a taken address is told at once."""
    if keys is None and needs_keys(address):
        raise KeysError(
            f"{address} can be reached from other machines and needs keys: make them with "
            "`segue engine --make-keys DIR`, copy DIR to the player, and add --keys DIR"
        )
    with contextlib.ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        socket = stack.enter_context(context.socket(zmq.ROUTER))
        socket.linger = 0
        socket.maxmsgsize = MAX_BYTES
        socket.sndhwm = socket.rcvhwm = QUEUE_MESSAGES
        if keys is not None:
            be_mind(socket, keys)
            authenticator = ThreadAuthenticator(context)
            authenticator.start()
            stack.callback(authenticator.stop)
            authenticator.configure_curve(domain="*", location=str(keys))
        socket.bind(address)
        yield socket


def _load(args: argparse.Namespace) -> "Service":
    """Open the checkpoint and put a mind around it."""
    if args.threads < 1:
        raise UsageError(f"--threads is {args.threads}; it must be 1 or more")
    # Read when numpy is imported: its threads would take the time that the player needs.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(args.threads))
    try:
        from engine.backends import open_model
        from engine.decoder import Decoder
        from engine.service import Service
        from models.description import CheckpointError
    except ImportError as error:
        raise UsageError(f"{error}; install Segue with its dependencies again") from error
    try:
        model = open_model(args.checkpoint, backend=args.backend, threads=args.threads)
        decoder = Decoder(model.backend, model.vocabulary)
    except (CheckpointError, ValueError) as error:
        raise UsageError(str(error)) from error
    return Service(decoder, Ready(model.name, model.parameters, os.getpid()))


def _live_as_child() -> None:
    """End with the player, and not before it.

    Ctrl-C in a terminal reaches both processes; the player still needs its mind while it stops.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICENESS)  # thinking waits for timing
    threading.Thread(target=_exit_with_parent, name="parent", daemon=True).start()


def _exit_with_parent() -> None:
    """Wait for the end of standard input, which the system brings about however the parent dies."""
    descriptor = sys.stdin.fileno()
    while os.read(descriptor, 4096):
        pass
    os._exit(0)
