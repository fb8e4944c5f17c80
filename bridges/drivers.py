"""The C libraries beneath RtMidi: their silence, and the pulse of a JACK server.

Knows libjack and libasound as python-rtmidi loads them. Knows no messages and no ports of ours.

RtMidi keeps two things from a player. It does not say when the JACK server dies or freezes, and
then `send_message` spins for ever, holding Python's lock, once its ring is full. And it holds that
lock while it talks to the server, which waits for our input callback, which waits for the lock.
So what can be asked of libjack itself is asked here: ctypes lets go of the lock during each call.
"""

import ctypes
import enum
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import rtmidi

from bridges.control import BridgeError

JACK_NO_START_SERVER = 1  # jack_options_t, from jack/types.h
EEXIST = 17
#: A server that has not finished a period for so long is frozen; periods last under 0.2 s.
FROZEN_NS = 500_000_000
#: How long a server that follows one that was killed is left alone. A client that becomes active in
#: its first moments puts it out of step for good, one time in four (jack2 issue 156, and measured).
SETTLE_S = 1.0
#: RtMidi's ring between send_message and the JACK cycle: JACK_RINGBUFFER_SIZE in RtMidi.cpp.
RING_BYTES = 16_384
#: How much of it may be written within one cycle. A quarter, because a cycle that has just begun
#: may not have emptied the ring yet, and JACK's own port buffer holds about 1600 short events.
SHARE_BYTES = RING_BYTES // 4
#: Each message in the ring is preceded by its length.
HEADER_BYTES = 4
#: How long one send may wait for the next cycle before the server counts as stopped.
PATIENCE_NS = 30_000_000

T = TypeVar("T")
_ShutDown = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Pulse(enum.Enum):
    """How a JACK server is: at work, frozen (it may come back), or gone (only a new one helps)."""

    BEATING = "beating"
    FROZEN = "frozen"
    GONE = "gone"


class JackServer:
    """The JACK server of this process. libjack knows one at a time, so there is one of these.

    It is watched through a client without ports, which costs the server nothing. Holders share it;
    when the server is gone, all must let go before a new one can be held.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        # Asked before each message that is sent; it waits for nothing, so it need not let go of
        # Python's lock, which another thread would take.
        self._last_frame_time = ctypes.PyDLL(library._name).jack_last_frame_time
        self._last_frame_time.argtypes = [ctypes.c_void_p]
        self._last_frame_time.restype = ctypes.c_uint32
        self._client: int | None = None
        self._holders = 0
        self._gone = False
        self._frame = 0
        self._moved_ns = 0
        self._lock = threading.Lock()
        self._callback = _ShutDown(self._shut_down)  # libjack keeps only its address

    def hold(self) -> None:
        """Begin to watch, or join those who do. Raises BridgeError when no server answers."""
        with self._lock:
            if self._client is None:
                self._open()
            elif self._gone:
                raise BridgeError("the JACK server has stopped")
            self._holders += 1

    def _open(self) -> None:
        followed = self._gone
        client = patiently(self._open_client)
        self._client, self._gone = client, False
        self._library.jack_on_shutdown(client, self._callback, None)
        # A server takes clients before its driver runs. RtMidi's are active from the start: they
        # wait for a cycle, with Python's lock held. This one is not, and finds out first.
        if not (self.answers() and self.answers()):
            self._library.jack_client_close(client)
            self._client = None
            raise BridgeError("the JACK server does not run: see what jackd says")
        if followed:
            time.sleep(SETTLE_S)
        self._frame, self._moved_ns = self.frame(), time.monotonic_ns()

    def _open_client(self) -> int:
        name = f"Segue watch {os.getpid()}".encode()  # one of its own for each Segue
        client: int | None = self._library.jack_client_open(name, JACK_NO_START_SERVER, None)
        if client is None:
            raise BridgeError("no JACK server answers: start one with jackd")
        return client

    def release(self) -> None:
        """Let go; the last one closes the client. With a frozen server it is left behind."""
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                if self.answers():
                    self._library.jack_client_close(self._client)
                self._client = None

    def frame(self) -> int:
        """The first frame of the cycle under way; it moves with each. Reads shared memory only."""
        return int(self._last_frame_time(self._client))

    def pulse(self, now_ns: int) -> Pulse:
        """How the server is, judged by its frames since the last call."""
        if self._gone:
            return Pulse.GONE
        frame = self.frame()
        if frame != self._frame:
            self._frame, self._moved_ns = frame, now_ns
        return Pulse.FROZEN if now_ns - self._moved_ns > FROZEN_NS else Pulse.BEATING

    def answers(self) -> bool:
        """Wait for one cycle. False when frozen: a call that talks to it would never return."""
        before, deadline_ns = self.frame(), time.monotonic_ns() + FROZEN_NS
        while not self._gone and self.frame() == before:
            if time.monotonic_ns() > deadline_ns:
                return False
            time.sleep(0.001)
        return True

    def connect(self, source: str, destination: str) -> None:
        """Connect an output port to an input port, both by full name. Does nothing if they are."""
        error = self._library.jack_connect(self._client, source.encode(), destination.encode())
        if error not in (0, EEXIST):
            raise BridgeError(f"JACK would not connect {source} to {destination} (error {error})")
        self.answers()  # from the next cycle on, they are

    def _shut_down(self, _: int | None) -> None:
        self._gone = True


class RingGuard:
    """Keeps RtMidi's ring from filling up: a share for each JACK cycle, which empties it."""

    def __init__(self, server: JackServer) -> None:
        self._server = server
        self._frame = 0
        self._written = 0
        self._stalled = False

    def admit(self, size: int) -> bool:
        """Whether a message of `size` bytes may be sent now.

        A burst waits for the next cycle. False when none comes within PATIENCE_NS, and from then on
        at once, until the server moves again.
        """
        self._begin_cycle()
        cost = size + HEADER_BYTES
        if self._written and self._written + cost > SHARE_BYTES and not self._await_cycle():
            return False
        self._written += cost
        return True

    def _begin_cycle(self) -> bool:
        frame = self._server.frame()
        if frame == self._frame:
            return False
        self._frame, self._written, self._stalled = frame, 0, False
        return True

    def _await_cycle(self) -> bool:
        if self._stalled:
            return False
        deadline_ns = time.monotonic_ns() + PATIENCE_NS
        while not self._begin_cycle():
            if time.monotonic_ns() > deadline_ns:
                self._stalled = True
                return False
            time.sleep(0.000_2)
        return True


def patiently(attempt: Callable[[], T]) -> T:
    """What `attempt` returns, or its third BridgeError: a busy server turns some clients down."""
    for _ in range(2):
        try:
            return attempt()
        except BridgeError:
            time.sleep(0.05)
    return attempt()


@cache
def jack_server() -> JackServer | None:
    """The one watch over JACK, or None where python-rtmidi was built without it."""
    library = _library()
    if library is None or not hasattr(library, "jack_client_open"):
        return None
    library.jack_client_open.restype = ctypes.c_void_p
    library.jack_client_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
    library.jack_client_close.argtypes = [ctypes.c_void_p]
    library.jack_on_shutdown.argtypes = [ctypes.c_void_p, _ShutDown, ctypes.c_void_p]
    library.jack_on_shutdown.restype = None
    library.jack_connect.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
    return JackServer(library)


@cache
def prepare() -> None:
    """Before the first port: JACK must not start a server, and nobody writes to stderr.

    The libraries tell the terminal what they also tell RtMidi. Their error hooks take a C function
    whose first argument is a string, and call it from threads that must not wait for Python:
    strlen does that, and nothing else.
    """
    os.environ["JACK_NO_START_SERVER"] = "1"
    library = _library()
    if library is None:
        return
    nothing = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p)
    for hook in ("jack_set_error_function", "jack_set_info_function", "snd_lib_error_set_handler"):
        if hasattr(library, hook):
            getattr(library, hook)(nothing)


def abandon(handle: object) -> None:
    """Keep a port object alive for good: its end would wait for a frozen server, for ever."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle))


@cache
def _library() -> Any:
    """python-rtmidi's extension, through which ctypes finds the very libjack that it uses."""
    if sys.platform == "win32":
        return None
    return ctypes.CDLL(rtmidi._rtmidi.__file__)
