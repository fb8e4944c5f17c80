"""The journal: a session's inbox and what was sent, on disk within a second.

One JSON value a line. The first line says what the session was set up with; then come the entries
in the order in which the session took them, and between them the messages that were sent:

    {"journal": 1, "segue": "0.1.0", "started": "2026-11-21T20:15:00", "session": {...}}
    ["midi", 81234567890, "903c50"]              t_ns, message in hex
    ["command", 81234567891, "bars", [2]]        t_ns, name, arguments
    ["mind", 81234567892, ["Drafted", ...]]      t_ns, a message of engine.wire
    ["lost", 81234567893, "the mind was killed"] t_ns, reason
    ["host", 81234567894, "link", true, 4.0, 120.0]   t_ns, source, playing, beat, bpm
    ["tick", 81234567895]                        t_ns
    ["sent", 81234567900, 81234568000, "903e50"] due_ns, sent_ns, message in hex
    ["end"]                                      the session was closed in order

Times are nanoseconds of the monotonic clock. A journal without its end is a session that was cut
off; while its process lives, the process holds a lock on the file.
"""

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self, cast, get_args

from daemon import __version__
from daemon.interface import commands
from daemon.interface.config import ConfigError, SessionConfig
from daemon.interface.events import CommandIn, Entry, HostIn, HostSource, MidiIn, MindIn, Tick
from engine import wire
from engine.protocol import Drafted, Finished, FromMind, Lost, Pong, Ready, Refused

FORMAT = 1
#: What was played is on disk after this long, plus the time the disk takes (promise: a second).
FLUSH_S = 0.25


class JournalError(ValueError):
    """A file that cannot be read as a journal; the text names it, and the line that breaks it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One message that left, and when it should have."""

    due_ns: int
    sent_ns: int
    message: bytes


class JournalWriter:
    """Takes records from any thread at once, and puts them on disk from a thread of its own.

    A disk that fails is reported once to `trouble`; the music goes on without a journal.
    """

    def __init__(
        self,
        path: Path,
        *,
        session: SessionConfig,
        started: str,
        trouble: Callable[[str], None],
    ) -> None:
        self.path = path
        self._header = {
            "journal": FORMAT,
            "segue": __version__,
            "started": started,
            "session": session.to_json(),
        }
        self._trouble = trouble
        self._records: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._file: IO[str] | None = None

    def open(self) -> None:
        """Create the file, with its header on disk, and lock it. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("x", encoding="utf-8")
        lock(self._file)
        self._file.write(json.dumps(self._header) + "\n")
        self._flush(self._file)
        self._thread.start()

    def took(self, entry: Entry) -> None:
        """The session takes `entry` next."""
        self._records.put(_record(entry))

    def sent(self, sent: Sent) -> None:
        """A message left."""
        self._records.put(["sent", sent.due_ns, sent.sent_ns, sent.message.hex()])

    def close(self) -> None:
        """Write what is left and the end, and wait until it is on disk."""
        if self._file is None:
            return
        self._records.put(["end"])
        self._records.put(None)
        self._thread.join()
        with suppress(OSError):
            self._file.close()
        self._file = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _write(self) -> None:
        file = self._file
        assert file is not None
        try:
            while self._write_batch(file):
                self._flush(file)
            self._flush(file)
        except OSError as error:
            self._trouble(f"the journal {self.path} cannot be written: {error}")
            while self._records.get() is not None:  # they must not pile up
                pass

    def _write_batch(self, file: IO[str]) -> bool:
        """Write what comes within one flush interval; return False after the last record."""
        record = self._records.get()
        deadline_s = time.monotonic() + FLUSH_S
        while record is not None:
            file.write(json.dumps(record, separators=(",", ":")) + "\n")
            rest_s = deadline_s - time.monotonic()
            if rest_s <= 0:
                return True
            try:
                record = self._records.get(timeout=rest_s)
            except queue.Empty:
                return True
        return False

    @staticmethod
    def _flush(file: IO[str]) -> None:
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal as it was read. `complete` says whether the session was closed in order."""

    session: SessionConfig
    started: str
    entries: tuple[Entry, ...]
    sent: tuple[Sent, ...]
    complete: bool


def read_journal(path: Path) -> Journal:
    """Read a journal, also one whose last line was cut off. Raises JournalError or OSError."""
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = iter(file)
        session, started = _header(path, next(lines, ""))
        entries: list[Entry] = []
        sent: list[Sent] = []
        complete = False
        for number, record in _records(path, lines):
            try:
                match record:
                    case ["sent", int(due_ns), int(sent_ns), str(message)]:
                        sent.append(Sent(due_ns, sent_ns, bytes.fromhex(message)))
                    case ["end"]:
                        complete = True
                    case _:
                        entries.append(_entry(record))
            except ValueError as error:
                raise JournalError(f"{path} is broken at line {number}: {error}") from None
    return Journal(session, started, tuple(entries), tuple(sent), complete)


def is_complete(path: Path) -> bool:
    """Whether the journal has its end, by a look at its last line."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 64))
        return file.read().rstrip().endswith(b'["end"]')


def lock(file: IO[Any]) -> bool:
    """Lock an open file for this process until it is closed; return False if another holds it.

    Where the system has no such lock, a journal is taken to be free.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _header(path: Path, line: str) -> tuple[SessionConfig, str]:
    try:
        header = json.loads(line)
        written = header["journal"]
        if written == FORMAT:
            return SessionConfig.from_json(header["session"]), str(header["started"])
    except ConfigError as error:
        raise JournalError(f"{path} has a header that means nothing: {error}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise JournalError(f"{path} is not a journal: its first line has no header") from None
    raise JournalError(f"{path} is a journal of format {written!r:.20}, not {FORMAT}")


def _records(path: Path, lines: Iterator[str]) -> Iterator[tuple[int, object]]:
    """Give the records by line; a last line that broke off in the middle is left out."""
    for number, line in enumerate(lines, start=2):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            if next(lines, None) is not None:
                raise JournalError(f"{path} is broken at line {number}: no JSON") from None
            return
        yield number, record


def _record(entry: Entry) -> list[Any]:
    match entry:
        case MidiIn(t_ns, message):
            return ["midi", t_ns, message.hex()]
        case CommandIn(t_ns, name, arguments):
            return ["command", t_ns, name, list(arguments)]
        case MindIn(t_ns, Lost(reason)):
            return ["lost", t_ns, reason]
        case MindIn(t_ns, value):
            return ["mind", t_ns, json.loads(wire.encode(value))]
        case HostIn(t_ns, source, playing, beat, bpm):
            return ["host", t_ns, source, playing, beat, bpm]
        case Tick(t_ns):
            return ["tick", t_ns]


def _entry(record: object) -> Entry:
    match record:
        case ["midi", int(t_ns), str(message)]:
            return MidiIn(t_ns, bytes.fromhex(message))
        case ["command", int(t_ns), str(name), list(arguments)]:
            return CommandIn(t_ns, name, commands.check(name, arguments))
        case ["lost", int(t_ns), str(reason)]:
            return MindIn(t_ns, Lost(reason))
        case ["mind", int(t_ns), list(message)]:
            return MindIn(t_ns, _from_mind(message))
        case ["host", int(t_ns), str(source), bool(playing), float(beat), float(bpm)]:
            if source in get_args(HostSource):
                return HostIn(t_ns, cast(HostSource, source), playing, beat, bpm)
        case ["tick", int(t_ns)]:
            return Tick(t_ns)
    raise ValueError(f"{repr(record)[:80]} is no record")


def _from_mind(message: list[Any]) -> FromMind:
    value = wire.decode(json.dumps(message).encode())
    if not isinstance(value, Ready | Drafted | Finished | Refused | Pong):
        raise ValueError(f"a mind does not say {type(value).__name__}")
    return value
