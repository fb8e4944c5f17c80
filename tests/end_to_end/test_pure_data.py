"""Pure Data as the host: it gives orders over OSC and hears what Segue says and plays.

osc_host.pd does the OSC, both ways. These tests speak to it in its own plain text, as a hand that
clicks on its messages would, and read what it reports.
"""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Musician, Segue, eventually, faults, free_ports, ons, sounding, tune

PATCH = Path(__file__).with_name("osc_host.pd")
BPM = 180
#: In silence long enough for some notes, if there were any.
LISTEN_S = 1.5
#: What had been sent before is heard within this, whatever the machine does.
UNDER_WAY_NS = 500_000_000


class Host:
    """Pure Data, and what it has reported so far."""

    def __init__(self, hand_port: int, report: socket.socket) -> None:
        self._hand = ("127.0.0.1", hand_port)
        self._report = report
        self._reports: list[list[str]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def order(self, text: str) -> None:
        """Click on a message."""
        self._report.sendto(f"{text};\n".encode(), self._hand)

    def said(self, topic: str, *values: str) -> list[list[str]]:
        """The values of all that came from Segue and begins so."""
        beginning = [topic, *values]
        return [words[1:] for words in self._reports if words[: len(beginning)] == beginning]

    def await_said(self, topic: str, *values: str) -> list[str]:
        """Wait for what begins so; the newest of it."""
        eventually(lambda: self.said(topic, *values), f"{topic} {values}")
        return self.said(topic, *values)[-1]

    def close(self) -> None:
        """Listen no more."""
        self._report.sendto(b"", self._report.getsockname())
        self._reader.join()

    def _read(self) -> None:
        while text := self._report.recv(65_536).decode():
            # Pure Data ends a message with a semicolon, and has a backslash before a text's spaces.
            lines = text.replace("\\", "").replace(";\n", "\n").splitlines()
            self._reports += [line.split() for line in lines]


@pytest.fixture(scope="module")
def daemon(segue, tmp_path_factory) -> Segue:
    """One Segue for all of them."""
    daemon = segue("--bpm", str(BPM), "--bars", "4", takes=tmp_path_factory.mktemp("takes"))
    daemon.await_mind()
    return daemon


@pytest.fixture(scope="module")
def player(daemon, musician) -> Musician:
    """One musician."""
    return musician("keys", daemon)


@pytest.fixture
def host(pd, daemon) -> Iterator[Host]:
    """Pure Data, connected to Segue and subscribed."""
    (hand_port,) = free_ports(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as report:
        report.bind(("127.0.0.1", 0))
        host = Host(hand_port, report)
        try:
            port = report.getsockname()[1]
            pd(PATCH, f"report {port}", f"segue {daemon.osc_port}", f"hand {hand_port}")
            eventually(lambda: awake(host), "Pure Data")
            host.order("subscribe")
            host.await_said("reply", "subscribe")
            yield host
        finally:
            host.close()


def awake(host: Host) -> bool:
    """Whether a ping comes back all the way."""
    host.order("ping")
    time.sleep(0.05)
    return bool(host.said("pong"))


def test_it_sets_what_segue_plays_by_and_hears_the_state(host, daemon):
    host.order("bars 2")
    host.order("temperature 0.5")
    host.order("mode answer")
    assert host.await_said("reply", "bars") == ["bars", "2"]
    assert host.await_said("reply", "temperature") == ["temperature", "0.5"]
    assert host.await_said("reply", "mode") == ["mode", "answer"]
    mode, phase, bars, bpm, playing, *_ = host.await_said("state", "answer", "idle", "2")
    assert (mode, phase, bars, bpm, playing) == ("answer", "idle", "2", str(BPM), "0")
    daemon.await_state(mode="answer", bars=2)


def test_nonsense_is_answered_and_changes_nothing(host, daemon):
    before = daemon.state()
    host.order("bars 0")
    host.order("mode jazz")
    host.order("nonsense 1 2 3")
    host.await_said("error", "bars", "takes", "1", "to", "64,")
    host.await_said("error", "mode", "takes", "off|trade|answer|follow,")
    host.await_said("error", "no", "command")
    assert len(host.said("error")) == 3
    assert daemon.state() == before


def test_it_hears_both_voices_and_what_is_planned(host, player):
    host.order("mode off")
    host.await_said("state", "off")
    player.play(tune("C4 E4 G4 C5"), bpm=BPM)
    host.await_said("played", "player", "72", "80")
    host.await_said("released", "player", "72")
    host.order("takeover")
    host.await_said("handover", "segue")
    eventually(lambda: planned_and_played(host), "a note that was planned")
    host.order("handback")
    host.await_said("handover", "player")
    eventually(lambda: not sounding(player.heard), "silence")


def planned_and_played(host: Host) -> list[list[str]]:
    """Segue's notes (pitch, velocity, beat) that were said to be planned, and then to be played."""
    planned = [words[1:4] for words in host.said("planned")]
    return [words[1:] for words in host.said("played", "segue") if words[1:] in planned]


def test_takeover_handback_and_panic_start_and_stop_it(host, player):
    host.order("mode off")
    player.play(tune("C4 E4 G4 C5"), bpm=BPM)
    host.await_said("played", "player", "72")
    for stop in ("handback", "panic"):
        already = len(ons(player.heard))
        host.order("takeover")
        player.await_heard(already + 1, "it plays")
        host.order(stop)
        host.await_said("reply", stop)
        replied_ns = time.monotonic_ns()
        eventually(lambda: not sounding(player.heard), "it is silent", timeout_s=2)
        time.sleep(LISTEN_S)
        late_ns = [event.t_ns - replied_ns for event in ons(player.heard)]
        assert max(late_ns) < UNDER_WAY_NS
    assert faults(player.heard) == []
