"""The output thread: sleeps to the deadline and sends. Knows a schedule and a `send`; no music.

It is the only thread that sends while the daemon lives. The system's sleep ends late by some tenths
of a millisecond, so the last stretch before a deadline is spent awake.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable

from daemon.journal import Sent
from daemon.schedule import Due, Schedule

#: Wake up this long before a deadline, and spin for the rest of the time.
SPIN_NS = 300_000
NS_PER_S = 1_000_000_000
#: Asked for where the system permits it; under JACK's own priority (70 by default in our tests).
FIFO_PRIORITY = 60


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
            self._schedule.push(due_ns, message)
            self._changed.notify()

    def release_all(self) -> None:
        """Send the note-off of everything that sounds, now, and forget what was planned."""
        with self._changed:
            self._emit(self._schedule.release_all(self._now_ns()))

    def close(self) -> None:
        """Release what sounds and end the thread; from any thread, and more than once."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()
        self.release_all()

    def _run(self) -> None:
        ask_for_real_time()
        while True:
            with self._changed:
                if self._stopping:
                    return
                due_ns = self._schedule.next_due_ns
                rest_ns = None if due_ns is None else due_ns - SPIN_NS - self._now_ns()
                if rest_ns is None or rest_ns > 0:
                    self._changed.wait(None if rest_ns is None else rest_ns / NS_PER_S)
                    continue
                if due_ns is not None and due_ns <= self._now_ns():
                    self._emit(self._schedule.pop_due(self._now_ns()))

    def _now_ns(self) -> int:
        return time.monotonic_ns() + self._latency_ns

    def _emit(self, due: list[Due]) -> None:
        for item in due:
            self._send(item.message)
            self._sent(Sent(item.due_ns, self._now_ns(), item.message))


def ask_for_real_time() -> None:
    """Put the calling thread under real-time scheduling, where that exists and is permitted."""
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO_PRIORITY))
