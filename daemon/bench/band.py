"""What `segue bench live` listens to: the daemon at work, and a musician who plays with it.

`PortsBand` is `segue run` as a process of its own, with the musician at the other end of real MIDI
ports. `LoopbackBand` is the same daemon in this process, for machines without MIDI. Knows how to
start, play and stop; what the figures mean is another's business.
"""

import queue
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self, TypeAlias

from bridges.loopback import Loopback
from bridges.midi import Api, InputPort, OutputPort
from bridges.osc_packets import encode
from daemon.interface.config import Config
from daemon.runtime.live import Live, World
from daemon.runtime.runtime import Runtime
from daemon.take.journal import Journal, read_journal
from daemon.take.takes import JOURNAL_SUFFIX, segue_command

HOST_COMMAND = "host/transport"
#: A cold disk, a busy machine.
PATIENCE_S = 60.0

Heard: TypeAlias = tuple[int, bytes]  # t_ns, message
Report: TypeAlias = tuple[int, float, float]  # playing, beat, bpm


class BandError(RuntimeError):
    """The daemon under measurement did not do what it should; one line says what."""


class PortsBand:
    """`segue run` behind virtual ports, and the musician's own two ports, wired to them."""

    def __init__(self, config: Config, *, api: Api, folder: Path) -> None:
        self.heard: list[Heard] = []
        self.name = api.name
        self._api = api
        self._folder = folder
        self._config = config
        self._osc_port = 0
        self._said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._last = "nothing"

    def send(self, message: bytes) -> None:
        """The musician plays a message."""
        self._out.send(message)

    def report(self, report: Report) -> None:
        """The host says where it is."""
        datagram = encode(f"/segue/{HOST_COMMAND}", report)
        self._socket.sendto(datagram, ("127.0.0.1", self._osc_port))

    def finish(self) -> Journal:
        """Stop the daemon as Ctrl-C does, and return what it wrote."""
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise BandError("segue run does not end") from None
        if code != 0:
            raise BandError(f"segue run failed: {self._last}")
        return read_journal(next(self._folder.glob(f"*{JOURNAL_SUFFIX}")))

    def __enter__(self) -> Self:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self._osc_port = free.getsockname()[1]
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._process = subprocess.Popen(
            [*segue_command(), "run", *self._flags()], stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True).start()
        try:
            names = self._await("MIDI through").split("'")
            self._await("the mind is ready")
            self._out = OutputPort(api=self._api, wanted=names[1])
            self._in = InputPort(api=self._api, wanted=names[3], receive=self._hear)
            self._out.open()
            self._in.open()
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()
        self._in.close()
        self._out.close()
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()

    def _flags(self) -> list[str]:
        session, mind = self._config.session, self._config.mind
        numbers = {
            "--bpm": session.settings.bpm,
            "--bars": session.settings.bars,
            "--meter": "/".join(map(str, session.meter)),
            "--clock": session.clock,
            "--seed": session.seed,
            "--osc-port": self._osc_port,
            "--control-port": 0,
            "--stream-port": 0,
            "--api": self._api.name.lower(),
            "--takes": self._folder,
            "--checkpoint": mind.checkpoint,
        }
        given = ((flag, str(value)) for flag, value in numbers.items() if value is not None)
        return [part for pair in given for part in pair]

    def _hear(self, t_ns: int, message: bytes) -> None:
        self.heard.append((t_ns, message))

    def _listen(self, pipe: IO[str]) -> None:
        for line in pipe:
            self._last = line.strip()
            self._said.put(self._last)
        self._said.put(None)

    def _await(self, part: str) -> str:
        while True:
            try:
                line = self._said.get(timeout=PATIENCE_S)
            except queue.Empty:
                line = None
            if line is None:
                raise BandError(f"segue run says no '{part}': {self._last}")
            if part in line:
                return line


class LoopbackBand:
    """The daemon in this process, with the musician at its loopback."""

    name = "loopback"

    def __init__(self, config: Config, *, folder: Path) -> None:
        self.heard: list[Heard] = []
        self._path = folder / f"take{JOURNAL_SUFFIX}"
        self._live = Live(config, journal=self._path, say=lambda _: None)
        self._loopback = Loopback(receive=self._live.runtime.receive_midi)
        self._loopback.listen(self._hear)
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="daemon", daemon=True)

    def send(self, message: bytes) -> None:
        """The musician plays a message."""
        self._loopback.play(message)

    def report(self, report: Report) -> None:
        """The host says where it is."""
        self._live.runtime.command(HOST_COMMAND, report)

    def finish(self) -> Journal:
        """Stop the daemon, and return what it wrote."""
        self._live.runtime.stop()
        self._thread.join(PATIENCE_S)
        if self._failed is not None:
            raise BandError(f"the daemon failed: {self._failed}")
        return read_journal(self._path)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._live.mind_ready.wait(PATIENCE_S):
            raise BandError("the mind does not start")
        return self

    def __exit__(self, *error: object) -> None:
        self._live.runtime.stop()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        try:
            self._live.run(self._world, started=lambda: None)
        except Exception as error:  # it is raised where somebody waits for the journal
            self._failed = error

    @contextmanager
    def _world(self, _: Runtime) -> Iterator[World]:
        yield World(send=self._loopback.send, publish=lambda _: None)

    def _hear(self, t_ns: int, message: bytes) -> None:
        self.heard.append((t_ns, message))
