"""The system's signals, kept away from calls that they would break. Knows no ports."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def undisturbed(*numbers: signal.Signals) -> Iterator[None]:
    """None of these signals comes to this thread meanwhile; afterwards one that came is heard.

    Threads and processes that are started meanwhile never hear them. What a library has done to
    the thread's mask by then is undone.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows has no masks, and hardly any signals
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
