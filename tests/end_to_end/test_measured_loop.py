"""`segue calibrate` through a real JACK server: Segue's output wired to its own input."""

import json
import re
import subprocess
import time
import tomllib
from dataclasses import dataclass
from typing import Any

import pytest
from host_time import LATE_MS, in_time, play_until_steady
from stage import Musician

from daemon.interface.config import Config
from daemon.take.takes import segue_command
from tests.conftest import JackServer


def calibrate(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*segue_command(), "calibrate", "--api", "jack", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wire_when_it_waits(process: subprocess.Popen[str], jack_server: JackServer) -> str:
    """Connect the two ports that the waiting line names; return the line."""
    assert process.stderr is not None
    line = process.stderr.readline()
    jack_server.connect(*re.findall("'(.*?)'", line))
    return line


@dataclass(frozen=True)
class Measured:
    """What it said, and how steady JACK was meanwhile."""

    waited: str
    figures: dict[str, Any]
    stood_still_ms: float


def measure(watch: Musician, jack_server: JackServer) -> Measured:
    begin_ns = time.monotonic_ns()
    process = calibrate("--notes", "20", "--json")
    waited = wire_when_it_waits(process, jack_server)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    return Measured(waited, json.loads(stdout), watch.stood_still_ms(begin_ns))


def test_a_loop_through_jack_takes_a_few_periods(musician, jack_server):
    watch = musician("watch")
    measured = play_until_steady(lambda: measure(watch, jack_server), limit_ms=LATE_MS)
    assert "waiting from 'Segue Out:Segue Out' to 'Segue In:Segue In'" in measured.waited
    figures = in_time(measured, limit_ms=LATE_MS).figures
    assert (figures["notes"], figures["lost"]) == (20, 0)
    assert 0 < figures["loop_ms"]["p50"] < 50
    half = figures["loop_ms"]["p50"] / 2
    assert figures["input_latency_ms"] == pytest.approx(half, abs=0.1)
    assert figures["ports"] == {
        "api": "JACK",
        "in": "Segue In:Segue In",
        "out": "Segue Out:Segue Out",
    }


def test_its_lines_can_be_copied_into_a_configuration(jack_server):
    process = calibrate("--notes", "3", "--split", "output")
    wire_when_it_waits(process, jack_server)
    stdout, _ = process.communicate(timeout=60)
    (lines,) = re.findall(r"^\[ports\]\n(?:\w+ = .*\n)+", stdout, re.MULTILINE)
    ports = Config.from_table(tomllib.loads(lines)).ports
    assert ports.input_latency_ms == 0 < ports.output_latency_ms


@pytest.mark.usefixtures("jack_server")
def test_without_a_cable_it_says_what_to_connect():
    process = calibrate("--wait", "0.1")
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (1, "")
    (line,) = stderr.splitlines()
    assert line.startswith("segue calibrate: nothing comes back from 'Segue Out")
    assert "connect them" in line
