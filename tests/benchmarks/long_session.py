"""Four hours of trading with a mind, in virtual time: does anything grow, and is any note late?

A made-up player and the mind trade four bars each at 120 bpm. Every note is told as it would be
while it is played; the answer is asked for a beat before its line, as the player process does. No
time is waited for: what is measured is how long the mind works. A note is late if, with that beat
as its start, it is decided after its onset. Figures by minute of the session; the ratios are of the
lowest tenths, ten minutes against ten, since the machine may do something else meanwhile.

    python tests/benchmarks/long_session.py [--checkpoint PATH] [--backend NAME] [--hours H]
"""

import argparse
import gc
import json
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.backends import NAMES, open_model
from engine.decoder import Decoder
from engine.protocol import Continue, Controls, Drafted, Finished, Meter, Note, Prompt, Ready
from engine.service import Service

BEAT_S = 0.5
TURN_BEATS = 16
LEAD_BEATS = 1.0
FOUR_FOUR = (Meter(0.0, 4, 4),)
#: Fed at once, more than this is not what was just played: the window has moved.
MOVED_TOKENS = 64


def resident_mb() -> float:
    """Memory of this process; Linux."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def played(start: float, random: Random) -> Iterator[Note]:
    """A turn of the player: a walk in eighths and a chord on each bar line, never the same."""
    pitch = 60 + random.randrange(12)
    for eighth in range(2 * TURN_BEATS):
        onset = start + eighth / 2 + random.gauss(0, 0.01)
        pitch = min(84, max(48, pitch + random.randint(-4, 4)))
        if random.random() < 0.8:
            yield Note(max(start, onset), pitch, random.choice((0.45, 0.5, 0.95)), 70)
        if eighth % 8 == 0:
            for third in (0, 4, 7):
                yield Note(max(start, onset), 40 + third, 3.5, 55)


@dataclass(slots=True)
class Minute:
    """What a minute of the session cost."""

    token_ms: list[float] = field(default_factory=list)
    margins_s: list[float] = field(default_factory=list)  # from a note's decision to its onset
    moves_ms: list[float] = field(default_factory=list)  # to feed a window that has moved
    told_ms: list[float] = field(default_factory=list)  # to feed what one note changed

    def figures(self) -> dict[str, float]:
        """Medians and extremes; the lists are not kept."""
        return {
            "token_ms_p10": statistics.quantiles(self.token_ms, n=10)[0],
            "token_ms_p50": statistics.median(self.token_ms),
            "tokens": len(self.token_ms),
            "told_ms_p10": statistics.quantiles(self.told_ms, n=10)[0],
            "moves": len(self.moves_ms),
            "move_ms_most": max(self.moves_ms, default=0.0),
            "margin_s_least": min(self.margins_s),
            "late": sum(margin < 0 for margin in self.margins_s),
            "rss_mb": resident_mb(),
        }


class Session:
    """A mind, and what it was told."""

    def __init__(self, service: Service, backend: "Counting") -> None:
        self._service = service
        self._backend = backend
        self._notes = 0

    def tell(self, note: Note, minute: Minute) -> None:
        """One note, and all the feeding that follows from it."""
        self._service.handle(Prompt(((self._notes, note),), (), FOUR_FOUR))
        self._notes += 1
        fed, begun_s = self._backend.fed, perf_counter()
        while self._service.busy:
            self._service.work()
        ms = (perf_counter() - begun_s) * 1e3
        moved = self._backend.fed - fed > MOVED_TOKENS
        (minute.moves_ms if moved else minute.told_ms).append(ms)

    def ask(self, line: float, seed: int, minute: Minute) -> list[Note]:
        """An answer of a turn, asked for before its line."""
        self._service.handle(Continue(seed, line, line + TURN_BEATS, Controls(), seed))
        begun_s = perf_counter()
        notes: list[Note] = []
        while self._service.busy:
            for message in self._service.work():
                if isinstance(message, Drafted):
                    due_s = (LEAD_BEATS + message.note.onset - line) * BEAT_S
                    minute.margins_s.append(due_s - (perf_counter() - begun_s))
                    notes.append(message.note)
                elif isinstance(message, Finished):
                    minute.token_ms += message.token_ms
        return notes


class Counting:
    """Counts what a backend is fed."""

    def __init__(self, backend: Any) -> None:
        self.fed = 0
        self._append = backend.append
        backend.append = self._counted

    def _counted(self, steps: Sequence[Any]) -> object:
        self.fed += len(steps)
        return self._append(steps)


def play(checkpoint: Path | None, backend: str, hours: float) -> list[dict[str, float]]:
    """The figures of each minute."""
    model = open_model(checkpoint, backend=backend)
    counting = Counting(model.backend)
    service = Service(Decoder(model.backend, model.vocabulary), Ready(model.name, 0, 0))
    service.warm_up()
    session = Session(service, counting)
    random = Random(1)
    minutes: list[dict[str, float]] = []
    minute, beat, turn = Minute(), 0.0, 0
    while len(minutes) < hours * 60:
        for note in sorted(played(beat, random)):
            session.tell(note, minute)
        for note in session.ask(beat + TURN_BEATS, turn, minute):
            session.tell(note, minute)
        beat, turn = beat + 2 * TURN_BEATS, turn + 1
        if beat * BEAT_S >= 60 * (len(minutes) + 1):
            minutes.append(minute.figures())
            minute = Minute()
    return minutes


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--backend", choices=NAMES, default="auto")
    parser.add_argument("--hours", type=float, default=4.0)
    args = parser.parse_args()
    minutes = play(args.checkpoint, args.backend, args.hours)
    early, late = minutes[1:11], minutes[-10:]  # in the first minute the cache is still filling

    def ratio(key: str) -> float:
        middle = [statistics.median(m[key] for m in part) for part in (early, late)]
        return middle[1] / middle[0]

    summary = {
        "minutes": len(minutes),
        "token_ms_ratio": ratio("token_ms_p10"),
        "told_ms_ratio": ratio("told_ms_p10"),
        "rss_ratio": late[-1]["rss_mb"] / minutes[0]["rss_mb"],
        "moves": sum(m["moves"] for m in minutes),
        "move_ms_p50": statistics.median(m["move_ms_most"] for m in minutes if m["moves"]),
        "move_ms_most": max(m["move_ms_most"] for m in minutes),
        "margin_s_least": min(m["margin_s_least"] for m in minutes),
        "late": sum(m["late"] for m in minutes),
        "first_minute": minutes[0],
        "second_minute": minutes[1],
        "last_minute": minutes[-1],
    }
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
