"""How well MIDI clock is followed: the phase error of the music, by what is wrong with the ticks.

    python tests/benchmarks/clock_phase.py [--seeds N] [--beats N] [--json]

Virtual time: a host of ours ticks at a tempo, with even jitter, and with what each row says; at the
true time of each tick, the beat that follows from the messages that have arrived is compared with
the host's. Rows with faults leave the first two beats alone; a tempo step is judged from two beats
after it on, and everything else from the third beat. `locked` is the beats from the start, or the
step, until the phase error stays below 2 ms (5 ms where there is jitter of 5 ms), at the slowest
seed, where nothing else happens later. `ticks off` is the number of seeds that ended with a
tick too many or too few.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "daemon"))

from unsteady_host import LOCK_BEATS, Followed, Tempo, UnsteadyHost, follow, ramp, steady, step

from daemon.clock.midi_clock import TICKS_PER_BEAT

TEMPI = (40, 60, 120, 200, 240)
JITTER_MS = (0.0, 1.0, 5.0)
STEP_BEAT = 16.0
STEPS = ((120, 126), (120, 90), (60, 120), (120, 60))
MakeHost = Callable[[int], UnsteadyHost]  # seed -> host


@dataclass(frozen=True)
class Row:
    """One kind of host; after `changed_at`, in beats, nothing happens to its clock any more."""

    name: str
    tempo: str
    jitter_ms: float
    host: MakeHost
    beats: float
    changed_at: float | None = 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How well MIDI clock is followed.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--beats", type=float, default=64.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(arguments)
    found = []
    if not args.json:
        print(f"{'':24}{'bpm':>10}{'jitter':>8}  p50   p95   p99 ms   locked  ticks off")
    for row in rows(args.beats):
        figures = measured(row, args.seeds)
        found.append(figures)
        if not args.json:
            print(line(figures), flush=True)
    if args.json:
        print(json.dumps(found))
    return 0


def rows(beats: float) -> Iterator[Row]:
    """What is measured."""
    for jitter_ms in JITTER_MS:
        for bpm in TEMPI:
            yield Row("steady", f"{bpm}", jitter_ms, host(steady(bpm), jitter_ms), beats)
        for bpm in TEMPI:
            faulty = host(steady(bpm), jitter_ms, lost=0.01, beats=beats)
            yield Row("1 % lost", f"{bpm}", jitter_ms, faulty, beats, None)
            faulty = host(steady(bpm), jitter_ms, doubled=0.01, beats=beats)
            yield Row("1 % doubled", f"{bpm}", jitter_ms, faulty, beats, None)
        held = host(steady(120), jitter_ms, held=0.01, beats=beats)
        yield Row("1 % held for 20-150 ms", "120", jitter_ms, held, beats, None)
        halting = host(steady(120), jitter_ms, halted=0.01, beats=beats)
        yield Row("1 % halts of 4-16 ms", "120", jitter_ms, halting, beats, None)
        for start, end in ((60, 200), (200, 60)):
            tempo = ramp(start, end, beats=beats)
            yield Row("ramp", f"{start}-{end}", jitter_ms, host(tempo, jitter_ms), beats, None)
        tempo = ramp(60, 200, beats=beats)
        faulty = host(tempo, jitter_ms, lost=0.01, doubled=0.01, beats=beats)
        yield Row("ramp, 1 % lost, doubled", "60-200", jitter_ms, faulty, beats, None)
        for before, after in STEPS:
            stepping = host(step(before, after, at=STEP_BEAT), jitter_ms)
            yield Row("step", f"{before}-{after}", jitter_ms, stepping, STEP_BEAT * 2, STEP_BEAT)


def host(
    tempo: Tempo,
    jitter_ms: float,
    *,
    lost: float = 0.0,
    doubled: float = 0.0,
    held: float = 0.0,
    halted: float = 0.0,
    beats: float = 0.0,
) -> MakeHost:
    """What makes a host for a seed, with shares of its ticks lost, doubled, held or halted."""

    def some(share: float, random: Random) -> list[int]:
        ticks = range(round(LOCK_BEATS * TICKS_PER_BEAT), round((beats - 1) * TICKS_PER_BEAT))
        return [tick for tick in ticks if random.random() < share]

    def make(seed: int) -> UnsteadyHost:
        random = Random(1000 + seed)
        return UnsteadyHost(
            tempo,
            jitter_ms,
            lost=set(some(lost, random)),
            doubled=set(some(doubled, random)),
            held_ms={tick: random.uniform(20, 150) for tick in some(held, random)},
            halted_ms={tick: random.uniform(4, 16) for tick in some(halted, random)},
            seed=seed,
        )

    return make


def measured(row: Row, seeds: int) -> dict[str, object]:
    """The figures of a row over all seeds."""
    pooled, locked, off = Followed(), 0.0, 0
    for seed in range(seeds):
        followed = follow(row.host(seed), beats=row.beats, from_beat=row.changed_at or 0.0)
        locked = max(locked, followed.locked_after(5.0 if row.jitter_ms > 2 else 2.0))
        pooled.phase_ms += followed.phase_ms[round(LOCK_BEATS * TICKS_PER_BEAT) :]
        bpm = row.host(seed).tempo(row.beats)
        off += abs(followed.phase_ms[-1]) > 0.6 * 60_000 / bpm / TICKS_PER_BEAT
    return {
        "case": row.name,
        "bpm": row.tempo,
        "jitter_ms": row.jitter_ms,
        "p50_ms": round(pooled.phase(0.5), 3),
        "p95_ms": round(pooled.phase(0.95), 3),
        "p99_ms": round(pooled.phase(0.99), 3),
        "locked_beats": None if row.changed_at is None else round(locked, 2),
        "ticks_off": off,
        "seeds": seeds,
    }


def line(figures: dict[str, object]) -> str:
    """One line of the table."""
    locked = "" if figures["locked_beats"] is None else figures["locked_beats"]
    return (
        f"{figures['case']:24}{figures['bpm']:>10}{figures['jitter_ms']:>6} ms"
        f"{figures['p50_ms']:>6.2f}{figures['p95_ms']:>6.2f}{figures['p99_ms']:>6.2f}"
        f"{locked:>12}{figures['ticks_off']:>6}/{figures['seeds']}"
    )


if __name__ == "__main__":
    sys.exit(main())
