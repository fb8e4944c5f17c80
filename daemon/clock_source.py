"""Which clock leads, and the session's own beats. Pure; joins the internal clock and MIDI clock.

The internal clock starts with the first note that is played: the player's first beat is beat 0. A
MIDI clock leads as soon as one of its messages is heard, unless the configuration says otherwise.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from daemon.midi_clock import (
    CONTINUE,
    SONG_POSITION,
    START,
    TICKS_PER_BEAT,
    MidiClock,
)
from daemon.transport import Transport
from engine.meter import bar_at, line_after
from engine.protocol import Meter

Choice: TypeAlias = Literal["auto", "internal", "midi"]

#: The host's place and ours may differ by this much, from lost ticks, before it counts as a jump.
JUMP_BEATS = 0.25
#: Where the host has said that it goes elsewhere, this much back is a jump already.
BACK_BEATS = 2 / TICKS_PER_BEAT
ANNOUNCEMENTS = frozenset({START, CONTINUE, SONG_POSITION})


@dataclass(frozen=True, slots=True)
class Moved:
    """The transport changed. If `discontinuous`, the music stopped or jumped at `from_beat`."""

    discontinuous: bool
    from_beat: float


class ClockSource:
    """The one `transport` that everything else reads, in the session's beats."""

    def __init__(self, choice: Choice, bpm: float, meters: tuple[Meter, ...]) -> None:
        self.transport = Transport(bpm=bpm)
        self._choice = choice
        self._meters = meters
        self._midi = MidiClock(bpm=bpm)
        self._led_by_midi = choice == "midi"
        self._announced = False  # the host starts, or goes elsewhere, with its next tick
        self._offset_beats = 0.0  # the session's beat less the host's

    def note_played(self, t_ns: int) -> Moved | None:
        """The player struck a note: the internal clock begins, if it leads and stands still."""
        if self._led_by_midi or self.transport.playing:
            return None
        self.transport = self.transport.started(t_ns, self.transport.anchor_beat)
        return Moved(False, self.transport.anchor_beat)

    def set_bpm(self, t_ns: int, bpm: float) -> Moved | None:
        """Another tempo for the internal clock; a leading host's tempo stays its own."""
        if self._led_by_midi:
            return None
        self.transport = self.transport.at_tempo(t_ns, bpm)
        return Moved(False, self.transport.anchor_beat)

    def feed(self, t_ns: int, message: bytes) -> Moved | None:
        """Take a message of the MIDI clock; return how the transport moved, or None."""
        if self._choice == "internal":
            return None
        self._announced = self._announced or message[0] in ANNOUNCEMENTS
        host = self._midi.feed(t_ns, message)
        if not self._led_by_midi:  # ticks alone: many keyboards send them all day long
            return self._give_lead(t_ns) if self._announced else None
        if host is None:
            return None
        before = self.transport
        announced, self._announced = self._announced, False
        if host.playing and self._jumped(host, BACK_BEATS if announced else JUMP_BEATS):
            return self._locate(host, before.beat_at(t_ns))
        beat = host.anchor_beat + self._offset_beats
        self.transport = replace(host, anchor_beat=beat)
        return Moved(before.playing and not host.playing, before.beat_at(t_ns))

    def _give_lead(self, t_ns: int) -> Moved:
        """A host has spoken for the first time: from now on it says what is played."""
        before = self.transport
        self._led_by_midi = True
        self.transport = before.stopped(t_ns)
        return Moved(before.playing, self.transport.anchor_beat)

    def _jumped(self, host: Transport, most_back: float) -> bool:
        expected = self.transport.beat_at(host.anchor_ns) - self._offset_beats
        return not -most_back <= host.anchor_beat - expected <= JUMP_BEATS

    def _locate(self, host: Transport, from_beat: float) -> Moved:
        """Lay the host's bars on from the next bar line of the session."""
        into_bar = host.anchor_beat - bar_at(self._meters, host.anchor_beat).start
        self._offset_beats = line_after(self._meters, from_beat) + into_bar - host.anchor_beat
        self.transport = replace(host, anchor_beat=host.anchor_beat + self._offset_beats)
        return Moved(True, from_beat)
