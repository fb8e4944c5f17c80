"""How long a message is on its way: through JACK and back, through OSC to Pure Data and back.

    python -m tests.bridges.latency [ROUNDS]

Prints one JSON object, times in milliseconds. The MIDI round trip has two hops, to another process
and back; the OSC one goes from `publish` to what Pure Data says about it.
"""

import json
import os
import queue
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bridges.control import Reply
from bridges.midi import InputPort, OutputPort, choose_api
from bridges.osc import OscBridge
from tests.conftest import JackServer

HERE = Path(__file__).parent


def percentiles(times_ns: Iterable[int]) -> dict[str, float]:
    ordered = sorted(times_ns)
    return {
        f"p{share}": round(ordered[len(ordered) * share // 100] / 1e6, 3) for share in (50, 95, 99)
    }


def round_trips(rounds: int, ask: Callable[[int], int | None]) -> dict[str, float]:
    """Time `ask`, which returns when the answer came, or None for one that was lost."""
    times_ns, lost = [], 0
    for number in range(rounds):
        began_ns = time.monotonic_ns()
        came_ns = ask(number)
        if came_ns is None:
            lost += 1
        else:
            times_ns.append(came_ns - began_ns)
        time.sleep(0.007)  # so that the period of JACK is met at all its points
    return {**percentiles(times_ns), "rounds": rounds, "lost": lost}


def midi(rounds: int) -> dict[str, float]:
    heard: queue.SimpleQueue[int] = queue.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        server = JackServer(f"segue-latency-{os.getpid()}", Path(folder) / "log")
        server.start()
        os.environ["JACK_DEFAULT_SERVER"] = server.name
        echo = subprocess.Popen(
            [sys.executable, HERE / "midi_peer.py", "peer", "echo"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        try:
            api = choose_api("jack")
            with (
                OutputPort(api=api) as out,
                InputPort(api=api, receive=lambda t_ns, _: heard.put(t_ns)) as into,
            ):
                server.connect(out.name, "peer-in:in")
                server.connect("peer:out", into.name)

                def ask(number: int) -> int | None:
                    out.send(bytes((0x90, number % 128, 64)))
                    try:
                        return heard.get(timeout=0.5)
                    except queue.Empty:
                        return None

                return round_trips(rounds, ask)
        finally:
            assert echo.stdin is not None
            echo.stdin.close()
            echo.wait()
            server.stop()


def osc(rounds: int) -> dict[str, float]:
    with (
        OscBridge(handle=lambda name, args: Reply.done(), port=0) as bridge,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reports,
    ):
        reports.bind(("127.0.0.1", 0))
        reports.settimeout(10)
        quiet = ["-nogui", "-stderr", "-nrt", "-nosound", "-nomidi", "-noprefs"]
        ports = f"report {reports.getsockname()[1]}", f"segue {bridge.port}"
        sends = [part for port in ports for part in ("-send", port)]
        pd = subprocess.Popen(
            ["pd", *quiet, "-sleepgrain", "1", *sends, HERE / "host.pd"], stderr=subprocess.DEVNULL
        )
        try:
            for _ in range(4):  # what it reports of its own beginning
                reports.recv(65_535)

            def ask(number: int) -> int | None:
                bridge.publish("note", (number, 100, 0.25))
                try:
                    reports.recv(65_535)
                except TimeoutError:
                    return None
                return time.monotonic_ns()

            return round_trips(rounds, ask)
        finally:
            pd.terminate()
            pd.wait()


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(json.dumps({"midi_two_hops_ms": midi(rounds), "osc_pd_ms": osc(rounds)}))
