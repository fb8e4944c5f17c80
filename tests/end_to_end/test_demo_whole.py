"""`segue demo --fast`, as it is typed: both processes, and the files that it leaves."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mido
import pytest

from daemon.performances.recordings import load
from daemon.take.takes import segue_command

BARS = 32
#: DESIGN's contract: others read these.
KEYS = {
    "notes_in",
    "notes_out",
    "handovers",
    "handover_late_ms",
    "in_time_rate",
    "token_ms",
    "note_ms",
    "hanging_notes",
    "mind_restarts",
    "seed",
}
#: (piece, seed, folder); the last is the first once more.
RUNS = (
    ("ode", 1, "ode 1"),
    ("ode", 2, "ode 2"),
    ("greensleeves", 1, "greensleeves 1"),
    ("greensleeves", 2, "greensleeves 2"),
    ("ode", 1, "ode 1 again"),
)


@dataclass
class Demo:
    """What one demo left."""

    piece: str
    seed: int
    folder: Path
    said: str

    @property
    def report(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "report.json").read_text()))

    @property
    def take(self) -> mido.MidiFile:
        return mido.MidiFile(self.folder / "take.mid")


@pytest.fixture(scope="module")
def demos(tiny, tmp_path_factory) -> dict[str, Demo]:
    """Two pieces with two seeds each, beside each other."""
    folder = tmp_path_factory.mktemp("demos")

    def play(run: tuple[str, int, str]) -> Demo:
        piece, seed, name = run
        flags = ["--fast", "--piece", piece, "--seed", str(seed), "--checkpoint", str(tiny)]
        command = [*segue_command(), "demo", "--out", str(folder / name), *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return Demo(piece, seed, folder / name, done.stdout)

    with ThreadPoolExecutor(len(RUNS)) as pool:
        return {demo.folder.name: demo for demo in pool.map(play, RUNS)}


each = pytest.mark.parametrize("name", [name for _, _, name in RUNS])


@each
def test_the_report_keeps_its_contract(demos, name):
    demo = demos[name]
    assert demo.report.keys() >= KEYS
    assert demo.report["handover_late_ms"].keys() >= {"p50", "p99"}
    for key in ("token_ms", "note_ms"):
        assert demo.report[key].keys() >= {"p50", "p95", "p99"}
    assert demo.report["seed"] == demo.seed
    assert demo.report["hanging_notes"] == demo.report["mind_restarts"] == 0
    assert demo.report["handovers"] == BARS // 8
    assert demo.report["in_time_rate"] == 1.0


@each
def test_the_take_has_two_tracks_its_tempo_and_its_metre(demos, name):
    demo = demos[name]
    performance = load(demo.piece)
    messages = [message for track in demo.take.tracks for message in track]
    tempos = [mido.tempo2bpm(m.tempo) for m in messages if m.type == "set_tempo"]
    metres = [(m.numerator, m.denominator) for m in messages if m.type == "time_signature"]
    assert tempos == [pytest.approx(performance.bpm, abs=0.01)]
    assert metres == [performance.meter]
    counts = {name: len(onsets) for name, onsets in strikes(demo.take).items()}
    assert counts == {"player": demo.report["notes_in"], "Segue": demo.report["notes_out"]}
    assert min(counts.values()) > 0


@each
def test_they_trade_four_bars_for_thirty_two(demos, name):
    demo = demos[name]
    bar = load(demo.piece).bar_beats * demo.take.ticks_per_beat
    turns = {
        voice: {int(tick // bar) // 4 for tick in ticks}
        for voice, ticks in strikes(demo.take).items()
    }
    assert turns["Segue"] == {1, 3, 5, 7}
    assert turns["player"] >= {0, 2, 4, 6}


def strikes(file: mido.MidiFile) -> dict[str, list[int]]:
    """The tick of each strike, by the name of its track, of tracks that have any."""
    found: dict[str, list[int]] = {}
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity > 0:
                found.setdefault(track.name, []).append(tick)
    return found


@each
def test_every_note_of_the_take_is_released(demos, name):
    for track in demos[name].take.tracks:
        sounding: set[int] = set()
        for message in track:
            if message.type == "note_on" and message.velocity > 0:
                assert message.note not in sounding
                sounding.add(message.note)
            elif message.type in ("note_on", "note_off"):
                sounding.discard(message.note)
        assert not sounding


@each
def test_it_says_where_to_look_and_the_picture_is_there(demos, name):
    demo = demos[name]
    assert str(demo.folder / "take.png") in demo.said
    assert (demo.folder / "take.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_is_the_same_take(demos):
    first, again = (demos[name].folder / "take.mid" for name in ("ode 1", "ode 1 again"))
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("piece", ["ode", "greensleeves"])
def test_another_seed_is_another_answer_to_the_same_player(demos, piece):
    one, two = demos[f"{piece} 1"].take, demos[f"{piece} 2"].take
    assert strikes(one)["player"] == strikes(two)["player"]
    assert strikes(one)["Segue"] != strikes(two)["Segue"]
