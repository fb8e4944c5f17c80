"""How `segue run` starts and how it ends: the ready line, Ctrl-C, SIGTERM, and a second Ctrl-C."""

import os
import signal
import time

import pytest
from stage import Grid, Segue, child_of, eventually, faults, ons, sounding, trades, tune

from daemon.cli.run import GRACE_S
from daemon.interface.events import MindIn
from daemon.take.take import take_of
from engine.protocol import Drafted

BPM = 180
BAR = 4.0  # beats


@pytest.fixture
def answering(segue, musician, tmp_path):
    """`answering("keys")`: a Segue that sounds in the middle of a long answer, and who hears it."""

    def start(name):
        daemon = segue("--bars", "8", "--bpm", str(BPM), takes=tmp_path)
        player = musician(name, daemon)
        daemon.await_mind()
        player.play(tune("C4 E4 G4 C5"), bpm=BPM)
        eventually(lambda: player.played, "the first key")  # with it the music begins
        daemon.command("takeover")
        eventually(lambda: sounding(player.heard), "a note of the answer")
        return daemon, player

    return start


@pytest.fixture
def loading(jack_server, tiny, tmp_path):
    """A Segue that is ready, and whose mind is not: it was stopped as soon as it was there."""
    options = ("--api", "jack", "--bars", "1", "--bpm", str(BPM))
    daemon = Segue(*options, takes=tmp_path, checkpoint=tiny)
    try:
        os.kill(daemon.mind_pid(), signal.SIGSTOP)
        daemon.await_line("ready: ")
        yield daemon
    finally:
        daemon.leave()


def test_what_is_played_while_the_mind_loads_is_answered_by_the_stand_in(loading, musician):
    daemon = loading
    assert daemon.state().get("mind", "loading") == "loading"
    player = musician("early", daemon)
    player.play(trades("C4 E4 G4 C5", bars=1, turns=4), bpm=BPM)
    grid = Grid(player, bpm=BPM)
    grid.await_beat(4 * BAR + 0.5)
    first = [event.message[1] for event in ons(player.heard)]
    assert set(first) <= {60, 64, 67, 72}  # it knows nothing but what it has heard
    os.kill(daemon.mind_pid(), signal.SIGCONT)
    daemon.await_mind()
    player.play(trades("C4 E4 G4 C5", bars=1, turns=2), bpm=BPM)
    eventually(
        lambda: any(
            isinstance(e, MindIn) and isinstance(e.value, Drafted) for e in daemon.journal.entries
        ),
        "a note of the mind's",
    )
    assert daemon.stop() == 0
    assert faults(player.heard) == []
    assert {BAR, 3 * BAR} <= {note.onset for note in take_of(daemon.journal).segue}


def test_the_ready_line_comes_after_the_ports_and_before_the_mind(loading, jack_server):
    daemon = loading
    assert set(daemon.ports) <= set(jack_server.ports())
    os.kill(daemon.mind_pid(), signal.SIGCONT)
    daemon.await_line("the mind is ready")
    when_s = [daemon.when_s(part) for part in ("MIDI through", "ready: ", "the mind is ready")]
    assert when_s == sorted(when_s)
    assert daemon.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_releases_what_sounds_and_writes_the_take(answering, number):
    daemon, player = answering(number.name)
    daemon.signal(number)
    assert daemon.wait() == 0
    assert daemon.said("take written: ")
    assert daemon.journal.complete
    eventually(lambda: not sounding(player.heard), "the last release", timeout_s=2)
    assert faults(player.heard) == []


def test_a_second_ctrl_c_forces(answering):
    daemon, player = answering("twice")
    daemon.signal(signal.SIGINT)
    daemon.await_line("stopping; once more to force")
    writer = child_of(daemon.pid, " replay ")
    os.kill(writer, signal.SIGSTOP)  # a take that takes its time
    try:
        time.sleep(2 * GRACE_S)
        assert daemon.ended is None
        daemon.signal(signal.SIGINT)
        assert daemon.wait(GRACE_S + 5) == 1
    finally:
        os.kill(writer, signal.SIGKILL)
    assert daemon.said("forced; ")
    assert faults(player.heard) == []


def test_two_signals_at_once_release_what_sounds(answering):
    daemon, player = answering("at once")
    daemon.signal(signal.SIGINT)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() in (0, 1)
    assert not daemon.said("Traceback")
    eventually(lambda: not sounding(player.heard), "the last release", timeout_s=2)
    assert faults(player.heard) == []
