"""`segue bench decode`: what a token and a note cost, ours and the peers', in one run.

Each engine is a process of its own (engine.py), all are alive together, and one at a
time is asked: a few tokens of this one, a few of the next, round after round, so that whatever else
the machine does falls on all of them alike. Knows what is asked and what the figures mean.
"""

import argparse
import json
import queue
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from daemon.bench.engine import BenchEngine, EngineGone, resident_mb
from daemon.interface.config import MindConfig
from daemon.runtime.mind import mind_of
from engine.protocol import FromMind, Lost, Ready

OURS = ("native", "onnx", "numpy", "torch")
PEERS = ("llama.cpp", "transformers", "notochord")
#: No engine: it reads as many bytes as the weights have.
BOUND = "memory"
ROUNDS, TOKENS_A_ROUND, NOTES_A_ROUND = 24, 32, 16
PREFILLS, PREFILL_ROUNDS = (64, 256, 1024), 5
#: What one core moves, in GB/s, reads and writes counted. The 4: STREAM's 5.56 (sci-pi.org.uk,
#: bench/stream.html); sbc-bench's 2.58 of memcpy, read and written, are 5.2 (results/3InF.txt). The
#: 5: 14.87 of tinymembench's loads (results/1ULtUe.txt), 14.86 of memchr (RPi-5B-Rev1.1.md).
BOARDS = {"Raspberry Pi 4": 5.5, "Raspberry Pi 5": 14.9}
MIND_PATIENCE_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--checkpoint", metavar="PATH", help="another than the shipped one")
    parser.add_argument(
        "--engines",
        metavar="NAME,...",
        default=",".join(OURS + PEERS),
        help="which, of those that are installed (default: %(default)s)",
    )
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="more for steadier figures (default %(default)s)"
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="of each engine; the kernel has one in any case"
    )


def run(args: argparse.Namespace) -> int:
    """Measure and print; 1 if nothing of ours can play, 2 for wrong use."""
    names = args.engines.split(",")
    known = OURS + PEERS
    if not set(names) <= set(known) or args.rounds < 1 or args.threads < 1:
        print(
            f"segue bench decode: --engines takes {', '.join(known)}; "
            "--rounds and --threads take 1 or more",
            file=sys.stderr,
        )
        return 2
    with ExitStack() as stack:
        engines = {}
        for name in (BOUND, *names):
            try:
                engines[name] = stack.enter_context(
                    BenchEngine(name, checkpoint=args.checkpoint, threads=args.threads)
                )
            except EngineGone as error:
                print(f"without {name}: {error}", file=sys.stderr)
        if not set(engines) & set(OURS):
            print("segue bench decode: no engine of Segue's own can play", file=sys.stderr)
            return 1
        try:
            report = measure(engines, rounds=args.rounds)
        except EngineGone as error:
            print(f"segue bench decode: {error}", file=sys.stderr)
            return 1
    report["mind"] = _mind(args.checkpoint)
    print(json.dumps(report) if args.json else table(report))
    return 0


def measure(engines: dict[str, BenchEngine], *, rounds: int) -> dict[str, Any]:
    """Ask all engines in turn; the report."""
    token_ms: dict[str, list[float]] = {name: [] for name in engines}
    note_ms: dict[str, list[float]] = {name: [] for name in engines}
    prefill_ms: dict[str, dict[int, list[float]]] = {
        name: {count: [] for count in PREFILLS} for name in engines
    }
    for _ in range(rounds):
        for name, engine in engines.items():
            token_ms[name] += engine.ask("steps", TOKENS_A_ROUND)
        for name, engine in engines.items():
            note_ms[name] += engine.ask("notes", NOTES_A_ROUND)
    for _ in range(min(rounds, PREFILL_ROUNDS)):
        for name, engine in engines.items():
            for count in PREFILLS:
                prefill_ms[name][count] += engine.ask("prefill", count)
    figures = {
        name: {
            "token_ms": quantiles(token_ms[name]),
            "note_ms": quantiles(note_ms[name]),
            "prefill_ms": {
                str(count): statistics.median(found)
                for count, found in prefill_ms[name].items()
                if found
            },
            "ready_s": engine.ready_s,
            "rss_mb": engine.rss_mb(),
            "threads": engine.threads,
        }
        for name, engine in engines.items()
    }
    return report_of(figures, weight_bytes=engines[BOUND].ready["bytes"])


def report_of(figures: dict[str, dict[str, Any]], *, weight_bytes: int) -> dict[str, Any]:
    """The figures of each engine, and what they are beside each other."""
    bound_ms = figures[BOUND]["token_ms"]["p50"]
    engines = {name: figure for name, figure in figures.items() if name != BOUND}
    live = next(name for name in OURS if name in engines)
    tokens = {name: figure["token_ms"]["p50"] for name, figure in engines.items()}
    for name, figure in engines.items():
        figure["ratio_to_bound"] = tokens[name] / bound_ms
        figure["ratio_to_llama_cpp"] = _ratio(tokens[name], tokens.get("llama.cpp"))
    event_ms = tokens.get("notochord")  # its note is an event, and its note-off another
    return {
        "engines": engines,
        "live": live,
        "weight_bytes": weight_bytes,
        "bandwidth_gb_s": weight_bytes / bound_ms / 1e6,
        "bound_token_ms": bound_ms,
        "ratio_to_llama_cpp": engines[live]["ratio_to_llama_cpp"],
        "ratio_to_notochord": _ratio(engines[live]["note_ms"]["p50"], event_ms),
        "projection": {
            board: {"token_ms_at_least": weight_bytes / gb_s / 1e6, "assumed_gb_s": gb_s}
            for board, gb_s in BOARDS.items()
        },
    }


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99; none of no values."""
    if not values:
        return {}
    ranked = sorted(values)
    last = len(ranked) - 1
    return {f"p{share}": ranked[round(last * share / 100)] for share in (50, 95, 99)}


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    head = ("engine", "token p50", "p99", "note p50", "p99", *(f"prefill {n}" for n in PREFILLS))
    rows = [(*head, "ready s", "RSS MB", "of llama.cpp")]
    for name, figure in report["engines"].items():
        prefill = (figure["prefill_ms"].get(str(count)) for count in PREFILLS)
        milliseconds = (
            *(figure["token_ms"].get(p) for p in ("p50", "p99")),
            *(figure["note_ms"].get(p) for p in ("p50", "p99")),
            *prefill,
        )
        others = (figure["ready_s"], figure["rss_mb"], figure["ratio_to_llama_cpp"])
        cells = (_cell(value) for value in (*milliseconds, *others))
        rows.append((name, *cells))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)) for row in rows]
    lines.append(
        f"in ms; at least {report['bound_token_ms']:.3f} a token, since this machine reads the "
        f"{report['weight_bytes'] / 1e6:.1f} MB of weights at {report['bandwidth_gb_s']:.0f} GB/s"
    )
    if (ratio := report["ratio_to_notochord"]) is not None:
        lines.append(f"a note of {report['live']} takes {ratio:.3f} of an event of notochord")
    for board, figure in report["projection"].items():
        lines.append(
            f"projected, not measured: {figure['token_ms_at_least']:.1f} ms or more a token "
            f"on a {board} ({figure['assumed_gb_s']} GB/s)"
        )
    if report["mind"]:
        lines.append(
            f"the mind, as `segue run` starts it: ready in {report['mind']['ready_s']:.2f} s, "
            f"{report['mind']['rss_mb']:.0f} MB"
        )
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _ratio(ours: float, theirs: float | None) -> float | None:
    return None if theirs is None else ours / theirs


def _mind(checkpoint: str | None) -> dict[str, float] | None:
    """The whole mind with its socket: how soon it is ready, and what it holds; None if it fails."""
    said: queue.SimpleQueue[FromMind] = queue.SimpleQueue()
    begun_s = time.monotonic()
    with mind_of(MindConfig(checkpoint=checkpoint), said.put):
        while True:
            try:
                value = said.get(timeout=MIND_PATIENCE_S)
            except queue.Empty:
                return None
            if isinstance(value, Lost):
                return None
            if isinstance(value, Ready):
                ready_s = time.monotonic() - begun_s
                return {"ready_s": ready_s, "rss_mb": resident_mb(value.pid)}
