"""The player process killed in the middle of a note: nothing is lost but the last second.

The first Segue has virtual ports and is killed; the second finishes its take, has named ports and
is killed as well; the third has virtual ports again. No mind is waited for: the stand-in plays.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

import mido
import pytest
from stage import (
    NS_PER_S,
    Event,
    Musician,
    Score,
    Segue,
    command_line,
    eventually,
    ons,
    sounding,
    tune,
)

from daemon.take.journal import is_complete
from daemon.take.takes import unfinished

BPM = 180
#: A second to the disk, as promised, and what a busy machine adds.
MOST_LOST_S = 1.5
#: The mind sees the end of its input at once; to be gone takes a moment on a busy machine.
ORPHAN_S = 10.0


@dataclass
class Crash:
    """One life that was cut off, and what the next one made of it."""

    player: Musician
    journal: Path
    killed_ns: int
    mind_pid: int
    mind_lived_s: float
    played: list[Event]
    heard: list[Event]
    hung: set[int]
    released: set[int] = field(default_factory=set)  # by the next life, before it played itself
    next_said: list[str] = field(default_factory=list)


def held_and_steady() -> Score:
    """Steady quarters for as long as it takes, and a bass that is never let go."""
    return sorted([*tune(" ".join(["C4 E4 G4 C5"] * 5)), (0.5, bytes((0x90, 36, 80)))])


def crash(daemon: Segue, player: Musician) -> Crash:
    """Play until Segue sounds, a little longer than may be lost, and kill it as it strikes."""
    already_played, already_heard = len(player.played), len(player.heard)
    player.play(held_and_steady(), bpm=BPM)
    eventually(lambda: len(player.played) > already_played + 8, "a bar")
    daemon.command("takeover")
    eventually(lambda: sounding(player.heard), "a note of the answer")
    time.sleep(MOST_LOST_S + 0.5)
    mind_pid, journal = daemon.mind_pid(), daemon.journal_path
    struck = len(ons(player.heard))
    player.await_heard(struck + 1, "a note that has just begun")
    daemon.kill()
    killed_ns = time.monotonic_ns()
    eventually(lambda: not command_line(mind_pid), "the mind ends with its player")
    mind_lived_s = (time.monotonic_ns() - killed_ns) / NS_PER_S
    eventually(lambda: len(player.played) >= already_played + len(held_and_steady()), "his last")
    return Crash(
        player=player,
        journal=journal,
        killed_ns=killed_ns,
        mind_pid=mind_pid,
        mind_lived_s=mind_lived_s,
        played=player.played[already_played:],
        heard=player.heard[already_heard:],
        hung=sounding(player.heard),
    )


@pytest.fixture(scope="module")
def jack_server(brisk_jack_server):
    """The one that everybody in this module plays at."""
    return brisk_jack_server


@pytest.fixture(scope="module")
def crashes(segue, musician, tmp_path_factory) -> list[Crash]:
    """Two lives that were cut off, one after the other."""
    takes = tmp_path_factory.mktemp("takes")
    options = ("--bars", "8", "--bpm", str(BPM))
    first: Segue = segue(*options, takes=takes)
    player: Musician = musician("keys", first)
    one = crash(first, player)
    named = ("--in", "keys:out", "--out", "keys:in")
    second: Segue = segue(*options, *named, takes=takes)
    eventually(lambda: not sounding(player.heard), "the release of what hung")
    one.released = one.hung - sounding(player.heard)
    second.await_line("take written: ")
    one.next_said = [line for _, line in second.lines]

    two = crash(second, player)
    third: Segue = segue(*options, takes=takes)
    player.wire(third)
    already, keys = len(player.heard), len(ons(player.played))
    player.play(tune("C4 E4 G4 C5"), bpm=BPM)
    eventually(lambda: len(ons(player.played)) == keys + 4, "the first keys")
    third.command("takeover")
    eventually(lambda: ons(player.heard[already:]), "a note of the answer")
    before = player.heard[: player.heard.index(ons(player.heard[already:])[0])]
    two.released = two.hung - sounding(before)
    third.await_line("take written: ")
    two.next_said = [line for _, line in third.lines]
    assert third.stop() == 0
    assert not sounding(player.heard)
    return [one, two]


both = pytest.mark.parametrize("number", [0, 1], ids=["virtual ports", "named ports"])


@both
def test_it_was_killed_while_notes_sounded(crashes, number):
    assert crashes[number].hung


@both
def test_the_next_life_releases_what_hung(crashes, number):
    assert crashes[number].released == crashes[number].hung


@both
def test_the_mind_ends_with_its_player(crashes, number):
    assert crashes[number].mind_lived_s < ORPHAN_S


@both
def test_the_next_life_finds_the_take_and_says_so(crashes, number):
    journal = crashes[number].journal
    assert f"found a take that was cut off: {journal.name}" in crashes[number].next_said
    assert f"take written: {journal.with_suffix('.mid')}" in crashes[number].next_said


@both
def test_the_journal_is_marked_and_not_found_again(crashes, number):
    journal = crashes[number].journal
    assert is_complete(journal)
    assert list(unfinished(journal.parent)) == []


@both
def test_the_take_holds_what_was_played_up_to_the_last_second(crashes, number):
    crash = crashes[number]
    file = mido.MidiFile(crash.journal.with_suffix(".mid"))
    player, answer = notes_of(file, "player"), notes_of(file, "Segue")
    surely = crash.killed_ns - MOST_LOST_S * NS_PER_S
    keys = [event.message[1] for event in ons(crash.played) if event.t_ns < surely]
    assert player[: len(keys)] == keys
    heard = [event.message[1] for event in ons(crash.heard) if event.t_ns < surely]
    assert answer[: len(heard)] == heard


def notes_of(file: mido.MidiFile, name: str) -> list[int]:
    """The pitches of a track in the order in which they are struck."""
    (track,) = (track for track in file.tracks if track.name == name)
    return [m.note for m in track if m.type == "note_on" and m.velocity > 0]


@both
def test_every_note_of_the_take_is_released(crashes, number):
    for track in mido.MidiFile(crashes[number].journal.with_suffix(".mid")).tracks:
        open_notes: set[int] = set()
        for message in track:
            if message.type == "note_on" and message.velocity > 0:
                open_notes.add(message.note)
            elif message.type in ("note_on", "note_off"):
                open_notes.discard(message.note)
        assert not open_notes
