"""The runtime: one inbox, one session, one output thread. Knows no ports and no protocols.

A life in four verbs: `run` is startup, main loop, shutdown. Everything that happens anywhere comes
in through `receive_midi`, `command` and `heard_mind`, from any thread, and is taken in one order by
the thread that called `run`.
"""

import contextlib
import queue
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from daemon import __version__
from daemon.interface import commands
from daemon.interface.config import SessionConfig
from daemon.interface.events import (
    CommandIn,
    Effect,
    Entry,
    HostIn,
    MidiIn,
    MindIn,
    ReleaseAll,
    Send,
    StateChanged,
    Tell,
    Tick,
)
from daemon.interface.stream import Value, state_values
from daemon.runtime.output import NS_PER_S, SPIN_NS, OutputThread
from daemon.session.session import Session
from daemon.take.journal import JournalWriter
from engine.protocol import FromMind, ToMind

#: Python lets a busy thread keep the interpreter this long; the default of 5 ms is a late note. As
#: long is the thread that sends awake before a note, so that nobody takes it from that one.
SWITCH_INTERVAL_S = SPIN_NS / NS_PER_S
#: A signal that comes just before the main thread goes to sleep is handled when it wakes.
LONGEST_REST_S = 0.5


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where the runtime's effects go. None of them may block."""

    send: Callable[[bytes], object]
    tell: Callable[[ToMind], None]
    publish: Callable[[Effect], None]


class Runtime:
    """Carries entries to the session and effects away from it, in real time."""

    def __init__(self, config: SessionConfig, *, journal: JournalWriter) -> None:
        self.session = Session(config)
        self._config = config
        self._journal = journal
        self._inbox: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._state: StateChanged | None = None
        self._output: OutputThread | None = None

    def receive_midi(self, t_ns: int, message: bytes) -> None:
        """A message arrived at the input port at `t_ns`; it was played a latency before."""
        self._inbox.put(MidiIn(t_ns - self._config.input_latency_ns, message))

    def receive_link(self, t_ns: int, playing: bool, beat: float, bpm: float) -> None:
        """Ableton Link was at `beat` at `t_ns`."""
        self._inbox.put(HostIn(t_ns, "link", playing, beat, bpm))

    def heard_mind(self, value: FromMind) -> None:
        """The mind said something."""
        self._inbox.put(MindIn(time.monotonic_ns(), value))

    def command(self, name: str, arguments: tuple[object, ...]) -> tuple[Value, ...]:
        """Check and take a command; return what to answer. Raises CommandError."""
        checked = commands.check(name, arguments)
        if name == "ping":
            return (__version__,)
        if name == "state":
            return self._state_now()
        self._inbox.put(CommandIn(time.monotonic_ns(), name, checked))
        return checked

    def stop(self) -> None:
        """Let `run` come to its end; may be called from a signal handler."""
        self._inbox.put(None)

    def silence(self) -> None:
        """Release what sounds and send nothing more, from any thread, whatever `run` is doing."""
        output = self._output
        if output is not None:
            output.close()

    def run(self, outlets: Outlets, *, started: Callable[[], None]) -> None:
        """Live until `stop`. `started` is called once everything is taken and sent."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._output = output = OutputThread(
            send=outlets.send,
            sent=self._journal.sent,
            latency_ns=self._config.output_latency_ns,
        )
        output.open()
        self._inbox.put(Tick(time.monotonic_ns()))  # so that there is a state from the beginning
        try:
            started()
            self._main_loop(outlets, output)
        finally:
            output.close()

    def _main_loop(self, outlets: Outlets, output: OutputThread) -> None:
        while (entry := self._next_entry()) is not None:
            output.give_way()
            self._journal.took(entry)
            for effect in self.session.handle(entry):
                self._carry_out(effect, outlets, output)

    def _next_entry(self) -> Entry | None:
        """Wait for what comes in, or for the tick that the session wants; None is the end."""
        while True:
            wake_ns = self.session.next_wake_ns()
            now_ns = time.monotonic_ns()
            if wake_ns is not None and wake_ns <= now_ns and self._inbox.empty():
                return Tick(now_ns)
            rest_s = LONGEST_REST_S
            if wake_ns is not None:
                rest_s = min(rest_s, max(0, wake_ns - now_ns) / NS_PER_S)
            with contextlib.suppress(queue.Empty):
                return self._inbox.get(timeout=rest_s)

    def _state_now(self) -> tuple[Value, ...]:
        if self._state is None:
            return ()
        beat = self.session.beat_at(time.monotonic_ns())
        return state_values(replace(self._state, beat=beat))

    def _carry_out(self, effect: Effect, outlets: Outlets, output: OutputThread) -> None:
        match effect:
            case Send(due_ns, message):
                output.plan(due_ns, message)
            case ReleaseAll():
                output.release_all()
            case Tell(value):
                outlets.tell(value)
            case _:
                if isinstance(effect, StateChanged):
                    self._state = effect
                outlets.publish(effect)
