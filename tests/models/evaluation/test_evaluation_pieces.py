"""Pieces of a data folder: what a MIDI file says, on the grid."""

import io

import mido
import pytest

from models.evaluation.pieces import Split, piece_of
from models.note_cache import Shelf
from models.performance import performance_of


@pytest.fixture
def read():
    return lambda midi: piece_of(performance_of(midi).placed())


def test_a_file_is_read_into_bars_steps_and_pitches(read, toy):
    hands = [("RH", 0, [(4, 72, 1), (5.5, 74, 0.25)]), ("LH", 1, [(4, 48, 2)])]
    found = read(toy.midi_file(hands))
    assert found.notes.tolist() == [
        [0, 0, 48, 24, 79],
        [0, 0, 72, 12, 79],
        [0, 18, 74, 3, 79],
    ]
    assert found.metres == ((4, 4),)
    assert found.ends


def test_metres_and_empty_bars_stay(read):
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.MetaMessage("time_signature", numerator=3, denominator=4))
    track.append(mido.Message("note_on", note=60, velocity=127))
    track.append(mido.Message("note_off", note=60, time=480))
    track.append(mido.MetaMessage("time_signature", numerator=6, denominator=8, time=960))
    track.append(mido.Message("note_on", note=64, velocity=10, time=1440 + 240))
    track.append(mido.Message("note_off", note=64, time=240))
    data = io.BytesIO()
    file.save(file=data)
    found = read(data.getvalue())
    assert found.metres == ((3, 4), (6, 8), (6, 8))
    assert found.notes.tolist() == [[0, 0, 60, 12, 127], [2, 12, 64, 12, 7]]
    assert found.onsets.tolist() == [0, 72 + 72 + 12]
    assert found.durations.tolist() == [24, 12]
    assert found.bar_starts.tolist() == [0, 72, 144, 216]


def test_a_split_has_its_pieces_one_by_one(toy):
    split = Split(Shelf.of([performance_of(toy.scale(root)) for root in (60, 65)]))
    assert len(split) == 2
    assert [int(split[index].notes[0, 2]) for index in range(2)] == [60, 65]
