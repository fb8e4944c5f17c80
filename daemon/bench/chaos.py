"""The people and things around a session that is soaked: a player, a host, a mind, and accidents.

Everything is drawn from one seeded source of chance, in virtual time. Knows entries, and what a
session tells a mind; nothing of how a session decides.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

from daemon.clock.midi_clock import TICKS_PER_BEAT
from daemon.interface.config import ClockChoice, SessionConfig, Settings
from daemon.interface.events import CommandIn, Entry, HostIn, MidiIn, MindIn
from daemon.interface.messages import (
    CONTINUE,
    CONTROL_CHANGE,
    NOTE_OFF,
    NOTE_ON,
    SONG_POSITION,
    START,
    STOP,
    SUSTAIN,
    TICK,
)
from engine.protocol import (
    Cancel,
    Continue,
    Drafted,
    Finished,
    FromMind,
    Lost,
    Note,
    Ready,
    ToMind,
)

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
#: Few keys, so that player and Segue, and one note and the next, often meet on the same.
PITCHES = range(55, 72)
METERS = ((4, 4), (3, 4), (6, 8), (5, 4), (7, 8))
BPMS = (60.0, 97.5, 120.0, 180.0, 240.0, 400.0)


#: Something that goes on by putting more entries, at its time.
Happens: TypeAlias = Callable[[int], None]


class Chaos:
    """Entries in the order of their times, without end; what comes next may depend on the mind."""

    def __init__(self, chance: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._chance = chance
        self._coming: list[tuple[int, int, Entry | Happens]] = []
        self._number = 0
        self._replies_from = 0  # what the mind meant to say before is forgotten

    def config(self) -> SessionConfig:
        """How the next life is set up."""
        pick = self._chance.choice
        settings = Settings(
            mode=pick(("trade", "trade", "answer", "follow")),
            bars=pick((1, 1, 2, 4)),
            silence=pick((0.5, 1.0, 2.0)),
            enter=pick(("beat", "bar")),
            give_way=pick(("stop", "beat", "along")),
            feel=pick((0.0, 0.0, 100.0)),
            bpm=pick(BPMS),
        )
        clocks: tuple[ClockChoice, ...] = ("auto", "internal", "midi")
        clock = pick(clocks)
        return SessionConfig(
            settings=settings,
            meter=pick(METERS),
            clock=clock,
            send_clock=clock != "midi" and pick((False, True)),
            seed=self._chance.randrange(1000),
            channel=self._chance.randrange(16),
            output_latency_ns=pick((0, 0, 20 * NS_PER_MS)),
        )

    def begin(self, t_ns: int) -> None:
        """A new life: nobody has said anything yet."""
        self._coming.clear()
        self._says(t_ns + self._ms(1, 800), Ready("paper", 1, 1))
        for happens in (self._player, self._host, self._accident):
            self._put(t_ns, happens)

    def next_ns(self) -> int:
        """When the next entry comes."""
        return self._coming[0][0]

    def pop(self) -> Entry | None:
        """What comes next, if it is an entry."""
        t_ns, number, what = heapq.heappop(self._coming)
        if callable(what):
            what(t_ns)
            return None
        is_reply = isinstance(what, MindIn) and isinstance(what.value, Drafted | Finished)
        return None if is_reply and number <= self._replies_from else what

    # The mind.

    def hears(self, t_ns: int, value: ToMind) -> None:
        """The session tells the mind something."""
        match value:
            case Continue():
                self._forget_replies()
                self._draft(t_ns, value)
            case Cancel(epoch):
                self._forget_replies()
                self._says(t_ns + self._ms(0, 3), Finished(epoch, True, 9, 8, (), ()))

    def _draft(self, t_ns: int, request: Continue) -> None:
        """An answer, sometimes slow, with chords and with notes of every length."""
        chance = self._chance
        t_ns += self._ms(1, 30) if chance.random() < 0.8 else self._ms(30, 900)
        onset = request.from_beat
        if chance.random() < 0.1:
            onset += chance.random()
        while onset < request.until_beat:
            for pitch in chance.sample(PITCHES, chance.choice((1, 1, 2, 4))):
                length = chance.choice((0.01, 0.25, 0.25, 0.5, 1.0, 6.0))
                note = Note(onset, pitch, length, chance.randrange(1, 128))
                self._says(t_ns, Drafted(request.epoch, note))
                t_ns += self._ms(0, 4)
            onset += chance.choice((0.25, 0.25, 0.5, 1 / 3, 1.0))
        self._says(t_ns, Finished(request.epoch, False, 9, 8, (1.0,), (1.0,)))

    def _forget_replies(self) -> None:
        self._replies_from = self._number

    # The player.

    def _player(self, t_ns: int) -> None:
        """A phrase, then a rest; pedals, and keys that come up late or never."""
        chance = self._chance
        channel = chance.choice((0, 0, 0, 1))
        for _ in range(chance.randrange(1, 24)):
            t_ns += self._ms(0, 260)
            pitch, velocity = chance.choice(PITCHES), chance.randrange(1, 128)
            self._midi(t_ns, NOTE_ON | channel, pitch, velocity)
            if chance.random() < 0.98:
                self._midi(t_ns + self._ms(5, 900), NOTE_OFF | channel, pitch, 0)
            if chance.random() < 0.05:
                pedal = chance.choice((SUSTAIN, SUSTAIN, 66, 121, 123))
                self._midi(t_ns, CONTROL_CHANGE | channel, pedal, chance.choice((0, 127)))
        self._put(t_ns + self._ms(100, 9000), self._player)

    # The host.

    def _host(self, t_ns: int) -> None:
        """A stretch of MIDI clock, or of a host's reports; it starts, stops, locates and loops."""
        chance = self._chance
        if chance.random() < 0.5:
            self._put(t_ns + self._ms(2000, 60_000), self._host)
            return
        self.counts["host stretches"] += 1
        t_ns = self._reports(t_ns) if chance.random() < 0.2 else self._ticks(t_ns)
        self._put(t_ns + self._ms(10, 30_000), self._host)

    def _ticks(self, t_ns: int) -> int:
        chance = self._chance
        gap_ns = 60 * NS_PER_S / chance.choice(BPMS) / TICKS_PER_BEAT
        if chance.random() < 0.4:
            sixteenths = chance.randrange(2000)
            self._midi(t_ns, SONG_POSITION, sixteenths & 127, sixteenths >> 7)
        self._midi(t_ns, chance.choice((START, CONTINUE)))
        at = float(t_ns)
        for _ in range(chance.randrange(24, 24 * 60)):
            at += gap_ns
            gap_ns *= chance.choice((1, 1, 1, 1, 0.999, 1.001))
            if chance.random() > 0.003:  # a tick gets lost
                self._midi(round(at) + self._ms(0, 3), TICK)
        t_ns = round(at) + self._ms(4, 30)
        if chance.random() < 0.8:
            self._midi(t_ns, STOP)
        return t_ns

    def _reports(self, t_ns: int) -> int:
        chance = self._chance
        bpm, beat = chance.choice(BPMS), float(chance.randrange(64))
        for _ in range(chance.randrange(4, 200)):
            self._put(t_ns, HostIn(t_ns, "host", True, beat, bpm))
            step_ns = self._ms(50, 500)
            beat = 0.0 if chance.random() < 0.02 else beat + step_ns * bpm / (60 * NS_PER_S)
            t_ns += step_ns
        self._put(t_ns, HostIn(t_ns, "host", False, beat, bpm))
        return t_ns

    # Accidents, and commands.

    def _accident(self, t_ns: int) -> None:
        chance = self._chance
        kind = chance.choice(("mind", "panic", "command", "command", "setting", "setting"))
        if kind == "mind":
            self.counts["minds killed"] += 1
            self._put(t_ns, MindIn(t_ns, Lost("killed")))
            self._forget_replies()
            self._says(t_ns + self._ms(200, 5000), Ready("paper", 1, 1))
        elif kind == "setting":
            self._command(t_ns, *chance.choice(_SETTINGS))
        else:
            name = "panic" if kind == "panic" else chance.choice(("takeover", "handback"))
            self._command(t_ns, name)
        self._put(t_ns + self._ms(300, 12_000), self._accident)

    def _command(self, t_ns: int, name: str, *arguments: int | float | str) -> None:
        self.counts["commands"] += 1
        self._put(t_ns, CommandIn(t_ns, name, arguments))

    # Small things.

    def _midi(self, t_ns: int, *message: int) -> None:
        self._put(t_ns, MidiIn(t_ns, bytes(message)))

    def _says(self, t_ns: int, value: FromMind) -> None:
        self._put(t_ns, MindIn(t_ns, value))

    def _put(self, t_ns: int, what: "Entry | Happens") -> None:
        self._number += 1
        heapq.heappush(self._coming, (t_ns, self._number, what))

    def _ms(self, least: int, most: int) -> int:
        return round(self._chance.uniform(least, most) * NS_PER_MS)


_SETTINGS: tuple[tuple[str, int | float | str], ...] = (
    *(("mode", mode) for mode in ("off", "trade", "answer", "follow")),
    *(("bars", bars) for bars in (1, 2)),
    *(("bpm", bpm) for bpm in BPMS),
    *(("give_way", way) for way in ("stop", "beat", "along")),
    *(("enter", line) for line in ("beat", "bar")),
    ("feel", 100.0),
)
