"""One MIDI file to the tokens of one keyboard player.

Knows MIDI files (through symusic) and MidiTok. Knows no corpora, splits, disks or networks.

All tracks become one stream, as a player's two hands are one port. Drums are left out, and so are
tracks called COMP_SYNTH, entirely: they are accompaniment written by a program from chord symbols,
and a model should not learn another program's habits.
"""

from __future__ import annotations

from typing import Any

from models.vocabulary import METRES, Vocabulary

SYNTHETIC_TRACK = "COMP_SYNTH"
MAX_BYTES = 20_000_000  # a MIDI file beyond this is damaged or not a piece of music
MAX_BARS = 20_000  # MidiTok writes out every empty bar; one stray far note would fill the disk


class ScoreError(ValueError):
    """A piece that is left out; the text is the reason, short enough to be counted by."""


def tokens_of(midi: bytes, vocabulary: Vocabulary, tokenizer: Any) -> list[int]:
    """Token numbers of a MIDI file, from the bar of its first note; raises ScoreError."""
    ids = list(tokenizer.encode(keyboard_score(midi))[0].ids)
    first_note = next((i for i, token in enumerate(ids) if token in vocabulary.pitches), None)
    if first_note is None:
        raise ScoreError("no notes")
    first_bar = max(i for i in range(first_note) if ids[i] == vocabulary.bar)
    return ids[first_bar:]


def read_score(midi: bytes) -> Any:
    """A symusic Score of a MIDI file; raises ScoreError."""
    if len(midi) > MAX_BYTES:
        raise ScoreError("too large")
    try:
        return _symusic().Score.from_midi(midi)
    except Exception as error:  # symusic raises several kinds, RuntimeError among them
        raise ScoreError("not a readable MIDI file") from error


def played_tracks(score: Any) -> list[Any]:
    """The tracks that a keyboard player could play: no drums, no written accompaniment."""
    return [
        track
        for track in score.tracks
        if not track.is_drum and track.name.strip() != SYNTHETIC_TRACK
    ]


def keyboard_score(midi: bytes) -> Any:
    """A symusic Score with one track and supported metres only; raises ScoreError."""
    symusic = _symusic()
    score = read_score(midi)
    merged = symusic.Track(program=0, is_drum=False)
    for track in played_tracks(score):
        merged.notes.extend(track.notes)
    if not len(merged.notes):
        raise ScoreError("no notes")
    merged.notes.sort()
    keyboard = symusic.Score(score.ticks_per_quarter)
    keyboard.tracks.append(merged)
    _set_metres(keyboard, score.time_signatures)
    quarters = merged.notes[-1].time / score.ticks_per_quarter
    if quarters > MAX_BARS * min(n * 4 / d for d in METRES for n in METRES[d]):
        raise ScoreError("too long")
    return keyboard


def supported_metre(numerator: int, denominator: int) -> tuple[int, int]:
    """The metre itself, or one with an equal bar (2/2 to 4/4, 6/16 to 3/8); raises ScoreError."""
    if numerator in METRES.get(denominator, ()):
        return numerator, denominator
    for other in sorted(METRES, key=lambda d: abs(d - denominator)):  # 12/16 is rather 6/8 than 3/4
        if denominator and numerator * other % denominator == 0:
            equal = numerator * other // denominator
            if equal in METRES[other]:
                return equal, other
    raise ScoreError(f"metre {numerator}/{denominator}")


def _set_metres(keyboard: Any, time_signatures: Any) -> None:
    symusic = _symusic()
    for signature in time_signatures:
        metre = supported_metre(signature.numerator, signature.denominator)
        keyboard.time_signatures.append(symusic.TimeSignature(signature.time, *metre))
    if not keyboard.time_signatures or keyboard.time_signatures[0].time > 0:
        keyboard.time_signatures.insert(0, symusic.TimeSignature(0, 4, 4))  # the MIDI default


def _symusic() -> Any:
    """Symusic, imported when first needed; its type stubs do not know its own attributes."""
    import symusic

    return symusic
