"""Where the music is: beats against nanoseconds. Pure; knows no source of time.

A `Transport` is one straight piece of the tempo map: a place where beat and time are known, and a
tempo. Following a changing tempo means replacing it by a new one, at the moment of change.
"""

from dataclasses import dataclass, replace

NS_PER_MINUTE = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Transport:
    """At `anchor_ns` the music is at `anchor_beat`, and goes on at `bpm` while `playing`."""

    anchor_ns: int = 0
    anchor_beat: float = 0.0
    bpm: float = 120.0
    playing: bool = False

    @property
    def ns_per_beat(self) -> float:
        """Length of one beat in nanoseconds."""
        return NS_PER_MINUTE / self.bpm

    def beat_at(self, t_ns: int) -> float:
        """Return the beat at `t_ns`; a transport that stands still stays at its anchor."""
        if not self.playing:
            return self.anchor_beat
        return self.anchor_beat + (t_ns - self.anchor_ns) / self.ns_per_beat

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
        return Transport(t_ns, self.beat_at(t_ns), bpm, self.playing)
