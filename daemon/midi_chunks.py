"""Turns the bytes of a Standard MIDI File into events at ticks, and back.

Knows the file format and its limits. Knows no beats, meters, notes or disk. Reading is strict where
a guess would change the music (a track that breaks off, a status byte that means nothing) and
lenient where it would not: foreign chunks, a missing end of track, meta events of any content.

It reads in one pass over the bytes and stops at a count of events, so that no file, however
crafted, takes longer than one of honest size. mido's reader is the measure in the tests, but not
used here: it refuses a whole file for an odd key signature, and has no such bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

MAX_EVENTS = 500_000

META = 0xFF
TEXT, TRACK_NAME, MARKER = 0x01, 0x03, 0x06
END_OF_TRACK, TEMPO, TIME_SIGNATURE = 0x2F, 0x51, 0x58

_END = bytes((META, END_OF_TRACK))

#: The tick it comes at and its bytes: a channel message with its status byte, or 0xFF, the kind of
#: meta event and its content (without the length).
Event: TypeAlias = tuple[int, bytes]


class BrokenFile(ValueError):
    """The bytes are no MIDI file that can be read; the text says what is wrong and where."""


@dataclass(frozen=True, slots=True)
class Track:
    """Events in rising order of tick, and the tick at which the track ends."""

    events: tuple[Event, ...]
    end: int


@dataclass(frozen=True, slots=True)
class MidiFile:
    """What a Standard MIDI File of type 0 or 1 holds; system exclusive messages are left out."""

    ticks_per_beat: int
    tracks: tuple[Track, ...]


def read_chunks(data: bytes) -> MidiFile:
    """Read a file of type 0 or 1. Raises `BrokenFile`, and nothing else, on any bytes."""
    at = _start(data)
    size = int.from_bytes(data[at + 4 : at + 8])
    header = data[at + 8 : at + 14]
    if size < 6 or len(header) < 6:
        raise BrokenFile("it breaks off in its header")
    kind, count, division = (int.from_bytes(header[i : i + 2]) for i in (0, 2, 4))
    _check_header(kind, division)
    at += 8 + size

    tracks: list[Track] = []
    left = MAX_EVENTS
    while len(tracks) < count and at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8])
        at += 8
        if name == b"MTrk":
            where = f"track {len(tracks) + 1} of {count}"
            if at + size > len(data):
                raise BrokenFile(f"it breaks off in {where}")
            track = _read_track(data[at : at + size], where=where, at=at, left=left)
            left -= len(track.events)
            if left < 0:
                raise BrokenFile(f"it holds more than {MAX_EVENTS:,} events")
            tracks.append(track)
        at += size
    if len(tracks) < count:
        raise BrokenFile(f"it breaks off before track {len(tracks) + 1} of {count}")
    return MidiFile(division, tuple(tracks))


def write_chunks(file: MidiFile) -> bytes:
    """Return the bytes of a file of type 1. The same events always give the same bytes."""
    header = (1, len(file.tracks), file.ticks_per_beat)
    chunks = [b"MThd", (6).to_bytes(4), *(number.to_bytes(2) for number in header)]
    for track in file.tracks:
        body = _write_events(track)
        chunks += [b"MTrk", len(body).to_bytes(4), body]
    return b"".join(chunks)


def _start(data: bytes) -> int:
    """Return where the header begins: at once, or wrapped in RIFF as in Windows' .rmi files."""
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        return max(data.find(b"MThd", 12, 64), 0)
    if data[:4] != b"MThd":
        raise BrokenFile("it is not a MIDI file" if data else "it is empty")
    return 0


def _check_header(kind: int, division: int) -> None:
    if kind > 1:
        raise BrokenFile(f"it is a MIDI file of type {kind}; only types 0 and 1 have one time line")
    if division & 0x8000:
        raise BrokenFile("it counts SMPTE frames and knows no beats")
    if division == 0:
        raise BrokenFile("its header gives no ticks per beat")


def _read_track(data: bytes, *, where: str, at: int, left: int) -> Track:
    """Read the body of a track chunk, up to one event more than are `left`.

    `at` is the place of the chunk in the file, for messages.
    """
    events: list[Event] = []
    tick = place = 0
    status = 0  # running status; 0 when there is none
    try:
        while place < len(data) and len(events) <= left:
            delta, place = _number(data, place)
            tick += delta
            event, place, status = _read_event(data, place, status)
            if event == _END:
                break
            if event:
                events.append((tick, event))
    except IndexError:
        raise BrokenFile(f"{where} breaks off in the middle of an event") from None
    except BrokenFile as error:
        raise BrokenFile(f"{where} is broken near byte {at + place}: {error}") from None
    return Track(tuple(events), tick)


def _read_event(data: bytes, place: int, status: int) -> tuple[bytes, int, int]:
    """Read what stands behind a delta time; return it, the place behind it and the running status.

    The event is empty for a system exclusive message. Raises IndexError past the end of `data`.
    """
    first = data[place]
    if first == META:
        length, content = _number(data, place + 2)
        event = data[place : place + 2] + _take(data, content, length)
        return event, content + length, status
    if first in (0xF0, 0xF7):
        length, content = _number(data, place + 1)
        _take(data, content, length)
        return b"", content + length, 0
    if first & 0x80:
        status = first
        place += 1
    length = _data_bytes(status)
    event = _take(data, place, length)
    if not event.isascii():  # a top bit marks a status byte
        raise BrokenFile("a message is cut short by another")
    return bytes((status,)) + event, place + length, status


def _data_bytes(status: int) -> int:
    """Return how many bytes follow a channel message's status byte."""
    if not 0x80 <= status < 0xF0:
        raise BrokenFile(f"0x{status:02X} begins no event" if status else "no event begins there")
    return 1 if status & 0xF0 in (0xC0, 0xD0) else 2


def _take(data: bytes, place: int, length: int) -> bytes:
    if place + length > len(data):
        raise IndexError
    return data[place : place + length]


def _number(data: bytes, place: int) -> tuple[int, int]:
    """Read a number of variable length; return it and the place behind it."""
    number = 0
    for _ in range(4):  # the format's limit
        byte = data[place]
        place += 1
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, place
    raise BrokenFile("a number is longer than four bytes")


def _write_events(track: Track) -> bytes:
    body = bytearray()
    before = 0
    for tick, event in (*track.events, (track.end, _END)):
        body += _digits(tick - before)
        if event[0] == META:
            body += event[:2] + _digits(len(event) - 2) + event[2:]
        else:
            body += event
        before = tick
    return bytes(body)


def _digits(number: int) -> bytes:
    """Write a number of variable length."""
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))


def texts(tracks: Sequence[Track], kind: int) -> list[tuple[int, str]]:
    """Return the texts of one kind of meta event, with their ticks."""
    return [
        (tick, event[2:].decode("utf-8", errors="replace"))
        for track in tracks
        for tick, event in track.events
        if event[0] == META and event[1] == kind
    ]
