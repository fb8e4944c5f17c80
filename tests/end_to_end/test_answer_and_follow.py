"""Answering after a silence, and playing along, through JACK; and a cable from output to input.

The player of answer mode comes back in the middle of each answer. With the cable, Segue must
neither answer itself nor give way to itself.
"""

import time
from dataclasses import dataclass, field
from itertools import groupby
from math import ceil
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
    tune,
)

from daemon.interface.events import MidiIn, StateChanged
from daemon.interface.messages import is_on
from daemon.take.journal import Journal
from daemon.take.take import replay, take_of

BPM = 120.0
BAR = 4.0  # beats
PHRASE = "C4 E4 G4 C5"
PHRASES = 2
EIGHTHS = "C4 D4 E4 F4 G4 A4 B4 C5 " * 4
KEY, RELEASE = "905450", "805440"
#: An entry may be heard a little before its line, and what was on its way a little after an end.
NEAR = 0.15  # beats
#: A note is on its way for a period or two; what a busy machine adds in the median.
PERIODS, MARGIN_MS = 2, 4.0


@dataclass
class Comeback:
    """What was heard before and after the player came back."""

    give_way: str
    grid: Grid
    heard: list[Event]
    journal: Journal
    stood_still_ms: float  # JACK, at the worst

    @property
    def back(self) -> float:
        """The beat at which he came back, as Segue counts."""
        keys = [e.t_ns for e in self.journal.entries if isinstance(e, MidiIn) and is_on(e.message)]
        return (keys[4] - keys[0]) * BPM / (60 * NS_PER_S)

    @property
    def phases(self) -> list[str]:
        """The phases of the conversation, as it went from one to the next."""
        effects = [effect for _, effect in replay(self.journal.session, self.journal.entries)]
        told = [effect.phase for effect in effects if isinstance(effect, StateChanged)]
        return [phase for phase, _ in groupby(told)]

    @property
    def turn(self) -> tuple[float, float]:
        """The beats at which Segue's answer began, and at which it was his turn again."""
        begun, ended, *_ = take_of(self.journal).handovers
        assert (begun.voice, ended.voice) == ("segue", "player")
        return begun.beat, ended.beat


@pytest.fixture(scope="module", params=["beat", "along"])
def comeback(request, segue, musician, tmp_path_factory) -> Comeback:
    """The player strikes a key in the middle of an answer of two bars."""
    options = ("--mode", "answer", "--bars", "2", "--give-way", request.param)

    def play() -> Comeback:
        daemon: Segue = segue(*options, takes=tmp_path_factory.mktemp("answer"))
        return come_back(request.param, daemon, musician(request.param, daemon))

    return play_until_steady(play, limit_ms=LATE_MS)


def come_back(give_way: str, daemon: Segue, player: Musician) -> Comeback:
    daemon.await_mind()
    begin_ns = time.monotonic_ns()
    player.play(tune(PHRASE, step=0.5), bpm=BPM)
    grid = Grid(player, bpm=BPM)
    player.await_heard(1, "an answer to the phrase")
    begun = ons(player.heard)[0]
    grid.await_beat(grid.beat(begun) + 2.3)  # a third of a beat after a line
    player.play_now(KEY)
    eventually(lambda: len(ons(player.played)) == 5, "he is back")
    grid.await_beat(grid.now() + 0.5)
    player.play_now(RELEASE)
    eventually(lambda: daemon.state().get("phase") not in (None, "answering", "yielding"), "silent")
    daemon.command("handback")  # after such a rest he would be answered again
    grid.await_beat(grid.now() + 1)
    stood_still_ms = player.stood_still_ms(begin_ns)
    assert daemon.stop() == 0
    player.leave()
    return Comeback(give_way, grid, list(player.heard), daemon.journal, stood_still_ms)


def test_segue_yields_when_the_player_comes_back(comeback):
    assert comeback.phases[comeback.phases.index("answering") + 1] == "yielding"
    assert comeback.turn[0] < comeback.back


def test_it_ends_with_the_beat_or_plays_its_turn_out(comeback):
    begun, ended = comeback.turn
    with_the_beat = comeback.back // 1 + 1
    whole_turn = ceil(begun / BAR) * BAR + 2 * BAR
    assert ended == (with_the_beat if comeback.give_way == "beat" else whole_turn)
    notes = [note.onset for note in take_of(comeback.journal).segue]
    assert min(notes) == pytest.approx(begun)
    assert max(notes) < ended
    assert comeback.give_way == "beat" or max(notes) > with_the_beat


def test_nothing_sounds_when_it_is_the_players_turn(comeback):
    assert faults(comeback.heard) == []
    end = in_time(comeback, limit_ms=LATE_MS).turn[1] + NEAR
    assert not sounding(between(comeback.heard, comeback.grid, 0, end))


@dataclass
class Conversation:
    """What was heard, and the handovers of the take: (voice, beat)."""

    daemon: Segue
    player: Musician
    grid: Grid
    turns: list[tuple[str, float]]
    notices: list[list[str]] = field(default_factory=list)
    stood_still_ms: float = 0.0  # JACK, at the worst


@pytest.fixture(scope="module")
def followed(segue, musician, tmp_path_factory) -> Conversation:
    """Four bars of eighths, with Segue playing along."""

    def play() -> Conversation:
        daemon: Segue = segue("--mode", "follow", takes=tmp_path_factory.mktemp("follow"))
        return play_along(daemon, musician("soloist", daemon))

    return play_until_steady(play, limit_ms=LATE_MS)


def play_along(daemon: Segue, player: Musician) -> Conversation:
    daemon.await_mind()
    begin_ns = time.monotonic_ns()
    player.play(tune(EIGHTHS, step=0.5), bpm=BPM)
    grid = Grid(player, bpm=BPM)
    grid.await_beat(5 * BAR)
    daemon.await_state(phase="idle")
    grid.await_beat(6 * BAR)
    stood_ms = player.stood_still_ms(begin_ns)
    assert daemon.stop() == 0
    player.leave()
    return Conversation(daemon, player, grid, handovers(daemon), stood_still_ms=stood_ms)


def handovers(daemon: Segue) -> list[tuple[str, float]]:
    """Whose turn it was from which beat on, as the take's MIDI file marks it."""
    file = mido.MidiFile(Path(daemon.journal_path).with_suffix(".mid"))
    found = []
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "marker":
                found.append((message.text, tick / file.ticks_per_beat))
    return found


def test_segue_follows_from_the_second_bar_until_a_bar_after_the_player(followed):
    assert followed.turns == [("Segue", BAR), ("player", 5 * BAR)]
    assert bars_of_segue(followed.daemon.journal) == {1, 2, 3, 4}


def test_what_it_plays_along_lies_on_the_grid(followed):
    followed = in_time(followed, limit_ms=LATE_MS)
    beats = [followed.grid.beat(strike) for strike in ons(followed.player.heard)]
    off_ms = [abs(beat - round(beat * 12) / 12) * 60_000 / BPM for beat in beats]
    assert median(off_ms) <= PERIODS * followed.player.period_ms + MARGIN_MS, off_ms


def test_nothing_sounds_after_it_has_followed(followed):
    assert faults(followed.player.heard) == []
    followed = in_time(followed, limit_ms=LATE_MS)
    end = 5 * BAR + NEAR
    assert not sounding(between(followed.player.heard, followed.grid, 0, end))
    assert between(followed.player.heard, followed.grid, end, 7 * BAR) == []


@pytest.fixture(scope="module")
def looped_back(segue, musician, jack_server, tmp_path_factory) -> Conversation:
    """Segue's output is wired to its own input; the player says two phrases, and is answered."""
    options = ("--mode", "answer", "--bars", "2")
    daemon: Segue = segue(*options, takes=tmp_path_factory.mktemp("loop"))
    player: Musician = musician("looper", daemon)
    jack_server.connect(*reversed(daemon.ports))
    notices = daemon.collect("notice")
    daemon.await_mind()
    for number in range(1, PHRASES + 1):
        heard = len(ons(player.heard))
        player.play(tune(PHRASE, step=0.5), bpm=BPM)
        player.await_heard(heard + 1, f"answer {number}")
        daemon.await_state(phase="idle")
        time.sleep(1.5 * BAR * 60 / BPM)  # long enough for another silence and another answer
    assert daemon.state()["phase"] == "idle"
    assert daemon.stop() == 0
    return Conversation(daemon, player, Grid(player, bpm=BPM), handovers(daemon), notices)


def test_all_of_it_came_back(looped_back):
    came = [e.message for e in looped_back.daemon.journal.entries if isinstance(e, MidiIn)]
    ours = len(ons(looped_back.player.heard))
    assert sum(map(is_on, came)) == len(ons(looped_back.player.played)) + ours
    assert ours > 4 * PHRASES


def test_segue_neither_answers_itself_nor_gives_way_to_itself(looped_back):
    voices = [voice for voice, _ in looped_back.turns]
    assert voices == ["Segue", "player"] * PHRASES
    for (_, begin), (_, end) in zip(looped_back.turns[::2], looped_back.turns[1::2], strict=True):
        assert end - begin >= 2 * BAR
        assert end % BAR == 0


def test_the_loop_is_noticed_once(looped_back):
    ((text,),) = looped_back.notices
    assert "from Segue Out to Segue In" in text
    assert looped_back.daemon.said(text) == [text]


def test_no_note_hangs_in_the_loop(looped_back):
    assert faults(looped_back.player.heard) == []
