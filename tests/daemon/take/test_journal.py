"""The journal: written live, read back whole, or as far as it goes."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.interface import commands
from daemon.interface.config import SessionConfig, Settings
from daemon.interface.events import Argument, CommandIn, Entry, HostIn, MidiIn, MindIn, Tick
from daemon.take import journal as journal_module
from daemon.take import takes
from daemon.take.journal import (
    Journal,
    JournalError,
    JournalWriter,
    Sent,
    is_complete,
    read_journal,
)
from engine.protocol import Drafted, Finished, Lost, Note, Pong, Ready, Refused

ROOT = Path(__file__).parents[3]
CONFIG = SessionConfig(settings=Settings(bars=2, bpm=97.5), meter=(3, 4), seed=5)
C = MidiIn(1_000, b"\x90\x3c\x50")


def nothing(_: str) -> None:
    raise AssertionError("there is no trouble")


def writer(path: Path, *, trouble: Callable[[str], None] = nothing) -> JournalWriter:
    return JournalWriter(path, session=CONFIG, started="2026-11-21T20:15:00", trouble=trouble)


def written(path: Path, *records: Entry | Sent) -> Journal:
    with writer(path) as journal:
        for record in records:
            journal.sent(record) if isinstance(record, Sent) else journal.took(record)
    return read_journal(path)


times = st.integers(0, 2**62)
messages = st.binary(min_size=1, max_size=8)
notes = st.builds(
    Note,
    onset=st.floats(-1e6, 1e6),
    pitch=st.integers(0, 127),
    duration=st.floats(1e-9, 1e6),
    velocity=st.integers(1, 127),
)
costs = st.lists(st.floats(0, 1e6), max_size=4).map(tuple)
counts = st.integers(0, 2**31)
said = st.one_of(
    st.builds(Ready, st.text(max_size=20), counts, counts),
    st.builds(Drafted, counts, notes),
    st.builds(Finished, counts, st.booleans(), counts, counts, costs, costs),
    st.builds(Refused, st.text(max_size=40)),
    st.builds(Pong, counts),
    st.builds(Lost, st.text(max_size=40)),
)


def fitting(parameter: commands.Parameter) -> st.SearchStrategy[Argument]:
    """What a parameter takes, as it stands in an entry."""
    if parameter.choices:
        return st.sampled_from(parameter.choices).map(parameter.kind)
    low, high = parameter.low, parameter.high
    return st.integers(int(low), int(high)) if parameter.kind is int else st.floats(low, high)


given_commands = st.sampled_from(commands.COMMANDS).flatmap(
    lambda command: st.tuples(
        st.just(command.name), st.tuples(*(fitting(one) for one in command.parameters))
    )
)
entries = st.one_of(
    st.builds(MidiIn, times, messages),
    st.builds(lambda t_ns, command: CommandIn(t_ns, *command), times, given_commands),
    st.builds(MindIn, times, said),
    st.builds(
        HostIn,
        times,
        st.sampled_from(["link", "host"]),
        st.booleans(),
        st.floats(-1e6, 1e6),
        st.floats(20, 400),
    ),
    st.builds(Tick, times),
)
records = st.lists(st.one_of(entries, st.builds(Sent, times, times, messages)), max_size=20)
quick = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(records)
def test_every_record_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, records: list[Entry | Sent]
) -> None:
    journal = written(tmp_path_factory.mktemp("takes") / "take.journal", *records)
    assert journal.session == CONFIG
    assert journal.started == "2026-11-21T20:15:00"
    assert journal.entries == tuple(r for r in records if not isinstance(r, Sent))
    assert journal.sent == tuple(r for r in records if isinstance(r, Sent))
    assert journal.complete


def test_what_is_played_is_on_disk_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "take.journal"
    with writer(path) as journal:
        journal.took(C)
        deadline_s = time.monotonic() + 1.0
        while not read_journal(path).entries:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        assert not read_journal(path).complete


def test_records_that_come_without_a_pause_do_not_put_off_the_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is always a next record, and the time to flush has always come."""
    flushed: list[IO[str]] = []
    monkeypatch.setattr(journal_module, "FLUSH_S", 0.0)
    monkeypatch.setattr(JournalWriter, "_flush", staticmethod(flushed.append))
    written(tmp_path / "take.journal", *(Tick(t_ns) for t_ns in range(100)))
    assert len(flushed) > 100


@quick
@given(st.data())
def test_a_journal_that_is_cut_off_anywhere_is_read_as_far_as_it_goes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("takes") / "take.journal"
    whole = written(path, *(Tick(t_ns) for t_ns in range(20)))
    text = path.read_bytes()
    header = text.index(b"\n") + 1
    path.write_bytes(text[: data.draw(st.integers(header, len(text) - 2), label="cut at")])
    journal = read_journal(path)
    assert journal.entries == whole.entries[: len(journal.entries)]
    assert not journal.complete
    assert not is_complete(path)

    takes.finish(path)
    assert is_complete(path)
    again = read_journal(path)
    assert (again.entries, again.complete) == (journal.entries, True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a journal: its first line has no header"),
        ("RIFF....", "is not a journal: its first line has no header"),
        ("[1, 2]\n", "is not a journal: its first line has no header"),
        ("{}\n", "is not a journal: its first line has no header"),
        ('{"journal": 1}\n', "is not a journal: its first line has no header"),
        ("[" * 100_000, "is not a journal: its first line has no header"),
        ('{"journal": 7}\n', "is a journal of format 7, not 1"),
        ('{"journal": 1, "session": {}, "started": ""}\n', "has a header that means nothing"),
        ('HEADER\n["midi", 5]\n', "is broken at line 2: ['midi', 5] is no record"),
        ('HEADER\n["midi", 5, "9"]\n', "is broken at line 2: "),
        ('HEADER\n["tick", 5]\n["sent", 5]\n', "is broken at line 3: ['sent', 5] is no record"),
        ("HEADER\n5\n", "is broken at line 2: 5 is no record"),
        ("HEADER\n{}\n", "is broken at line 2: {} is no record"),
        ('HEADER\n["mind", 5, ["Ping", 1]]\n', "is broken at line 2: a mind does not say Ping"),
        ('HEADER\n["mind", 5, ["Sing"]]\n', "is broken at line 2: no message is called 'Sing'"),
        ('HEADER\n["command", 5, "dance", []]\n', "is broken at line 2: no command 'dance'"),
        ('HEADER\n["command", 5, "bars", [0]]\n', "is broken at line 2: bars takes 1 to 64"),
        ('HEADER\n["tick", 5\n["tick", 6]\n', "is broken at line 2: no JSON"),
    ],
)
def test_what_is_no_journal_is_told_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "take.journal"
    header = {"journal": 1, "started": "now", "session": CONFIG.to_json()}
    path.write_text(text.replace("HEADER", json.dumps(header)))
    with pytest.raises(JournalError) as caught:
        read_journal(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@quick
@given(st.binary(max_size=300))
def test_garbage_after_the_header_never_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, garbage: bytes
) -> None:
    path = tmp_path_factory.mktemp("takes") / "take.journal"
    written(path)
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0] + garbage)
    with contextlib.suppress(JournalError):
        read_journal(path)


def test_a_journal_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "take.journal"
    path.write_text("a take")
    with pytest.raises(FileExistsError), writer(path):
        pass
    assert path.read_text() == "a take"


def test_a_disk_that_fails_is_told_once_and_nothing_piles_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    journal = writer(tmp_path / "take.journal", trouble=told.append)
    with journal:
        monkeypatch.setattr(JournalWriter, "_flush", staticmethod(_full_disk))
        for _ in range(1000):
            journal.took(C)
        deadline_s = time.monotonic() + 5.0
        while not (told and journal._records.empty()):
            assert time.monotonic() < deadline_s
            journal.took(C)
            time.sleep(0.01)
    assert len(told) == 1
    assert "No space left on device" in told[0]


def _full_disk(_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_closing_what_was_never_opened_is_nothing(tmp_path: Path) -> None:
    writer(tmp_path / "take.journal").close()
    assert list(tmp_path.iterdir()) == []


# Takes that were cut off.

KILLED = """
import sys, time
from pathlib import Path
from daemon.interface.config import SessionConfig
from daemon.interface.events import MidiIn
from daemon.take.journal import JournalWriter
path = Path(sys.argv[1])
with JournalWriter(path, session=SessionConfig(), started="", trouble=print) as journal:
    journal.took(MidiIn(1, bytes((0x90, 60, 80))))
    print("playing", flush=True)
    time.sleep(60)
"""


def test_a_take_survives_its_process_being_killed(
    tmp_path: Path, eventually: Callable[..., None]
) -> None:
    """While the process lives the journal is its own; afterwards it is found."""
    path = tmp_path / "take.journal"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as player:
        try:
            assert player.stdout is not None
            assert player.stdout.readline() == "playing\n"
            eventually(lambda: read_journal(path).entries)
            assert list(takes.unfinished(tmp_path)) == []
        finally:
            player.send_signal(signal.SIGKILL)
    assert list(takes.unfinished(tmp_path)) == [path]
    assert read_journal(path).entries == (MidiIn(1, b"\x90\x3c\x50"),)
    takes.finish(path)
    assert list(takes.unfinished(tmp_path)) == []


def test_which_takes_are_unfinished(tmp_path: Path) -> None:
    assert list(takes.unfinished(tmp_path / "none")) == []
    written(tmp_path / "a.journal", C)
    written(tmp_path / "b.journal", C)
    (tmp_path / "c.mid").write_bytes(b"MThd")
    cut = tmp_path / "b.journal"
    cut.write_bytes(cut.read_bytes()[:-8])
    with writer(tmp_path / "d.journal"):
        assert list(takes.unfinished(tmp_path)) == [cut]


def test_takes_of_one_second_have_names_of_their_own(tmp_path: Path) -> None:
    now = datetime(2026, 11, 21, 20, 15, 0)
    names = []
    for _ in range(3):
        path = takes.new_journal_path(tmp_path, now)
        path.touch()
        names.append(path.name)
    assert names == [
        "2026-11-21 20.15.00.journal",
        "2026-11-21 20.15.00 (2).journal",
        "2026-11-21 20.15.00 (3).journal",
    ]
