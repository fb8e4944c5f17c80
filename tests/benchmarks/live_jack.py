"""`segue run` through JACK, measured: how late, how fast, how large.

    python tests/benchmarks/live_jack.py [--takes N] [--bars N] [--bpm N] [--piece NAME] [--json]

A musician in a process of his own plays a recorded performance into Segue's virtual port, through a
JACK server of our own (dummy driver, 48 kHz, 128 frames a period unless told otherwise), and notes
when each answer comes back; the rest stands in the journal. Each take is one `segue run`, from its
start to Ctrl-C. What is printed is the median over takes, and the least and the most.

Handover lateness is taken where the musician hears it, against the bar line counted from his own
first note: both hops through JACK, the wait for the next period and all of Segue are in it, and
nothing is subtracted. Its clock is the monotonic one, read at the beginning of each period. JACK's
frames would be finer, but on a busy machine the dummy driver loses periods and they stand still;
`jack_slip_ms` says by how much they did. Lateness at the call is Segue's own share: from the moment
a note was due to when its message was handed to the driver.

Of the player process's memory JACK's shared segment (/dev/shm/jack-…, mapped whole into each of its
clients) is left out; `player_with_jack_mb` has it.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "end_to_end"))

from stage import Event, Grid, Musician, Score, Segue, between, eventually, faults, ons

from daemon.performances.recordings import DEFAULT, Performance, load, names, turn
from daemon.take.report import percentiles, report_of
from daemon.take.take import lateness_ns, take_of

RATE = 48_000
NS_PER_MS = 1_000_000
#: An entry may be heard this little before its line: JACK delivers a period as it begins.
EARLY_BEATS = 1 / 24
Figures = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the takes and print the figures; 1 if a note hung or an entry was missed."""
    args = parsed(arguments)
    performance = load(args.piece)
    with tempfile.TemporaryDirectory() as folder, jack_server(Path(folder), args.period):
        takes = [
            play_take(args, performance, Path(folder) / str(number), seed=number)
            for number in range(1, args.takes + 1)
        ]
    result = summed_up(takes) | {"machine": machine(), "command": command_of(args)}
    print(json.dumps(result) if args.json else table(result))
    return 1 if any(take["hanging_notes"] or take["missed_entries"] for take in takes) else 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure `segue run` through JACK.")
    parser.add_argument("--takes", type=int, default=5, help="default %(default)s")
    parser.add_argument("--bars", type=int, default=32, help="of each take, default %(default)s")
    parser.add_argument("--turn", type=int, default=4, help="bars of a turn, default %(default)s")
    parser.add_argument("--bpm", type=float, default=120.0, help="default %(default)g")
    parser.add_argument("--piece", choices=names(), default=DEFAULT, help="default %(default)s")
    parser.add_argument("--period", type=int, default=128, help="frames, default %(default)s")
    parser.add_argument("--checkpoint", help="default: the one that ships")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(arguments)


@contextmanager
def jack_server(folder: Path, period: int) -> Iterator[None]:
    """A server of our own, in real time, which this process and its children find by name."""
    name = f"segue-bench-{os.getpid()}"
    os.environ |= {"JACK_DEFAULT_SERVER": name, "JACK_NO_START_SERVER": "1"}
    # Synchronous: the other mode loses and doubles messages when a period is lost.
    command = ["jackd", "-n", name, "-R", "-P", "70", "-S", "-d", "dummy"]
    with (folder / "jackd.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "-r", str(RATE), "-p", str(period)], stdout=log, stderr=log
        )
    try:
        ask = ["jack_lsp"]
        eventually(lambda: subprocess.run(ask, capture_output=True).returncode == 0, "jackd")
        yield
    finally:
        server.terminate()
        server.wait()


def play_take(
    args: argparse.Namespace, performance: Performance, folder: Path, *, seed: int
) -> Figures:
    """One life of `segue run`, and its figures."""
    meter = "/".join(map(str, performance.meter))
    options = ["--api", "jack", "--bars", str(args.turn), "--bpm", str(args.bpm), "--meter", meter]
    checkpoint = Path(args.checkpoint) if args.checkpoint else None
    segue = Segue(*options, "--seed", str(seed), takes=folder, checkpoint=checkpoint)
    musician = None
    try:
        segue.await_line("ready: ")
        musician = Musician("musician")
        musician.wire(segue)
        segue.await_mind()
        musician.play(score_of(args, performance), bpm=args.bpm)
        grid = Grid(musician, bpm=args.bpm)
        end = args.bars * performance.bar_beats
        grid.await_beat(end - 1)
        memory = memory_of(segue)
        grid.await_beat(end + 1)
        if segue.stop() != 0:
            raise RuntimeError(f"segue run failed: {segue.lines[-1]}")
    finally:
        segue.kill()
        if musician is not None:
            musician.leave()
    return {
        "ready_s": segue.when_s("ready: "),
        "mind_ready_s": segue.when_s("the mind is ready"),
        **memory,
        **heard_figures(args, performance, musician, grid),
        **journal_figures(segue),
    }


def score_of(args: argparse.Namespace, performance: Performance) -> Score:
    """What the musician plays: his turns, from his first note on."""
    score = [
        (first * performance.bar_beats + beat, message)
        for number, first in enumerate(range(0, args.bars, 2 * args.turn))
        for beat, message in turn(performance, number * args.turn, args.turn)
    ]
    begins = min(beat for beat, _ in score)
    return [(beat - begins, message) for beat, message in score]


def heard_figures(
    args: argparse.Namespace, performance: Performance, musician: Musician, grid: Grid
) -> Figures:
    """What the musician heard, and when."""
    late_ms: list[float] = []
    missed = 0
    turn_beats = args.turn * performance.bar_beats
    for line in range(args.turn, args.bars, 2 * args.turn):
        beat = line * performance.bar_beats
        strikes = ons(
            between(musician.heard, grid, beat - EARLY_BEATS, beat + turn_beats - EARLY_BEATS)
        )
        missed += not strikes
        late_ms += [grid.late_ms(strike, beat) for strike in strikes[:1]]
    return {
        "handover_late_ms": late_ms,
        "missed_entries": missed,
        "hanging_notes": sum(fault.endswith("hangs") for fault in faults(musician.heard)),
        "jack_slip_ms": slip_ms(musician.played[0], musician.heard[-1], musician.rate),
    }


def slip_ms(first: Event, last: Event, rate: int) -> float:
    """How much longer the time between two events was by the clock than by JACK's frames."""
    return (last.t_ns - first.t_ns) / NS_PER_MS - (last.frame - first.frame) / rate * 1e3


def journal_figures(segue: Segue) -> Figures:
    """What Segue itself wrote down."""
    journal = segue.journal
    take = take_of(journal)
    report = report_of(take, journal)
    return {
        "call_late_ms": [late / NS_PER_MS for late in lateness_ns(journal.sent)],
        "token_ms": [ms for cost in take.costs for ms in cost.token_ms],
        "note_ms": [ms for cost in take.costs for ms in cost.note_ms],
        **{key: report[key] for key in ("in_time_rate", "cut_notes", "cache_hit_rate")},
        **{key: report[key] for key in ("notes_in", "notes_out", "mind_restarts")},
        "journal_hanging_notes": report["hanging_notes"],
    }


def memory_of(segue: Segue) -> Figures:
    """Resident memory of both processes, in megabytes."""
    player, jack = resident_mb(segue.pid)
    mind, _ = resident_mb(segue.mind_pid())
    return {"player_mb": player, "player_with_jack_mb": player + jack, "mind_mb": mind}


def resident_mb(pid: int) -> tuple[float, float]:
    """(without, of) JACK's shared memory."""
    kb = {True: 0, False: 0}
    of_jack = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if words[0] == "Rss:":
            kb[of_jack] += int(words[1])
        elif not words[0].endswith(":"):
            of_jack = words[-1].startswith("/dev/shm/jack")
    return kb[False] / 1024, kb[True] / 1024


#: Figure -> the percentiles that are taken of it in each take.
LISTS = {
    "call_late_ms": (50, 99, 99.9),
    "token_ms": (50, 95, 99),
    "note_ms": (50, 95, 99),
}


def summed_up(takes: Sequence[Figures]) -> Figures:
    """Median, least and most of each figure over takes; the few handovers are put together."""
    handovers = [ms for take in takes for ms in take["handover_late_ms"]]
    rows: dict[str, list[float]] = {}
    for take in takes:
        for key, value in take.items():
            if key in LISTS:
                for point, found in percentiles(value, *LISTS[key]).items():
                    rows.setdefault(f"{key} {point}", []).append(found or 0.0)
            elif key != "handover_late_ms":
                rows.setdefault(key, []).append(value)
    return {
        "takes": len(takes),
        "handovers": len(handovers),
        "handover_late_ms": {
            **percentiles(handovers, 50, 99),
            "min": min(handovers),
            "max": max(handovers),
        },
        "figures": {
            key: {"median": median(values), "min": min(values), "max": max(values)}
            for key, values in rows.items()
        },
    }


def machine() -> Figures:
    """Where it was measured."""
    return {
        "cores": os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def command_of(args: argparse.Namespace) -> str:
    """The command line, as others can type it."""
    flags = [f"--{key} {value}" for key, value in vars(args).items() if value and key != "json"]
    return f"python tests/benchmarks/{Path(__file__).name} {' '.join(flags)}"


def table(result: Figures) -> str:
    """The figures for people."""
    late = result["handover_late_ms"]
    machine = result["machine"]
    lines = [
        f"{result['takes']} takes, {machine['cores']} cores, load {machine['load']}, "
        f"{machine['system']}: {result['command']}",
        f"{'':24}{'median':>10}{'least':>10}{'most':>10}",
    ]
    for key, row in result["figures"].items():
        values = "".join(f"{row[column]:10.3f}" for column in ("median", "min", "max"))
        lines.append(f"{key:24}{values}")
    lines.append(
        f"handovers as heard, all {result['handovers']} together: p50 {late['p50']:.2f} ms, "
        f"p99 {late['p99']:.2f} ms, from {late['min']:.2f} to {late['max']:.2f} ms"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
