"""Folders of MIDI, read once into flat arrays of notes on disk.

Knows performances, where pieces lie and how arrays are kept; knows no grid, windows or networks.
Which pieces there are, their splits and weights are models/corpus.py's to say.

The cache holds, for each CORPUS.SPLIT, the arrays `notes` (performance.NOTE), `bars` (BAR) and
`pieces` (PIECE, one more than there are pieces, so that each ends where the next begins), and
notes.json with the fingerprint of what it was made from. Arrays are mapped, not read.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import signal
import sys
import zipfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.corpus import SPLITS, CorpusError, Piece, find_pieces
from models.files import replacing
from models.performance import NOTE, Performance, performance_of
from models.placing import Bars
from models.scores import ScoreError

NOTES_FORMAT = "notes 1"  # change it when the arrays of a piece change
SUMMARY_NAME = "notes.json"
PIECES_A_TASK = 32
DEAF = (signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that reads with workers
ARRAYS = ("notes", "bars", "pieces")
BAR = np.dtype([("start", "<f8"), ("metre", "u1")])
PIECE = np.dtype([("note", "<i8"), ("bar", "<i8"), ("finest", "<i4"), ("bpm", "<f4")])
#: Of two equal pieces the one that is tested on stays.
KEEPING_ORDER = ("test", "valid", "train")


@dataclass(frozen=True, slots=True)
class Shelf:
    """The performances of one corpus and split, end to end."""

    notes: NDArray[Any]  # of NOTE
    bars: NDArray[Any]  # of BAR
    pieces: NDArray[Any]  # of PIECE, and one more

    @classmethod
    def of(cls, performances: Sequence[Performance]) -> Shelf:
        """Put performances end to end."""
        pieces = np.zeros(len(performances) + 1, dtype=PIECE)
        pieces["note"][1:] = np.cumsum([len(p.notes) for p in performances])
        pieces["bar"][1:] = np.cumsum([len(p.bars.starts) for p in performances])
        pieces["finest"][:-1] = [p.bars.finest for p in performances]
        pieces["bpm"][:-1] = [p.bpm for p in performances]
        bars = np.zeros(int(pieces["bar"][-1]), dtype=BAR)
        if performances:
            bars["start"] = np.concatenate([p.bars.starts for p in performances])
            bars["metre"] = np.concatenate([p.bars.metres for p in performances])
        notes = [np.zeros(0, dtype=NOTE), *(p.notes for p in performances)]
        return cls(np.concatenate(notes), bars, pieces)

    def __len__(self) -> int:
        return len(self.pieces) - 1

    def performance(self, index: int) -> Performance:
        """One piece; its arrays are views of the shelf's."""
        this, following = self.pieces[index], self.pieces[index + 1]
        bars = self.bars[this["bar"] : following["bar"]]
        return Performance(
            notes=self.notes[this["note"] : following["note"]],
            bars=Bars(bars["start"], bars["metre"].astype(np.int64), int(this["finest"])),
            bpm=float(this["bpm"]),
        )


@dataclass(frozen=True, slots=True)
class Shelves:
    """Every corpus that was found, its weight in the mix, and what was left out and why."""

    by_name: dict[str, dict[str, Shelf]]  # corpus -> split -> shelf
    weights: dict[str, float]  # sums to 1
    left_out: dict[str, int]  # reason -> pieces

    def report(self) -> str:
        """One line: pieces and notes read, pieces left out by reason."""
        shelves = [shelf for splits in self.by_name.values() for shelf in splits.values()]
        line = (
            f"{sum(map(len, shelves))} pieces in {len(self.by_name)} corpora, "
            f"{sum(len(shelf.notes) for shelf in shelves) / 1e6:.1f}M notes"
        )
        if self.left_out:
            reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(self.left_out.items()))
            line += f"; {sum(self.left_out.values())} left out ({reasons})"
        return line

    def weights_within(self, most_rounds: float) -> dict[str, float]:
        """The weights where no corpus comes round more than `most_rounds` (1 or more) times in the
        time in which all the music would come round once; what is cut off goes to the others."""
        sizes = {name: len(self.by_name[name]["train"].notes) for name in self.weights}
        most = {name: most_rounds * size / sum(sizes.values()) for name, size in sizes.items()}
        cut: set[str] = set()
        while True:
            left = 1 - sum(most[name] for name in cut)
            kept = sum(weight for name, weight in self.weights.items() if name not in cut)
            shares = {
                name: most[name] if name in cut else weight * left / kept
                for name, weight in self.weights.items()
            }
            over = {name for name, share in shares.items() if share > most[name] + 1e-12}
            if not over:
                return shares
            cut |= over


def open_shelves(data: Path, cache: Path, *, copyleft: bool = False, workers: int = 2) -> Shelves:
    """The notes of a data folder, from the cache if it still fits; raises CorpusError."""
    pieces, weights = find_pieces(data, copyleft=copyleft)
    expected = fingerprint(pieces)
    summary_path = cache / SUMMARY_NAME
    try:
        summary = json.loads(summary_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        summary = {}
    if summary.get("fingerprint") != expected:
        summary_path.unlink(missing_ok=True)  # a cache half made must not pass for the old one
        summary = {"fingerprint": expected, "left_out": _read_all(pieces, cache, workers=workers)}
        summary_path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    by_name = {
        corpus: {split: _load(cache, corpus, split) for split in SPLITS}
        for corpus in sorted({piece.corpus for piece in pieces})
    }
    used = {name: weights[name] for name, splits in by_name.items() if len(splits["train"])}
    total = sum(used.values())
    if not total:
        raise CorpusError(f"no piece of {data} can be trained on: {summary['left_out']}")
    shares = {name: weight / total for name, weight in used.items()}
    return Shelves(by_name=by_name, weights=shares, left_out=summary["left_out"])


def fingerprint(pieces: list[Piece]) -> str:
    """What a cache was made from; another file, size or time is another one."""
    digest = hashlib.sha256(NOTES_FORMAT.encode())
    for path in sorted({piece.path for piece in pieces}):
        stat = path.stat() if path.exists() else None
        digest.update(f"{path} {stat and (stat.st_size, stat.st_mtime_ns)}\n".encode())
    for piece in pieces:
        digest.update(f"{piece.corpus} {piece.split} {piece.path.name} {piece.name}\n".encode())
    return digest.hexdigest()


def _read_all(pieces: list[Piece], cache: Path, *, workers: int) -> dict[str, int]:
    """Fill the cache; returns the count of pieces left out by reason."""
    left_out: Counter[str] = Counter()
    done = 0
    heard: set[bytes] = set()
    context = multiprocessing.get_context("spawn")  # forking beside torch's threads may hang
    corpus = ""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(
            workers, mp_context=context, initializer=signal.signal, initargs=DEAF
        ) as pool:
            for corpus in sorted({piece.corpus for piece in pieces}):
                for split in KEEPING_ORDER:
                    group = [p for p in pieces if (p.corpus, p.split) == (corpus, split)]
                    tasks = [
                        group[i : i + PIECES_A_TASK] for i in range(0, len(group), PIECES_A_TASK)
                    ]
                    found = []
                    for performances, reasons in pool.map(_read, tasks):
                        left_out.update(reasons)
                        for performance, digest in performances:
                            if digest in heard:
                                left_out["a duplicate"] += 1
                            else:
                                heard.add(digest)
                                found.append(performance)
                    _store(cache, corpus, split, Shelf.of(found))
                    done += len(group)
                print(f"read {done} of {len(pieces)} pieces", file=sys.stderr, flush=True)
    except BrokenProcessPool as error:
        raise CorpusError(f"a file of the corpus {corpus} crashes the MIDI reader") from error
    except OSError as error:
        raise CorpusError(f"cannot write the cache of notes {cache}: {error}") from error
    return dict(left_out)


def _read(pieces: list[Piece]) -> tuple[list[tuple[Performance, bytes]], Counter[str]]:
    """In a worker process: each performance with a digest of its notes, and why others are not."""
    found: list[tuple[Performance, bytes]] = []
    reasons: Counter[str] = Counter()
    archives: dict[Path, zipfile.ZipFile] = {}
    for piece in pieces:
        try:
            if piece.name:
                if piece.path not in archives:
                    archives[piece.path] = zipfile.ZipFile(piece.path)
                midi = archives[piece.path].read(piece.name)
            else:
                midi = piece.path.read_bytes()
            performance = performance_of(midi)
            digest = hashlib.sha256(performance.placed().notes.tobytes()).digest()
            found.append((performance, digest))
        except ScoreError as error:
            reasons[str(error)] += 1
        except (OSError, KeyError, zipfile.BadZipFile):
            reasons["missing or damaged"] += 1
    for archive in archives.values():
        archive.close()
    return found, reasons


def _store(cache: Path, corpus: str, split: str, shelf: Shelf) -> None:
    for name, array in zip(ARRAYS, (shelf.notes, shelf.bars, shelf.pieces), strict=True):
        # Replaced rather than overwritten: a training that still maps the old file lives on.
        with replacing(cache / f"{corpus}.{split}.{name}.npy") as part, part.open("wb") as file:
            np.save(file, array)


def _load(cache: Path, corpus: str, split: str) -> Shelf:
    paths = {name: cache / f"{corpus}.{split}.{name}.npy" for name in ARRAYS}
    try:
        pieces = np.load(paths["pieces"])
        # An empty array cannot be mapped.
        mode: Literal["r"] | None = "r" if len(pieces) > 1 else None
        notes, bars = (np.load(paths[name], mmap_mode=mode) for name in ("notes", "bars"))
    except (OSError, ValueError, EOFError) as error:
        raise CorpusError(f"the cache of notes {cache} is damaged ({error}); delete it") from error
    return Shelf(notes=notes, bars=bars, pieces=pieces)
