"""Ctrl-C at any moment: one clean line and an exit code, and never a traceback.

A terminal sends it to all processes of the command at once, and so do these tests.
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from stage import eventually, free_ports

from daemon.take.takes import segue_command

PIECE = Path(__file__).resolve().parents[2] / "daemon" / "performances" / "ode.mid"
NO_JACK = {"JACK_DEFAULT_SERVER": "segue-test-nobody", "JACK_NO_START_SERVER": "1"}


def hears_interrupts() -> None:
    """As at a terminal, also where the tests were started in the background, which is deaf."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(*words: str, after_s: float, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Start a command, and interrupt it so long after it has begun to load its sockets.

    Return its exit code and what it said, when no process of it is left.
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
    eventually(
        lambda: process.poll() is not None or "zmq" in maps.read_text(), "it has begun, or is over"
    )
    time.sleep(after_s)
    with contextlib.suppress(ProcessLookupError):  # on a busy machine it can be over already
        os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    eventually(lambda: not of_session(process.pid), "all its processes are gone")
    return process.returncode, said


def of_session(number: int) -> list[int]:
    """The processes that were started in one session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(int(folder.name)) == number:
                found.append(int(folder.name))
    return found


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


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.1, 0.15, 0.2, 0.3])
def test_so_they_do_not_where_there_are_ports(jack_server, tmp_path, after_s: float) -> None:
    ports = [str(port) for port in free_ports(3)]
    flags = ["--osc-port", ports[0], "--control-port", ports[1], "--stream-port", ports[2]]
    code, said = interrupted("run", "--takes", str(tmp_path), *flags, after_s=after_s)
    assert code in (130, 0), "interrupted, or it was ready and has stopped in order"
    assert "Traceback" not in said
    assert "lost" not in said, "the mind ends with the player, and not before it"
    assert "cannot" not in said
