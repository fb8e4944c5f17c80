"""The bytes of MIDI files: what is read of them, and what is said when they are damaged."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mido import Message, MetaMessage

from daemon.take.midi_bytes import BrokenFile, midi_bytes, read_midi, timed
from daemon.take.midi_file import MAX_BYTES, ScoreError, score_of

HEADER = bytes.fromhex(
    "4D546864 00000006"  # MThd, six bytes
    "0001 0001 0060"  # type 1, one track, 96 ticks a beat
)


def track(body):
    data = bytes.fromhex(body)
    return b"MTrk" + len(data).to_bytes(4) + data


MIDDLE_C = track(
    "00 90 3C 50"  # C4 down
    "60 3C 00"  # a beat later, with running status, C4 up by a note-on of velocity 0
    "00 FF 2F 00"  # end of track
)


def read(body):
    """Return (tick, hex of a channel message) for a file of one track."""
    (only,) = read_midi(HEADER + track(body)).tracks
    return [(tick, message.hex()) for tick, message in timed(only) if not message.is_meta]


def test_running_status_and_a_missing_end_of_track():
    assert read("00 90 3C 50 60 3C 00") == [(0, "90 3C 50"), (96, "90 3C 00")]


@pytest.mark.parametrize(
    "meta",
    [
        "30 FF 59 02 63 07",  # a key of 99 sharps
        "30 FF 54 05 E0 00 00 00 00",  # a frame rate that there is none of
        "30 FF 08 03 41 42 43",  # a program's name, which mido does not know
        "30 FF 20 00",  # a channel prefix without a channel
        "30 FF 03 02 E9 FF",  # a name in no known script
    ],
)
def test_what_is_not_needed_is_passed_over_and_takes_its_time(meta):
    assert read(f"00 90 3C 50 {meta} 30 80 3C 00") == [(0, "90 3C 50"), (96, "80 3C 00")]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04 a zip file", "it is not a MIDI file"),
        (HEADER[:11], "it breaks off"),
        (HEADER, "it breaks off"),
        (HEADER + MIDDLE_C[:-4], "it breaks off"),
        (HEADER[:9] + b"\x02" + HEADER[10:] + MIDDLE_C, "of type 2, without one time line"),
        (HEADER[:12] + b"\xe7\x28" + MIDDLE_C, "SMPTE"),
        (HEADER[:12] + b"\x00\x00" + MIDDLE_C, "knows no beats"),
        (HEADER + b"XFIH" + MIDDLE_C, "damaged (no MTrk header at start of track)"),
        (HEADER + track("00 90 3C"), "it breaks off"),
        (HEADER + track("00 3C 50"), "damaged (running status without last_status)"),
        (HEADER + track("00 F4 50"), "damaged (undefined status byte 0xf4)"),
        (HEADER + track("00 90 3C 90"), "damaged (data byte must be in range 0..127)"),
        (HEADER + track("00 FF 51 01 07"), "damaged (an event has the wrong length or content)"),
        (HEADER + track("00 FF 01 FF FF FF 7F"), "damaged (Message length 268435455 exceeds"),
        (HEADER + track("FF" * 20_000), "damaged (a number does not end)"),
    ],
)
def test_what_is_wrong_is_said(data, said):
    with pytest.raises(BrokenFile, match=re.escape(said)):
        read_midi(data)


TENTH = MAX_BYTES // 10
LONG_NUMBER = b"\xff" * 1_990 + b"\x7f\xc0\x05"


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\x90\x3c\x50" + b"\x00\x3c\x50" * (TENTH // 3),
        LONG_NUMBER * (TENTH // len(LONG_NUMBER)),
        LONG_NUMBER + b"\x00\x05" * (TENTH // 2),
    ],
    ids=["notes", "long numbers", "a long number first"],
)
def test_no_file_that_is_let_in_takes_long(body):
    before = time.process_time()
    try:
        score_of(read_midi(HEADER + b"MTrk" + len(body).to_bytes(4) + body))
    except ScoreError as refusal:
        assert "beats long" in str(refusal)
    assert time.process_time() - before < 3  # here 0.8, and under 10 for a whole file


channel_messages = st.one_of(
    st.builds(
        lambda status, a, b: Message.from_bytes((status, a, b)),
        st.integers(0x80, 0xBF) | st.integers(0xE0, 0xEF),
        st.integers(0, 127),
        st.integers(0, 127),
    ),
    st.builds(
        lambda status, a: Message.from_bytes((status, a)),
        st.integers(0xC0, 0xDF),
        st.integers(0, 127),
    ),
)
names = st.builds(lambda name: MetaMessage("track_name", name=name), st.text(max_size=200))


@st.composite
def tracks(draw):
    deltas = st.integers(0, 1 << 22)
    events, tick = [], 0
    for delta, event in draw(st.lists(st.tuples(deltas, channel_messages | names), max_size=30)):
        tick += delta
        events.append((tick, event))
    return [*events, (tick + draw(deltas), MetaMessage("end_of_track"))]


resolutions = st.integers(1, 0x7FFF)
files = st.lists(tracks(), min_size=1, max_size=4)


def plain(events):
    """Ticks and bytes; mido's equality also looks at the time, which is a delta once it is read."""
    return [
        (tick, message.name.encode() if message.type == "track_name" else bytes(message.bytes()))
        for tick, message in events
    ]


@given(files, resolutions)
def test_what_is_written_is_read(file, ticks_per_beat):
    again = read_midi(midi_bytes(file, ticks_per_beat=ticks_per_beat))
    assert (again.type, again.ticks_per_beat) == (1, ticks_per_beat)
    for events, track in zip(file, again.tracks, strict=True):
        for message in track:
            if message.type == "track_name":
                message.name = message.name.encode("latin1").decode()
        assert plain(timed(track)) == plain(events)


@given(files, st.data())
def test_no_damage_does_more_than_refuse(file, data):
    """Some bytes changed, put in or taken out: a file or a refusal, and nothing else."""
    broken = bytearray(midi_bytes(file, ticks_per_beat=480))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(broken)))
        width = data.draw(st.integers(0, 4))
        broken[at : at + width] = data.draw(st.binary(max_size=5))
    try:
        read_midi(bytes(broken))
    except BrokenFile as refusal:
        assert "\n" not in str(refusal)


@given(st.binary(max_size=200))
def test_noise_behind_a_header(noise):
    try:
        read_midi(HEADER + b"MTrk" + len(noise).to_bytes(4) + noise)
    except BrokenFile as refusal:
        assert "\n" not in str(refusal)
