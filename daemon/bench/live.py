"""`segue bench live`: how well in time the daemon is on this machine.

For each tempo and each source of time a musician plays a take with the daemon, through real MIDI
ports where there are some, while a second mind decodes all the time. What the figures mean stands
in figures.py.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bridges.control import BridgeError
from bridges.midi import Api, choose_api
from daemon.bench.band import BandError, LoopbackBand, PortsBand
from daemon.bench.figures import Figures, figures_of, pooled, report_of, table
from daemon.bench.histogram import draw_histogram
from daemon.bench.load import RestlessMind
from daemon.bench.score import BREATH_NS, LinkPeer, Played, cues_of, play
from daemon.interface.config import ClockChoice, Config, MindConfig, SessionConfig, Settings
from daemon.performances.recordings import DEFAULT, Performance, load

NS_PER_MINUTE = 60_000_000_000
#: Link is joined only where it is asked for: it would meet whoever else plays in this network.
ASKED: tuple[ClockChoice, ...] = ("internal", "midi", "host")
SOURCES: tuple[ClockChoice, ...] = (*ASKED, "link")
BPMS = (120.0, 240.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--bpm", type=float, nargs="+", default=list(BPMS), help="tempi (default 120 240)"
    )
    parser.add_argument("--bars", type=int, default=32, help="of each take (default %(default)s)")
    parser.add_argument("--turn", type=int, default=2, help="bars of a turn (default %(default)s)")
    parser.add_argument(
        "--sources",
        nargs="+",
        choices=SOURCES,
        default=list(ASKED),
        help="of time (default all but Link)",
    )
    parser.add_argument(
        "--jitter", type=float, default=5.0, metavar="MS", help="of the MIDI clock (default 5)"
    )
    parser.add_argument("--api", help="coremidi, alsa or jack (default: the one that answers)")
    parser.add_argument("--loopback", action="store_true", help="without MIDI, even if there is")
    parser.add_argument("--rest", action="store_true", help="without a second mind that decodes")
    parser.add_argument("--checkpoint", help="a checkpoint to use instead of the one that ships")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write live.json and histogram.png")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Play the takes and print the figures; 1 if a note hung or the daemon failed."""
    if args.turn < 1 or args.bars < 2 * args.turn or not all(20 <= bpm <= 400 for bpm in args.bpm):
        return _failed("--bars has to be twice --turn or more, and --bpm lies from 20 to 400", 2)
    api = None
    if args.loopback and "link" in args.sources:
        return _failed("--sources link needs MIDI ports: leave out --loopback", 2)
    if not args.loopback:
        try:
            api = choose_api(args.api)
        except BridgeError as error:
            if args.api:
                return _failed(str(error), 2)
            _say(f"through the loopback, since {error}")
    try:
        takes = _takes(args, api if api is not None and api.supports_virtual else None)
        report = report_of(takes, command=_command(args)) | {"machine": _machine()}
        if args.out is not None:
            _write(args.out, report, takes)
    except (BandError, BridgeError, OSError) as error:
        return _failed(str(error), 1)
    print(json.dumps(report) if args.json else table(report))
    return 1 if report["hanging_notes"] else 0


def _takes(args: argparse.Namespace, api: Api | None) -> list[Figures]:
    performance = load(DEFAULT)
    takes: list[Figures] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        if not args.rest:
            stack.enter_context(RestlessMind(MindConfig(checkpoint=args.checkpoint)))
        for source in args.sources:
            for bpm in args.bpm:
                _say(f"{source} clock, {bpm:g} bpm, {args.bars} bars")
                place = Path(folder) / str(len(takes))
                place.mkdir()
                played = _play(args, api, performance, place, source=source, bpm=bpm)
                takes.append({"source": source, "bpm": bpm, **figures_of(played, bpm=bpm)})
    return takes


def _play(
    args: argparse.Namespace,
    api: Api | None,
    performance: Performance,
    folder: Path,
    *,
    source: ClockChoice,
    bpm: float,
) -> Played:
    settings = Settings(bars=args.turn, bpm=bpm)
    session = SessionConfig(settings=settings, meter=performance.meter, clock=source)
    config = Config(session=session, mind=MindConfig(checkpoint=args.checkpoint))
    cues = cues_of(
        performance,
        bars=args.bars,
        turn_bars=args.turn,
        bpm=bpm,
        source=source,
        jitter_ms=args.jitter,
    )
    length_ns = round(args.bars * performance.bar_beats * NS_PER_MINUTE / bpm)
    band = PortsBand(config, api=api, folder=folder) if api else LoopbackBand(config, folder=folder)
    with ExitStack() as stack:
        peer = None
        if source == "link":
            peer = stack.enter_context(LinkPeer(bpm=bpm, bar_beats=performance.bar_beats))
        stack.enter_context(band)
        soon_ns = time.monotonic_ns() + BREATH_NS
        beat0_ns = soon_ns if peer is None else peer.bar_line_ns(soon_ns)
        return play(cues, band, beat0_ns=beat0_ns, until_ns=length_ns)


def _write(folder: Path, report: Figures, takes: Sequence[Figures]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "live.json").write_text(json.dumps(report, indent=2) + "\n")
    rows = [("notes: late at the call", pooled(takes, "late_ms"))]
    for source in report["clock_phase_ms_p95"]:
        of_source = [take for take in takes if take["source"] == source]
        rows.append((f"{source} clock: phase", pooled(of_source, "phase_ms")))
    machine = report["machine"]
    draw_histogram(
        folder / "histogram.png",
        rows=rows,
        title=f"Segue in time, through {report['ports']}",
        subtitle=f"{machine['cores']} cores, {machine['system']}: {report['command']}",
    )


def _machine() -> Figures:
    return {
        "cores": os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


def _command(args: argparse.Namespace) -> str:
    bpms = " ".join(f"{bpm:g}" for bpm in args.bpm)
    return f"segue bench live --bpm {bpms} --bars {args.bars} --turn {args.turn}"


def _failed(text: str, code: int) -> int:
    _say(text)
    return code


def _say(text: str) -> None:
    print(f"segue bench live: {text}", file=sys.stderr, flush=True)
