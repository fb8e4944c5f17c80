"""`segue replay`: a journal through the session again, to the identical take."""

import argparse
import json
import sys
from pathlib import Path

from daemon.take.journal import JournalError, read_journal
from daemon.take.midi_file import write_take
from daemon.take.take import NAMES, Take, differences, parts, take_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("journal", type=Path, metavar="JOURNAL")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.mid", help="write the take here")
    parser.add_argument(
        "--partial", action="store_true", help="do not compare with what was sent at the time"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Replay; 1 if the replay does not send what was sent at the time, 2 for a bad journal."""
    try:
        journal = read_journal(args.journal)
        take = take_of(journal)
    except OSError as error:
        print(f"segue replay: cannot read {args.journal}: {error.strerror}", file=sys.stderr)
        return 2
    except JournalError as error:
        print(f"segue replay: {error}", file=sys.stderr)
        return 2
    try:
        written = write_parts(take, args.output) if args.output else []
    except OSError as error:
        print(f"segue replay: {error}", file=sys.stderr)
        return 1
    different = [] if args.partial else differences(journal)
    for line in different:
        print(line, file=sys.stderr)
    identical = not different
    if args.json:
        result = {
            "identical": identical,
            "complete": journal.complete,
            "notes_in": len(take.player),
            "notes_out": len(take.segue),
            "files": [str(path) for path in written],
        }
        print(json.dumps(result))
    else:
        verdict = "the identical take" if identical else f"{len(different)} notes differ"
        print(f"{len(take.player)} notes played, {len(take.segue)} answered: {verdict}")
    return 0 if identical else 1


def write_parts(take: Take, path: Path) -> list[Path]:
    """Write each marked take, or the whole; the second and later ones get a number."""
    written: list[Path] = []
    for number, part in enumerate(parts(take), start=1):
        target = path if number == 1 else path.with_stem(f"{path.stem} {number}")
        write_take(
            target,
            parts=[(NAMES["player"], part.player), (NAMES["segue"], part.segue)],
            meters=part.meters,
            tempos=part.tempos or ((0.0, 120.0),),
            markers=[(handover.beat, NAMES[handover.voice]) for handover in part.handovers],
        )
        written.append(target)
    return written
