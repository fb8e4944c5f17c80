"""The folder of takes while Segue plays: marked stretches, and two Segues that share it."""

import mido
from stage import Musician, Segue, eventually, tune

from daemon.interface.events import MidiIn

BPM = 180


def test_a_marked_stretch_becomes_a_file_while_the_music_goes_on(segue, musician, tmp_path):
    daemon = segue("--bpm", str(BPM), "--mode", "off", takes=tmp_path)
    player = musician("keys", daemon)
    play(player, "C4 D4 E4 F4", daemon)
    daemon.command("take/record")
    play(player, "G4 A4 B4", daemon)
    daemon.command("take/stop")
    play(player, "C5", daemon)
    written = daemon.await_line("take written: ").removeprefix("take written: ")
    assert daemon.ended is None
    (track,) = (t for t in mido.MidiFile(written).tracks if t.name == "player")
    assert [m.note for m in track if m.type == "note_on" and m.velocity] == [67, 69, 71]
    assert daemon.stop() == 0


def play(player: Musician, names: str, daemon: Segue) -> None:
    """Play, until Segue has heard all of it."""
    come = came_in(daemon) + 2 * len(names.split())
    player.play(tune(names), bpm=BPM)
    eventually(lambda: came_in(daemon) == come, names)


def came_in(daemon: Segue) -> int:
    return sum(isinstance(entry, MidiIn) for entry in daemon.journal.entries)


def test_two_that_share_a_folder_leave_each_others_takes_alone(segue, musician, tmp_path):
    first = segue("--bpm", str(BPM), takes=tmp_path)
    second = segue("--bpm", str(BPM), takes=tmp_path)
    assert not second.said("cut off")
    assert len(list(tmp_path.glob("*.journal"))) == 2
    player = musician("both", second)
    player.play(tune("C4 E4"), bpm=BPM)
    eventually(lambda: len(player.played) == 4, "two notes")
    assert (second.stop(), first.stop()) == (0, 0)
    assert len(list(tmp_path.glob("*.mid"))) == 2


def test_a_run_without_a_note_leaves_files_that_can_be_opened(segue, tmp_path):
    daemon = segue(takes=tmp_path)
    assert daemon.stop() == 0
    assert daemon.journal.complete
    assert mido.MidiFile(daemon.journal_path.with_suffix(".mid")).length < 1
