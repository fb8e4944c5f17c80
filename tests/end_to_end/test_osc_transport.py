"""Pure Data as a host that plays: it says over OSC where it is, each sixteenth; Segue follows."""

import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import pytest
from host_time import LATE_MS, in_time, play_until_steady
from phase import phases_ms
from stage import Event, Musician, Segue, eventually, faults, free_ports, ons, sounding, tune

from daemon.interface.events import CommandIn
from daemon.session.session import Session
from daemon.take.journal import Journal
from engine.protocol import Meter
from tests.conftest import pure_data

PATCH = Path(__file__).with_name("osc_transport.pd")
SLOW, FAST = 120.0, 150.0
NS_PER_MINUTE = 60_000_000_000
GRID = 12  # steps a beat
#: What was under way when the host stopped is heard within this, and nothing after it.
STOP_S = 0.3
LISTEN_S = 1.5

Part = tuple[int, int]  # from and until, in ns of the monotonic clock


class Host:
    """Pure Data's hand: each order is a click on one of its messages."""

    def __init__(self, port: int, hand: socket.socket) -> None:
        self._address = ("127.0.0.1", port)
        self._hand = hand

    def order(self, text: str) -> None:
        self._hand.sendto(f"{text};\n".encode(), self._address)

    def plays_with(self, daemon: Segue) -> bool:
        """Whether an order to play has reached Segue."""
        self.order("play")
        time.sleep(0.1)
        return bool(daemon.state().get("playing"))


@dataclass
class Concert:
    """What was played and heard."""

    player: Musician
    journal: Journal
    parts: dict[str, Part] = field(default_factory=dict)
    stood_still_ms: float = 0.0  # JACK, at the worst

    def truth(self, name: str, bpm: float) -> list[tuple[int, float, float]]:
        """The host's own line in a part: that of the report which came with the least delay."""
        begins_ns, ends_ns = self.parts[name]
        reports = [
            (entry.t_ns, float(entry.arguments[1]))
            for entry in self.journal.entries
            if isinstance(entry, CommandIn) and entry.name == "host/transport"
            if begins_ns < entry.t_ns < ends_ns
        ]
        ns_per_beat = NS_PER_MINUTE / bpm
        origin_ns = min(t_ns - beat * ns_per_beat for t_ns, beat in reports)
        return [(round(origin_ns + beat * ns_per_beat), beat, bpm) for _, beat in reports]

    def strikes(self, name: str) -> list[Event]:
        begins_ns, ends_ns = self.parts[name]
        return [event for event in ons(self.player.heard) if begins_ns < event.t_ns < ends_ns]

    def off_grid_ms(self, name: str, bpm: float) -> list[float]:
        """How far each of Segue's notes was heard from the host's nearest twelfth of a beat."""
        then_ns, beat, _ = self.truth(name, bpm)[0]
        places = [beat + (e.t_ns - then_ns) * bpm / NS_PER_MINUTE for e in self.strikes(name)]
        return [abs(at - round(at * GRID) / GRID) * 60_000 / bpm for at in places]


@pytest.fixture(scope="module")
def concert(segue, musician, need, tmp_path_factory) -> Concert:
    """Play, go faster, skip back by bars in time, stop, and play on in three."""
    need("pd")

    def play() -> Concert:
        daemon: Segue = segue("--bars", "1", takes=tmp_path_factory.mktemp("takes"))
        return play_with_pure_data(daemon, musician("keys", daemon))

    return play_until_steady(play, limit_ms=LATE_MS)


def play_with_pure_data(daemon: Segue, player: Musician) -> Concert:
    daemon.await_mind()
    first_ns = time.monotonic_ns()
    parts: dict[str, Part] = {}

    def trade(name: str, bpm: float, *, bars: int, bar_beats: int = 4) -> None:
        begins_ns = time.monotonic_ns()
        for _ in range(0, bars, 2):
            player.play(tune("C4 E4 G4"), bpm=bpm)
            time.sleep(2 * bar_beats * 60 / bpm)
        parts[name] = (begins_ns, time.monotonic_ns())

    (hand_port,) = free_ports(1)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hand,
        pure_data(PATCH, f"segue {daemon.osc_port}", f"hand {hand_port}"),
    ):
        host = Host(hand_port, hand)
        eventually(lambda: host.plays_with(daemon), "Pure Data plays")
        time.sleep(1)
        trade("slow", SLOW, bars=6)
        host.order(f"tempo {FAST:g}")
        time.sleep(1)
        trade("fast", FAST, bars=6)
        eventually(lambda: sounding(player.heard), "a note to be stopped")
        host.order("stop")
        daemon.await_state(playing=0)
        time.sleep(STOP_S)
        stopped_ns = time.monotonic_ns()
        time.sleep(LISTEN_S)
        parts["stopped"] = (stopped_ns, time.monotonic_ns())
        host.order("meter 3 4 48")
        host.order("beat 49")
        host.order("play")
        daemon.await_state(playing=1)
        trade("in three", FAST, bars=6, bar_beats=3)
        host.order("stop")
        daemon.await_state(playing=0)
    stood_still_ms = player.stood_still_ms(first_ns)
    assert daemon.stop() == 0
    player.leave()
    return Concert(player, daemon.journal, parts, stood_still_ms)


def p95(values: list[float]) -> float:
    return quantiles(map(abs, values), n=20)[-1]


@pytest.mark.parametrize(("part", "bpm"), [("slow", SLOW), ("fast", FAST)])
def test_the_beat_is_the_hosts_within_three_ms(concert, part, bpm):
    truth = in_time(concert, limit_ms=LATE_MS).truth(part, bpm)
    assert p95(phases_ms(concert.journal, truth)) < 3.0


@pytest.mark.parametrize(("part", "bpm"), [("slow", SLOW), ("fast", FAST)])
def test_the_answers_lie_on_the_hosts_grid(concert, part, bpm):
    off_ms = in_time(concert, limit_ms=LATE_MS).off_grid_ms(part, bpm)
    assert len(off_ms) > 5
    assert median(off_ms) < concert.player.period_ms + 3


def test_nothing_sounds_after_stop(concert):
    assert concert.strikes("stopped") == []
    assert faults(concert.player.heard) == []


def test_after_a_locate_the_bars_are_the_hosts_in_three(concert):
    session = Session(concert.journal.session)
    our_beat = host_beat = 0.0  # at the last report of the host's before it stopped
    for entry in concert.journal.entries:
        session.handle(entry)
        if isinstance(entry, CommandIn) and entry.name == "host/transport" and entry.arguments[0]:
            our_beat, host_beat = session.beat_at(entry.t_ns), float(entry.arguments[1])
    assert session.meters[-1].numerator == 3
    line = session.meters[-1].beat
    assert session.meters[-1] == Meter(line, 3, 4)
    ours, theirs = (our_beat - line) % 3, (host_beat - 48) % 3
    assert min(abs(ours - theirs), 3 - abs(ours - theirs)) < 0.25, "it may come a sixteenth late"
    assert concert.strikes("in three")
