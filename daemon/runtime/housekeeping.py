"""A thread for what is done now and then, away from the music: looking whether ports are there."""

import threading
from collections.abc import Callable, Sequence
from typing import Self


class Housekeeping:
    """Calls each of `chores` once in `interval_s` while its `with` block lasts."""

    def __init__(self, chores: Sequence[Callable[[], None]], *, interval_s: float = 1.0) -> None:
        self._chores = chores
        self._interval_s = interval_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(self._interval_s):
            for chore in self._chores:
                chore()
