"""`segue replay`, and how a take becomes a MIDI file while the music goes on."""

import json
from pathlib import Path

import pytest
from musicians import PaperMind, Table

from daemon.cli.main import main
from daemon.take import takes
from daemon.take.journal import JournalWriter, is_complete, read_journal
from daemon.take.midi_file import read_score


def journal_at(path: Path, table: Table) -> Path:
    """Write down what was played at a table."""
    with JournalWriter(path, session=table.config, started="now", trouble=pytest.fail) as journal:
        for entry in table.entries:
            journal.took(entry)
        for sent in table.sent:
            journal.sent(sent)
    return path


def traded(*, marks: bool = False) -> Table:
    table = Table(mind=PaperMind("C5"), bars=1)
    table.play("C4 D4 E4 F4", beat=0)
    if marks:
        for beat, name in ((0.5, "record"), (3.9, "stop"), (4.0, "record"), (7.9, "stop")):
            table.command(f"take/{name}", beat=beat)
    table.until(beat=9)
    return table


def test_the_identical_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = journal_at(tmp_path / "take.journal", traded())
    out = tmp_path / "take.mid"
    assert main(["replay", str(path), "-o", str(out)]) == 0
    assert capsys.readouterr().out == "4 notes played, 4 answered: the identical take\n"
    assert len([m for _, m in read_score(out).messages if m[0] & 0xF0 == 0x90 and m[2]]) == 8


def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = journal_at(tmp_path / "take.journal", traded(marks=True))
    assert main(["replay", str(path), "-o", str(tmp_path / "take.mid"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "identical": True,
        "complete": True,
        "notes_in": 4,
        "notes_out": 4,
        "files": [str(tmp_path / "take.mid"), str(tmp_path / "take 2.mid")],
    }


def test_a_tampered_journal_is_told_line_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = journal_at(tmp_path / "take.journal", traded())
    lines = path.read_text().splitlines(keepends=True)
    gone = next(line for line in lines if line.startswith('["sent"') and '"9048' in line)
    path.write_text("".join(line for line in lines if line != gone))
    assert main(["replay", str(path)]) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("not sent at the time: 90 48 50 at ")
    assert shown.out.endswith("1 notes differ\n")
    assert main(["replay", str(path), "--partial"]) == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "cannot read"), ("RIFF", "is not a journal"), ("{}\n", "is not a journal")],
)
def test_what_cannot_be_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, says: str
) -> None:
    path = tmp_path / "take.journal"
    if text is not None:
        path.write_text(text)
    assert main(["replay", str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("segue replay: ")
    assert says in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = journal_at(tmp_path / "take.journal", traded())
    assert main(["replay", str(path), "-o", str(tmp_path / "none" / "take.mid")]) == 1
    assert "there is no folder" in capsys.readouterr().err


def test_a_cut_off_take_becomes_a_midi_file_and_is_finished(tmp_path: Path) -> None:
    path = journal_at(tmp_path / "take.journal", traded())
    path.write_bytes(path.read_bytes()[:-30])
    told: list[str] = []
    takes.write_midi(path, done=told.append, close=True).join()
    assert told == [f"take written: {tmp_path / 'take.mid'}"]
    assert read_score(tmp_path / "take.mid").messages
    assert is_complete(path)
    assert len(read_journal(path).entries) == len(traded().entries)


def test_a_take_that_cannot_be_written_says_why_and_keeps_its_journal(tmp_path: Path) -> None:
    path = tmp_path / "take.journal"
    path.write_text("{}\n")
    told: list[str] = []
    takes.write_midi(path, done=told.append, close=True).join()
    (line,) = told
    assert "is not a journal" in line
    assert line.endswith(f"its journal is {path}")
    assert path.read_text() == "{}\n"
