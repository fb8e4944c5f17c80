"""Follows a host that says where its music is. Pure: reports in, a `Transport` in its beats out.

Ableton Link's reports are exact. Those of a host over OSC come with the jitter of a network, maybe
only one a beat: the tempo is taken as it is told, and the phase corrected by a part of the error.
The first reports count for as much as there are of them, and so lock at once; a report with another
tempo, or far off the line, begins a new one. A report counts for the moment at which it comes.

A loop that the host has told of is followed at its seam, and not with the next report only.
"""

import math

from daemon.clock.transport import Transport

#: Beyond this the host has jumped, or changed its tempo on the way: the phase is taken as told.
SLACK_BEATS = 1 / 16
#: The phase gain never falls below this: ten reports of memory, for a tempo told in round numbers.
GAIN_FLOOR = 0.1
#: A tempo that differs by less than this share is the same one, written with fewer digits.
SAME_TEMPO = 0.001
#: Whoever reports exactly, every few milliseconds, is gone after this long.
EXACT_SILENCE_NS = 1_000_000_000
#: Any other host is missed after some of its own longest gaps, and not sooner than this.
SHORTEST_SILENCE_NS = 2_000_000_000
MISSED_GAPS = 4
#: With fewer gaps than this nobody knows how often it means to report: maybe at changes only.
GAPS_TO_KNOW = 3


class HostClock:
    """State: the filtered line, how often reports come, and the loop."""

    def __init__(self, *, bpm: float, exact: bool) -> None:
        self._exact = exact
        self._line = Transport(bpm=bpm)
        self._reports = 0  # on this line
        self._heard_ns: int | None = None
        self._gaps = 0
        self._longest_gap_ns = 0.0
        self._loop: tuple[float, float] | None = None  # start, length in beats

    @property
    def lost_ns(self) -> int | None:
        """When it counts as gone, if it says nothing before; None if it may well be silent."""
        if self._heard_ns is None:
            return None
        if self._exact:
            return self._heard_ns + EXACT_SILENCE_NS
        if not self._line.playing or self._gaps < GAPS_TO_KNOW:
            return None
        patience_ns = max(SHORTEST_SILENCE_NS, MISSED_GAPS * self._longest_gap_ns)
        return self._heard_ns + round(patience_ns)

    @property
    def seam_ns(self) -> int | None:
        """When its loop begins again, unless it plays on beyond the end."""
        if self._loop is None or not self._line.playing:
            return None
        end = sum(self._loop)
        if self._line.anchor_beat > end + SLACK_BEATS:
            return None
        return self._line.ns_at(end)

    def starts_with(self, t_ns: int, *, playing: bool) -> bool:
        """Whether a report at `t_ns` is news: it starts to play, or was not there before."""
        gone = self._heard_ns is None or (self.lost_ns is not None and t_ns >= self.lost_ns)
        return gone or (playing and not self._line.playing)

    def feed(self, t_ns: int, *, playing: bool, beat: float, bpm: float) -> Transport:
        """Take a report; return the line that follows from it."""
        appears = self.starts_with(t_ns, playing=playing)
        self._count_gap(t_ns, playing)
        told = Transport(t_ns, beat, bpm, playing)
        same_tempo = abs(bpm - self._line.bpm) <= SAME_TEMPO * bpm
        if self._exact or appears or not playing or not same_tempo:
            return self._begin(told)
        expected = self._line.beat_at(t_ns)
        error = self._nearest(beat, expected) - expected
        if abs(error) > SLACK_BEATS:
            return self._begin(told)
        self._reports += 1
        gain = max(GAIN_FLOOR, 1 / self._reports)
        self._line = Transport(t_ns, expected + gain * error, bpm, playing)
        return self._line

    def set_loop(self, start: float, length: float) -> None:
        """It loops over `length` beats from `start`; with a length of 0 it does not."""
        self._loop = (start, length) if length > 0 else None

    def fold(self, t_ns: int) -> Transport:
        """Go through the seam of the loop, as often as it has passed by `t_ns`."""
        if self._loop is not None:
            start, length = self._loop
            beat = self._line.beat_at(t_ns)
            rounds = max(1, math.floor((beat - start) / length))
            self._line = self._line.started(t_ns, beat - rounds * length)
        return self._line

    def _begin(self, line: Transport) -> Transport:
        self._line, self._reports = line, 1
        return line

    def _count_gap(self, t_ns: int, playing: bool) -> None:
        if self._heard_ns is not None and playing and self._line.playing:
            gap_ns = t_ns - self._heard_ns
            if (lost_ns := self.lost_ns) is None or t_ns < lost_ns:
                self._gaps += 1
                self._longest_gap_ns = max(float(gap_ns), 0.9 * self._longest_gap_ns)
        else:
            self._gaps, self._longest_gap_ns = 0, 0.0
        self._heard_ns = t_ns

    def _nearest(self, beat: float, expected: float) -> float:
        """`beat` on our side of the loop's seam: a report may come a moment before or after it."""
        if self._loop is None:
            return beat
        length = self._loop[1]
        there = [beat, beat - length, beat + length]
        nearest = min(there, key=lambda place: abs(place - expected))
        return nearest if abs(nearest - expected) <= SLACK_BEATS else beat
