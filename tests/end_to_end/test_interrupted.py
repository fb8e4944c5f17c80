"""Ctrl-C at any moment: one clean line and an exit code, and never a traceback."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from stage import eventually

from daemon.take.takes import segue_command

PIECE = Path(__file__).resolve().parents[2] / "daemon" / "performances" / "ode.mid"
NO_JACK = {"JACK_DEFAULT_SERVER": "segue-test-nobody", "JACK_NO_START_SERVER": "1"}


def hears_interrupts() -> None:
    """As at a terminal, also where the tests were started in the background, which is deaf."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(*words: str, after_s: float, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Start a command, and interrupt it so long after it has begun to load its sockets.

    Return its exit code and what it said.
    """
    process = subprocess.Popen(
        [*segue_command(), *words],
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hears_interrupts,
    )
    maps = Path(f"/proc/{process.pid}/maps")
    eventually(lambda: "zmq" in maps.read_text(), "it has begun")
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.parametrize("after_s", [0.0, 0.3, 2.0])
def test_a_demo_ends_with_one_line(tmp_path: Path, after_s: float) -> None:
    code, said = interrupted("demo", "--out", str(tmp_path), after_s=after_s)
    assert code == 130
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "segue demo: interrupted"


@pytest.mark.parametrize("after_s", [0.0, 0.2])
def test_so_does_a_continuation_and_it_leaves_no_file(tmp_path: Path, after_s: float) -> None:
    out = tmp_path / "longer.mid"
    words = ("continue", str(PIECE), "-o", str(out), "--bars", "64")
    code, said = interrupted(*words, after_s=after_s)
    assert (code, said.splitlines()) == (130, ["segue continue: interrupted"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.1])
def test_the_first_moments_of_run_show_no_traceback(tmp_path: Path, after_s: float) -> None:
    code, said = interrupted("run", "--takes", str(tmp_path), after_s=after_s, env=NO_JACK)
    assert code in (130, 2), "interrupted, or it had found already that there is no MIDI here"
    assert "Traceback" not in said
