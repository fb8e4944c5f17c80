"""Little MIDI files, made on the spot."""

import io
from types import SimpleNamespace

import mido
import pytest
import torch

TICKS = 480


def midi_file(tracks, *, metre=(4, 4)):
    """Bytes of a MIDI file; tracks are (name, channel, [(beat, pitch, beats), ...])."""
    file = mido.MidiFile(ticks_per_beat=TICKS)
    head = mido.MidiTrack()
    head.append(mido.MetaMessage("time_signature", numerator=metre[0], denominator=metre[1]))
    file.tracks.append(head)
    for name, channel, notes in tracks:
        track = mido.MidiTrack()
        track.append(mido.MetaMessage("track_name", name=name))
        moments = []
        for beat, pitch, beats in notes:
            on = mido.Message("note_on", channel=channel, note=pitch, velocity=80)
            off = mido.Message("note_off", channel=channel, note=pitch)
            moments += [(round(beat * TICKS), 1, on), (round((beat + beats) * TICKS), 0, off)]
        now = 0
        for tick, _, message in sorted(moments, key=lambda moment: moment[:2]):
            track.append(message.copy(time=tick - now))
            now = tick
        file.tracks.append(track)
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def scale(root=60, *, bars=4):
    """A piece of crotchets up and down five notes."""
    steps = (0, 2, 4, 5, 7, 5, 4, 2)
    notes = [(beat, root + steps[beat % 8], 1) for beat in range(4 * bars)]
    return midi_file([("RH", 0, notes)])


def fill(folder, *, pieces=12, bars=8):
    """A folder of scales in all keys."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(pieces):
        (folder / f"scale {number}.mid").write_bytes(scale(54 + number % 12, bars=bars))
    return folder


@pytest.fixture(scope="session")
def toy():
    """`toy.midi_file`, `toy.scale` and `toy.fill`."""
    return SimpleNamespace(midi_file=midi_file, scale=scale, fill=fill)


@pytest.fixture(scope="module")
def one_thread():
    """For small networks: more threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
