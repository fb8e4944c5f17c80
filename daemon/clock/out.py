"""Segue's own clock as MIDI clock, for machines that follow it. Pure: a `Transport` in, sends out.

Theory of operation. The music has a tick (0xF8) at each 24th of a beat, and each is sent once, at
its time, as soon as that lies within the commit horizon; a tempo that changes moves only the ticks
that have not been sent. Those who follow count ticks from a place that they were told:

    the music begins at beat 0     Start (0xFA), and the tick of beat 0
    it begins elsewhere            Song Position (0xF2) of the next sixteenth, and with the tick of
                                   that one Continue (0xFB)
    it jumps                       Stop (0xFC), and as if it began there
    it stops                       Stop; ticks that were due later are taken back by the schedule

Nothing is sent while the music stands still. A song position is at most 16383 sixteenths; further
on it begins at 0 again, which is a bar line in every metre that fits into 1024 whole notes.
"""

import math

from daemon.clock.midi_clock import SIXTEENTHS_PER_BEAT, TICKS_PER_BEAT
from daemon.clock.transport import Transport
from daemon.interface.events import Send
from daemon.interface.messages import CONTINUE, SONG_POSITION, START, STOP, TICK

TICKS_PER_SIXTEENTH = TICKS_PER_BEAT // SIXTEENTHS_PER_BEAT
SONG_POSITIONS = 1 << 14
#: A beginning that is found out so late still counts: its first tick is then sent at once.
LATE_NS = 10_000_000
#: The music goes elsewhere, and not only on in another tempo, if it is more than this away.
JUMP_BEATS = 0.25
ROUNDING_BEATS = 1e-6


class ClockOut:
    """State: which tick is the next, and whether those who follow have been told to play."""

    def __init__(self) -> None:
        self._transport: Transport | None = None  # the last that was playing; None in silence
        self._next_tick = 0  # 24ths of a beat
        self._told = False
        self._last_ns = 0  # when the last tick is due that was sent

    def follow(self, transport: Transport, *, now_ns: int, until_ns: int) -> list[Send]:
        """Return what is due by `until_ns` and was not sent before, for the music as it is now."""
        if not transport.playing:
            return self.stop(now_ns)
        sends: list[Send] = []
        if self._jumps(transport, now_ns):
            sends += self.stop(now_ns)
        if self._transport is None:
            sends += self._locate(transport, now_ns)
        self._transport = transport
        while (due_ns := self._due_ns(transport)) <= until_ns:
            if not self._told:
                self._told = True
                status = CONTINUE if self._next_tick else START
                sends.append(Send(due_ns, bytes((status,))))
            sends.append(Send(due_ns, bytes((TICK,))))
            self._next_tick, self._last_ns = self._next_tick + 1, due_ns
        return sends

    def stop(self, now_ns: int) -> list[Send]:
        """Return what tells those who follow to stop, if they play."""
        told, self._told, self._transport = self._told, False, None
        return [Send(now_ns, bytes((STOP,)))] if told else []

    def next_ns(self, transport: Transport) -> int | None:
        """When the next message is due for the music as it is; None while nothing is to come."""
        if not transport.playing:
            return None
        return transport.anchor_ns if self._transport is None else self._due_ns(transport)

    def _jumps(self, transport: Transport, now_ns: int) -> bool:
        if self._transport is None:
            return False
        return abs(transport.beat_at(now_ns) - self._transport.beat_at(now_ns)) > JUMP_BEATS

    def _locate(self, transport: Transport, now_ns: int) -> list[Send]:
        """Choose the sixteenth to begin with, and say which it is unless it is the first."""
        earliest = transport.beat_at(now_ns - LATE_NS) - ROUNDING_BEATS
        sixteenth = max(0, math.ceil(earliest * SIXTEENTHS_PER_BEAT))
        self._next_tick, self._last_ns = sixteenth * TICKS_PER_SIXTEENTH, now_ns
        place = sixteenth % SONG_POSITIONS
        position = bytes((SONG_POSITION, place & 0x7F, place >> 7))
        return [Send(now_ns, position)] if sixteenth else []

    def _due_ns(self, transport: Transport) -> int:
        """When the next tick is due, and not before the last one that was sent."""
        return max(transport.ns_at(self._next_tick / TICKS_PER_BEAT), self._last_ns)
