"""Wrong words on the command line: what is said, and the exit code."""

from pathlib import Path

import pytest

from daemon.cli.main import main
from daemon.take.whole_file import NotWritten, folder_trouble


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "  demo      hear and see" in said.err


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (["sing"], "choose from 'demo'"),
        (["demo", "--seed", "x"], "argument --seed"),
        (["demo", "--piece", "sonata"], "choose from 'blues'"),
        (["continue"], "IN.mid"),
        (["bench", "sleep"], "choose from 'decode'"),
    ],
)
def test_wrong_words_are_one_line(
    words: list[str], fix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("segue")
    assert fix in line
    assert line.endswith("--help` says what there is")


def test_a_folder_that_cannot_be_written_names_the_flag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["demo", "--fast", "--out", str(tmp_path / "file" / "take")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"segue demo: cannot write {tmp_path}/file")
    assert line.endswith("; give another folder with --out")


def test_what_names_its_own_fix_is_left_as_it_is() -> None:
    assert folder_trouble(NotWritten("no room; make some"), flag="--out") == "no room; make some"
