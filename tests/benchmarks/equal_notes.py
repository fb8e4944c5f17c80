"""How far a nested checkpoint's live backends are from the float32 reference, on unseen music.

For windows of the test split, row by row: of each field of the note that follows, the total
variation distance between the two distributions (half the sum of the absolute differences: the
share of draws that would turn out otherwise), how often their best choice is the same, and the bits
that the notes cost under each; and how far logits part when the cache was rewound and fed again in
other chunks. Nothing is masked; metres and ends, which nobody plays, are left out.

    python tests/benchmarks/equal_notes.py --data FOLDER --cache NOTES --checkpoint PATH
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.backends import NAMES, open_model
from engine.cache import Logits
from engine.rows import NoteBackend, Row
from models.augment import PLAIN
from models.judged import FIELDS
from models.nested.events import COLUMNS, END, KEYS, TIME
from models.nested.windows import EventWindows
from models.note_cache import open_shelves

CHUNKS = (1, 2, 3, 7, 1, 31, 64, 5)


def windows(args: argparse.Namespace) -> Iterator[list[Row]]:
    """Rows of music, drawn by the seed."""
    drawn = EventWindows(open_shelves(args.data, args.cache, copyleft=False), split="test").draw(
        np.random.default_rng(args.seed), count=args.windows, length=args.length, chances=PLAIN
    )
    for window in drawn[..., :COLUMNS]:
        deltas = np.diff(window[:, TIME], prepend=window[0, TIME])
        yield [Row(*row) for row in np.column_stack((window, deltas)).tolist()]


def said(backend: NoteBackend, row: Row, following: Row) -> list[NDArray[Any]]:
    """Logarithms of the probabilities of each field of what follows; the onset alone of a rest."""
    found = [log_shares(backend.next(row))]
    if following.key < KEYS:
        found.append(log_shares(backend.say_where(following)))
        found.append(log_shares(backend.say_key(following.key)))
        found.append(log_shares(backend.say_length(following.length)))
    return found


def log_shares(logits: Logits) -> NDArray[Any]:
    """Logarithms of probabilities."""
    centred = logits.astype(np.float64) - logits.max()
    shares: NDArray[Any] = centred - np.log(np.exp(centred).sum())
    return shares


def refed(backend: NoteBackend, rows: Sequence[Row]) -> float:
    """How far the last logits part after a rewind and other chunks."""
    last = backend.append(rows[backend.length :]).copy()
    at, count = len(rows) // 3, 0
    backend.rewind(at)
    while at < len(rows):
        chunk = rows[at : at + CHUNKS[count % len(CHUNKS)]]
        logits = backend.append(chunk)
        at, count = at + len(chunk), count + 1
    return float(np.abs(logits - last).max())


class Score:
    """What is added up for one backend."""

    def __init__(self, backend: NoteBackend) -> None:
        self.backend = backend
        self.bits = [0.0 for _ in FIELDS]
        self.refed = 0.0
        self.distances: list[list[float]] = [[] for _ in FIELDS]
        self.same_best: list[list[bool]] = [[] for _ in FIELDS]

    def add(self, rows: list[Row], reference: list[list[NDArray[Any]]]) -> None:
        """One window; of each pair of rows what the reference says."""
        self.backend.rewind(0)
        for (row, following), expected in zip(pairwise(rows), reference, strict=True):
            found = said(self.backend, row, following)
            if following.onset > END:
                continue
            for field, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
                apart = 0.5 * np.abs(np.exp(ours) - np.exp(theirs)).sum()
                self.distances[field].append(float(apart))
                self.same_best[field].append(bool(ours.argmax() == theirs.argmax()))
                self.bits[field] -= ours[chosen(following)[field]] / np.log(2)
        self.refed = max(self.refed, refed(self.backend, rows))

    def figures(self, notes: int, reference: list[float]) -> dict[str, Any]:
        """What came out."""
        fields: dict[str, Any] = {
            name: {
                "tv_mean": float(np.mean(self.distances[field])),
                "tv_p99": float(np.quantile(self.distances[field], 0.99)),
                "tv_max": max(self.distances[field]),
                "same_best": float(np.mean(self.same_best[field])),
                "bits_per_note": self.bits[field] / notes,
            }
            for field, name in enumerate(FIELDS)
        }
        worse_percent = 100 * (sum(self.bits) / sum(reference) - 1)
        return fields | {"bits_worse_percent": worse_percent, "refed_logits_max": self.refed}


def chosen(row: Row) -> tuple[int, int, int, int]:
    """Its onset, key, length and force."""
    return row.onset, row.key, row.length, row.force


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Every window through the reference and each backend."""
    names = dict.fromkeys(["torch", *args.backends])
    backends = {name: open_model(args.checkpoint, backend=name).backend for name in names}
    scores = {name: Score(backend) for name, backend in backends.items()}  # type: ignore[arg-type]
    notes = 0
    for rows in windows(args):
        reference = scores["torch"].backend
        reference.rewind(0)
        expected = [said(reference, row, following) for row, following in pairwise(rows)]
        for score in scores.values():
            score.add(rows, expected)
        notes += sum(row.key < KEYS for row in rows[1:])
    return {
        "checkpoint": args.checkpoint.name,
        "notes": notes,
        "backends": {n: score.figures(notes, scores["torch"].bits) for n, score in scores.items()},
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="as for `segue train`")
    parser.add_argument("--cache", type=Path, required=True, help="notes of that data")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--backends", nargs="+", choices=NAMES, default=["native"])
    parser.add_argument("--windows", type=int, default=12)
    parser.add_argument("--length", type=int, default=512, help="of a window, in rows")
    parser.add_argument("--seed", type=int, default=1)
    print(json.dumps(compare(parser.parse_args()), indent=1))


if __name__ == "__main__":
    main()
