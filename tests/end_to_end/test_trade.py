"""Trading bars through real JACK ports: the whole daemon, a tiny mind, and a musician beside them.

The music is played once; each test listens to another side of it. Times are gated on medians: a
maximum says more about the machine than about Segue.
"""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import mido
import pytest
from host_time import LATE_MS, in_time, play_until_steady
from stage import (
    NS_PER_S,
    Event,
    Grid,
    Musician,
    Segue,
    bars_of_segue,
    between,
    eventually,
    faults,
    ons,
    sounding,
    trades,
)

from daemon.interface.events import MidiIn, MindIn
from daemon.interface.messages import NOTE_ON
from daemon.take.journal import Journal
from daemon.take.takes import segue_command
from engine.protocol import Drafted, Lost

BPM = 160
BAR = 4.0  # beats
TURNS = 5
STEPS_PER_BEAT = 12
#: What a busy machine may add to the period of JACK, in the median.
MARGIN_MS = 4.0
#: No machine that this is tested on is ever so late.
WORST_MS = 150.0


@dataclass
class Trade:
    """What was played, heard and written down."""

    musician: Musician
    grid: Grid
    heard: list[Event]
    journal_late_s: list[float]
    journal: Journal
    path: Path
    exit_code: int
    lines: list[str]
    stood_still_ms: float  # JACK, at the worst

    @property
    def turns(self) -> list[tuple[float, list[Event]]]:
        """(bar line, strikes) of each of Segue's turns; a strike may come a little early."""
        half_step = 0.5 / STEPS_PER_BEAT
        lines = [(2 * number + 1) * BAR for number in range(TURNS)]
        return [
            (line, ons(between(self.heard, self.grid, line - half_step, line + BAR - half_step)))
            for line in lines
        ]


@pytest.fixture(scope="module")
def trade(segue, musician, tmp_path_factory) -> Trade:
    """Five turns each, one bar long."""

    def play() -> Trade:
        takes = tmp_path_factory.mktemp("takes")
        daemon: Segue = segue("--bars", "1", "--bpm", str(BPM), takes=takes)
        return play_turns(daemon, musician("keys", daemon))

    return play_until_steady(play, limit_ms=LATE_MS)


def play_turns(daemon: Segue, player: Musician) -> Trade:
    daemon.await_mind()
    begin_ns = time.monotonic_ns()
    player.play(trades("C4 E4 G4 C5", bars=1, turns=TURNS), bpm=BPM)
    grid = Grid(player, bpm=BPM)
    journal_late_s = []
    for turn in range(1, TURNS + 1):
        keys = 4 * turn
        eventually(lambda keys=keys: len(ons(player.played)) == keys, "the last key of a turn")
        eventually(lambda keys=keys: keys_in(daemon.journal_path) >= keys, "it is in the journal")
        journal_late_s.append(time.monotonic() - ons(player.played)[-1].t_ns / NS_PER_S)
    grid.await_beat(2 * TURNS * BAR + 0.5)
    stood_still_ms = player.stood_still_ms(begin_ns)
    exit_code = daemon.stop()
    player.leave()
    return Trade(
        musician=player,
        grid=grid,
        heard=list(player.heard),
        journal_late_s=journal_late_s,
        journal=daemon.journal,
        path=daemon.journal_path,
        exit_code=exit_code,
        lines=[line for _, line in daemon.lines],
        stood_still_ms=stood_still_ms,
    )


def keys_in(journal: Path) -> int:
    """How many keys that were struck are on disk."""
    return sum(
        line.startswith('["midi"') and '"90' in line for line in journal.read_text().splitlines()
    )


def test_each_answer_begins_on_its_bar_line(trade):
    trade = in_time(trade, limit_ms=LATE_MS)
    late_ms = [trade.grid.late_ms(strikes[0], line) for line, strikes in trade.turns]
    assert len(late_ms) == TURNS
    assert median(map(abs, late_ms)) <= trade.musician.period_ms + MARGIN_MS, late_ms
    assert max(map(abs, late_ms)) <= WORST_MS, late_ms


def test_every_onset_lies_on_the_grid(trade):
    trade = in_time(trade, limit_ms=LATE_MS)
    beats = [trade.grid.beat(strike) for strike in ons(trade.heard)]
    off_ms = [abs(beat - round(beat * 12) / 12) * 60_000 / BPM for beat in beats]
    assert median(off_ms) <= trade.musician.period_ms + MARGIN_MS


def test_what_was_due_lies_exactly_on_the_grid(trade):
    # The first key starts the clock; due times are whole nanoseconds.
    start_ns = next(
        e.t_ns for e in trade.journal.entries if isinstance(e, MidiIn) and e.message[0] == NOTE_ON
    )
    for sent in trade.journal.sent:
        if sent.message[0] == NOTE_ON:
            steps = (sent.due_ns - start_ns) * BPM * STEPS_PER_BEAT / (60 * NS_PER_S)
            assert steps == pytest.approx(round(steps), abs=1e-6)


def test_segue_plays_in_its_turns_alone(trade):
    assert bars_of_segue(trade.journal) == {2 * number + 1 for number in range(TURNS)}


def test_nothing_of_segue_sounds_when_the_turn_is_over(trade):
    for line, _ in in_time(trade, limit_ms=LATE_MS).turns:
        over_ms = 2 * trade.musician.period_ms + WORST_MS
        end = line + BAR + over_ms * BPM / 60_000
        until = [event for event in trade.heard if trade.grid.beat(event) < end]
        assert not sounding(until)


def test_no_note_is_struck_while_it_sounds_and_each_is_released(trade):
    assert faults(trade.heard) == []


def test_the_mind_played_and_not_the_stand_in(trade):
    said = [e.value for e in trade.journal.entries if isinstance(e, MindIn)]
    drafted = {(d.note.pitch, d.note.velocity) for d in said if isinstance(d, Drafted)}
    assert {tuple(strike.message[1:]) for strike in ons(trade.heard)} <= drafted
    assert not any(isinstance(value, Lost) for value in said)


def test_what_is_heard_is_what_the_journal_says_was_sent(trade):
    assert [event.message for event in trade.heard] == [sent.message for sent in trade.journal.sent]


def test_what_was_played_is_on_disk_within_a_second(trade):
    assert median(trade.journal_late_s) < 1.0, trade.journal_late_s


def test_ctrl_c_ends_it_in_order(trade):
    assert trade.exit_code == 0
    assert trade.journal.complete
    assert trade.lines[-1].startswith("take written: ")


def test_the_take_has_both_on_tracks_of_their_own(trade):
    file = mido.MidiFile(trade.path.with_suffix(".mid"))
    notes = {
        track.name: sum(m.type == "note_on" and m.velocity > 0 for m in track)
        for track in file.tracks
    }
    assert notes["player"] == 4 * TURNS
    assert notes["Segue"] == len(ons(trade.heard))
    tempos = [m for track in file.tracks for m in track if m.type == "set_tempo"]
    assert mido.tempo2bpm(tempos[0].tempo) == pytest.approx(BPM, abs=0.01)


def test_a_replay_is_the_identical_take_twice(trade, tmp_path):
    takes = []
    for name in ("one.mid", "two.mid"):
        command = [*segue_command(), "replay", trade.path, "-o", tmp_path / name, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["identical"] is True
        takes.append((tmp_path / name).read_bytes())
    assert takes[0] == takes[1] == trade.path.with_suffix(".mid").read_bytes()
