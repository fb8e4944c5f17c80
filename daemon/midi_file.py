"""Scores in and takes out: MIDI files as messages, meters and tempos in beats.

Knows what music needs from a MIDI file. Leaves the bytes to `midi_chunks`; knows no session and no
clock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.midi_chunks import (
    MARKER,
    META,
    TEMPO,
    TIME_SIGNATURE,
    TRACK_NAME,
    BrokenFile,
    Event,
    MidiFile,
    Track,
    read_chunks,
    write_chunks,
)
from daemon.whole_file import write_whole
from engine.meter import COMMON_TIME, line_after
from engine.protocol import Meter, Note

MAX_BYTES = 20_000_000
#: Over eight hours of music at any tempo that is played; what lies beyond is a broken delta time.
MAX_BEATS = 100_000
TICKS_PER_BEAT = 480  # of the files we write

_DRUMS = 9  # MIDI channel 10
_MICROSECONDS_PER_MINUTE = 60_000_000
_FASTEST_BPM = 1000.0
#: A change of meter this little behind a bar line was meant for it; others wait for the next one.
_METER_SLACK_BEATS = 0.25


class ScoreError(Exception):
    """A score cannot be used; the text is one line that says what is wrong and how to mend it."""


@dataclass(frozen=True, slots=True)
class Score:
    """What is needed to play a MIDI file into a session. All times are beats; 0 is a bar line."""

    messages: tuple[tuple[float, bytes], ...]  # channel messages; each note-on has its note-off
    meters: tuple[Meter, ...]  # each on a bar line of the one before, the first at 0
    tempos: tuple[tuple[float, float], ...]  # (beat, bpm), the first at 0
    ticks_per_beat: int
    length: float  # the release of the last note


def read_score(path: Path | str) -> Score:
    """Read a MIDI file of type 0 or 1. Raises `ScoreError`, and nothing else.

    The drum channel is left out, unless there is nothing else. Of two messages at one beat a
    release comes first, then the earlier track.
    """
    path = Path(path)
    data = _bytes_of(path)
    try:
        return score_of(read_chunks(data))
    except BrokenFile as error:
        raise ScoreError(
            f"cannot read {path}: {error}; export it again as a MIDI file of type 1"
        ) from None
    except ScoreError as error:
        raise ScoreError(f"cannot use {path}: {error}") from None


def score_of(file: MidiFile) -> Score:
    """Return what `file` holds, in beats. Raises `ScoreError`."""
    messages = _messages(file.tracks)
    strokes = [at for at, message in messages if _strikes(message)]
    if not strokes:
        raise ScoreError("it holds no notes; choose a file with at least one")
    meta = sorted(
        (event for track in file.tracks for event in track.events if event[1][0] == META),
        key=lambda event: event[0],
    )
    tpb = file.ticks_per_beat
    last = max(messages[-1][0], meta[-1][0] if meta else 0)
    if last > MAX_BEATS * tpb:
        raise ScoreError(f"it is more than {MAX_BEATS:,} beats long; cut it into pieces")
    return Score(
        messages=tuple((tick / tpb, message) for tick, message in messages),
        meters=_meters((tick / tpb, event) for tick, event in meta),
        tempos=_tempos((tick / tpb, event) for tick, event in meta),
        ticks_per_beat=tpb,
        length=max(tick for tick, message in messages if _sounds(message)) / tpb,
    )


def write_take(
    path: Path | str,
    *,
    parts: Sequence[tuple[str, Sequence[Note]]],
    meters: Sequence[Meter],
    tempos: Sequence[tuple[float, float]],
    markers: Sequence[tuple[float, str]] = (),
) -> None:
    """Write a type 1 file: a track of tempos, meters and markers, then one track for each part.

    The first part is on channel 1, the second on channel 2, and so on past the drums. Times are
    rounded to the tick and not otherwise moved; what comes before beat 0 is moved to it. A note
    that runs into the next one of its pitch is cut. The same take always gives the same bytes.
    Raises `NotWritten`.
    """
    tracks = [
        _part(name, notes, channel=(number if number < _DRUMS else number + 1) % 16)
        for number, (name, notes) in enumerate(parts)
    ]
    events = [
        *((beat, TIME_SIGNATURE, _signature(meter)) for beat, meter in _from_zero(meters)),
        *((beat, TEMPO, _tempo(bpm)) for beat, bpm in _tempos_from_zero(tempos)),
        *((beat, MARKER, text.encode()) for beat, text in markers),
    ]
    timed = sorted(
        ((_tick(beat), bytes((META, kind)) + content) for beat, kind, content in events),
        key=lambda event: event[0],
    )
    last = max([track.end for track in tracks] + [tick for tick, _ in timed])
    line = _tick(line_after(meters or (COMMON_TIME,), last / TICKS_PER_BEAT))
    conductor = Track(tuple(timed), max(line, last))
    write_whole(Path(path), write_chunks(MidiFile(TICKS_PER_BEAT, (conductor, *tracks))))


# Reading.


def _bytes_of(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ScoreError(f"{path} is a folder; name a MIDI file in it")
        if not path.exists():
            raise ScoreError(f"there is no file {path}; check the name")
        if not path.is_file():
            raise ScoreError(f"{path} is no file; name a MIDI file")
        if path.stat().st_size > MAX_BYTES:
            raise ScoreError(
                f"{path} is larger than {MAX_BYTES // 1_000_000} MB; cut it into pieces"
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ScoreError(f"cannot open {path}: {reason}; check its name and rights") from None


def _messages(tracks: Sequence[Track]) -> list[Event]:
    """Return the channel messages of all tracks in the order they are played."""
    ranked = [entry for track in tracks for entry in _ranked(track)]
    pitched = [entry for entry in ranked if entry[2][0] & 0x0F != _DRUMS]
    if any(_strikes(message) for _, _, message in pitched):
        ranked = pitched
    ranked.sort(key=lambda entry: entry[:2])
    return [(tick, message) for tick, _, message in ranked]


def _ranked(track: Track) -> list[tuple[int, int, bytes]]:
    """Return (tick, rank, message), and release at the track's end what it leaves sounding.

    Rank 0 is a release of a key struck at an earlier tick: it has to come before other tracks
    strike the same key there. A key struck and released at one tick keeps its order. A release of a
    key that is not down is left out.
    """
    ranked: list[tuple[int, int, bytes]] = []
    struck: dict[tuple[int, int], int] = {}  # (channel, pitch) -> tick of its last stroke
    for tick, message in track.events:
        if message[0] == META:
            continue
        key = (message[0] & 0x0F, message[1])
        rank = 1
        if _strikes(message):
            struck[key] = tick
        elif _sounds(message):
            if key not in struck:
                continue
            rank = int(struck.pop(key) == tick)
        ranked.append((tick, rank, message))
    ranked.extend((track.end, 1, bytes((0x80 | channel, pitch, 64))) for channel, pitch in struck)
    return ranked


def _sounds(message: bytes) -> bool:
    return message[0] & 0xF0 in (0x80, 0x90)


def _strikes(message: bytes) -> bool:
    return message[0] & 0xF0 == 0x90 and message[2] > 0


def _meters(meta: Iterable[tuple[float, bytes]]) -> tuple[Meter, ...]:
    meters = [COMMON_TIME]
    for beat, event in meta:
        if event[1] != TIME_SIGNATURE or len(event) < 4:
            continue
        numerator, power = event[2], event[3]
        if not (1 <= numerator <= 64 and power <= 6):
            continue  # no music is written so; the meter before holds
        line = line_after(meters[-1:], max(beat - _METER_SLACK_BEATS, meters[-1].beat))
        meter = Meter(line, numerator, 1 << power)
        if line == meters[-1].beat:
            meters.pop()
        if not meters or (meters[-1].numerator, meters[-1].denominator) != (numerator, 1 << power):
            meters.append(meter)
    return tuple(meters)


def _tempos(meta: Iterable[tuple[float, bytes]]) -> tuple[tuple[float, float], ...]:
    tempos = [(0.0, 120.0)]  # what a file without a tempo means
    for beat, event in meta:
        if event[1] != TEMPO or len(event) != 5:
            continue
        microseconds = int.from_bytes(event[2:])
        if microseconds * _FASTEST_BPM < _MICROSECONDS_PER_MINUTE:
            continue  # no music goes so fast; the tempo before holds
        if tempos[-1][0] == beat:
            tempos.pop()
        tempos.append((beat, _MICROSECONDS_PER_MINUTE / microseconds))
    return tuple(tempos)


# Writing.


def _tick(beat: float) -> int:
    return max(0, round(beat * TICKS_PER_BEAT))


def _part(name: str, notes: Sequence[Note], *, channel: int) -> Track:
    """Return a track in which each note has its own time: none overlaps the next of its pitch."""
    ends: dict[tuple[int, int], Note] = {}  # (pitch, tick of the onset) -> the longest note there
    for note in sorted(notes, key=lambda note: note.duration):
        ends[note.pitch, _tick(note.onset)] = note
    events: list[tuple[int, int, bytes]] = []
    following: dict[int, int] = {}  # pitch -> tick of the next onset
    for (pitch, start), note in sorted(ends.items(), reverse=True):
        end = max(start + 1, _tick(note.end))
        end = min(end, following.get(pitch, end))
        following[pitch] = start
        velocity = min(max(note.velocity, 1), 127)
        events.append((start, 1, bytes((0x90 | channel, pitch, velocity))))
        events.append((end, 0, bytes((0x80 | channel, pitch, 0))))
    events.sort()  # releases before strokes at one tick, then by pitch
    title = (0, bytes((META, TRACK_NAME)) + name.encode())
    timed = [(tick, message) for tick, _, message in events]
    return Track((title, *timed), events[-1][0] if events else 0)


def _from_zero(meters: Sequence[Meter]) -> list[tuple[float, Meter]]:
    """Return where each meter is written; the first also holds for what lies before it."""
    return [(meter.beat if number else 0.0, meter) for number, meter in enumerate(meters)]


def _tempos_from_zero(tempos: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(beat if number else 0.0, bpm) for number, (beat, bpm) in enumerate(tempos)]


def _signature(meter: Meter) -> bytes:
    power = meter.denominator.bit_length() - 1
    clocks_per_click = max(1, 96 // meter.denominator)
    return bytes((meter.numerator, power, clocks_per_click, 8))


def _tempo(bpm: float) -> bytes:
    microseconds = round(_MICROSECONDS_PER_MINUTE / bpm)
    return min(max(microseconds, 1), 0xFFFFFF).to_bytes(3)
