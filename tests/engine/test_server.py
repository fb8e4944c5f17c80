"""The real mind: its process, its socket, a tiny network, and a client that loses it."""

import argparse
import os
import queue
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import zmq

from engine.child import mind_command
from engine.client import MindClient, Patience
from engine.keys import make_keys, player_keys
from engine.protocol import (
    Cancel,
    Continue,
    Controls,
    Drafted,
    Finished,
    FromMind,
    Lost,
    Meter,
    Note,
    Ping,
    Pong,
    Prompt,
    Ready,
    Refused,
)
from engine.server import add_arguments
from engine.wire import decode, encode
from models.checkpoint import Checkpoint, save_checkpoint
from models.network import Network, NetworkConfig
from models.vocabulary import standard_vocabulary

TUNE = tuple((beat, Note(float(beat), 60 + beat % 5, 1.0, 80)) for beat in range(16))
SESSION = Prompt(TUNE, (), (Meter(0.0, 4, 4),), reset=True)
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    vocabulary = standard_vocabulary()
    config = NetworkConfig(
        vocabulary=len(vocabulary), layers=2, width=32, heads=2, ffn=48, context=512
    )
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    save_checkpoint(path, Checkpoint(Network(config), vocabulary, {}))
    return path


def request(epoch: int, *, beats: float = 4.0, seed: int = 5) -> Continue:
    return Continue(epoch, 16.0, 16.0 + beats, Controls(), seed)


class Told:
    """What the mind has said, one after the other."""

    def __init__(self) -> None:
        self.said: queue.Queue[FromMind] = queue.Queue()

    def until(self, kind: type) -> list[FromMind]:
        """All that is said up to the first of a kind."""
        found: list[FromMind] = []
        while not found or not isinstance(found[-1], kind):
            found.append(self.said.get(timeout=TIMEOUT_S))
        return found


def test_it_answers_is_superseded_dies_and_comes_back(checkpoint: Path) -> None:
    told = Told()
    command = mind_command("--checkpoint", str(checkpoint))
    patience = Patience(tick_s=0.01, silence_s=TIMEOUT_S)
    with MindClient(receive=told.said.put, command=command, patience=patience) as client:
        (ready,) = told.until(Ready)
        assert isinstance(ready, Ready) and ready.model == "tiny" and ready.parameters > 10_000

        os.kill(
            ready.pid, signal.SIGINT
        )  # Ctrl-C reaches both; the mind outlives its player's stop
        client.send(SESSION)
        client.send(request(1))
        *drafted, finished = told.until(Finished)
        notes = [said.note for said in drafted if isinstance(said, Drafted)]
        assert len(notes) == len(drafted) > 0
        assert notes[0].onset == 16.0 and notes == sorted(notes)
        assert isinstance(finished, Finished) and not finished.cancelled
        assert len(finished.note_ms) == len(notes)

        # An endless answer, and a newer request in the middle of it.
        client.send(request(2, beats=1e6))
        told.until(Drafted)
        client.send(request(3))
        *_, superseded = told.until(Finished)
        assert isinstance(superseded, Finished)
        assert (superseded.epoch, superseded.cancelled) == (2, True)
        *again, finished = told.until(Finished)
        assert isinstance(finished, Finished) and finished.epoch == 3
        assert [said.note for said in again if isinstance(said, Drafted)] == notes

        client.send(request(4, beats=1e6))
        told.until(Drafted)
        client.send(Cancel(4))
        told.until(Finished)

        client.send(request(5, beats=1e6))
        told.until(Drafted)
        os.kill(ready.pid, signal.SIGKILL)
        *_, lost = told.until(Lost)
        assert lost == Lost("the mind was killed by signal 9")
        *_, back = told.until(Ready)
        assert isinstance(back, Ready) and back.pid != ready.pid
        client.send(SESSION)
        client.send(request(6))
        *drafted, _ = told.until(Finished)
        assert [said.note for said in drafted if isinstance(said, Drafted)] == notes
        assert client.restarts == 1


Started = Callable[..., tuple["subprocess.Popen[str]", str]]


@pytest.fixture
def started(checkpoint: Path) -> Iterator[Started]:
    """Start a mind of its own at a free port, as one would for another machine."""
    processes = []

    def start(*options: str) -> tuple["subprocess.Popen[str]", str]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        command = mind_command("--bind", address, "--checkpoint", str(checkpoint), *options)
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process, address

    yield start
    for process in processes:
        process.kill()
        process.communicate()


class Player:
    """A player that speaks in frames."""

    def __init__(self, socket: "zmq.Socket[bytes]", address: str) -> None:
        self.socket = socket
        self.socket.linger = 0
        self.socket.connect(address)

    def say(self, *frames: bytes) -> None:
        self.socket.send_multipart(frames)

    def hears(self) -> FromMind:
        assert self.socket.poll(TIMEOUT_S * 1000), "the mind says nothing"
        return decode(self.socket.recv())  # type: ignore[return-value]


@pytest.fixture
def dealers() -> Iterator[list["zmq.Socket[bytes]"]]:
    """Two sockets to speak with."""
    with (
        zmq.Context() as context,
        context.socket(zmq.DEALER) as first,
        context.socket(zmq.DEALER) as second,
    ):
        yield [first, second]


def test_bad_frames_are_refused_and_the_music_goes_on(
    started: Started, dealers: list["zmq.Socket[bytes]"]
) -> None:
    process, address = started()
    player = Player(dealers[0], address)
    player.say(b"hello?")
    assert isinstance(player.hears(), Ready)
    assert isinstance(player.hears(), Refused)
    for frames in ([b"\xff\x00"], [b'["Ping", 1]', b"and more"], [b'["Pong", 1]'], [b""]):
        player.say(*frames)
        assert isinstance(player.hears(), Refused)
    player.say(encode(SESSION))
    player.say(encode(request(1)))
    assert isinstance(player.hears(), Drafted)

    # A second player takes the mind over; the first one is told, once for each ping.
    later = Player(dealers[1], address)
    later.say(encode(Ping(1)))
    assert isinstance(later.hears(), Ready)
    assert later.hears() == Pong(1)
    player.say(encode(Ping(2)))
    while not isinstance(said := player.hears(), Refused):
        pass
    assert "came later" in said.reason
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT_S) == 0


def test_with_keys_only_who_holds_them_is_heard(
    started: Started, dealers: list["zmq.Socket[bytes]"], tmp_path: Path
) -> None:
    make_keys(tmp_path / "keys")
    make_keys(tmp_path / "others")
    _, address = started("--keys", str(tmp_path / "keys"))
    told = Told()
    stranger = dealers[0]
    stranger.linger = 0
    own = player_keys(tmp_path / "others")
    stranger.curve_publickey, stranger.curve_secretkey = own.public, own.secret
    stranger.curve_serverkey = player_keys(tmp_path / "keys").mind
    stranger.connect(address)
    stranger.send(encode(Ping(1)))
    with MindClient(receive=told.said.put, address=address, keys=tmp_path / "keys") as client:
        told.until(Ready)
        client.send(SESSION)
        client.send(request(1))
        told.until(Finished)
    assert not stranger.poll(0)


def run(*options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        mind_command(*options), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def test_an_open_door_without_keys_is_refused() -> None:
    done = run("--bind", "tcp://0.0.0.0:7340")
    assert done.returncode == 2
    assert "segue engine --make-keys DIR" in done.stderr and done.stderr.count("\n") == 1


def test_a_checkpoint_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    done = run("--bind", f"ipc://{tmp_path}/m", "--checkpoint", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "there is no checkpoint" in done.stderr and done.stderr.count("\n") == 1


def test_an_address_that_is_taken_is_said_in_one_line(checkpoint: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        done = run("--bind", address, "--checkpoint", str(checkpoint))
    assert done.returncode == 1
    assert f"cannot listen at {address}" in done.stderr and done.stderr.count("\n") == 1


def test_keys_are_made_from_the_command_line(tmp_path: Path) -> None:
    assert run("--make-keys", str(tmp_path / "keys")).returncode == 0
    assert player_keys(tmp_path / "keys").secret
    assert run("--make-keys", str(tmp_path / "keys")).returncode == 2


def test_the_options_have_a_place_in_a_parser() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args([])
    assert args.bind.startswith("tcp://127.0.0.1:") and args.threads == 1
    assert sys.executable in mind_command()
