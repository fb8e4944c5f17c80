"""A real DAW: Ardour plays a region into Segue, sends it MIDI clock, and records what it answers.

Ardour runs without a window and is worked by ardour.lua. The song is laid into the session's file
as Ardour itself writes it: a region of notes on one track, another track to record on, and a tempo.
(One tempo: the clock of Ardour 7.3 keeps to the first of its map, whatever its tracks do.) Ardour
sends an armed track's input on to its output, which is wired to Segue as well, as in most DAWs.

What Ardour recorded is held against Segue's take. Both are in beats: Ardour's from its tempo map,
Segue's from the clock that it was sent.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from xml.etree import ElementTree

import mido
import pytest
from host_time import in_time, play_until_steady
from stage import Musician, Process, Score, Segue, bars_of_segue, trades

from daemon.interface.events import MidiIn
from daemon.interface.messages import is_on
from daemon.take.journal import Journal

ARDOUR_SCRIPT = Path(__file__).with_name("ardour.lua")
BPM = 132.0
BAR = 4.0  # beats
TUNE = "C4 E4 G4 C5"
TURNS = 4  # of each, one bar long
TICKS_PER_BEAT = 1920  # Ardour's own
STEPS_PER_BEAT = 12
#: JACK carries a message from period to period, and Ardour's clock moves in periods too.
PERIOD_MS = 128 / 48_000 * 1e3
PERIODS = 3
#: The ripple of a clock that is followed, and what a busy machine adds, in the median.
MARGIN_MS = 4.0
#: The same for nineteen notes of twenty.
P95_MARGIN_MS = 25.0


class Ardour(Process):
    """Ardour without a window; `ask` gives it a line of those that ardour.lua knows."""

    def __init__(self, home: Path) -> None:
        env = {**os.environ, "HOME": str(home)}
        super().__init__(["ardour7-lua", str(ARDOUR_SCRIPT)], env=env, speaks="stdout")

    def ask(self, *words: object) -> None:
        """Have something done, and wait until it is."""
        assert self._process.stdin is not None
        before = len(self.said("done "))
        self._process.stdin.write(" ".join(str(word).replace(" ", "_") for word in words) + "\n")
        self.await_line("done ", count=before + 1)

    def leave(self) -> None:
        """End it in order."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self.wait() == 0, self.lines


@dataclass(frozen=True, order=True)
class Written:
    """A note in a MIDI file, in beats."""

    onset: float
    pitch: int
    velocity: int
    end: float


@dataclass(frozen=True)
class Concert:
    """What Ardour recorded, and what Segue knows of it."""

    recorded: list[Written]
    hanging: set[int]  # pitches that Ardour's file never releases
    played: list[Written]  # by Segue, as its take says
    heard: list[Written]  # from Ardour's region, as its take says
    journal: Journal
    notices: list[str]
    state: dict[str, object]  # after Ardour's stop
    stood_still_ms: float  # JACK, at the worst, while Ardour rolled

    @property
    def off_ms(self) -> list[float]:
        """How far each note that Ardour recorded lies from its place in Segue's take."""
        pairs = zip(by_key(self.recorded), by_key(self.played), strict=True)
        return [abs(one.onset - other.onset) * 60_000 / BPM for one, other in pairs]


@pytest.fixture(scope="module")
def concert(segue, musician, need, tmp_path_factory) -> Concert:
    """Four bars of Ardour's region, each answered, while someone watches JACK's frames."""
    need("ardour7-lua")
    watch: Musician = musician("watch")
    return play_until_steady(lambda: play_song(segue, watch, tmp_path_factory.mktemp("ardour")))


def play_song(segue: Callable[..., Segue], watch: Musician, folder: Path) -> Concert:
    song = folder / "song"
    ardour = Ardour(folder)
    daemon = segue("--bars", "1", "--clock", "midi", takes=folder / "takes")
    try:
        ardour.ask("make", song)
        lay_out(song, trades(TUNE, bars=1, turns=TURNS))
        ardour.ask("open", song)
        wire(ardour, daemon)
        daemon.await_mind()
        ardour.ask("arm", "answer")
        begin_ns = time.monotonic_ns()
        ardour.ask("roll")
        ardour.ask("until", (2 * TURNS * BAR + 0.5) * 60 / BPM)
        ardour.ask("stop")
        stood_still_ms = watch.stood_still_ms(begin_ns)
        daemon.await_state(playing=0)
        state = daemon.state()
        ardour.ask("close")
        ardour.leave()
    finally:
        ardour.kill()
    assert daemon.stop() == 0
    take = mido.MidiFile(daemon.journal_path.with_suffix(".mid"))
    (file,) = song.glob("interchange/*/midifiles/*answer*.mid")
    recorded, hanging = notes(mido.MidiFile(file))
    return Concert(
        recorded=recorded,
        hanging=hanging,
        played=notes(take, "Segue")[0],
        heard=notes(take, "player")[0],
        journal=daemon.journal,
        notices=daemon.said("come back"),
        state=state,
        stood_still_ms=stood_still_ms,
    )


def wire(ardour: Ardour, daemon: Segue) -> None:
    into, out = daemon.ports
    ardour.ask("connect", "ardour:MIDI Clock out", into)
    ardour.ask("connect", "ardour:player/midi_out 1", into)
    ardour.ask("connect", "ardour:answer/midi_out 1", into)
    ardour.ask("connect", out, "ardour:answer/midi_in 1")


def lay_out(song: Path, score: Score) -> None:
    """Put a region of notes at the beginning of the player's track, and set the tempo."""
    write_midi(song / "interchange" / song.name / "midifiles" / "tune.mid", score)
    path = song / "song.ardour"
    tree = ElementTree.parse(path)
    length = round(2 * TURNS * BAR * TICKS_PER_BEAT)
    source = {"name": "tune.mid", "type": "midi", "flags": "", "origin": "", "id": "9001"}
    region = {
        "name": "tune",
        "type": "midi",
        "start": "b0",  # b for beats, in ticks, and the length is taken from where it starts
        "length": f"b{length}@b0",
        "opaque": "1",
        "source-0": source["id"],
        "master-source-0": source["id"],
    }
    for place, name, values in (
        ("Sources", "Source", source),
        ("Regions", "Region", {**region, "id": "9002", "whole-file": "1"}),
        ("Playlists/Playlist[@name='player']", "Region", {**region, "id": "9003"}),
    ):
        parent = tree.find(place)
        assert parent is not None
        ElementTree.SubElement(parent, name, values)
    tempo = tree.find("TempoMap/Tempos/Tempo")
    assert tempo is not None
    tempo.attrib |= {"npm": str(BPM), "enpm": str(BPM)}  # notes per minute, and at its end
    tree.write(path)


def write_midi(path: Path, score: Score) -> None:
    track = mido.MidiTrack()
    tick = 0
    for beat, message in score:
        at = round(beat * TICKS_PER_BEAT)
        track.append(mido.Message.from_bytes(message, time=at - tick))
        tick = at
    mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, tracks=[track]).save(path)


def notes(file: mido.MidiFile, name: str | None = None) -> tuple[list[Written], set[int]]:
    """The notes of a file, or of its track of this name; and the pitches that are not released."""
    found: list[Written] = []
    held: dict[int, tuple[float, int]] = {}
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if name not in (None, track.name) or message.type not in ("note_on", "note_off"):
                continue
            beat = tick / file.ticks_per_beat
            if message.type == "note_on" and message.velocity > 0:
                held[message.note] = (beat, message.velocity)
            elif message.note in held:
                onset, velocity = held.pop(message.note)
                found.append(Written(onset, message.note, velocity, beat))
    return sorted(found), set(held)


def by_key(written: list[Written]) -> list[Written]:
    """Key by key: in this order the same notes stand in both files, however late each is."""
    return sorted(written, key=lambda note: (note.pitch, note.velocity, note.onset))


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[round(share * (len(values) - 1))]


def test_ardour_recorded_what_segue_says_it_played(concert):
    keys = [
        [(note.pitch, note.velocity) for note in by_key(written)]
        for written in (concert.recorded, concert.played)
    ]
    assert len(concert.recorded) >= TURNS
    assert keys[0] == keys[1]


def test_each_message_sent_is_in_ardours_file(concert):
    struck = [sent for sent in concert.journal.sent if is_on(sent.message)]
    assert len(struck) == len(concert.recorded)


def test_each_note_lies_where_segue_put_it(concert):
    off_ms = in_time(concert).off_ms
    assert median(off_ms) <= PERIODS * PERIOD_MS + MARGIN_MS, off_ms
    assert percentile(off_ms, 0.95) <= PERIODS * PERIOD_MS + P95_MARGIN_MS, off_ms


def test_each_answer_begins_on_ardours_bar_line_and_stays_in_its_bar(concert):
    late_ms = []
    early = 0.5 / STEPS_PER_BEAT
    for turn in range(TURNS):
        line = (2 * turn + 1) * BAR
        answer = [n.onset for n in in_time(concert).recorded if 0 <= n.onset - line + early < BAR]
        assert answer, f"no answer at bar {line / BAR + 1:g}"
        late_ms.append((answer[0] - line) * 60_000 / BPM)
    assert median(map(abs, late_ms)) <= PERIODS * PERIOD_MS + MARGIN_MS, late_ms
    # What lies on the last place of a bar may be recorded in the next one.
    assert bars_of_segue(concert.journal) == {2 * turn + 1 for turn in range(TURNS)}


def test_nothing_hangs_in_ardours_file(concert):
    assert concert.hanging == set()


def test_segue_heard_the_region_and_not_itself(concert):
    tune = [message for _, message in trades(TUNE, bars=1, turns=TURNS) if is_on(message)]
    assert [bytes((0x90, note.pitch, note.velocity)) for note in concert.heard] == tune
    came = [entry.message for entry in concert.journal.entries if isinstance(entry, MidiIn)]
    assert sum(map(is_on, came)) == len(tune) + len(concert.recorded)  # it was sent back all


def test_the_region_stands_in_the_take_from_its_first_note_on(concert):
    """Though Ardour plays what lies on its first beat a little before its clock starts."""
    score = trades(TUNE, bars=1, turns=TURNS)
    begins = [beat for beat, message in score if is_on(message)]
    ends = [beat for beat, message in score if not is_on(message)]
    heard = in_time(concert).heard
    off = [note.onset - beat for note, beat in zip(heard, begins, strict=True)]
    off += [note.end - beat for note, beat in zip(heard, ends, strict=True)]
    off_ms = [abs(beats) * 60_000 / BPM for beats in off]
    assert median(off_ms) <= PERIODS * PERIOD_MS + MARGIN_MS, off_ms
    assert heard[0].end == pytest.approx(ends[0], abs=0.2)  # it was not cut short by the start


def test_the_track_that_sends_its_notes_back_is_named_once(concert):
    (notice,) = concert.notices
    assert "Segue Out" in notice
    assert "Segue In" in notice


def test_it_stands_still_when_ardour_does(concert):
    assert concert.state["phase"] == "idle"
