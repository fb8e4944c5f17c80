"""Named ports: Segue at the ports of a keyboard that is unplugged, and plugged in again."""

from dataclasses import dataclass
from math import ceil

import pytest
from stage import (
    Event,
    Grid,
    Musician,
    Segue,
    bars_of_segue,
    eventually,
    faults,
    ons,
    sounding,
    trades,
)

from daemon.interface.events import MidiIn
from daemon.interface.messages import NOTE_ON
from daemon.take.journal import Journal

BPM = 180
BAR = 4.0  # beats
KEYS = 8  # in two turns


@dataclass
class Visits:
    """What was heard before and after, in one session."""

    before: list[Event]
    after: list[Event]
    journal: Journal


@pytest.fixture(scope="module")
def visits(segue, musician, tmp_path_factory) -> Visits:
    """The keyboard plays two turns, goes while Segue sounds, comes back and plays two more."""
    keyboard: Musician = musician("keys")
    options = ("--in", "keys:out", "--out", "keys:in", "--bars", "1", "--bpm", str(BPM))
    daemon: Segue = segue(*options, takes=tmp_path_factory.mktemp("takes"))
    daemon.await_mind()
    play_two_turns(keyboard)
    grid = Grid(keyboard, bpm=BPM)
    before = list(keyboard.heard)
    eventually(lambda: sounding(keyboard.heard), "Segue's next turn")
    keyboard.leave()
    daemon.await_line("input keys:out is gone")
    daemon.await_line("output keys:in is gone")

    keyboard = musician("keys")
    daemon.await_line("input keys:out is back")
    daemon.await_line("output keys:in is back")
    grid.await_beat(ceil(grid.now() / (2 * BAR)) * 2 * BAR)  # it is his turn, however long it took
    play_two_turns(keyboard)
    assert daemon.stop() == 0
    eventually(lambda: not sounding(keyboard.heard), "the last release", timeout_s=2)
    return Visits(before, list(keyboard.heard), daemon.journal)


def play_two_turns(keyboard: Musician) -> None:
    """Play a bar, rest a bar, twice."""
    keyboard.play(trades("C4 E4 G4 C5", bars=1, turns=2), bpm=BPM)
    Grid(keyboard, bpm=BPM).await_beat(4 * BAR + 0.5)


def test_it_is_heard_before_and_after(visits):
    assert ons(visits.before)
    assert ons(visits.after)


def test_all_that_was_played_has_come_in(visits):
    came = [entry.message for entry in visits.journal.entries if isinstance(entry, MidiIn)]
    assert sum(message[0] == NOTE_ON for message in came) == 2 * KEYS


def test_the_bars_go_on_as_they_were(visits):
    assert all(bar % 2 == 1 for bar in bars_of_segue(visits.journal))


def test_no_note_hangs(visits):
    assert faults(visits.before) == []
    # A note that began while nobody listened is only heard to end.
    assert not sounding(visits.after)
