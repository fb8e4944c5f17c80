"""The stage of the end-to-end tests: Segue and a musician, each in a process of its own.

    segue = Segue("--bars", "1", takes=folder, checkpoint=tiny)     `segue run`
    musician = Musician("keys")                                     jack_player.py
    musician.play(tune("C4 E4 G4"), bpm=160)
    assert faults(musician.heard) == []

Knows processes, lines and MIDI messages. What has to be heard is the tests' business.
"""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import zmq
from host_time import stood_still_ms

from bridges.control import BridgeError, Reply
from bridges.zeromq import request
from daemon.cli.progress import NOTE_NAMES, note_name
from daemon.take.journal import Journal, read_journal
from daemon.take.take import take_of
from daemon.take.takes import segue_command
from engine.meter import BEAT_TOLERANCE

JACK_PLAYER = Path(__file__).with_name("jack_player.py")
ROOT = Path(__file__).resolve().parents[2]
NS_PER_S = 1_000_000_000
#: Far beyond what anything here takes; a machine that trains beside the tests is slow.
PATIENCE_S = 60.0
#: So far beside its bar a note may be heard, in beats: a clock can be read a tick off, and ripples.
BESIDE = 0.1
STATE = ("mode", "phase", "bars", "bpm", "playing", "mind", "clock", "beat")

Score = list[tuple[float, bytes]]  # (beat, message)


def tune(
    names: str, *, beat: float = 0.0, step: float = 1.0, length: float = 0.75, velocity: int = 80
) -> Score:
    """`tune("C4 E4 G4+C5")`: a note or chord on each step, as messages in order."""
    score: Score = []
    for number, chord in enumerate(names.split()):
        at = beat + number * step
        for name in chord.split("+"):
            pitch = NOTE_NAMES.index(name[:-1]) + 12 * (int(name[-1]) + 1)
            score.append((at, bytes((0x90, pitch, velocity))))
            score.append((at + length * step, bytes((0x80, pitch, 64))))
    return sorted(score, key=lambda item: (item[0], item[1][0]))


def trades(names: str, *, bars: int, turns: int, bar_beats: float = 4.0) -> Score:
    """The same tune in each of the player's turns, `bars` bars each."""
    turn = 2 * bars * bar_beats
    return [item for number in range(turns) for item in tune(names, beat=number * turn)]


@dataclass(frozen=True, slots=True)
class Event:
    """One message as the musician played or heard it."""

    frame: int
    t_ns: int
    beat: float | None  # of JACK's transport
    message: bytes

    @property
    def is_on(self) -> bool:
        """Whether it strikes a note."""
        return self.message[0] & 0xF0 == 0x90 and self.message[2] > 0

    @property
    def is_off(self) -> bool:
        """Whether it releases one."""
        return self.message[0] & 0xF0 in (0x80, 0x90) and not self.is_on


def ons(events: Iterable[Event]) -> list[Event]:
    """The strikes among `events`."""
    return [event for event in events if event.is_on]


def sounding(events: Iterable[Event]) -> set[int]:
    """The pitches that sound after `events`."""
    pitches: set[int] = set()
    for event in events:
        if event.is_on:
            pitches.add(event.message[1])
        elif event.is_off:
            pitches.discard(event.message[1])
    return pitches


def faults(events: Sequence[Event]) -> list[str]:
    """What no listener should hear: a note struck while it sounds, or never released."""
    found: list[str] = []
    for index, event in enumerate(events):
        if event.is_on and event.message[1] in sounding(events[:index]):
            found.append(f"{note_name(event.message[1])} is struck while it sounds")
    return found + [f"{note_name(pitch)} hangs" for pitch in sorted(sounding(events))]


def eventually(holds: Callable[[], object], what: str, *, timeout_s: float = PATIENCE_S) -> None:
    """Wait until something holds; AssertionError at the deadline."""
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.01)


class Process:
    """A process whose lines are kept with the time at which they came."""

    def __init__(self, command: Sequence[str], *, env: dict[str, str] | None, speaks: str) -> None:
        self.began_s = time.monotonic()
        self.lines: list[tuple[float, str]] = []  # (seconds since it began, line)
        self._process = subprocess.Popen(
            command,
            env={**(env or os.environ), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            text=True,
            bufsize=1,
            **{speaks: subprocess.PIPE},
        )
        pipe = self._process.stderr if speaks == "stderr" else self._process.stdout
        assert pipe is not None
        self._reader = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """Its exit code, or None while it lives."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for its end; return its exit code. All it said is in `lines` then."""
        code = self._process.wait(timeout_s)
        self._reader.join()
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        return code

    def kill(self) -> None:
        """The way a crash ends it."""
        if self.ended is None:
            self._process.kill()
        self.wait()

    def said(self, part: str) -> list[str]:
        """The lines that have `part` in them."""
        return [line for _, line in self.lines if part in line]

    def await_line(self, part: str, *, count: int = 1, timeout_s: float = PATIENCE_S) -> str:
        """Wait until `count` lines have `part` in them; return the last of these."""

        def enough() -> bool:
            return len(self.said(part)) >= count or self.ended is not None

        eventually(enough, part, timeout_s=timeout_s)
        if self.ended is not None:
            self._reader.join()
        found = self.said(part)
        assert len(found) >= count, f"{part!r} was not said: {self.lines}"
        return found[count - 1]

    def when_s(self, part: str) -> float:
        """Seconds from its beginning to the first line with `part` in it."""
        return next(s for s, line in self.lines if part in line)

    def _read(self, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                self.lines.append((time.monotonic() - self.began_s, line.rstrip("\n")))
                self._heard_line(line.split())

    def _heard_line(self, words: list[str]) -> None:
        """Hook for those who understand the lines."""


class Segue(Process):
    """`segue run`, with remote control at ports of its own."""

    def __init__(
        self,
        *options: str,
        takes: Path,
        checkpoint: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.osc_port, self.control_port, self.stream_port = free_ports(3)
        self.takes = takes
        self.control_address = f"tcp://127.0.0.1:{self.control_port}"
        self.stream_address = f"tcp://127.0.0.1:{self.stream_port}"
        ports = {"osc": self.osc_port, "control": self.control_port, "stream": self.stream_port}
        flags = [part for name, port in ports.items() for part in (f"--{name}-port", str(port))]
        mind = ["--checkpoint", str(checkpoint)] if checkpoint else []
        command = [*segue_command(), "run", "--takes", str(takes), *flags, *mind, *options]
        super().__init__(command, env=env, speaks="stderr")

    @property
    def ports(self) -> tuple[str, str]:
        """The full names of its input and its output port."""
        words = self.await_line("MIDI through").split("'")
        return words[1], words[3]

    @property
    def journal_path(self) -> Path:
        """The newest journal in its folder of takes."""
        return max(self.takes.glob("*.journal"), key=lambda path: path.stat().st_mtime_ns)

    @property
    def journal(self) -> Journal:
        """Its journal as it stands on disk."""
        return read_journal(self.journal_path)

    def command(self, name: str, *arguments: int | float | str) -> Reply:
        """Give it a command over ZeroMQ."""
        return request(self.control_address, name, arguments, timeout_s=PATIENCE_S)

    def state(self) -> dict[str, Any]:
        """Its state by name; nothing while it has none, or cannot be reached."""
        with suppress(BridgeError):
            return dict(zip(STATE, self.command("state").values, strict=False))
        return {}

    def await_state(self, timeout_s: float = PATIENCE_S, **wanted: object) -> None:
        """Wait until its state is as wanted."""
        eventually(lambda: wanted.items() <= self.state().items(), f"{wanted}", timeout_s=timeout_s)

    def await_mind(self, *, count: int = 1) -> None:
        """Wait until a mind is ready for the `count`th time, and has been told what was played."""
        self.await_line("the mind is ready", count=count)
        self.await_state(mind="ready")

    def stop(self) -> int:
        """End it as Ctrl-C does; return its exit code."""
        if self.ended is None:
            self.signal(signal.SIGINT)
        return self.wait()

    def mind_pid(self) -> int:
        """The process id of the mind that it has started."""
        return child_of(self.pid, "engine.server")

    def leave(self) -> None:
        """End it, in whatever state it is, and rather in order: JACK waits for a killed client."""
        if self.ended is None:
            self.signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.wait(20)
        self.kill()

    def follow(self, topic: str) -> Iterator[list[Any]]:
        """The values of all that the stream has on a topic, from now on, as it comes."""
        with zmq.Context() as context, context.socket(zmq.SUB) as stream:
            stream.linger = 0
            stream.rcvtimeo = int(PATIENCE_S * 1e3)
            stream.subscribe(topic)
            stream.connect(self.stream_address)
            while True:
                yield json.loads(stream.recv_multipart()[1])

    def collect(self, topic: str) -> list[list[Any]]:
        """A list to which is added what the stream has on a topic, from now on."""
        values: list[list[Any]] = []

        def listen() -> None:
            with suppress(zmq.Again):  # it has been silent for long: nobody listens any more
                values.extend(self.follow(topic))

        threading.Thread(target=listen, daemon=True).start()
        return values


class Musician(Process):
    """The other process at JACK. `wire` connects him to Segue."""

    def __init__(self, name: str, *, env: dict[str, str] | None = None) -> None:
        self.name = name
        self.played: list[Event] = []
        self.heard: list[Event] = []
        self._places: list[float | None] = []
        self._clock: list[tuple[int, int]] = []  # (t_ns, JACK's frame)
        self._env = env
        super().__init__([sys.executable, str(JACK_PLAYER), name], env=env, speaks="stdout")
        words = self.await_line("rate ").split()
        self.rate, self.period = int(words[1]), int(words[3])

    @property
    def period_ms(self) -> float:
        """How long a period of the server lasts."""
        return self.period / self.rate * 1e3

    def stood_still_ms(self, begin_ns: int, end_ns: int | None = None) -> float:
        """How long JACK stood still, at the worst, between two times of the clock on the wall."""
        end_ns = end_ns or time.monotonic_ns()
        eventually(lambda: self._clock and self._clock[-1][0] >= end_ns, "JACK goes on")
        samples = [(t_ns, frame * NS_PER_S // self.rate) for t_ns, frame in self._clock]
        return stood_still_ms(samples, begin_ns, end_ns)

    def wire(self, segue: Segue) -> None:
        """Connect both of his ports to Segue's."""
        into, out = segue.ports
        self._connect(f"{self.name}:out", into)
        self._connect(out, f"{self.name}:in")

    def play(self, score: Score, *, bpm: float) -> None:
        """Play a score; returns at once."""
        timed = [[beat * 60 / bpm, message.hex()] for beat, message in score]
        self._wish({"play": timed})

    def play_now(self, *messages: str) -> None:
        """Play messages, given in hex, in the next period."""
        self._wish({"now": messages})

    def await_heard(self, count: int, what: str, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until he has heard so many strikes."""
        eventually(lambda: len(ons(self.heard)) >= count, what, timeout_s=timeout_s)

    def beat(self) -> float | None:
        """Where JACK's transport is now, in beats; None while it stands still."""
        asked = len(self._places)
        self._wish({"where": []})
        eventually(lambda: len(self._places) > asked, "where the transport is")
        return self._places[asked]

    def leave(self) -> None:
        """Let him end."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self.wait()

    def _wish(self, wish: dict[str, object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(wish) + "\n")

    def _connect(self, source: str, destination: str) -> None:
        command = ["jack_connect", source, destination]
        for _ in range(20):  # a busy server turns some clients down
            done = subprocess.run(
                command, env=self._env, capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(f"{command}: {done.stderr}")

    def _heard_line(self, words: list[str]) -> None:
        beat = None if words[3:4] in ([], ["-"]) else float(words[3])
        if words[0] == "at":
            self._places.append(beat)
        elif words[0] == "clock":
            self._clock.append((int(words[2]), int(words[1])))
        elif words[0] in ("played", "heard"):
            event = Event(int(words[1]), int(words[2]), beat, bytes.fromhex(words[4]))
            (self.played if words[0] == "played" else self.heard).append(event)


class Grid:
    """The beats of the musician, counted from the first note he played."""

    def __init__(self, musician: Musician, *, bpm: float) -> None:
        eventually(lambda: musician.played, "the first note")
        self.origin_ns = musician.played[0].t_ns
        self._ns_per_beat = 60 * NS_PER_S / bpm

    def beat(self, event: Event) -> float:
        """Where an event lies."""
        return (event.t_ns - self.origin_ns) / self._ns_per_beat

    def late_ms(self, event: Event, beat: float) -> float:
        """How long after `beat` an event came; less than 0 if before."""
        return (event.t_ns - self.origin_ns - beat * self._ns_per_beat) / 1e6

    def now(self) -> float:
        """The beat by the clock on the wall."""
        return (time.monotonic_ns() - self.origin_ns) / self._ns_per_beat

    def await_beat(self, beat: float) -> None:
        """Sleep until the music has come so far."""
        due_ns = self.origin_ns + beat * self._ns_per_beat
        time.sleep(max(0.0, (due_ns - time.monotonic_ns()) / NS_PER_S))


def between(events: Iterable[Event], grid: Grid, start: float, end: float) -> list[Event]:
    """The events from beat `start` to before beat `end`."""
    return [event for event in events if start <= grid.beat(event) < end]


def first_of_bars(beats: Sequence[float], *, bar_beats: float = 4.0) -> list[int]:
    """Of notes of one voice, in order: the number of each that is the first of its bar.

    It may come a little early, and the last of the bar before a little after its end.
    """
    found: list[int] = []
    line = -math.inf
    for number, beat in enumerate(beats):
        if not line - BESIDE <= beat < line + bar_beats + BESIDE:
            line = (beat + BESIDE) // bar_beats * bar_beats
            found.append(number)
    return found


def bars_of_segue(journal: Journal, *, bar_beats: float = 4.0) -> set[int]:
    """The bars that Segue has put notes in, counted from 0, by its journal.

    What it has put on the last place of a bar may be heard in the next one, on a busy machine.
    """
    return {int(note.onset / bar_beats + BEAT_TOLERANCE) for note in take_of(journal).segue}


def child_of(pid: int, part: str) -> int:
    """The child of process `pid` that has `part` in its command line; waits until there is one."""
    found: list[int] = []

    def look() -> bool:
        found[:] = [child for child in children(pid) if part in command_line(child)]
        return bool(found)

    eventually(look, f"a child of {pid} with {part!r}")
    return found[0]


def children(pid: int) -> Iterator[int]:
    """The child processes of `pid`."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            yield from map(int, (task / "children").read_text().split())


def command_line(pid: int) -> str:
    """What `pid` was started with; empty when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def free_ports(count: int) -> list[int]:
    """So many ports of this machine that nobody uses, over TCP or UDP."""
    with ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            tcp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            tcp.bind(("127.0.0.1", 0))
            with suppress(OSError):
                udp.bind(tcp.getsockname())
                found.append(tcp.getsockname()[1])
        return found
