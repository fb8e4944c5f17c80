"""The folder of takes: journals, and the MIDI files that are made of them.

A journal without its end, whose process is gone, is a take that was cut off: it is found on the
next start and finished. Making a MIDI file is the work of a child process, so that a long take
never takes time from the music.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from daemon.take import journal

JOURNAL_SUFFIX = ".journal"
#: The take that is written leaves the processors to the music that goes on.
NICENESS = 10


def default_folder() -> Path:
    """The user's data folder of this system."""
    from platformdirs import user_data_path

    return user_data_path("segue") / "takes"


def new_journal_path(folder: Path, now: datetime) -> Path:
    """A name that no take in `folder` has: the time, and a number if two fall on one second."""
    name = now.strftime("%Y-%m-%d %H.%M.%S")
    path = folder / f"{name}{JOURNAL_SUFFIX}"
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{name} ({number}){JOURNAL_SUFFIX}"
    return path


def unfinished(folder: Path) -> Iterator[Path]:
    """Journals that were cut off, and that no living process writes."""
    if not folder.is_dir():
        return
    for path in sorted(folder.glob(f"*{JOURNAL_SUFFIX}")):
        try:
            if not journal.is_complete(path) and _is_free(path):
                yield path
        except OSError:
            continue


def finish(path: Path) -> None:
    """Give a journal its end in place of a line that broke off, so that it is whole again."""
    with path.open("rb+") as file:
        whole, last = 0, b""
        for last in file:
            whole += len(last) if last.endswith(b"\n") else 0
        lacks_only_its_newline = not last.endswith(b"\n") and _is_json(last)
        file.seek(whole + len(last) if lacks_only_its_newline else whole)
        file.truncate()
        new_line = b"\n" if lacks_only_its_newline else b""
        file.write(new_line + json.dumps(["end"]).encode() + b"\n")


def write_midi(*paths: Path, done: Callable[[str], None], close: bool) -> threading.Thread:
    """Write the MIDI file of each journal beside it, one after the other, in the background.

    `done` hears one line of each. With `close` the journal is finished afterwards.
    """

    def work() -> None:
        for path in paths:
            done(_written(path, close=close))

    thread = threading.Thread(target=work, name="take", daemon=True)
    thread.start()
    return thread


def _written(path: Path, *, close: bool) -> str:
    if not journal.is_complete(path):
        time.sleep(2 * journal.FLUSH_S)  # what was said last is on disk by then
    target = path.with_suffix(".mid")
    child = subprocess.run(
        [*segue_command(nice=NICENESS), "replay", str(path), "-o", str(target), "--partial"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        process_group=0,  # Ctrl-C in the terminal is for the player, and the take is written
    )
    if child.returncode != 0:
        reason = child.stderr.strip().splitlines()[-1:] or ["it failed"]
        return f"the take could not be written: {reason[0]}; its journal is {path}"
    if close:
        finish(path)
    return f"take written: {target}"


def segue_command(*, nice: int = 0) -> list[str]:
    """How to run `segue` again, from a checkout or a wheel, whatever the working folder."""
    root = Path(__file__).resolve().parents[2]
    be_nice = f"os.nice({nice}); " if nice and hasattr(os, "nice") else ""
    run = (
        f"import os, sys; {be_nice}sys.path.insert(0, {str(root)!r}); "
        "from daemon.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    return [sys.executable, "-P", "-c", run]


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _is_free(path: Path) -> bool:
    with path.open("rb+") as file:
        return journal.lock(file)
