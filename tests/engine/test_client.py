"""The client keeps a mind at hand, whatever the mind does.

The minds of these tests are real processes, but without a network: a few lines that behave well or
badly. Nothing sleeps; each test waits for the next thing that the client says.
"""

import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.child import mind_command
from engine.client import MindClient, Patience
from engine.keys import KeysError, make_keys, needs_keys
from engine.protocol import Cancel, Continue, Controls, FromMind, Lost, Ready, Refused

ROOT = Path(__file__).parents[2]
#: What a busy machine keeps waiting is borne; silence is given up soon by those who are to meet it.
SOON = Patience(
    ping_s=0.05, silence_s=20.0, loading_s=30.0, seeking_s=0.3, tick_s=0.01, backoff_s=(0.0, 0.01)
)
HASTY = replace(SOON, silence_s=0.5)
REQUEST = Continue(1, 0.0, 4.0, Controls(), 1)

#: Answers every ping; says `Refused` with what else it heard.
GOOD_MIND = """
import os, sys, threading, zmq
threading.Thread(target=lambda: os.read(0, 1) or os._exit(0), daemon=True).start()
from engine.protocol import *
from engine.wire import decode, encode
address = sys.argv[sys.argv.index("--bind") + 1]
socket = zmq.Context().socket(zmq.ROUTER)
socket.bind(address)
greeted = set()
def say(message):
    socket.send_multipart([player, encode(message)])
while True:
    player, frame = socket.recv_multipart()
    if player not in greeted:
        greeted.add(player)
        say(Ready("good", 1, os.getpid()))
    message = decode(frame)
    if isinstance(message, Ping):
        say(Pong(message.number))
    else:
        say(Refused(type(message).__name__))
"""
MIND_THAT_FAILS = "import sys; sys.exit('no strings on the guitar')"
MIND_THAT_FALLS_SILENT = GOOD_MIND.replace("say(Pong(message.number))", "threading.Event().wait()")
MIND_THAT_BABBLES = GOOD_MIND.replace(
    "say(Pong(message.number))", "socket.send_multipart([player, b'la la'])"
)


def command(program: str) -> list[str]:
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{program}"]


class Told:
    """What a client has said, one after the other."""

    def __init__(self) -> None:
        self.said: queue.Queue[FromMind] = queue.Queue()

    def next(self, kind: type) -> FromMind:
        message = self.said.get(timeout=20)
        assert isinstance(message, kind), message
        return message


Opened = Callable[..., tuple[MindClient, Told]]


@pytest.fixture
def opened() -> Iterator[Opened]:
    clients = []

    def open_client(program: str | None = None, **options: object) -> tuple[MindClient, Told]:
        told = Told()
        options.setdefault("patience", SOON)
        if program is not None:
            options["command"] = command(program)
        client = MindClient(receive=told.said.put, **options)  # type: ignore[arg-type]
        client.open()
        clients.append(client)
        return client, told

    yield open_client
    for client in clients:
        client.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_mind_is_started_talked_to_and_ended(opened: Opened) -> None:
    client, told = opened(GOOD_MIND)
    ready = told.next(Ready)
    assert isinstance(ready, Ready) and alive(ready.pid)
    client.send(REQUEST)
    assert told.next(Refused) == Refused("Continue")
    client.close()
    assert not alive(ready.pid)
    assert client.restarts == 0
    assert told.said.empty()


def test_a_mind_that_is_killed_is_lost_and_another_comes(opened: Opened) -> None:
    client, told = opened(GOOD_MIND)
    first = told.next(Ready)
    assert isinstance(first, Ready)
    os.kill(first.pid, signal.SIGKILL)
    assert told.next(Lost) == Lost("the mind was killed by signal 9")
    second = told.next(Ready)
    assert isinstance(second, Ready) and second.pid != first.pid
    client.send(Cancel(1))
    assert told.next(Refused) == Refused("Cancel")
    assert client.restarts == 1


def test_a_mind_that_cannot_start_says_why_and_is_tried_again(opened: Opened) -> None:
    client, told = opened(MIND_THAT_FAILS)
    for _ in range(3):
        lost = told.next(Lost)
        assert lost == Lost("the mind ended with code 1: no strings on the guitar")
    client.close()
    assert client.restarts >= 2


def test_a_program_that_is_not_there_is_lost(opened: Opened) -> None:
    _, told = opened(None, command=["/nowhere/mind"])
    lost = told.next(Lost)
    assert isinstance(lost, Lost) and "/nowhere/mind" in lost.reason


def test_a_mind_that_falls_silent_is_killed(opened: Opened) -> None:
    _, told = opened(MIND_THAT_FALLS_SILENT, patience=HASTY)
    first = told.next(Ready)
    assert told.next(Lost) == Lost("the mind was silent for 0.5 s")
    assert isinstance(first, Ready) and not alive(first.pid)
    told.next(Ready)


def test_a_mind_that_stops_in_its_tracks_is_killed(opened: Opened) -> None:
    _, told = opened(GOOD_MIND, patience=HASTY)
    ready = told.next(Ready)
    assert isinstance(ready, Ready)
    os.kill(ready.pid, signal.SIGSTOP)
    told.next(Lost)
    assert not alive(ready.pid)


def test_a_mind_that_babbles_is_borne(opened: Opened) -> None:
    client, told = opened(MIND_THAT_BABBLES)
    told.next(Ready)
    client.send(REQUEST)
    assert told.next(Refused) == Refused("Continue")
    assert client.restarts == 0


def test_what_is_sent_before_the_mind_is_ready_is_dropped(opened: Opened) -> None:
    client, told = opened(GOOD_MIND)
    client.send(REQUEST)
    told.next(Ready)
    client.send(Cancel(2))
    assert told.next(Refused) == Refused("Cancel")


def test_a_mind_that_takes_long_to_load_is_waited_for(opened: Opened) -> None:
    """Longer than a silence of a mind that is ready would be borne."""
    slow = f"import time; time.sleep(2 * {HASTY.silence_s})\n{GOOD_MIND}"
    client, told = opened(slow, patience=HASTY)
    told.next(Ready)
    assert client.restarts == 0


def test_nobody_at_an_address_is_said(opened: Opened) -> None:
    _, told = opened(None, address="tcp://127.0.0.1:9")
    lost = told.next(Lost)
    assert isinstance(lost, Lost) and "no mind answers at tcp://127.0.0.1:9" in lost.reason


def test_sending_and_closing_never_raise(opened: Opened) -> None:
    client, _ = opened(GOOD_MIND)
    client.close()
    client.close()
    client.send(REQUEST)


def test_the_mind_dies_with_its_player() -> None:
    """A player that is killed with -9 leaves no mind behind."""
    player = (
        "import os, queue, sys, time\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from engine.client import MindClient\n"
        "said = queue.Queue()\n"
        f"client = MindClient(receive=said.put, command={command(HELD_BY_STDIN)!r})\n"
        "client.open()\n"
        "print(said.get().pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", player], capture_output=True, text=True, timeout=30, check=False
    )
    pid = int(done.stdout)
    until = time.monotonic() + 10
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not alive(pid)


#: The part of the real server that ends it, around a mind without a network.
HELD_BY_STDIN = f"from engine.server import _live_as_child\n_live_as_child()\n{GOOD_MIND}"


@pytest.mark.parametrize(
    ("address", "needed"),
    [
        ("ipc:///run/segue/mind", False),
        ("inproc://mind", False),
        ("tcp://127.0.0.1:7340", False),
        ("tcp://127.0.0.9:7340", False),
        ("tcp://[::1]:7340", False),
        ("tcp://localhost:7340", False),
        ("tcp://*:7340", True),
        ("tcp://0.0.0.0:7340", True),
        ("tcp://192.168.1.5:7340", True),
        ("tcp://studio.local:7340", True),
        ("tcp://eth0:7340", True),
        ("tcp://[::]:7340", True),
        ("nonsense", True),
    ],
)
def test_what_can_be_reached_from_elsewhere_needs_keys(address: str, needed: bool) -> None:
    assert needs_keys(address) == needed


def test_a_far_mind_without_keys_is_refused_at_once() -> None:
    client = MindClient(receive=print, address="tcp://192.168.1.5:7340")
    with pytest.raises(KeysError, match="segue engine --make-keys"):
        client.open()
    client.close()


def test_keys_are_private_and_never_written_over(tmp_path: Path) -> None:
    make_keys(tmp_path / "keys")
    for secret in (tmp_path / "keys").glob("*_secret"):
        assert secret.stat().st_mode & 0o077 == 0
    with pytest.raises(KeysError, match="there already"):
        make_keys(tmp_path / "keys")
    client = MindClient(receive=print, address="tcp://10.0.0.1:1", keys=tmp_path)
    with pytest.raises(KeysError, match=r"no usable player\.key_secret"):
        client.open()


def test_the_default_command_knows_its_own_folder() -> None:
    assert str(ROOT) in mind_command("--threads", "2")[3]
    assert mind_command("--threads", "2")[-2:] == ["--threads", "2"]
