"""Follows MIDI clock. Pure: stamped status bytes in, a `Transport` in the host's beats out.

Theory of operation. A tick (0xF8) is 1/24 beat. Ticks arrive with jitter, so neither their times
nor the gaps between them are used as they are: an alpha-beta filter (a second-order delay-locked
loop) predicts each tick from the last period, and corrects phase and period by a part of the error.
Its gains begin as those of a least-squares line through all ticks so far, and so lock at once; they
fall to a floor that still follows a ramp (Brookner, "Tracking and Kalman Filtering Made Easy",
1998, on the growing-memory and the critically damped filter).

Start (0xFA) and Continue (0xFB) say that the *next* tick is the first of the music: at beat 0, or
at the song position (0xF2, in sixteenths). Ticks may run on while the host stands still: they still
teach the tempo.
"""

from daemon.transport import NS_PER_MINUTE, Transport

TICKS_PER_BEAT = 24
SIXTEENTHS_PER_BEAT = 4

TICK, START, CONTINUE, STOP, SONG_POSITION = 0xF8, 0xFA, 0xFB, 0xFC, 0xF2
STATUSES = frozenset({TICK, START, CONTINUE, STOP, SONG_POSITION})

#: The phase gain never falls below this: about 13 ticks, half a beat, of memory.
ALPHA_FLOOR = 0.15
#: Benedict and Bordner's period gain for that phase gain: the best compromise for a ramp.
BETA_FLOOR = ALPHA_FLOOR**2 / (2 - ALPHA_FLOOR)
#: A gap longer than this many periods is a pause of the clock, not jitter: lock anew.
PAUSE_TICKS = 6
#: A clock that plays and says nothing for this long is lost.
SILENCE_NS = 1_000_000_000
#: Tempi outside of this range are not music; a tick that would imply one is a new beginning.
MIN_BPM, MAX_BPM = 20.0, 400.0


class MidiClock:
    """State: the filtered time of the last tick, the period, and what the host has announced."""

    def __init__(self, *, bpm: float = 120.0) -> None:
        self.bpm = bpm
        self.playing = False
        self._beat = 0.0  # of the last tick of the music
        self._place = 0.0  # song position: where the next start or continue begins
        self._starting = False  # the next tick stands at that place
        self._ticks = 0  # since the filter was started
        self._tick_ns = 0.0  # filtered time of the last tick
        self._period_ns = NS_PER_MINUTE / bpm / TICKS_PER_BEAT

    @property
    def lost_ns(self) -> int | None:
        """When the clock counts as lost if no tick comes before; None while it stands still."""
        return round(self._tick_ns) + SILENCE_NS if self.playing else None

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
        self._filter(t_ns)
        if self._starting:
            self._beat, self._starting, self.playing = self._place, False, True
        elif self.playing:
            self._beat += 1 / TICKS_PER_BEAT
        else:
            return None
        return Transport(round(self._tick_ns), self._beat, self.bpm, True)

    def _stop(self, t_ns: int) -> Transport | None:
        located, self._starting = self._starting, False
        if not self.playing:
            return None
        self.playing = False
        if not located:  # it stops between two ticks, and goes on from the next one
            self._place = self._beat + 1 / TICKS_PER_BEAT
        moving = Transport(round(self._tick_ns), self._beat, self.bpm, True)
        return moving.stopped(t_ns)

    def _filter(self, t_ns: int) -> None:
        gap_ns = t_ns - self._tick_ns
        if self._ticks == 0 or gap_ns > PAUSE_TICKS * self._period_ns:
            self._ticks, self._tick_ns = 1, float(t_ns)
            return
        self._ticks += 1
        n = self._ticks
        if n == 2:  # the first gap is the first period there is
            period_ns, tick_ns = gap_ns, float(t_ns)
        else:
            alpha = max(ALPHA_FLOOR, 2 * (2 * n - 1) / (n * (n + 1)))
            beta = max(BETA_FLOOR, 6 / (n * (n + 1)))
            predicted_ns = self._tick_ns + self._period_ns
            error_ns = t_ns - predicted_ns
            tick_ns = predicted_ns + alpha * error_ns
            period_ns = self._period_ns + beta * error_ns
        bpm = NS_PER_MINUTE / TICKS_PER_BEAT / max(period_ns, 1.0)
        if not MIN_BPM <= bpm <= MAX_BPM:
            self._ticks, self._tick_ns = 1, float(t_ns)
            return
        self._tick_ns, self._period_ns, self.bpm = tick_ns, period_ns, bpm
