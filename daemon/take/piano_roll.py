"""Draws a take as a piano roll: who played what, bar by bar.

Knows notes, meters and handovers, in beats. Knows no session and no MIDI.
"""

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from daemon.take.whole_file import write_whole
from engine.meter import COMMON_TIME, Bar, bar_at
from engine.protocol import Meter, Note

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

Colour: TypeAlias = tuple[int, int, int]

WIDTH = 1600
BARS_PER_ROW = 8
MOST_ROWS = 24  # a longer take gets more bars in a row, and not a picture without end

#: Okabe and Ito's colours, which stay apart for every kind of colour vision.
COLOURS: tuple[Colour, ...] = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167))

_PAPER, _INK, _GREY = (255, 255, 255), (34, 34, 34), (110, 110, 110)
_BLACK_KEY_ROW, _BEAT_LINE = (244, 244, 246), (229, 229, 233)
_C_LINE, _BAR_LINE = (196, 198, 206), (150, 150, 158)
_BLACK_KEYS = {1, 3, 6, 8, 10}

_MARGIN, _LABELS = 28, 44  # outer margin; room for the names of the octaves
_HEADER, _STRIP, _GAP, _FOOTER = 96, 30, 18, 14  # the strip above a row: bar numbers and handovers
_KEY_HEIGHT = 7
_LEAST_KEYS = 30
#: A note that goes over a bar line by no more than this belongs to one side of it.
_HAIR_BEATS = 0.125


def draw_piano_roll(
    path: Path | str,
    *,
    parts: Sequence[tuple[str, Sequence[Note]]],
    meters: Sequence[Meter],
    handovers: Sequence[tuple[float, str]],
    title: str,
    subtitle: str = "",
) -> None:
    """Write a PNG with a colour for each part; louder notes are darker.

    `handovers` are (beat, whose turn begins there); a name that is a part's has its colour. Long
    takes are broken into rows. Raises `NotWritten`.
    """
    from PIL import Image, ImageDraw  # late, since a player process starts without it

    rows = _rows(parts, tuple(meters) or (COMMON_TIME,))
    page = _Page.of(rows, [note.pitch for _, notes in parts for note in notes])
    image = Image.new("RGB", (WIDTH, page.height), _PAPER)
    names = [name for name, _ in parts]
    colours = {name.lower(): colour for name, colour in zip(names, COLOURS, strict=False)}
    pencil = _Pencil(ImageDraw.Draw(image), page, colours)
    pencil.header(title, subtitle, names)
    turns = sorted(handovers)
    for row in range(len(rows)):
        pencil.ground(row, turns)
        for name, notes in parts:
            pencil.notes(row, notes, pencil.colours.get(name.lower(), _GREY))
        pencil.handovers(row, turns)
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True)
    write_whole(Path(path), data.getvalue())


def _rows(
    parts: Sequence[tuple[str, Sequence[Note]]], meters: Sequence[Meter]
) -> list[tuple[Bar, ...]]:
    """Break what was played into rows of whole bars; without notes it is one bar."""
    first = min((note.onset for _, notes in parts for note in notes), default=0.0)
    last = max((note.end for _, notes in parts for note in notes), default=0.0)
    bars = list(_bars(meters, first + _HAIR_BEATS, last - _HAIR_BEATS))
    in_row = BARS_PER_ROW
    while len(bars) > in_row * MOST_ROWS:
        in_row *= 2
    return [tuple(bars[at : at + in_row]) for at in range(0, len(bars), in_row)]


def _bars(meters: Sequence[Meter], first: float, last: float) -> Iterator[Bar]:
    bar = bar_at(meters, first)
    yield bar
    while bar.end < last:
        bar = bar_at(meters, bar.end)
        yield bar


@dataclass(frozen=True, slots=True)
class _Page:
    """Where things are, in pixels."""

    rows: list[tuple[Bar, ...]]
    starts: list[float]  # the beat each row begins with
    lowest: int
    highest: int
    beat_width: float

    @classmethod
    def of(cls, rows: list[tuple[Bar, ...]], pitches: Sequence[int]) -> "_Page":
        lowest, highest = min(pitches, default=60) - 2, max(pitches, default=60) + 2
        missing = max(0, _LEAST_KEYS - (highest - lowest + 1))
        lowest, highest = lowest - missing // 2, highest + missing - missing // 2
        longest = max(row[-1].end - row[0].start for row in rows)
        starts = [row[0].start for row in rows]
        width = WIDTH - 2 * _MARGIN - _LABELS
        return cls(rows, starts, lowest, highest, width / longest)

    @property
    def row_height(self) -> int:
        return (self.highest - self.lowest + 1) * _KEY_HEIGHT

    @property
    def height(self) -> int:
        return _HEADER + len(self.rows) * (_STRIP + self.row_height + _GAP) + _FOOTER

    def top(self, row: int) -> int:
        """Return the upper edge of the keys of a row."""
        return _HEADER + _STRIP + row * (_STRIP + self.row_height + _GAP)

    def x(self, row: int, beat: float) -> int:
        """Return where a beat is in a row; what lies outside it is at its edge."""
        bars = self.rows[row]
        inside = min(max(beat, bars[0].start), bars[-1].end) - bars[0].start
        return _MARGIN + _LABELS + round(inside * self.beat_width)

    def y(self, row: int, pitch: int) -> int:
        """Return the upper edge of a key in a row."""
        return self.top(row) + (self.highest - pitch) * _KEY_HEIGHT

    def number(self, row: int) -> int:
        """Return the number of a row's first bar, counted from 1."""
        return 1 + sum(len(bars) for bars in self.rows[:row])


@dataclass(frozen=True, slots=True)
class _Pencil:
    """Draws on a page."""

    draw: "ImageDraw.ImageDraw"
    page: _Page
    colours: dict[str, Colour]  # by name of part, in lower case

    def text(self, at: tuple[float, float], text: str, size: int, fill: Colour, anchor: str) -> int:
        """Write a line of text and return how wide it is."""
        self.draw.text(at, text, fill=fill, font=_font(size), anchor=anchor)
        return round(self.draw.textlength(text, font=_font(size)))

    def header(self, title: str, subtitle: str, names: Sequence[str]) -> None:
        """Write title, subtitle and legend."""
        self.text((_MARGIN, 44), title, 30, _INK, "ls")
        self.text((_MARGIN, 72), subtitle, 16, _GREY, "ls")
        x = WIDTH - _MARGIN
        for name in reversed(names):
            colour = self.colours.get(name.lower(), _GREY)
            x -= self.text((x, 40), name, 17, _INK, "rm") + 10
            for step in range(4):  # soft to loud, as in the picture
                shade = _shade(colour, 110 - 25 * step)
                self.draw.rectangle((x - 16, 33, x - 1, 46), fill=shade)
                x -= 16
            x -= 26
        self.text((WIDTH - _MARGIN, 66), "lighter is softer", 13, _GREY, "rm")

    def ground(self, row: int, turns: Sequence[tuple[float, str]]) -> None:
        """Draw what lies under the notes: turns, keys, beats, bars."""
        page, draw = self.page, self.draw
        top, bottom = page.top(row), page.top(row) + page.row_height
        bars = page.rows[row]
        left, right = page.x(row, bars[0].start), page.x(row, bars[-1].end)
        for pitch in range(page.lowest, page.highest + 1):
            if pitch % 12 in _BLACK_KEYS:
                y = page.y(row, pitch)
                draw.rectangle((left, y, right, y + _KEY_HEIGHT - 1), fill=_BLACK_KEY_ROW)
        for start, end, name in self._spans(row, turns):
            self._tint((page.x(row, start), top, page.x(row, end), bottom), name)
        for bar in bars:
            self._beats(row, bar, top, bottom)
        for pitch in range(page.lowest, page.highest + 1):
            if pitch % 12 == 0:
                y = page.y(row, pitch) + _KEY_HEIGHT
                draw.line((left, y, right, y), fill=_C_LINE)
                middle = y - _KEY_HEIGHT // 2
                self.text((left - 8, middle), f"C{pitch // 12 - 1}", 12, _GREY, "rm")
        draw.rectangle((left, top, right, bottom), outline=_BAR_LINE)
        self._bar_numbers(row, turns)

    def notes(self, row: int, notes: Sequence[Note], colour: Colour) -> None:
        """Draw the notes of one part that sound in a row."""
        page = self.page
        start, end = page.rows[row][0].start, page.rows[row][-1].end
        for note in notes:
            # What goes over the end of a row by a hair is drawn on one side of it alone.
            until = end - _HAIR_BEATS if note.end > end else end
            since = start + _HAIR_BEATS if note.onset < start - _HAIR_BEATS else start
            if note.onset >= until or note.end <= since:
                continue
            x, y = page.x(row, note.onset), page.y(row, note.pitch)
            right = max(page.x(row, note.end) - 1, x + 2)
            self.draw.rectangle(
                (x, y, right, y + _KEY_HEIGHT - 1), fill=_shade(colour, note.velocity)
            )
            if note.onset >= start - _HAIR_BEATS:  # it begins here: a firm edge
                self.draw.line((x, y, x, y + _KEY_HEIGHT - 1), fill=_mix(colour, _INK, 0.6))

    def handovers(self, row: int, turns: Sequence[tuple[float, str]]) -> None:
        """Draw a line where a turn begins, with the name of the one who takes over."""
        page = self.page
        start, end = page.rows[row][0].start, page.rows[row][-1].end
        top, bottom = page.top(row), page.top(row) + page.row_height
        for beat, name in turns:
            if not start <= beat < end:
                continue
            x = page.x(row, beat)
            colour = self.colours.get(name.lower(), _GREY)
            self.draw.line((x, top - _STRIP + 6, x, bottom), fill=colour, width=2)
            box = (x, top - _STRIP + 6, x + self._flag(name), top - _STRIP + 24)
            self.draw.rectangle(box, fill=colour)
            self.text((x + 7, top - _STRIP + 15), name, 13, _PAPER, "lm")

    def _flag(self, name: str) -> int:
        """Return how wide the flag of a handover is."""
        return round(self.draw.textlength(name, font=_font(13))) + 14

    def _spans(
        self, row: int, turns: Sequence[tuple[float, str]]
    ) -> Iterator[tuple[float, float, str]]:
        """Return the turns within a row as (start, end, name)."""
        start, end = self.page.rows[row][0].start, self.page.rows[row][-1].end
        first = bisect_right([beat for beat, _ in turns], start) - 1
        for number in range(max(first, 0), len(turns)):
            beat, name = turns[number]
            until = turns[number + 1][0] if number + 1 < len(turns) else end
            if beat >= end:
                break
            yield max(beat, start), min(until, end), name

    def _tint(self, box: tuple[int, int, int, int], name: str) -> None:
        """Colour the ground of a turn, and leave the rows of the black keys to be seen."""
        colour = self.colours.get(name.lower(), _GREY)
        left, top, right, bottom = box
        self.draw.rectangle((left, top, right, bottom), fill=_mix(_PAPER, colour, 0.07))
        for pitch in range(self.page.lowest, self.page.highest + 1):
            if pitch % 12 in _BLACK_KEYS:
                y = top + (self.page.highest - pitch) * _KEY_HEIGHT
                fill = _mix(_PAPER, colour, 0.12)
                self.draw.rectangle((left, y, right, y + _KEY_HEIGHT - 1), fill=fill)

    def _beats(self, row: int, bar: Bar, top: int, bottom: int) -> None:
        step = 4 / bar.meter.denominator
        beat = bar.start + step
        while step * self.page.beat_width >= 5 and beat < bar.end - 1e-6:
            x = self.page.x(row, beat)
            self.draw.line((x, top, x, bottom), fill=_BEAT_LINE)
            beat += step
        x = self.page.x(row, bar.start)
        self.draw.line((x, top, x, bottom), fill=_BAR_LINE)

    def _bar_numbers(self, row: int, turns: Sequence[tuple[float, str]]) -> None:
        bars = self.page.rows[row]
        every = 1
        while every * bars[0].meter.bar_beats * self.page.beat_width < 90:
            every *= 2
        flags = {round(beat, 3): self._flag(name) + 6 for beat, name in turns}
        for place in range(0, len(bars), every):
            start = bars[place].start
            x = self.page.x(row, start) + flags.get(round(start, 3), 0)
            number = str(self.page.number(row) + place)
            self.text((x, self.page.top(row) - _STRIP + 15), number, 13, _GREY, "lm")


@cache
def _font(size: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _shade(colour: Colour, velocity: int) -> Colour:
    """Return the colour of a note: what lies between pp and ff is spread over most of the range."""
    return _mix(_PAPER, colour, 0.3 + 0.7 * min(max((velocity - 25) / 85, 0), 1))


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
