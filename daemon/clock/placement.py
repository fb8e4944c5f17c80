"""The session's meters, and where a leader's bars lie on its beats. Pure; knows no time.

A leader (a host, or whoever else gives the clock) counts beats of its own. The session's beat is
the leader's plus an offset, chosen so that the bar lines of both are the same ones. `meters` grows
by what comes, and what was played keeps its bars.

Only where the leader goes round in a part of a bar, its bar lines are not ours for a while: the
beats of both go on together, and the bars are laid on afterwards.
"""

import math
from dataclasses import replace

from engine.meter import BEAT_TOLERANCE, bar_at, line_after
from engine.protocol import Meter

#: Two places in a bar that differ by less than this are the same, by a clock that is a little off.
IN_TIME_BEATS = 1 / 12
#: And two places in a beat: there are more beats than bars to be near to by chance.
ON_THE_BEAT_BEATS = 1 / 16


class Placement:
    """State: the meters, the offset, and the metre that bars have without a host that tells one."""

    def __init__(self, meters: tuple[Meter, ...]) -> None:
        self.meters = meters
        self.offset_beats = 0.0  # the session's beat less the leader's
        self.is_apart = False  # the leader's bar lines are not ours
        self._own = meters[-1]
        self._bars = replace(self._own, beat=0.0)  # a bar line of the leader's, in its own beats

    def led_by(self, bars: Meter | None) -> None:
        """Somebody else leads: in `bars` of its own, or in ours, counted from its beat 0."""
        self._bars = bars or replace(self._own, beat=0.0)

    def in_time(self, beat: float, expected: float) -> float | None:
        """By how much the leader's `beat` is ahead of the session's `expected` in the bar.

        None if these are two places in the bar, and not one; or if our bars are about to change.
        """
        if self.meters[-1].beat > expected + BEAT_TOLERANCE:
            return None
        ahead = self._ahead(beat, expected, self._bars.bar_beats)
        return ahead if abs(ahead) <= IN_TIME_BEATS else None

    def on_the_beat(self, beat: float, expected: float) -> float | None:
        """By how much the leader's `beat` is ahead of the session's `expected` in its beat.

        The beat is the metre's: an eighth in 6/8. None if these are two places in it.
        """
        ahead = self._ahead(beat, expected, 4 / self._bars.denominator)
        return ahead if abs(ahead) <= ON_THE_BEAT_BEATS else None

    def go_round(self, beat: float, at: float) -> None:
        """The leader's `beat` is the session's beat `at`, though at another place in the bar."""
        self.offset_beats = at - beat
        self.is_apart = True

    def put(self, beat: float, at: float) -> None:
        """The leader's `beat` is the session's beat `at`, which is the same place in the bar."""
        self.offset_beats = at - beat
        into = self._into_bar(beat)
        self._lay(at + (self._bars.bar_beats - into if into else 0.0))

    def next_place(self, beat: float, now: float) -> float:
        """Our first beat from `now` on that has the place in the bar of the leader's `beat`.

        Where our bars are of another metre, or are about to be, it lies in the next bar.
        """
        return self._next_line(beat, now) + self._into_bar(beat)

    def catch_up(self, beat: float, now: float) -> None:
        """The leader's bar lines are ours again, from `next_place` on."""
        line = self._next_line(beat, now)
        self.offset_beats = line + self._into_bar(beat) - beat
        self._lay(line)

    def lay_on(self, beat: float, from_beat: float) -> None:
        """Lay the leader's bars on from the session's next bar line: `beat` lies in the first."""
        line = line_after(self.meters, from_beat)
        self.offset_beats = line + self._into_bar(beat) - beat
        self._lay(line)

    def told(self, bars: Meter, now: float) -> None:
        """The leader, which is at its beat `now`, has told its bars: the one that runs is such."""
        self._bars = bars
        ago = max(0.0, now - bars.beat)
        line = bars.beat + math.floor(ago / bars.bar_beats + BEAT_TOLERANCE) * bars.bar_beats
        if not self.is_apart:
            self._lay(line + self.offset_beats)

    def set_own(self, numerator: int, denominator: int, from_beat: float | None) -> None:
        """Our own metre; from the first bar line at or after `from_beat`, unless that is None."""
        self._own = Meter(0.0, numerator, denominator)
        if from_beat is not None:
            line = line_after(self.meters, from_beat)
            self._bars = replace(self._own, beat=line - self.offset_beats)
            self._lay(line)

    def _ahead(self, beat: float, expected: float, period: float) -> float:
        """By how much the leader's place in the bar is ahead of ours, whole periods left out."""
        into_ours = expected - bar_at(self.meters, expected).start
        return (self._into_bar(beat) - into_ours + period / 2) % period - period / 2

    def _next_line(self, beat: float, now: float) -> float:
        """The line of the bar that `next_place` lies in."""
        bar, into = bar_at(self.meters, now), self._into_bar(beat)
        runs = self.meters[-1].beat <= now + BEAT_TOLERANCE and _are_alike(bar.meter, self._bars)
        if runs and bar.start + into >= now - BEAT_TOLERANCE:
            return bar.start
        return line_after(self.meters, now)

    def _into_bar(self, beat: float) -> float:
        """How far the leader's `beat` is in its bar; a rounding error before the line is on it."""
        length = self._bars.bar_beats
        into = (beat - self._bars.beat) % length
        return into if into < length - BEAT_TOLERANCE else 0.0

    def _lay(self, line: float) -> None:
        """From `line` on, which is a bar line, the bars have the leader's metre."""
        self.is_apart = False
        bars = self._bars
        kept = tuple(meter for meter in self.meters if meter.beat < line - BEAT_TOLERANCE)
        if kept and _are_alike(kept[-1], bars):
            rest = (line - kept[-1].beat) % bars.bar_beats
            if min(rest, bars.bar_beats - rest) <= BEAT_TOLERANCE:
                self.meters = kept
                return
        self.meters = (*kept, replace(bars, beat=line))


def _are_alike(one: Meter, other: Meter) -> bool:
    return (one.numerator, one.denominator) == (other.numerator, other.denominator)
