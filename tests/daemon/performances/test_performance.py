"""The recordings that the demo plays, and their division into turns."""

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.listening.timeline import Opened, Timeline
from daemon.performances.recordings import (
    ANTICIPATION_MS,
    DEFAULT,
    Performance,
    UnknownPerformance,
    load,
    names,
    turn,
)

RECORDINGS = {name: load(name) for name in names()}
recordings = pytest.mark.parametrize("recording", RECORDINGS.values(), ids=str)


def strokes(messages):
    return [(beat, message[1]) for beat, message in messages if message[0] & 0xF0 == 0x90]


def early(recording):
    return ANTICIPATION_MS * recording.bpm / 60_000


def test_there_is_a_tune_a_blues_and_a_chordal_piece():
    assert set(RECORDINGS) == {"blues", "choral", "greensleeves", "ode"}
    assert DEFAULT in RECORDINGS
    assert RECORDINGS["greensleeves"].meter == (3, 4)
    assert RECORDINGS["ode"].title == "Ode to Joy"
    assert {name: recording.bars for name, recording in RECORDINGS.items()} == {
        "blues": 24,
        "choral": 32,
        "greensleeves": 32,
        "ode": 32,
    }


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(UnknownPerformance, match="choose blues, choral, greensleeves, ode"):
        load("../ode")


@recordings
def test_it_is_not_quantized(recording):
    """Hardly a key lies on the grid of twelve steps a beat, and none far from it."""
    offsets = [
        (beat * 12 - round(beat * 12)) / 12 * 60_000 / recording.bpm
        for beat, _ in strokes(recording.messages)
    ]
    assert sum(abs(ms) < 1 for ms in offsets) < len(offsets) / 4
    loudness = {message[2] for _, message in recording.messages if message[0] == 0x90}
    assert len(loudness) > 25


@recordings
def test_every_bar_is_played(recording):
    for bar in range(recording.bars):
        assert len(strokes(turn(recording, bar, 1))) >= 2


@recordings
def test_every_turn_of_four_bars_begins_on_its_line(recording):
    for first in range(0, recording.bars, 4):
        assert any(abs(beat) <= early(recording) for beat, _ in strokes(turn(recording, first, 4)))


@given(st.sampled_from(names()), st.integers(0, 70), st.integers(1, 70))
def test_a_turn_is_whole(name, first, bars):
    """In order, within its bars but for a key struck early, and with nothing left sounding."""
    recording = RECORDINGS[name]
    played = turn(recording, first, bars)
    beats = [beat for beat, _ in played]
    assert beats == sorted(beats)
    assert -early(recording) <= beats[0]
    assert beats[-1] <= bars * recording.bar_beats
    pressed = Counter()
    for _, message in played:
        key = (message[0] & 0xF0 == 0xB0, message[1])
        down = message[0] & 0xF0 == 0x90 or (key[0] and message[2] > 0)
        pressed[key] += 1 if down else -1
        assert pressed[key] in (0, 1), "a key goes down only when it is up"
    assert not any(pressed.values())


@given(st.sampled_from(names()), st.integers(0, 40), st.integers(1, 40))
def test_turns_lose_and_double_nothing(name, first, bars):
    recording = RECORDINGS[name]
    one_by_one = [
        (round(bar * recording.bar_beats + beat, 6), pitch)
        for bar in range(bars)
        for beat, pitch in strokes(turn(recording, first + bar, 1))
    ]
    together = [(round(beat, 6), pitch) for beat, pitch in strokes(turn(recording, first, bars))]
    assert sorted(together) == sorted(one_by_one)


SKETCH = Performance(
    name="sketch",
    title="Sketch",
    bpm=60,
    meter=(4, 4),
    bars=2,
    messages=(
        (0.0, b"\x90\x3c\x50"),
        (0.1, b"\xb0\x40\x7f"),
        (1.0, b"\x80\x3c\x00"),
        (3.96, b"\x90\x3e\x50"),  # meant for the second bar
        (4.02, b"\xb0\x40\x00"),
        (8.0, b"\x80\x3e\x00"),
    ),
)


def test_a_key_struck_early_opens_the_turn_and_the_pedal_closes_with_it():
    assert turn(SKETCH, 0, 1) == [
        (0.0, b"\x90\x3c\x50"),
        (0.1, b"\xb0\x40\x7f"),
        (1.0, b"\x80\x3c\x00"),
        (4.0, b"\xb0\x40\x00"),
    ]
    assert turn(SKETCH, 1, 1) == [
        (pytest.approx(-0.04), b"\x90\x3e\x50"),
        (4.0, b"\x80\x3e\x00"),
    ]


def test_the_piece_goes_round_and_is_let_go_there():
    assert [round(beat, 6) for beat, _ in turn(SKETCH, 1, 2)] == [-0.04, 3.94, 4.0, 4.1, 5.0, 8.0]


def test_the_ode_begins_as_everyone_knows_it():
    timeline = Timeline()
    opened = [
        change
        for beat, message in turn(RECORDINGS["ode"], 0, 4)
        for change in timeline.feed(beat, message)
        if isinstance(change, Opened)
    ]
    tune = [note.pitch for note in opened if note.pitch > 60]
    assert tune == [66, 66, 67, 69, 69, 67, 66, 64, 62, 62, 64, 66, 66, 64, 64]


def test_a_session_starts_without_a_library_for_files_and_pictures():
    heavy = "mido PIL numpy torch"
    script = (
        "import sys, daemon.performances.recordings, daemon.take.piano_roll, daemon.take.midi_file;"
        f"print([name for name in '{heavy}'.split() if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
