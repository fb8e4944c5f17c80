"""MIDI ports through RtMidi: virtual ones of our own, or named ones that may come and go.

Knows ports, drivers and raw messages with the time they came. Knows no notes, clocks or session.

Open the output before the input, and close it after: on JACK, opening and closing holds Python's
lock while the server waits for an input callback that needs it, so nothing should be playing into
us by then.
"""

import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeAlias

import rtmidi

from bridges.control import BridgeError, Receive
from bridges.drivers import (
    JackServer,
    Pulse,
    RingGuard,
    abandon,
    jack_server,
    patiently,
    prepare,
)
from bridges.signals import undisturbed

IN_NAME = "Segue In"
OUT_NAME = "Segue Out"
CLIENT_NAME = "Segue"

#: Takes one line: that a port is lost, and why, or that it is back.
Notice: TypeAlias = Callable[[str], None]


class MidiUnavailable(BridgeError):
    """No MIDI system, or not the port that was asked for; one line that names the fix."""


@dataclass(frozen=True, slots=True)
class Api:
    """One MIDI system that python-rtmidi can speak to."""

    name: str
    constant: int  # rtmidi.API_…
    supports_virtual: bool


def _ignore(_: str) -> None:
    """What is done with a notice that nobody waits for."""


#: In the order in which they are tried.
APIS = (
    Api("CoreMIDI", rtmidi.API_MACOSX_CORE, True),
    Api("ALSA", rtmidi.API_LINUX_ALSA, True),
    Api("JACK", rtmidi.API_UNIX_JACK, True),
    Api("WinMM", rtmidi.API_WINDOWS_MM, False),
)

_NO_MIDI = {
    "linux": "load ALSA's sequencer with `sudo modprobe snd-seq`, or start JACK with "
    "`jackd -R -S -d dummy -r 48000 -p 128` (`-d alsa` for a sound card)",
    "win32": "start the Windows MIDI service (midisrv), or plug in an interface",
    "darwin": "restart CoreMIDI with `sudo killall -9 MIDIServer`",
}
_NO_VIRTUAL = (
    "has no virtual ports: install loopMIDI or Windows MIDI Services, then name its ports with "
    "--in and --out"
)


def compiled_apis() -> tuple[Api, ...]:
    """The MIDI systems that this python-rtmidi was built for."""
    built = rtmidi.get_compiled_api()
    return tuple(api for api in APIS if api.constant in built)


def why_silent(api: Api) -> str | None:
    """None when `api` answers here and now, else what its driver says."""
    try:
        list_ports(api)
    except MidiUnavailable as error:
        return str(error)
    return None


def available_apis() -> tuple[Api, ...]:
    """The MIDI systems that really answer, best first."""
    return tuple(api for api in compiled_apis() if why_silent(api) is None)


def choose_api(preferred: str | None = None) -> Api:
    """The MIDI system to use: the preferred one, or the first that answers.

    RtMidi's own default tries a single system only, so each is asked for by name.
    """
    candidates = compiled_apis()
    if preferred is not None:
        candidates = tuple(a for a in candidates if a.name.lower() == preferred.lower())
        if not candidates:
            names = ", ".join(a.name for a in compiled_apis())
            raise MidiUnavailable(
                f"there is no MIDI system {preferred!r} here; choose from {names}"
            )
    for api in candidates:
        if why_silent(api) is None:
            return api
    silent = " and ".join(api.name for api in candidates) or "none that python-rtmidi knows"
    fix = _NO_MIDI.get(sys.platform, "start your MIDI system")
    raise MidiUnavailable(f"no MIDI system answers (asked {silent}); {fix}")


def list_ports(api: Api) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ports that can be opened by name: (inputs, outputs)."""
    found = []
    server = _hold_server(api)
    try:
        for kind in (rtmidi.MidiIn, rtmidi.MidiOut):
            handle = _construct(kind, api, CLIENT_NAME)
            found.append(tuple(_names(handle)))
            handle.delete()
    finally:
        if server is not None:
            server.release()
    return found[0], found[1]


def match_port(wanted: str, names: Sequence[str], *, direction: str) -> str:
    """The one of `names` that `wanted` means: the same, or the only one that contains it.

    Upper and lower case are alike. An ALSA address at the end ("20:0") changes when a cable is
    plugged in again, so as a last resort it is left out.
    """
    if wanted in names:
        return wanted
    for sought in (wanted, re.sub(r"\s\d+:\d+$", "", wanted)):
        fitting = sorted({name for name in names if sought.lower() in name.lower()})
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise MidiUnavailable(
                f"{wanted!r} fits several MIDI {direction}s, give more of the name: "
                + ", ".join(fitting)
            )
    there = ", ".join(names) or "none"
    raise MidiUnavailable(f"there is no MIDI {direction} {wanted!r}; there are: {there}")


class _Port:
    """What both directions share: opening, closing, and coming back after a loss.

    `lost` and `back` are called from the thread that calls `refresh`, never from another one.
    On JACK a named port is reached by a virtual port of ours that is connected to it: then nothing
    needs to be closed and opened while the music goes on.
    """

    _kind: ClassVar[Any]
    _opposite: ClassVar[Any]  # our own port is listed among the ports of the other direction
    _own_name: ClassVar[str]
    _direction: ClassVar[str]

    def __init__(self, *, api: Api, wanted: str | None, lost: Notice, back: Notice) -> None:
        self.name = ""  # the real one, once open
        self._api = api
        self._wanted = wanted
        self._lost = lost
        self._back = back
        self._server: JackServer | None = None  # while a handle is open on JACK
        self._guard: RingGuard | None = None
        self._handle: Any = None
        self._lock = threading.Lock()  # a handle is not taken away under a message being sent
        self._virtual_name = ""
        self._attached = False  # to the named port
        self._trouble: str | None = None

    def open(self) -> None:
        """Open the virtual port, or the named one. Raises BridgeError."""
        if self._wanted is None and not self._api.supports_virtual:
            raise MidiUnavailable(f"{self._api.name} {_NO_VIRTUAL}")
        self._take_handle()
        if self._wanted is not None:
            try:
                self._attach(self._match(self._wanted))
            except BaseException:
                self._drop_handle()
                raise

    def close(self) -> None:
        """Close the port. Where JACK is frozen the port is left behind rather than waited for."""
        if self._handle is not None:
            self._drop_handle()

    def refresh(self) -> None:
        """See whether the port is still there, and take it again when it is back.

        Once a second, from a thread that is not time-critical; tells `lost` and `back` of changes.
        """
        before = self._trouble
        try:
            self._trouble = self._find_trouble()
        except BridgeError as error:
            self._trouble = str(error)
        if before is None and self._trouble is not None:
            self._lost(self._trouble)
        elif before is not None and self._trouble is None:
            self._back(f"the MIDI {self._direction} {self.name} is back")

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _take_handle(self) -> None:
        self._server = _hold_server(self._api)
        handle = None
        try:
            # Each port is a JACK client of its own. Were both called Segue, one would become
            # "Segue-01", which one by the order of opening, and no patch could be saved.
            client = CLIENT_NAME if self._server is None else self._own_name
            # libjack takes a signal for the end of its server.
            with undisturbed(signal.SIGINT, signal.SIGTERM):
                handle = _construct(self._kind, self._api, client)
                if self._wanted is None or self._server is not None:
                    self._arm(handle)
                    self.name = self._virtual_name = self._open_virtual(handle)
        except BaseException:
            self._discard(handle)
            raise
        self._guard = RingGuard(self._server) if self._server is not None else None
        with self._lock:
            self._handle = handle

    def _drop_handle(self) -> None:
        with self._lock:
            handle, self._handle = self._handle, None
        self._attached = False
        self._discard(handle)

    def _discard(self, handle: Any) -> None:
        # With its last client libjack blocks what it found blocked when it had its first.
        with undisturbed():
            if handle is not None:
                self._disarm(handle)
                if self._server is None or self._server.answers():
                    handle.delete()
                else:
                    abandon(handle)
            server, self._server = self._server, None
            if server is not None:
                server.release()

    def _open_virtual(self, handle: Any) -> str:
        """Open our own port and return its full name: the one that was not there before."""
        lister = _construct(self._opposite, self._api, CLIENT_NAME)
        before = Counter(_names(lister))
        with _driver_errors(f"the MIDI {self._direction} {self._own_name} cannot be opened"):
            handle.open_virtual_port(self._own_name)
        new = [name for name in Counter(_names(lister)) - before if self._own_name in name]
        lister.delete()
        return new[0] if new else self._own_name

    def _match(self, wanted: str) -> str:
        return match_port(wanted, _names(self._handle), direction=self._direction)

    def _attach(self, target: str) -> None:
        handle = self._handle
        if self._server is None:
            self._arm(handle)
            with _driver_errors(f"the MIDI {self._direction} {target} cannot be opened"):
                handle.open_port(_names(handle).index(target), self._own_name)
        elif self._direction == "input":
            self._server.connect(target, self._virtual_name)
        else:
            self._server.connect(self._virtual_name, target)
        self.name = target
        self._attached = True

    def _find_trouble(self) -> str | None:
        if self._handle is None:
            self._take_handle()
        if self._server is not None:
            pulse = self._server.pulse(time.monotonic_ns())
            if pulse is Pulse.GONE:
                self._drop_handle()
                return "the JACK server has stopped"
            if pulse is Pulse.FROZEN:
                return "the JACK server has frozen"
        return None if self._wanted is None else self._find_named(self._wanted)

    def _find_named(self, wanted: str) -> str | None:
        if self._attached and self.name not in _names(self._handle):
            self._attached = False
            if self._server is None:
                self._handle.close_port()
        if not self._attached:
            try:
                self._attach(self._match(wanted))
            except BridgeError:
                return f"the MIDI {self._direction} {wanted} is gone"
        return None

    def _arm(self, handle: Any) -> None:
        """Make a handle ready, before it is opened."""

    def _disarm(self, handle: Any) -> None:
        """Let nothing more come from a handle that is about to end."""


class InputPort(_Port):
    """A port that others play into. A message is stamped before anything else is done with it."""

    _kind = rtmidi.MidiIn
    _opposite = rtmidi.MidiOut
    _own_name = IN_NAME
    _direction = "input"

    def __init__(
        self,
        *,
        api: Api,
        receive: Receive,
        wanted: str | None = None,
        lost: Notice = _ignore,
        back: Notice = _ignore,
    ) -> None:
        super().__init__(api=api, wanted=wanted, lost=lost, back=back)
        self._receive = receive

    def _arm(self, handle: Any) -> None:
        handle.ignore_types(sysex=True, timing=False, active_sense=True)
        handle.set_callback(self._heard)

    def _disarm(self, handle: Any) -> None:
        handle.cancel_callback()

    def _heard(self, event: tuple[list[int], float], _: object) -> None:
        t_ns = time.monotonic_ns()  # RtMidi's own delta is wrong on macOS (python-rtmidi #204)
        self._receive(t_ns, bytes(event[0]))


class OutputPort(_Port):
    """A port that Segue plays to."""

    _kind = rtmidi.MidiOut
    _opposite = rtmidi.MidiIn
    _own_name = OUT_NAME
    _direction = "output"

    def __init__(
        self,
        *,
        api: Api,
        wanted: str | None = None,
        lost: Notice = _ignore,
        back: Notice = _ignore,
    ) -> None:
        super().__init__(api=api, wanted=wanted, lost=lost, back=back)
        self.failures = 0  # messages that did not reach the driver
        self._rejected = 0  # of these, the ones the driver would not have, since the last refresh

    def send(self, message: bytes) -> bool:
        """Hand one message to the driver; False when it could not be taken, which is counted.

        Never raises. Never waits, but for a burst on JACK that needs more than one cycle, and then
        at most 30 ms.
        """
        with self._lock:
            try:
                if self._open_for(message):
                    self._handle.send_message(message)
                    return True
            except Exception:  # whatever a driver says, the next note is due
                self._rejected += 1
            self.failures += 1
            return False

    def _open_for(self, message: bytes) -> bool:
        # What is sent to a port that is gone waits in RtMidi's ring, and sounds when it is back.
        if self._handle is None or (self._wanted is not None and not self._attached):
            return False
        return self._guard is None or self._guard.admit(len(message))

    def _find_trouble(self) -> str | None:
        trouble = super()._find_trouble()
        with self._lock:
            rejected, self._rejected = self._rejected, 0
        if trouble is None and rejected:
            return f"{rejected} messages could not be sent to {self.name}"
        return trouble


def _hold_server(api: Api) -> JackServer | None:
    """The watch over JACK, where that is what we are on. Raises MidiUnavailable."""
    prepare()
    server = jack_server() if api.constant == rtmidi.API_UNIX_JACK else None
    if server is not None:
        try:
            server.hold()
        except BridgeError as error:
            raise MidiUnavailable(str(error)) from None
    return server


def _construct(kind: Any, api: Api, client: str) -> Any:
    """A MidiIn or MidiOut, or MidiUnavailable with what the driver says."""

    def construct() -> Any:
        with _driver_errors(f"{api.name} does not answer"):
            return kind(api.constant, name=client)

    prepare()
    return patiently(construct) if api.constant == rtmidi.API_UNIX_JACK else construct()


def _names(handle: Any) -> list[str]:
    """The ports that a MidiIn or MidiOut could open."""
    with _driver_errors("the MIDI ports cannot be listed"):
        return list(handle.get_ports())


@contextmanager
def _driver_errors(text: str) -> Iterator[None]:
    """Turn what RtMidi raises into MidiUnavailable; ValueError is a port that has just gone."""
    try:
        yield
    except (rtmidi.RtMidiError, SystemError, ValueError) as error:
        raise MidiUnavailable(f"{text}: {error}") from None
