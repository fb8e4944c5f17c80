"""Figures as a JSON object and as a table to be read.

Knows paths of names and figures; knows nothing of how they came to be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from models.evaluation.bootstrap import Figure

Figures: TypeAlias = Mapping[tuple[str, ...], Figure]

#: Of each block: its title, what its columns are, and the digits behind the point.
Column: TypeAlias = tuple[str, tuple[str, ...]]
BLOCKS: tuple[tuple[str, int, tuple[Column, ...]], ...] = (
    (
        "bits per note: nothing masked, the same notes of context for every model",
        2,
        (
            ("total", ("bits_per_note", "total")),
            ("onset", ("bits_per_note", "onset")),
            ("pitch", ("bits_per_note", "pitch")),
            ("duration", ("bits_per_note", "duration")),
            ("velocity", ("bits_per_note", "velocity")),
            ("Markov", ("baselines", "markov", "bits_per_note")),
            ("below Markov", ("bits_below_markov",)),
        ),
    ),
    (
        "the true continuation preferred to a foil: share of trials, chance .5",
        2,
        (
            ("all", ("discrimination",)),
            ("other piece", ("discrimination_by_foil", "another piece")),
            ("a bar off", ("discrimination_by_foil", "a bar off")),
            ("transposed", ("discrimination_by_foil", "transposed")),
            ("shuffled", ("discrimination_by_foil", "shuffled")),
        ),
    ),
    (
        "match with what followed: F1 of the cardinality score",
        3,
        (
            ("2 beats", ("continuation_f1", "2")),
            ("4 beats", ("continuation_f1", "4")),
            ("8 beats", ("continuation_f1", "8")),
            ("repeat, 4", ("baselines", "repeat", "continuation_f1", "4")),
            ("Markov, 4", ("baselines", "markov", "continuation_f1", "4")),
            ("random, 4", ("baselines", "random", "continuation_f1", "4")),
            ("above repeat, 4", ("f1_above_repeat", "4")),
        ),
    ),
    (
        "match with what followed: overlap of pitches",
        3,
        (
            ("2 beats", ("pitch_overlap", "2")),
            ("4 beats", ("pitch_overlap", "4")),
            ("8 beats", ("pitch_overlap", "8")),
            ("repeat, 4", ("baselines", "repeat", "pitch_overlap", "4")),
            ("Markov, 4", ("baselines", "markov", "pitch_overlap", "4")),
            ("random, 4", ("baselines", "random", "pitch_overlap", "4")),
        ),
    ),
    (
        "distance from what followed: Jensen-Shannon, mean of six; the floor is between people",
        3,
        (
            ("mean", ("distance",)),
            ("floor", ("distance_floor",)),
            ("over floor", ("distance_over_floor",)),
            ("pitch class", ("distance_by", "pitch_class")),
            ("position", ("distance_by", "onset_position")),
            ("inter-onset", ("distance_by", "inter_onset")),
            ("duration", ("distance_by", "duration")),
            ("density", ("distance_by", "density")),
            ("polyphony", ("distance_by", "polyphony")),
        ),
    ),
    (
        "bars without a note, and groove consistency",
        3,
        (
            ("empty", ("empty_bars", "answer")),
            ("people's", ("empty_bars", "human")),
            ("groove", ("groove", "answer")),
            ("people's", ("groove", "human")),
        ),
    ),
    (
        "copying: notes in the longest passage shared, the top of people's 95 % band, and the "
        "share of answers above it",
        2,
        (
            ("training set", ("copying", "train", "answer")),
            ("people's", ("copying", "train", "human")),
            ("band", ("copying", "train", "band_high")),
            ("above", ("copying", "train", "answer_above_band")),
            ("prompt", ("copying", "prompt", "answer")),
            ("people's", ("copying", "prompt", "human")),
            ("band", ("copying", "prompt", "band_high")),
            ("above", ("copying", "prompt", "answer_above_band")),
            ("loops", ("copying", "loop_rate", "answer")),
            ("people's", ("copying", "loop_rate", "human")),
            ("still", ("copying", "standing_still", "answer")),
            ("people's", ("copying", "standing_still", "human")),
        ),
    ),
    (
        "time: onsets on the grid, notes over a handover, ms a note with its share of the prompt",
        3,
        (
            ("on grid", ("on_grid",)),
            ("crossing", ("crossing",)),
            ("ms", ("note_ms",)),
            ("pieces", ("pieces",)),
            ("prompts", ("prompts",)),
            ("notes", ("notes",)),
        ),
    ),
)


def as_json(figures: Figures) -> dict[str, Any]:
    """Values as a tree, and the same tree of [low, high] under "intervals"; NaN as null."""
    tree: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    for path, one in figures.items():
        _put(tree, path, _number(one.value))
        low, high = one.interval
        if low != high:
            _put(intervals, path, [_number(low), _number(high)])
    return tree | {"intervals": intervals}


def as_text(overall: Figures, styles: Mapping[str, Figures]) -> str:
    """The blocks under one another, a row a style, each figure with its interval."""
    rows = {**styles, "all styles": overall}
    parts = []
    for title, digits, columns in BLOCKS:
        head = ["", *(name for name, _ in columns)]
        body = [
            [name, *(_cell(figures.get(path), digits) for _, path in columns)]
            for name, figures in rows.items()
        ]
        parts.append(f"{title}\n{_aligned([head, *body])}")
    return "\n\n".join(parts)


def _put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) and abs(value) > 1 else round(value, 5)


def _cell(one: Figure | None, digits: int) -> str:
    if one is None or not math.isfinite(one.value):
        return "-"
    low, high = one.interval
    if low == high:
        return f"{one.value:.{digits}f}".rstrip("0").rstrip(".") if one.value else "0"
    return f"{one.value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Iterable[str], widths: Sequence[int]) -> str:
    name, *cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "  ".join([f"  {name}", *cells]).rstrip()
