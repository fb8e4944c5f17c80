"""Follows MIDI clock. Pure: stamped status bytes in, a `Transport` in the host's beats out.

Theory of operation. A tick (0xF8) is 1/24 beat; which ticks there were, and when, is found out by
`tick_loop.py`. Start (0xFA) and Continue (0xFB) say that the *next* tick is the first of the music:
at beat 0, or at the song position (0xF2, in sixteenths). Ticks may run on while the host stands
still: they still teach the tempo.

A host that neither ticks nor stops is lost, from `lost_ns` on. When it is heard again, the music is
where it would be had the host ticked on, to the nearest tick; only a start or a song position says
more.
"""

from daemon.clock.tick_loop import TickLoop
from daemon.clock.transport import NS_PER_MINUTE, Transport
from daemon.interface.messages import CONTINUE, SONG_POSITION, START, STOP, TICK

TICKS_PER_BEAT = 24
SIXTEENTHS_PER_BEAT = 4

#: Tempi outside of this range are not music, and not believed.
MIN_BPM, MAX_BPM = 20.0, 400.0


class MidiClock:
    """State: the loop that follows the ticks, and what the host has announced."""

    def __init__(self, *, bpm: float = 120.0) -> None:
        self.playing = False
        self._from = 0.0  # beat of the tick that the loop calls number 0
        self._place = 0.0  # song position: where the next start or continue begins
        self._starting = False  # the next tick stands at that place
        self._loop = TickLoop(
            period_ns=NS_PER_MINUTE / bpm / TICKS_PER_BEAT,
            shortest_ns=NS_PER_MINUTE / MAX_BPM / TICKS_PER_BEAT,
            longest_ns=NS_PER_MINUTE / MIN_BPM / TICKS_PER_BEAT,
        )

    @property
    def bpm(self) -> float:
        """The host's tempo, as far as it is known."""
        bpm = NS_PER_MINUTE / TICKS_PER_BEAT / self._loop.period_ns
        return min(max(bpm, MIN_BPM), MAX_BPM)  # by a rounding error

    @property
    def lost_ns(self) -> int | None:
        """When a playing host counts as lost, if no tick comes before; None while it stands."""
        return self._loop.silent_ns if self.playing else None

    def feed(self, t_ns: int, message: bytes) -> Transport | None:
        """Take one realtime or song-position message; return the new transport if it moved.

        Returns None for a tick that changes nothing but the estimate of a standing host's tempo.
        """
        status = message[0]
        if status == TICK:
            return self._tick(t_ns)
        if status == START:
            self._place, self._starting = 0.0, True
        elif status == CONTINUE:
            self._starting = True
        elif status == SONG_POSITION and len(message) == 3:
            self._place = (message[1] | message[2] << 7) / SIXTEENTHS_PER_BEAT
            self._starting = self._starting or self.playing
        elif status == STOP:
            return self._stop(t_ns)
        return None

    def _tick(self, t_ns: int) -> Transport | None:
        if self._starting:
            self._loop.start(t_ns)
            self._from, self._starting, self.playing = self._place, False, True
        else:
            self._loop.feed(t_ns)
        return self._moving() if self.playing else None

    def _stop(self, t_ns: int) -> Transport | None:
        located, self._starting = self._starting, False
        if not self.playing:
            return None
        self.playing = False
        moving = self._moving()
        if not located:  # it stops between two ticks, and goes on from the next one
            self._place = moving.anchor_beat + 1 / TICKS_PER_BEAT
        return moving.stopped(t_ns)

    def _moving(self) -> Transport:
        beat = self._from + self._loop.count / TICKS_PER_BEAT
        return Transport(round(self._loop.tick_ns), beat, self.bpm, True)
