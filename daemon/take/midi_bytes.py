"""The bytes of MIDI files, by way of mido: what it reads amiss, and what its errors mean.

Knows mido, which is imported when the first file is read or written, since a session starts without
one. Knows no beats, meters, notes or disk.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from io import BytesIO
from typing import Any, TypeAlias

#: The tick it comes at and a message of mido's.
Timed: TypeAlias = tuple[int, Any]

#: The meta events that mido is to read: texts, end of track, tempo and time signature.
_META_READ = {*range(0x01, 0x08), 0x2F, 0x51, 0x58}
#: The format's numbers end within four bytes, but mido reads on and on, ever slower. Such a row of
#: bytes elsewhere would be a text of some 700 Chinese characters without a space.
_ENDLESS_NUMBER = re.compile(rb"[\x80-\xff]{2000}")


class BrokenFile(ValueError):
    """The bytes are no MIDI file that can be read; the text says what is wrong with them."""


def read_midi(data: bytes) -> Any:
    """Return mido's reading of a file of type 0 or 1. Raises `BrokenFile`, and nothing else.

    It takes up to 2.5 s for a megabyte; the caller sees to it that there are not too many.
    """
    import mido

    if not data.startswith(b"MThd"):
        raise BrokenFile("it is not a MIDI file" if data else "it is empty")
    if _ENDLESS_NUMBER.search(data):
        raise BrokenFile("it is damaged (a number does not end)")
    _pass_over_other_meta()
    try:
        file = mido.MidiFile(file=BytesIO(data))
    except EOFError:
        raise BrokenFile("it breaks off before its end") from None
    except OSError as error:  # mido's own, in words
        raise BrokenFile(f"it is damaged ({error})") from None
    except Exception:  # anything that can happen to a decoder which trusts its input
        raise BrokenFile("it is damaged (an event has the wrong length or content)") from None
    if file.type not in (0, 1):
        raise BrokenFile(f"it is a MIDI file of type {file.type}, without one time line")
    if file.ticks_per_beat <= 0:
        raise BrokenFile("it counts SMPTE frames, or nothing, and knows no beats")
    return file


def timed(track: Iterable[Any]) -> Iterator[Timed]:
    """Give each message of a track its tick."""
    tick = 0
    for message in track:
        tick += message.time
        yield tick, message


def midi_bytes(tracks: Iterable[Sequence[Timed]], *, ticks_per_beat: int) -> bytes:
    """Return a file of type 1. The messages of a track stand in rising order of tick.

    The same messages always give the same bytes.
    """
    import mido

    file = mido.MidiFile(type=1, ticks_per_beat=ticks_per_beat, charset="utf-8")
    for messages in tracks:
        track = file.add_track()
        before = 0
        for tick, message in messages:
            track.append(message.copy(time=tick - before))
            before = tick
    written = BytesIO()
    file.save(file=written)
    return written.getvalue()


class _PassedOver:
    """How mido reads a meta event of one type: not at all, but for its time."""

    type, attributes, defaults = "passed_over", (), ()

    def __init__(self, type_byte: int) -> None:
        self.type_byte = type_byte

    def decode(self, message: object, data: object) -> None:
        """Keep nothing of it."""


@cache
def _pass_over_other_meta() -> None:
    """Keep mido from reading what Segue has no use for; it holds for the whole process.

    mido 1.3 refuses a file for an odd key signature, and forgets the time of an event of unknown
    type, so that all that follows comes too early.
    """
    from mido.midifiles.meta import add_meta_spec

    for type_byte in set(range(256)) - _META_READ:
        add_meta_spec(partial(_PassedOver, type_byte))
