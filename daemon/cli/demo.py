"""`segue demo`: a recorded player at the loopback trades bars with the daemon, both processes real.

With `--fast` the same session and the same mind run in virtual time. Either way the take, its
picture and its report are made from the journal alone.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bridges.loopback import Loopback
from daemon.cli.progress import Progress
from daemon.cli.replay import write_parts
from daemon.clock.transport import Transport
from daemon.interface.commands import CommandError
from daemon.interface.config import Config, MindConfig, SessionConfig, Settings
from daemon.performances.recordings import DEFAULT, Performance, load, names, turn
from daemon.runtime.live import Live, World
from daemon.runtime.mind import mind_of
from daemon.runtime.output import NS_PER_S
from daemon.runtime.rehearsal import MindIsSilent, Rehearsal
from daemon.runtime.runtime import Runtime
from daemon.take.journal import JournalWriter, read_journal
from daemon.take.piano_roll import draw_piano_roll
from daemon.take.report import report_of, summary
from daemon.take.take import NAMES, Take, take_of
from daemon.take.whole_file import folder_trouble

#: Four turns each of four bars.
LEAST_BARS = 32
#: The recorded player takes a breath before the first note.
BREATH_NS = NS_PER_S // 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--out", type=Path, default=Path("take"), help="folder (default ./take)")
    parser.add_argument("--fast", action="store_true", help="in virtual time, not in real time")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other answers")
    parser.add_argument("--piece", choices=names(), default=DEFAULT, help="what is played")
    parser.add_argument(
        "--bars", type=int, default=LEAST_BARS, help=f"length of the take, {LEAST_BARS} or more"
    )
    parser.add_argument(
        "--mode",
        choices=("trade", "answer", "follow"),
        default="trade",
        help="how Segue takes turns with the player (default trade)",
    )
    parser.add_argument("--feel", type=float, default=0.0, help="percent (default 0)")
    parser.add_argument("--checkpoint", help="a checkpoint to use instead of the one that ships")


def run(args: argparse.Namespace) -> int:
    """Play the demo and write what came of it; 1 if a note hangs, the mind or the disk fails."""
    if args.bars < LEAST_BARS:
        print(f"segue demo: --bars has to be {LEAST_BARS} or more", file=sys.stderr)
        return 2
    performance = load(args.piece)
    try:
        settings = Settings().changed("mode", args.mode).changed("feel", args.feel)
    except CommandError as error:
        print(f"segue demo: {error}", file=sys.stderr)
        return 2
    config = _config(performance, settings, seed=args.seed, checkpoint=args.checkpoint)
    path = args.out / "take.journal"
    progress = Progress(bars=args.bars, meter=performance.meter)
    play = rehearse if args.fast else play_live
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        play(performance, config, path, bars=args.bars, progress=progress)
        report = write_results(args.out, path, performance, fast=args.fast)
    except OSError as error:
        print(f"segue demo: {folder_trouble(error, flag='--out')}", file=sys.stderr)
        return 1
    except MindIsSilent as error:
        print(f"segue demo: {error}", file=sys.stderr)
        return 1
    finally:
        progress.close()
    print(summary(report))
    print(f"look at {args.out / 'take.png'}, listen to {args.out / 'take.mid'}")
    return 1 if report["hanging_notes"] else 0


def play_live(
    performance: Performance, config: Config, path: Path, *, bars: int, progress: Progress
) -> None:
    """Play in real time, through the daemon and its loopback."""
    live = Live(config, journal=path, say=progress.say)
    loopback = Loopback(receive=live.runtime.receive_midi)

    @contextmanager
    def world(_: Runtime) -> Iterator[World]:
        yield World(send=loopback.send, publish=progress.watch)

    def perform() -> None:
        live.mind_ready.wait()
        start_ns = time.monotonic_ns() + BREATH_NS
        for beat_ns, message in _timed(performance, config.session, bars=bars):
            _sleep_until(start_ns + beat_ns)
            loopback.play(message)
        _sleep_until(start_ns + _length_ns(performance, bars))
        live.runtime.stop()

    player = threading.Thread(target=perform, name="player", daemon=True)
    live.run(world, started=player.start)


def rehearse(
    performance: Performance, config: Config, path: Path, *, bars: int, progress: Progress
) -> None:
    """Play in virtual time."""
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    journal = JournalWriter(path, session=config.session, started=started, trouble=progress.say)
    rehearsal = Rehearsal(config.session, journal=journal, publish=progress.watch)
    with journal, mind_of(config.mind, rehearsal.heard_mind) as mind:
        rehearsal.run(
            _timed(performance, config.session, bars=bars),
            until_ns=_length_ns(performance, bars),
            tell=mind.send,
        )


def write_results(
    folder: Path, journal_path: Path, performance: Performance, *, fast: bool
) -> dict[str, Any]:
    """Write take.mid, take.png and report.json from the journal; return the report."""
    journal = read_journal(journal_path)
    take = take_of(journal)
    write_parts(take, folder / "take.mid")
    report = report_of(take, journal)
    report |= {"time": "virtual" if fast else "real", "piece": performance.name}
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    _draw(folder / "take.png", take, performance, report)
    return report


def _draw(path: Path, take: Take, performance: Performance, report: dict[str, Any]) -> None:
    draw_piano_roll(
        path,
        parts=[(NAMES["player"], take.player), (NAMES["segue"], take.segue)],
        meters=take.meters,
        handovers=[(handover.beat, NAMES[handover.voice]) for handover in take.handovers],
        title=f"{performance.title}: you play, Segue answers",
        subtitle=f"{performance.bpm:g} bpm, seed {report['seed']}, "
        f"{report['notes_in']} notes in, {report['notes_out']} notes out",
    )


def _config(
    performance: Performance, settings: Settings, *, seed: int, checkpoint: str | None
) -> Config:
    settings = replace(settings, bpm=performance.bpm)
    session = SessionConfig(settings=settings, meter=performance.meter, clock="internal", seed=seed)
    return Config(session=session, mind=MindConfig(checkpoint=checkpoint))


def _timed(
    performance: Performance, session: SessionConfig, *, bars: int
) -> Iterator[tuple[int, bytes]]:
    """What the recorded player plays in his turns: (ns from the first bar line, message).

    Whoever is followed plays on.
    """
    at = Transport(bpm=performance.bpm)
    plays_on = session.settings.mode == "follow"
    turn_bars = bars if plays_on else session.settings.bars
    for number, first_bar in enumerate(range(0, bars, 2 * turn_bars)):
        for beat, message in turn(performance, number * turn_bars, turn_bars):
            yield max(0, at.ns_at(first_bar * performance.bar_beats + beat)), message


def _length_ns(performance: Performance, bars: int) -> int:
    """A beat more than the bars, for the last release."""
    return Transport(bpm=performance.bpm).ns_at(bars * performance.bar_beats + 1)


def _sleep_until(t_ns: int) -> None:
    time.sleep(max(0, t_ns - time.monotonic_ns()) / NS_PER_S)
