"""Where the music is: beats against nanoseconds. Pure; knows no source of time.

A `Transport` is one straight piece of the tempo map: a place where beat and time are known, and a
tempo. Following a changing tempo means replacing it by a new one, at the moment of change.
"""

import math
from dataclasses import dataclass, replace

NS_PER_MINUTE = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Transport:
    """At `anchor_ns` the music is at `anchor_beat`, and goes on at `bpm` while `playing`.

    It is never before `least_beat`: a line that was corrected backwards waits there for its time.
    """

    anchor_ns: int = 0
    anchor_beat: float = 0.0
    bpm: float = 120.0
    playing: bool = False
    least_beat: float = -math.inf

    @property
    def ns_per_beat(self) -> float:
        """Length of one beat in nanoseconds."""
        return NS_PER_MINUTE / self.bpm

    def beat_at(self, t_ns: int) -> float:
        """Return the beat at `t_ns`; a transport that stands still stays at its anchor."""
        if not self.playing:
            return max(self.anchor_beat, self.least_beat)
        beat = self.anchor_beat + (t_ns - self.anchor_ns) / self.ns_per_beat
        return max(beat, self.least_beat)

    def ns_at(self, beat: float) -> int:
        """Return the time of `beat` at this tempo, as if the music played on."""
        return self.anchor_ns + round((beat - self.anchor_beat) * self.ns_per_beat)

    def started(self, t_ns: int, beat: float) -> "Transport":
        """Play from `beat` at `t_ns`."""
        return replace(self, anchor_ns=t_ns, anchor_beat=beat, playing=True)

    def stopped(self, t_ns: int) -> "Transport":
        """Stand still where the music is at `t_ns`."""
        return replace(self, anchor_ns=t_ns, anchor_beat=self.beat_at(t_ns), playing=False)

    def at_tempo(self, t_ns: int, bpm: float) -> "Transport":
        """Go on from where the music is at `t_ns` in another tempo."""
        return replace(self, anchor_ns=t_ns, anchor_beat=self.beat_at(t_ns), bpm=bpm)

    def shifted(self, beats: float) -> "Transport":
        """The same line, so many beats further on."""
        return replace(self, anchor_beat=self.anchor_beat + beats)

    def never_before(self, beat: float) -> "Transport":
        """The same line, where `beat` has been reached already."""
        return replace(self, least_beat=beat)
