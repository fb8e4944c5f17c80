"""A mind as a child process of the player, with an address that nobody else can reach.

Knows processes and where sockets can lie; knows no messages. The child ends when its standard input
does, which is when the player ends, in whatever way.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: A Unix socket's path may not be longer (macOS: 104 with the final zero).
LONGEST_SOCKET_PATH = 100
#: How long a child may take to notice that its standard input has ended.
FAREWELL_S = 1.0


def mind_command(*options: str) -> list[str]:
    """The command line of a mind that runs from where this file lies, wheel or checkout.

    -P keeps the current folder off the child's path: nobody's `engine.py` there is ours.
    """
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        "from engine.server import main; sys.exit(main(sys.argv[1:]))"
    )
    return [sys.executable, "-P", "-c", program, *options]


class Child:
    """One mind process: `start`, look whether it `died`, `end` it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start the process; return the address that it will listen at. OSError if it cannot."""
        self._folder = _private_folder()
        address = _address_in(self._folder)
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*self._command, "--bind", address, "--exit-with-parent"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        return address

    def died(self) -> str | None:
        """Why the process is gone, in its own last words if it has any; None while it lives."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return None
        if code < 0:
            return f"the mind was killed by signal {-code}"
        return f"the mind ended with code {code}: {self._last_line() or 'it said nothing'}"

    def end(self, *, at_once: bool) -> None:
        """End the process, if it still lives, and remove what it left."""
        if self._process is not None:
            _end(self._process, at_once=at_once)
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _last_line(self) -> str:
        assert self._folder is not None
        text = (self._folder / "log").read_bytes()[-2000:].decode(errors="replace")
        return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _end(process: subprocess.Popen[bytes], *, at_once: bool) -> None:
    assert process.stdin is not None
    process.stdin.close()
    if not at_once:
        try:
            process.wait(FAREWELL_S)
            return
        except subprocess.TimeoutExpired:
            pass
    process.kill()
    process.wait()


def _private_folder() -> Path:
    """A new folder that only this user can enter, with a path short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="segue-"))
    if len(os.fsencode(folder / "socket")) > LONGEST_SOCKET_PATH:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="segue-", dir="/tmp"))
    return folder


def _address_in(folder: Path) -> str:
    if os.name == "posix":
        return f"ipc://{folder / 'socket'}"
    with socket.socket() as probe:  # Windows wheels of ZeroMQ come without ipc
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"
