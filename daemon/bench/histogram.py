"""Draws how times are spread, one row for each kind, on a logarithmic axis of milliseconds.

Knows names and lists of times; not what was measured.
"""

import io
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from daemon.take.report import percentiles
from daemon.take.whole_file import write_whole

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

Row: TypeAlias = tuple[str, Sequence[float]]

WIDTH, HEADER, ROW_HEIGHT, FOOTER, MARGIN = 1200, 96, 150, 44, 36
#: From a microsecond to a second; what lies outside is drawn at the edge.
LEAST_MS, MOST_MS = 0.001, 1000.0
BINS_PER_DECADE = 20
_DECADES = round(math.log10(MOST_MS / LEAST_MS))
BINS = _DECADES * BINS_PER_DECADE
_PAPER, _INK, _GREY, _RULE = (255, 255, 255), (34, 34, 34), (110, 110, 110), (225, 225, 230)
_BAR, _MARK = (0, 114, 178), (213, 94, 0)


def draw_histogram(path: Path, *, rows: Sequence[Row], title: str, subtitle: str = "") -> None:
    """Write a PNG. The height of a bar goes with the logarithm of its count, so that one note in
    a thousand can be seen; marks show p50, p99 and p99.9. Raises `NotWritten`."""
    from PIL import Image, ImageDraw

    height = HEADER + len(rows) * ROW_HEIGHT + FOOTER
    image = Image.new("RGB", (WIDTH, height), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, 40), title, fill=_INK, font=_font(26), anchor="ls")
    draw.text((MARGIN, 66), subtitle, fill=_GREY, font=_font(14), anchor="ls")
    for number, (name, values_ms) in enumerate(rows):
        _draw_row(draw, HEADER + number * ROW_HEIGHT, name, values_ms)
    for decade in range(_DECADES + 1):
        at_ms = LEAST_MS * 10**decade
        label = f"{at_ms:g} ms"
        draw.text((_x(at_ms), height - 18), label, fill=_GREY, font=_font(13), anchor="ms")
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True)
    write_whole(path, data.getvalue())


def counts(values_ms: Sequence[float]) -> list[int]:
    """How many of the values fall into each bin."""
    found = [0] * BINS
    for value in values_ms:
        place = math.log10(max(value, LEAST_MS) / LEAST_MS) * BINS_PER_DECADE
        found[min(int(place), BINS - 1)] += 1
    return found


def _draw_row(draw: "ImageDraw.ImageDraw", top: int, name: str, values_ms: Sequence[float]) -> None:
    bottom = top + ROW_HEIGHT - 30
    tallest = bottom - top - 26
    for decade in range(_DECADES + 1):
        x = _x(LEAST_MS * 10**decade)
        draw.line((x, top, x, bottom), fill=_RULE)
    found = counts(values_ms)
    most = math.log1p(max(found))
    for index, count in enumerate(found):
        if count:
            left, right = _bin_x(index), _bin_x(index + 1) - 1
            high = round(tallest * math.log1p(count) / most)
            draw.rectangle((left, bottom - high, right, bottom), fill=_BAR)
    draw.line((_x(LEAST_MS), bottom, _x(MOST_MS), bottom), fill=_GREY)
    said = [f"{len(values_ms)} values"]
    for point, value in percentiles(values_ms, 50, 99, 99.9).items():
        if value is not None:
            said.append(f"{point.replace('p999', 'p99.9')} {value:.3f} ms")
            draw.line((_x(value), top + 14, _x(value), bottom), fill=_MARK, width=2)
    draw.text((MARGIN, top + 4), name, fill=_INK, font=_font(16), anchor="ls")
    draw.text((WIDTH - MARGIN, top + 4), ", ".join(said), fill=_GREY, font=_font(14), anchor="rs")


def _x(value_ms: float) -> int:
    inside = min(max(value_ms, LEAST_MS), MOST_MS)
    share = math.log10(inside / LEAST_MS) / _DECADES
    return MARGIN + round(share * (WIDTH - 2 * MARGIN))


def _bin_x(index: int) -> int:
    return MARGIN + round(index / BINS * (WIDTH - 2 * MARGIN))


@cache
def _font(size: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    from PIL import ImageFont

    return ImageFont.load_default(size)
