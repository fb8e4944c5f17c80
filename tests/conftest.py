"""What all tests may use: a JACK server, Pure Data, MidiTok, and waiting with a deadline.

Helpers are fixtures that give functions, because test folders are no packages.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Two busy cores decide how long an example takes; a law says nothing about that. Here, since a law
# has the profile of the moment in which its file is read.
settings.register_profile("segue", deadline=None)
settings.load_profile("segue")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background, deaf to Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Program -> the Debian package that has it.
PACKAGES = {
    "ardour7-lua": "ardour",
    "ip": "iproute2",
    "jackd": "jackd2",
    "jack_lsp": "jackd2",
    "jack_connect": "jackd2",
    "jack_transport": "jackd2",
    "jack_midi_clock": "jack-midi-clock",
    "klick": "klick",
    "oscdump": "liblo-tools",
    "oscsend": "liblo-tools",
    "pd": "puredata-core",
    "unshare": "util-linux",
}

Need = Callable[..., None]
Eventually = Callable[..., None]


@pytest.fixture(scope="session")
def need() -> Need:
    """`need("jackd", "pd")` skips the test and names the Debian packages that are missing."""

    def check(*programs: str) -> None:
        missing = sorted({PACKAGES[p] for p in programs if shutil.which(p) is None})
        if missing:
            pytest.skip("missing: apt-get install --no-install-recommends " + " ".join(missing))

    return check


def _eventually(holds: Callable[[], object], what: str = "", *, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what or holds}")
        time.sleep(0.005)


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """`eventually(lambda: heard == …, "what is awaited")`: polls, and fails at a deadline."""
    return _eventually


@pytest.fixture(scope="session")
def miditok() -> Any:
    """MidiTok's REMI with our settings, which our own tokens are held to."""
    from models.vocabulary import tokenizer_settings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MidiTok's and its dependencies' own affairs
        from miditok import REMI, TokenizerConfig

        return REMI(TokenizerConfig(**tokenizer_settings()))


class JackServer:
    """One jackd with the dummy driver, known by its own name.

    `patience_ms` is how long a cycle waits for a late client; two periods, if it is not given.
    What a client that is later wrote is lost, even with -S. But a client that joins on a busy
    machine may hold up the server for ten times as long, and one that was killed for thirty times.
    """

    def __init__(self, name: str, log: Path, *, patience_ms: int | None = None) -> None:
        self.patience_ms = patience_ms
        self.name = name
        self.log = log
        self.env = {**os.environ, "JACK_DEFAULT_SERVER": name, "JACK_NO_START_SERVER": "1"}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in real time where that is permitted, and wait until it answers."""
        for scheduling in (["-R", "-P", "70"], ["--no-realtime"]):
            self._launch(scheduling)
            if self._answers():
                return
            self._end()
        raise AssertionError(f"jackd did not start: {self.log.read_text(errors='replace')}")

    def stop(self) -> None:
        """End it, and wait until it is gone: a second one of its name could not start before."""
        if self._end() != 0:
            # It left its entry in a list that has room for eight, which only a server of the same
            # name clears away. When the list is full, no JACK server starts on this machine.
            self._launch([])
            self._answers()
            self._end()
        for left in Path("/dev/shm").glob(
            f"jack_sem.*_{self.name}_*"
        ):  # by clients that were killed
            left.unlink(missing_ok=True)

    def kill(self) -> None:
        """The way a crash ends it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """The way a stuck sound card stops it: it lives, and does nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        status = Path(f"/proc/{self.process.pid}/status")
        _eventually(lambda: "State:\tT" in status.read_text(), "jackd frozen")

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def ports(self) -> list[str]:
        """The full names of all ports."""
        return self._run("jack_lsp").stdout.decode().split("\n")[:-1]

    def connect(self, source: str, destination: str) -> None:
        """Connect two ports; the server must have both."""
        _eventually(lambda: {source, destination} <= set(self.ports()), f"{source} {destination}")
        _eventually(lambda: self._connected(source, destination), f"{source} to {destination}")

    def _connected(self, source: str, destination: str) -> bool:
        """Connect them; a busy server sometimes needs to be asked twice."""
        done = self._run("jack_connect", source, destination)
        return done.returncode == 0 or b"already connected" in done.stderr + done.stdout

    def _launch(self, scheduling: list[str]) -> None:
        patience = [] if self.patience_ms is None else ["-t", str(self.patience_ms)]
        command = ["jackd", "-n", self.name, *scheduling, "-S", *patience, "-d", "dummy"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "-r", "48000", "-p", "128"], env=self.env, stdout=log, stderr=log
            )

    def _end(self) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.terminate()
        process.send_signal(signal.SIGCONT)  # a frozen one hears nothing else
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        return process.wait()

    def _answers(self) -> bool:
        assert self.process is not None
        deadline = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < deadline:
            if self._run("jack_lsp").returncode == 0:
                return True
            time.sleep(0.05)
        return False

    def _run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command, env=self.env, capture_output=True, timeout=20, check=False)


@contextmanager
def _jack(name: str, folder: Path) -> Iterator[JackServer]:
    server = JackServer(f"segue-test-{os.getpid()}-{name}", folder / f"jackd-{name}.log")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def jack_server(need: Need, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JackServer]:
    """The JACK server of this session; it is the default one for this process and its children."""
    need("jackd", "jack_lsp", "jack_connect")
    with (
        _jack("shared", tmp_path_factory.mktemp("jack")) as server,
        pytest.MonkeyPatch.context() as m,
    ):
        m.setenv("JACK_DEFAULT_SERVER", server.name)
        m.setenv("JACK_NO_START_SERVER", "1")
        yield server


@pytest.fixture
def mortal_jack_server(need: Need, tmp_path: Path) -> Iterator[JackServer]:
    """A JACK server for one test, to be killed; only children given its `env` know it."""
    need("jackd", "jack_lsp", "jack_connect")
    with _jack("mortal", tmp_path) as server:
        yield server


@pytest.fixture
def connect_ports(jack_server: JackServer) -> Callable[[str, str], None]:
    """`connect_ports("peer:out", "Segue In:Segue In")`, both by full name."""
    return jack_server.connect


@contextmanager
def pure_data(patch: Path, *messages: str) -> Iterator[subprocess.Popen[str]]:
    """Run Pure Data without sound; messages go to its receivers."""
    quiet = ["-nogui", "-stderr", "-nrt", "-nosound", "-nomidi", "-noprefs"]
    sends = [part for message in messages for part in ("-send", message)]
    process = subprocess.Popen(
        ["pd", *quiet, "-sleepgrain", "1", *sends, str(patch)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        _end(process)


@pytest.fixture
def pd(need: Need) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`pd(patch, "segue 9100")` runs one for a test."""
    need("pd")
    with ExitStack() as stack:
        yield lambda patch, *messages: stack.enter_context(pure_data(patch, *messages))


class Child:
    """A Python program of ours in another process: lines go in, and lines come out."""

    def __init__(self, path: Path, *args: str, env: dict[str, str] | None) -> None:
        root = str(Path(__file__).parent.parent)
        self.lines: list[str] = []  # all that it has said so far
        self.process = subprocess.Popen(
            [sys.executable, str(path), *args],
            env={**(env or os.environ), "PYTHONPATH": root},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __repr__(self) -> str:
        return f"<{self.process.args[1:]} said {self.lines[-20:]}>"

    def say(self, line: str) -> None:
        """Give it one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")

    def said(self, beginning: str) -> list[str]:
        """The rest of each line that begins so, in order."""
        return [line[len(beginning) :] for line in self.lines if line.startswith(beginning)]

    def await_line(self, beginning: str) -> str:
        """Wait for a line that begins so, and return the rest of the first."""
        _eventually(lambda: self.said(beginning) or self.process.poll() is not None, beginning)
        assert self.said(beginning), f"ended with {self.process.returncode}: {self.lines}"
        return self.said(beginning)[0]

    def end(self) -> None:
        """Close its input, which ends it, and wait."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        _end(self.process)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """`child(path, *args, env=None)` runs a Python file in a process of its own."""
    with ExitStack() as stack:

        def run(path: Path, *args: str, env: dict[str, str] | None = None) -> Child:
            started = Child(path, *args, env=env)
            stack.callback(started.end)
            return started

        yield run


def _end(process: subprocess.Popen[str]) -> None:
    """Wait for a process whose time has come; help after a while."""
    for help_it in (lambda: None, process.terminate, process.kill):
        help_it()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return
