"""The bytes of MIDI files: written by hand, by mido, and by chance."""

import io
import time

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.midi_chunks import (
    MAX_EVENTS,
    META,
    TRACK_NAME,
    BrokenFile,
    MidiFile,
    Track,
    read_chunks,
    texts,
    write_chunks,
)

HEADER = bytes.fromhex(
    "4D546864 00000006"  # MThd, six bytes
    "0001 0001 0060"  # type 1, one track, 96 ticks a beat
)


def track(body: str) -> bytes:
    data = bytes.fromhex(body)
    return b"MTrk" + len(data).to_bytes(4) + data


MIDDLE_C = track(
    "00 90 3C 50"  # C4 down
    "60 3C 00"  # a beat later, with running status, C4 up by a note-on of velocity 0
    "00 FF 2F 00"  # end of track
)


def test_running_status():
    file = read_chunks(HEADER + MIDDLE_C)
    assert file.ticks_per_beat == 96
    assert file.tracks == (Track(((0, b"\x90\x3c\x50"), (96, b"\x90\x3c\x00")), 96),)


def test_lenient_where_the_music_is_the_same():
    foreign = b"XFIH" + (3).to_bytes(4) + b"abc"
    odd_key = track("00 FF 59 02 63 07  00 F0 02 01 F7  00 90 3C 50  60 80 3C 00")  # and no end
    file = read_chunks(HEADER + foreign + odd_key + b"trailing")
    assert [event for event in file.tracks[0].events if event[1][0] != META] == [
        (0, b"\x90\x3c\x50"),
        (96, b"\x80\x3c\x00"),
    ]


def test_a_riff_wrapping():
    plain = HEADER + MIDDLE_C
    wrapped = b"RIFF" + (12 + len(plain)).to_bytes(4, "little") + b"RMIDdata"
    wrapped += len(plain).to_bytes(4, "little") + plain
    assert read_chunks(wrapped) == read_chunks(plain)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04 a zip file", "it is not a MIDI file"),
        (HEADER[:11], "it breaks off in its header"),
        (HEADER, "it breaks off before track 1 of 1"),
        (HEADER + MIDDLE_C[:-4], "it breaks off in track 1 of 1"),
        (HEADER[:9] + b"\x02" + HEADER[10:], "type 2"),
        (HEADER[:12] + b"\xe7\x28" + MIDDLE_C, "SMPTE"),
        (HEADER[:12] + b"\x00\x00" + MIDDLE_C, "no ticks per beat"),
        (HEADER + track("00 90 3C"), "track 1 of 1 breaks off in the middle of an event"),
        (HEADER + track("00 3C 50"), "track 1 of 1 is broken near byte 23: no event begins there"),
        (HEADER + track("00 F4 50"), "0xF4 begins no event"),
        (HEADER + track("00 90 3C 90"), "a message is cut short by another"),
        (HEADER + track("FF FF FF FF 7F 90 3C 50"), "longer than four bytes"),
        (HEADER + track("00 FF 01 FF FF FF 7F"), "breaks off in the middle of an event"),
    ],
)
def test_what_is_wrong_is_said(data, said):
    with pytest.raises(BrokenFile, match=said):
        read_chunks(data)


def test_a_file_of_two_million_events_is_refused_at_once():
    endless = HEADER + track("00 90 3C 50" + "00 3C 50" * (4 * MAX_EVENTS))
    before = time.process_time()
    with pytest.raises(BrokenFile, match="more than 500,000 events"):
        read_chunks(endless)
    assert time.process_time() - before < 5


channel_messages = st.one_of(
    st.builds(
        lambda status, a, b: bytes((status, a, b)),
        st.integers(0x80, 0xBF) | st.integers(0xE0, 0xEF),
        st.integers(0, 127),
        st.integers(0, 127),
    ),
    st.builds(lambda status, a: bytes((status, a)), st.integers(0xC0, 0xDF), st.integers(0, 127)),
)
names = st.builds(lambda text: bytes((META, TRACK_NAME)) + text.encode(), st.text(max_size=200))


@st.composite
def tracks(draw):
    deltas = st.integers(0, 1 << 22)
    events, tick = [], 0
    for delta, event in draw(st.lists(st.tuples(deltas, channel_messages | names), max_size=30)):
        tick += delta
        events.append((tick, event))
    return Track(tuple(events), tick + draw(deltas))


files = st.builds(
    MidiFile, st.integers(1, 0x7FFF), st.lists(tracks(), min_size=1, max_size=4).map(tuple)
)


@given(files)
def test_what_is_written_is_read(file):
    assert read_chunks(write_chunks(file)) == file


@given(files)
def test_mido_reads_the_same(file):
    theirs = mido.MidiFile(file=io.BytesIO(write_chunks(file)))
    assert theirs.ticks_per_beat == file.ticks_per_beat
    for track, their_track in zip(file.tracks, theirs.tracks, strict=True):
        tick, seen = 0, []
        for message in their_track:
            tick += message.time
            if not message.is_meta:
                seen.append((tick, bytes(message.bytes())))
        assert tick == track.end
        assert seen == [event for event in track.events if event[1][0] != META]


@given(files, st.data())
def test_no_damage_does_more_than_refuse(file, data):
    """Some bytes changed, put in or taken out: a file or a refusal, and nothing else."""
    broken = bytearray(write_chunks(file))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(broken)))
        width = data.draw(st.integers(0, 4))
        broken[at : at + width] = data.draw(st.binary(max_size=5))
    try:
        read_chunks(bytes(broken))
    except BrokenFile as refusal:
        assert "\n" not in str(refusal)


@given(st.binary(max_size=200))
def test_noise_behind_a_header(noise):
    try:
        read_chunks(HEADER + b"MTrk" + len(noise).to_bytes(4) + noise)
    except BrokenFile as refusal:
        assert "track 1 of 1" in str(refusal)


def test_texts():
    file = read_chunks(HEADER + track("00 FF 03 04 C3 89 74 65  60 FF 06 02 4F 6B"))
    assert texts(file.tracks, TRACK_NAME) == [(0, "Éte")]
