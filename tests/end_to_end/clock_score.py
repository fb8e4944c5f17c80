"""A host's MIDI clock, written down before it is played: what it sends in which second, and where
its music is then. A `Musician` plays it at exact frames of JACK's.

    host = ClockScore(bpm=120)
    host.start()
    host.play(6.5, notes=tune("C4 E4 G4 C5"))    ticks, and what the player plays, up to that beat
    host.stop()
    musician.play(host.score, bpm=60)            a score in seconds is one at 60 bpm

Knows MIDI's real-time messages. Knows no ports, and nothing of Segue.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from stage import Event, Musician, Score, eventually

TICKS_PER_BEAT = 24
TICK, START, CONTINUE, STOP, SONG_POSITION = 0xF8, 0xFA, 0xFB, 0xFC, 0xF2


@dataclass
class ClockScore:
    """The score so far; each verb adds what follows."""

    bpm: float
    score: Score = field(default_factory=list)  # in seconds
    stops_s: list[float] = field(default_factory=list)
    moves_s: list[float] = field(default_factory=list)  # when it went elsewhere
    beat: float = 0.0
    now_s: float = 0.0
    _ticks: list[tuple[float, float, float]] = field(default_factory=list)  # (s, beat, bpm)

    def start(self) -> None:
        """From the beginning, with the next tick."""
        self.beat = 0.0
        self._send(START)

    def resume(self) -> None:
        """From where it is, with the next tick."""
        self._send(CONTINUE)

    def stop(self) -> None:
        """Stand still."""
        self.stops_s.append(self.now_s)
        self._send(STOP)

    def locate(self, beat: float) -> None:
        """Say that the music goes on at `beat`, of whole sixteenths."""
        sixteenths = round(beat * 4)
        self.beat = beat
        self.moves_s.append(self.now_s)
        self._send(SONG_POSITION, sixteenths & 0x7F, sixteenths >> 7)

    def wait(self, seconds: float) -> None:
        """Let time pass without ticks."""
        self.now_s += seconds

    def play(
        self,
        until: float,
        *,
        notes: Score = (),  # type: ignore[assignment]
        to_bpm: float | None = None,
        ticks_at: Callable[[float], Iterable[float]] = lambda second: (second,),
    ) -> None:
        """Tick up to `until`, with `notes` at the host's beats, while the tempo goes to `to_bpm`.

        `ticks_at` says when a tick that belongs to a second is sent instead: never, or twice.
        """
        first, from_bpm = self.beat, self.bpm
        waiting = [(beat, message) for beat, message in notes if first <= beat < until]
        count = round((until - first) * TICKS_PER_BEAT)
        for number in range(count):
            if to_bpm is not None:
                self.bpm = from_bpm + (to_bpm - from_bpm) * number / count
            self.beat = first + number / TICKS_PER_BEAT
            self._ticks.append((self.now_s, self.beat, self.bpm))
            self.score += [(second, bytes((TICK,))) for second in ticks_at(self.now_s)]
            next_beat = first + (number + 1) / TICKS_PER_BEAT
            while waiting and waiting[0][0] < next_beat:
                beat, message = waiting.pop(0)
                self.score.append((self.now_s + (beat - self.beat) * 60 / self.bpm, message))
            self.now_s += 60 / self.bpm / TICKS_PER_BEAT
        self.beat = until
        self.bpm = self.bpm if to_bpm is None else to_bpm

    def place(self, second: float) -> tuple[float, float]:
        """The host's beat at a second, counted on from the last tick, and its tempo there."""
        index = bisect_right(self._ticks, (second, float("inf"), 0.0)) - 1
        tick_s, beat, bpm = self._ticks[max(index, 0)]
        return beat + (second - tick_s) * bpm / 60, bpm

    def _send(self, *message: int) -> None:
        self.score.append((self.now_s, bytes(message)))


@dataclass(frozen=True)
class Heard:
    """A strike or release of Segue's, against the host's score."""

    event: Event
    second: float
    beat: float
    bpm: float

    def off_ms(self, step: float) -> float:
        """How far it lies from the nearest multiple of `step` beats; less than 0 is before it."""
        return (self.beat - round(self.beat / step) * step) * 60_000 / self.bpm


@dataclass(frozen=True)
class Performance:
    """A score as it was played, and what was heard meanwhile."""

    host: ClockScore
    heard: list[Heard]
    stood_still_ms: float  # JACK's frames, at the worst

    @property
    def strikes(self) -> list[Heard]:
        """The notes that were struck."""
        return [heard for heard in self.heard if heard.event.is_on]


def perform(musician: Musician, host: ClockScore) -> Performance:
    """Play a score to its end and a second more."""
    score = sorted(host.score, key=lambda item: item[0])
    before, begin_ns = (len(musician.played), len(musician.heard)), time.monotonic_ns()
    musician.play(score, bpm=60)
    eventually(
        lambda: len(musician.played) == before[0] + len(score),
        "the end of the score",
        timeout_s=host.now_s + 60,
    )
    musician.play([(1.0, bytes((TICK,)))], bpm=60)  # what is heard until then belongs to it
    eventually(lambda: len(musician.played) > before[0] + len(score), "a second more")
    played = musician.played[before[0] :]
    origin = played[0].frame - round(score[0][0] * musician.rate)
    heard = []
    for event in musician.heard[before[1] :]:
        second = (event.frame - origin) / musician.rate
        heard.append(Heard(event, second, *host.place(second)))
    return Performance(host, heard, musician.stood_still_ms(begin_ns))
