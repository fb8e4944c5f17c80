"""The output thread: sleeps to the deadline and sends. Knows a schedule and a `send`; no music.

It is the only thread that sends while the daemon lives. The system's sleep ends late by some tenths
of a millisecond, so the last stretch before a deadline is spent awake: what is due is taken out,
its way is walked once without sending (code that the processor has not seen for a while costs more
than the whole of it), and then there is nothing left to do but to look at the clock.
"""

import threading
import time
from collections.abc import Callable

from daemon.runtime.real_time import ask_for_real_time
from daemon.session.schedule import Due, Schedule
from daemon.take.journal import Sent

#: Wake up this long before a deadline, and spin for the rest of the time.
SPIN_NS = 300_000
#: What begins this long before a deadline may last into the time that is spent awake.
NEAR_NS = 2 * SPIN_NS
NS_PER_S = 1_000_000_000


class OutputThread:
    """Owns the schedule. Other threads plan and release through it, under one lock.

    What is sent sounds `latency_ns` later. Every time here, also in `sent`, is that of sounding, so
    the thread lives so much ahead of the clock.
    """

    def __init__(
        self,
        *,
        send: Callable[[bytes], object],
        sent: Callable[[Sent], None],
        latency_ns: int = 0,
    ) -> None:
        self._send = send
        self._sent = sent
        self._latency_ns = latency_ns
        self._schedule = Schedule()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)

    def open(self) -> None:
        """Begin to send."""
        self._thread.start()

    def plan(self, due_ns: int, message: bytes) -> None:
        """Send `message` so that it sounds at `due_ns`, or at once if it is too late for that."""
        with self._changed:
            first_ns = self._schedule.next_due_ns
            self._schedule.push(due_ns, message)
            if first_ns is None or due_ns < first_ns:
                self._changed.notify()

    def give_way(self) -> None:
        """Return when nothing is about to leave: what needs the interpreter is better done then."""
        with self._changed:  # held while a message is met
            due_ns = self._schedule.next_due_ns
            rest_ns = 0 if due_ns is None else due_ns - self._now_ns()
        if 0 < rest_ns < NEAR_NS:
            time.sleep(rest_ns / NS_PER_S)

    def release_all(self) -> None:
        """Send the note-off of everything that sounds, now, and forget what was planned."""
        with self._changed:
            self._emit(self._schedule.release_all(self._now_ns()))

    def close(self) -> None:
        """Release what sounds, stop our clock and end the thread; from any thread, repeatedly."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()
        with self._changed:
            self._emit(self._schedule.release_all(self._now_ns()))
            self._emit(self._schedule.stop_clock(self._now_ns()))

    def _run(self) -> None:
        ask_for_real_time()
        while True:
            with self._changed:
                if self._stopping:
                    return
                due_ns = self._schedule.next_due_ns
                if due_ns is None:
                    self._changed.wait()
                elif (rest_ns := due_ns - SPIN_NS - self._now_ns()) > 0:
                    self._changed.wait(rest_ns / NS_PER_S)
                else:
                    self._meet(due_ns)

    def _meet(self, due_ns: int) -> None:
        due = self._schedule.pop_due(due_ns)
        self._hand_over(due, _nowhere)
        while self._now_ns() < due_ns:
            pass
        self._emit(due)

    def _now_ns(self) -> int:
        return time.monotonic_ns() + self._latency_ns

    def _emit(self, due: list[Due]) -> None:
        for sent in self._hand_over(due, self._send):
            self._sent(sent)

    def _hand_over(self, due: list[Due], send: Callable[[bytes], object]) -> list[Sent]:
        """Send one after the other; return with each the time at which it was handed over."""
        sent: list[Sent] = []
        for item in due:
            sent.append(Sent(item.due_ns, self._now_ns(), item.message))
            send(item.message)
        return sent


def _nowhere(_: bytes) -> None:
    """Where messages go when nothing is sent."""
