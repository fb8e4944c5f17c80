"""The demo's player: recordings that ship with Segue, and the bars of them that make a turn.

Knows the recordings and bars. Knows no clock, port or session, and leaves the recordings as they
are: their keys are not on the grid.
"""

from dataclasses import dataclass
from pathlib import Path

from daemon.take.midi_file import read_score

DEFAULT = "ode"

#: A key struck this little before a bar line was meant for the bar that begins there. The
#: recordings hold nothing that is meant to fall so shortly before one.
ANTICIPATION_MS = 60.0

_FOLDER = Path(__file__).parent
_SUSTAIN = 64


class UnknownPerformance(ValueError):
    """There is no recording of that name; the text names those there are."""


@dataclass(frozen=True, slots=True)
class Performance:
    """One recording. Beats count from its first bar line."""

    name: str
    title: str
    bpm: float
    meter: tuple[int, int]
    bars: int
    messages: tuple[tuple[float, bytes], ...]  # as played, in order of beat

    @property
    def bar_beats(self) -> float:
        """Length of one bar in beats."""
        return self.meter[0] * 4 / self.meter[1]


def names() -> tuple[str, ...]:
    """Return the names of the recordings."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.mid")))


def load(name: str) -> Performance:
    """Read the recording `name`. Raises `UnknownPerformance`."""
    if name not in names():
        raise UnknownPerformance(f"no performance is called {name}; choose {', '.join(names())}")
    score = read_score(_FOLDER / f"{name}.mid")
    meter = score.meters[0]
    return Performance(
        name=name,
        title=score.title,
        bpm=round(score.tempos[0][1], 3),
        meter=(meter.numerator, meter.denominator),
        bars=round(score.end / meter.bar_beats),  # its tracks end where its last bar does
        messages=score.messages,
    )


def turn(performance: Performance, first_bar: int, bars: int) -> list[tuple[float, bytes]]:
    """Return what is played in `bars` bars from bar `first_bar` on (the first is 0).

    Beats count from the bar line that the turn begins with. The first key may lie a little before
    it, up to ANTICIPATION_MS: a player is not a clock. The piece goes round. Each key and pedal
    that goes down in the turn goes up in it, at the latest at its end; what was held from before is
    not taken up.
    """
    messages: list[tuple[float, bytes]] = []
    done = 0
    while done < bars:
        first = (first_bar + done) % performance.bars
        count = min(bars - done, performance.bars - first)
        messages += _stretch(performance, first, count, at=done, last=done + count == bars)
        done += count
    return messages


def _stretch(
    performance: Performance, first: int, count: int, *, at: int, last: bool
) -> list[tuple[float, bytes]]:
    """Return bars that follow each other in the recording, moved so that the first is bar `at`."""
    start, end = first * performance.bar_beats, (first + count) * performance.bar_beats
    moved = at * performance.bar_beats - start
    early = ANTICIPATION_MS * performance.bpm / 60_000
    # Where the piece goes round, everything is let go before the first key of the next round.
    close = end if last else end - early
    taken: list[tuple[float, bytes]] = []
    held: dict[bytes, bytes] = {}  # what is down -> the message that lets it go
    for beat, message in performance.messages:
        release = _release(message)
        if message != release:
            if start - early <= beat < end - early:
                taken.append((beat + moved, message))
                held[release[:2]] = release
        elif held.pop(message[:2], None):
            taken.append((min(beat, close) + moved, message))
    taken.sort(key=lambda entry: entry[0])
    return taken + [(close + moved, release) for release in held.values()]


def _release(message: bytes) -> bytes:
    """Return the message that lets go what `message` presses; a release is its own."""
    channel = message[0] & 0x0F
    if message[0] & 0xF0 == 0xB0:
        return bytes((message[0], _SUSTAIN, 0))
    return message if message[0] & 0xF0 == 0x80 else bytes((0x80 | channel, message[1], 64))
