"""What is read of a MIDI file, and what is left out.

Knows MIDI files (through symusic); knows no corpora, splits, disks or networks.

All tracks become one stream, as a player's two hands are one port. Drums are left out, and so are
tracks called COMP_SYNTH, entirely: they are accompaniment written by a program from chord symbols,
and a model should not learn another program's habits.
"""

from __future__ import annotations

from typing import Any

from models.vocabulary import METRES

SYNTHETIC_TRACK = "COMP_SYNTH"
MAX_BYTES = 20_000_000  # a MIDI file beyond this is damaged or not a piece of music


class ScoreError(ValueError):
    """A piece that is left out; the text is the reason, short enough to be counted by."""


def read_score(midi: bytes) -> Any:
    """A symusic Score of a MIDI file; raises ScoreError."""
    if len(midi) > MAX_BYTES:
        raise ScoreError("too large")
    symusic = _symusic()
    try:
        return symusic.Score.from_midi(midi)
    except Exception as error:  # symusic raises several kinds, RuntimeError among them
        raise ScoreError("not a readable MIDI file") from error


def played_tracks(score: Any) -> list[Any]:
    """The tracks that a keyboard player could play: no drums, no written accompaniment."""
    return [
        track
        for track in score.tracks
        if not track.is_drum and track.name.strip() != SYNTHETIC_TRACK
    ]


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


def _symusic() -> Any:
    """Symusic, imported when first needed; its type stubs do not know its own attributes."""
    import symusic

    return symusic
