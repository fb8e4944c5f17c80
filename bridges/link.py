"""Ableton Link: says where the music of this network's Link session is, and may set its tempo.

Knows aalink, which is an extra: Link is under the GPL, and Segue without it is not. Everything
here happens in a thread of its own, with the event loop that aalink wants. It reports only while
there is a peer: Link alone is nobody. A report is stamped when the beat is read, to some 10 µs.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, Self, TypeAlias

from bridges.control import BridgeError

#: t_ns, playing, beat, bpm.
Report: TypeAlias = Callable[[int, bool, float, float], object]

#: Often enough that a tempo which changes between two reports moves nothing by a millisecond.
REPORT_S = 0.02
#: Whoever was interrupted while it read the beat reads it again.
QUICK_NS = 100_000
TRIES = 5


def require_link() -> Any:
    """Return the module aalink. Raises BridgeError."""
    try:
        import aalink
    except ImportError as error:
        fix = "pip install 'segue[link]'"
        raise BridgeError(f"Ableton Link needs aalink: {fix} ({error})") from None
    return aalink


class LinkBridge:
    """One peer of the Link session on this network, from `open` to `close`.

    `bar_beats` is what peers with the same number begin together on (Link's quantum). With
    `start_stop` the peers' common start and stop are followed; without, Link always plays.
    """

    def __init__(self, *, bpm: float, bar_beats: float, start_stop: bool, report: Report) -> None:
        self._bpm = bpm
        self._bar_beats = bar_beats
        self._start_stop = start_stop
        self._report = report
        self._wanted_bpm: float | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Join. Raises BridgeError."""
        aalink = require_link()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._take_part(aalink)), name="segue-link", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Leave."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._closing.set()
            thread.join()

    def set_bpm(self, bpm: float) -> None:
        """Set the tempo of the whole session, as every peer may. From any thread."""
        self._wanted_bpm = bpm

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def _take_part(self, aalink: Any) -> None:
        link = aalink.Link(self._bpm)
        link.quantum = self._bar_beats
        link.start_stop_sync_enabled = self._start_stop
        link.enabled = True
        while not self._closing.is_set():
            wanted_bpm, self._wanted_bpm = self._wanted_bpm, None
            if wanted_bpm is not None:
                link.tempo = wanted_bpm
            if link.num_peers > 0:
                t_ns, beat = _beat_now(link)
                playing = bool(link.playing) if self._start_stop else True
                self._report(t_ns, playing, beat, float(link.tempo))
            await asyncio.sleep(REPORT_S)
        link.enabled = False


def _beat_now(link: Any) -> tuple[int, float]:
    """The time and the beat at it."""
    for _ in range(TRIES):
        before_ns = time.monotonic_ns()
        beat = float(link.beat)
        took_ns = time.monotonic_ns() - before_ns
        if took_ns < QUICK_NS:
            break
    return before_ns + took_ns // 2, beat
