"""Scores in and takes out: MIDI files as messages, meters and tempos in beats.

Knows what music needs from a MIDI file. Leaves the bytes to `midi_bytes`; knows no session and no
clock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from daemon.take.midi_bytes import BrokenFile, Timed, midi_bytes, read_midi, timed
from daemon.take.whole_file import write_whole
from engine.meter import COMMON_TIME, line_after
from engine.protocol import Meter, Note

#: Some 200,000 notes; mido reads them in under five seconds.
MAX_BYTES = 2_000_000
#: Over eight hours of music at any tempo that is played; what lies beyond is a broken delta time.
MAX_BEATS = 100_000
TICKS_PER_BEAT = 480  # of the files we write

_DRUMS = 9  # MIDI channel 10
_MICROSECONDS_PER_MINUTE = 60_000_000
_FASTEST_BPM = 1000.0
_SLOWEST_TEMPO = 0xFFFFFF  # microseconds a beat
#: A change of meter this little behind a bar line was meant for it; others wait for the next one.
_METER_SLACK_BEATS = 0.25


class ScoreError(Exception):
    """A score cannot be used; the text is one line that says what is wrong and how to mend it."""


@dataclass(frozen=True, slots=True)
class Score:
    """What is needed to play a MIDI file into a session. All times are beats; 0 is a bar line."""

    title: str  # the name of the first track; may be empty
    messages: tuple[tuple[float, bytes], ...]  # channel messages; each note-on has its note-off
    meters: tuple[Meter, ...]  # each on a bar line of the one before, the first at 0
    tempos: tuple[tuple[float, float], ...]  # (beat, bpm), the first at 0
    ticks_per_beat: int
    length: float  # the release of the last note
    end: float  # where the longest track ends


def read_score(path: Path | str) -> Score:
    """Read a MIDI file of type 0 or 1. Raises `ScoreError`, and nothing else.

    The drum channel is left out, unless there is nothing else. Of two messages at one beat a
    release comes first, then the earlier track.
    """
    path = Path(path)
    data = _bytes_of(path)
    try:
        return score_of(read_midi(data))
    except BrokenFile as error:
        raise ScoreError(
            f"cannot read {path}: {error}; export it again as a MIDI file of type 1"
        ) from None
    except ScoreError as error:
        raise ScoreError(f"cannot use {path}: {error}") from None


def score_of(file: Any) -> Score:
    """Return what `read_midi` read, in beats. Raises `ScoreError`."""
    tpb = file.ticks_per_beat
    tracks = [_read_track(track, last=MAX_BEATS * tpb) for track in file.tracks]
    messages = _in_order(tracks)
    if not any(_strikes(message) for _, message in messages):
        raise ScoreError("it holds no notes; choose a file with at least one")
    meta = sorted((event for track in tracks for event in track.meta), key=_tick_of)
    return Score(
        title=file.tracks[0].name.encode("latin1").decode(errors="replace"),
        messages=tuple((tick / tpb, message) for tick, message in messages),
        meters=_meters((tick / tpb, event) for tick, event in meta),
        tempos=_tempos((tick / tpb, event) for tick, event in meta),
        ticks_per_beat=tpb,
        length=max(tick for tick, message in messages if _sounds(message)) / tpb,
        end=max(track.end for track in tracks) / tpb,
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
    import mido

    tracks = [
        _part(name, notes, channel=(number if number < _DRUMS else number + 1) % 16)
        for number, (name, notes) in enumerate(parts)
    ]
    conductor = _conductor(meters, tempos, markers)
    last = max((track[-1][0] for track in (conductor, *tracks) if track), default=0)
    line = _tick(line_after(meters or (COMMON_TIME,), last / TICKS_PER_BEAT))
    conductor.append((max(line, last), mido.MetaMessage("end_of_track")))
    data = midi_bytes([conductor, *tracks], ticks_per_beat=TICKS_PER_BEAT)
    write_whole(Path(path), data)


# Reading.


class _Track(NamedTuple):
    """What is taken from a track, in rising order of tick."""

    messages: list[tuple[int, bytes]]  # channel messages
    meta: list[Timed]
    end: int


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


def _read_track(track: Iterable[Any], *, last: int) -> _Track:
    """Sort a track's messages by kind. Raises `ScoreError` for one that comes after `last`."""
    messages: list[tuple[int, bytes]] = []
    meta: list[Timed] = []
    tick = 0
    for tick, message in timed(track):
        if tick > last:  # at once: adding to a number without bounds takes memory without bounds
            raise ScoreError(f"it is more than {MAX_BEATS:,} beats long; cut it into pieces")
        if message.is_meta:
            meta.append((tick, message))
        elif hasattr(message, "channel"):
            messages.append((tick, bytes(message.bytes())))
    return _Track(messages, meta, tick)


def _in_order(tracks: Sequence[_Track]) -> list[tuple[int, bytes]]:
    """Return the channel messages of all tracks in the order they are played."""
    ranked = [entry for track in tracks for entry in _ranked(track)]
    pitched = [entry for entry in ranked if entry[2][0] & 0x0F != _DRUMS]
    if any(_strikes(message) for _, _, message in pitched):
        ranked = pitched
    ranked.sort(key=lambda entry: entry[:2])
    return [(tick, message) for tick, _, message in ranked]


def _ranked(track: _Track) -> list[tuple[int, int, bytes]]:
    """Return (tick, rank, message), and release at the track's end what it leaves sounding.

    Rank 0 is a release of a key struck at an earlier tick: it has to come before other tracks
    strike the same key there. A key struck and released at one tick keeps its order. A release of a
    key that is not down is left out.
    """
    ranked: list[tuple[int, int, bytes]] = []
    struck: dict[tuple[int, int], int] = {}  # (channel, pitch) -> tick of its last stroke
    for tick, message in track.messages:
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


def _meters(meta: Iterable[tuple[float, Any]]) -> tuple[Meter, ...]:
    meters = [COMMON_TIME]
    for beat, event in meta:
        if event.type != "time_signature":
            continue
        numerator, denominator = event.numerator, event.denominator
        if not (1 <= numerator <= 64 and denominator <= 64):
            continue  # no music is written so; the meter before holds
        line = line_after(meters[-1:], max(beat - _METER_SLACK_BEATS, meters[-1].beat))
        if line == meters[-1].beat:
            meters.pop()
        if not meters or (meters[-1].numerator, meters[-1].denominator) != (numerator, denominator):
            meters.append(Meter(line, numerator, denominator))
    return tuple(meters)


def _tempos(meta: Iterable[tuple[float, Any]]) -> tuple[tuple[float, float], ...]:
    tempos = [(0.0, 120.0)]  # what a file without a tempo means
    for beat, event in meta:
        if event.type != "set_tempo":
            continue
        if event.tempo * _FASTEST_BPM < _MICROSECONDS_PER_MINUTE:
            continue  # no music goes so fast; the tempo before holds
        if tempos[-1][0] == beat:
            tempos.pop()
        tempos.append((beat, _MICROSECONDS_PER_MINUTE / event.tempo))
    return tuple(tempos)


# Writing.


def _tick(beat: float) -> int:
    return max(0, round(beat * TICKS_PER_BEAT))


def _conductor(
    meters: Sequence[Meter],
    tempos: Sequence[tuple[float, float]],
    markers: Sequence[tuple[float, str]],
) -> list[Timed]:
    """Return meters, tempos and markers; the first of the former two hold from the beginning."""
    from mido import MetaMessage

    timed_meta: list[tuple[float, Any]] = []
    for number, meter in enumerate(meters):
        signature = MetaMessage(
            "time_signature",
            numerator=meter.numerator,
            denominator=meter.denominator,
            clocks_per_click=max(1, 96 // meter.denominator),
        )
        timed_meta.append((meter.beat if number else 0.0, signature))
    for number, (beat, bpm) in enumerate(tempos):
        tempo = min(max(round(_MICROSECONDS_PER_MINUTE / bpm), 1), _SLOWEST_TEMPO)
        timed_meta.append((beat if number else 0.0, MetaMessage("set_tempo", tempo=tempo)))
    timed_meta += [(beat, MetaMessage("marker", text=text)) for beat, text in markers]
    return sorted(((_tick(beat), message) for beat, message in timed_meta), key=_tick_of)


def _tick_of(event: Timed) -> int:
    return event[0]


def _part(name: str, notes: Sequence[Note], *, channel: int) -> list[Timed]:
    """Return a track in which each note has its own time: none overlaps the next of its pitch."""
    from mido import Message, MetaMessage

    ends: dict[tuple[int, int], Note] = {}  # (pitch, tick of the onset) -> the longest note there
    for note in sorted(notes, key=lambda note: note.duration):
        ends[note.pitch, _tick(note.onset)] = note
    events: list[tuple[int, int, int, int]] = []  # tick, 0 for a release, pitch, velocity
    following: dict[int, int] = {}  # pitch -> tick of the next onset
    for (pitch, start), note in sorted(ends.items(), reverse=True):
        end = max(start + 1, _tick(note.end))
        end = min(end, following.get(pitch, end))
        following[pitch] = start
        events.append((start, 1, pitch, min(max(note.velocity, 1), 127)))
        events.append((end, 0, pitch, 0))
    events.sort()  # releases before strokes at one tick, then by pitch
    kinds = ("note_off", "note_on")
    return [
        (0, MetaMessage("track_name", name=name)),
        *(
            (tick, Message(kinds[kind], channel=channel, note=pitch, velocity=velocity))
            for tick, kind, pitch, velocity in events
        ),
    ]
