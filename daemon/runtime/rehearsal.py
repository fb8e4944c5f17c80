"""A rehearsal: the session in virtual time, as fast as the mind can think. No threads, no sleeping.

Time stands still while the mind drafts an answer that the session is waiting for, and otherwise
jumps from one event to the next. The mind is a real one, in its own process.
"""

import queue
from collections.abc import Callable, Iterable

from daemon.interface.config import SessionConfig
from daemon.interface.events import Effect, Entry, MidiIn, MindIn, ReleaseAll, Send, Tell, Tick
from daemon.runtime.mind import in_short
from daemon.session.schedule import Due, Schedule
from daemon.session.session import Session
from daemon.take.journal import JournalWriter, Sent
from engine.protocol import Cancel, Continue, Finished, FromMind, Lost, Ready, ToMind

#: A mind that says nothing for this long in real time is not coming.
PATIENCE_S = 120.0


class MindIsSilent(RuntimeError):
    """The mind did not load, or stopped answering."""


class Rehearsal:
    """Plays timed messages into a session and collects what it sends into the journal."""

    def __init__(
        self,
        config: SessionConfig,
        *,
        journal: JournalWriter,
        publish: Callable[[Effect], None],
    ) -> None:
        self.session = Session(config)
        self._journal = journal
        self._publish = publish
        self._tell: Callable[[ToMind], None] = lambda _: None
        self._schedule = Schedule()
        self._from_mind: queue.SimpleQueue[FromMind] = queue.SimpleQueue()
        self._waiting_for: int | None = None  # epoch
        self._now_ns = 0

    def heard_mind(self, value: FromMind) -> None:
        """The mind said something; from any thread."""
        self._from_mind.put(value)

    def run(
        self,
        messages: Iterable[tuple[int, bytes]],
        *,
        until_ns: int,
        tell: Callable[[ToMind], None],
    ) -> None:
        """Play `messages`, which are in order of time, and go on to `until_ns`."""
        self._tell = tell
        self._listen_to_mind(lambda value: isinstance(value, Ready))
        coming = iter(messages)
        message = next(coming, None)
        while True:
            wake_ns = self.session.next_wake_ns()
            is_wake = wake_ns is not None and (message is None or wake_ns < message[0])
            if is_wake and self._waiting_for is not None:
                self._listen_to_mind(self._is_awaited)
                continue
            t_ns = wake_ns if is_wake else message[0] if message else until_ns
            if t_ns is None or t_ns >= until_ns:
                break
            self._advance(t_ns)
            if is_wake or message is None:
                self._take(Tick(t_ns))
            else:
                self._take(MidiIn(t_ns, message[1]))
                message = next(coming, None)
        self._advance(until_ns)
        self._write(self._schedule.release_all(until_ns), until_ns)

    def _is_awaited(self, value: FromMind) -> bool:
        return isinstance(value, Finished) and value.epoch == self._waiting_for

    def _listen_to_mind(self, is_enough: Callable[[FromMind], bool]) -> None:
        """Take what the mind says, at the same virtual moment, until something is enough."""
        while True:
            try:
                value = self._from_mind.get(timeout=PATIENCE_S)
            except queue.Empty:
                raise MindIsSilent(f"the mind said nothing for {PATIENCE_S:.0f} s") from None
            self._take(MindIn(self._now_ns, value))
            if isinstance(value, Lost):
                raise MindIsSilent(f"the mind was lost: {in_short(value.reason)}")
            if is_enough(value):
                self._waiting_for = None
                return

    def _take(self, entry: Entry) -> None:
        self._journal.took(entry)
        for effect in self.session.handle(entry):
            match effect:
                case Send(due_ns, message):
                    self._schedule.push(due_ns, message)
                case ReleaseAll():
                    self._write(self._schedule.release_all(self._now_ns), self._now_ns)
                case Tell(value):
                    self._tell(value)
                    if isinstance(value, Continue):
                        self._waiting_for = value.epoch
                    elif isinstance(value, Cancel):
                        self._waiting_for = None
                case _:
                    self._publish(effect)

    def _advance(self, t_ns: int) -> None:
        """Move on to `t_ns`; what was planned after its time had passed leaves now, late."""
        earliest_ns, self._now_ns = self._now_ns, max(self._now_ns, t_ns)
        while (due_ns := self._schedule.next_due_ns) is not None and due_ns <= t_ns:
            self._write(self._schedule.pop_due(due_ns), earliest_ns)

    def _write(self, due: list[Due], earliest_ns: int) -> None:
        for item in due:
            self._journal.sent(Sent(item.due_ns, max(item.due_ns, earliest_ns), item.message))
