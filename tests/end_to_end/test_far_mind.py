"""A mind at an address: Segue plays without it, finds it when it comes, goes on when it goes."""

import signal
import subprocess

import pytest
from stage import eventually, faults, free_ports, ons, trades

from daemon.interface.events import MindIn
from daemon.take.takes import segue_command
from engine.protocol import Drafted

BPM = 180


@pytest.fixture
def mind(tiny):
    """`mind(address)` starts `segue engine` there."""
    started = []

    def start(address):
        command = [*segue_command(), "engine", "--bind", address, "--checkpoint", str(tiny)]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_it_is_found_when_it_comes_and_missed_when_it_goes(segue, musician, mind, tmp_path):
    (port,) = free_ports(1)
    address = f"tcp://127.0.0.1:{port}"
    daemon = segue("--bars", "1", "--bpm", str(BPM), "--mind", address, takes=tmp_path)
    player = musician("keys", daemon)
    player.play(trades("C4 E4 G4 C5", bars=1, turns=8), bpm=BPM)
    player.await_heard(1, "the stand-in's answer")
    assert daemon.state()["mind"] == "loading"
    process = mind(address)
    daemon.await_mind()
    eventually(lambda: drafts(daemon), "a note of the mind's")
    process.send_signal(signal.SIGKILL)
    daemon.await_state(mind="lost")
    struck = len(ons(player.heard))
    player.await_heard(struck + 2, "the stand-in's answer")
    assert daemon.stop() == 0
    assert faults(player.heard) == []


def drafts(daemon):
    said = [entry.value for entry in daemon.journal.entries if isinstance(entry, MindIn)]
    return [value for value in said if isinstance(value, Drafted)]
