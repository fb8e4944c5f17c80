"""Folders of MIDI: where pieces lie, which split each belongs to and how corpora are weighted.

Knows names, indexes and zips; knows nothing of what is in a piece or what becomes of it.

A curated folder (index.jsonl, splits.json, recommended_mix.json beside zips) brings its own splits
and weights; copyleft corpora are read only when asked for. Any other folder or zip is one corpus
called "midi", split 90/5/5 by the hash of each file's name, so that a file stays in its split
when others come or go.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "valid", "test")
MIDI_SUFFIXES = {".mid", ".midi"}


class CorpusError(Exception):
    """Data that cannot be trained on; its text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Where one MIDI file lies: in a zip under a name, or by itself with an empty name."""

    corpus: str
    split: str
    path: Path
    name: str


def find_pieces(data: Path, *, copyleft: bool = False) -> tuple[list[Piece], dict[str, float]]:
    """All MIDI files of a folder or zip, and the weight of each corpus; raises CorpusError."""
    if not data.exists():
        raise CorpusError(f"there is no {data}; --data takes a folder or a zip of MIDI files")
    if (data / "index.jsonl").exists() and (data / "splits.json").exists():
        pieces, weights = _curated(data, copyleft=copyleft)
    else:
        pieces, weights = list(_plain(data)), {"midi": 1.0}
    if not pieces:
        raise CorpusError(f"there are no MIDI files in {data}")
    return pieces, weights


def split_by_name(name: str) -> str:
    """train, valid or test (90/5/5), always the same for a name."""
    part = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % 100
    return "train" if part < 90 else "valid" if part < 95 else "test"


def _curated(data: Path, *, copyleft: bool) -> tuple[list[Piece], dict[str, float]]:
    try:
        splits = json.loads((data / "splits.json").read_text(encoding="utf-8"))
        split_of = {piece: split for split in SPLITS for piece in splits[split]}
        lines = (data / "index.jsonl").read_text(encoding="utf-8").splitlines()
        index = [json.loads(line) for line in lines if line.strip()]
        mix = json.loads((data / "recommended_mix.json").read_text(encoding="utf-8"))
        optional = mix.get("copyleft_optional", {}) if copyleft else {}
        weights = {n: float(w) for n, w in mix.items() if isinstance(w, (int, float))} | optional
        pieces = []
        for entry in index:
            corpus = entry["corpus"]
            if weights.get(corpus, 0) > 0 and entry["id"] in split_of:
                archive, _, name = entry["file"].partition("::")
                pieces.append(Piece(corpus, split_of[entry["id"]], data / archive, name))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"the index of {data} cannot be read: {error!r}") from error
    return pieces, weights


def _plain(data: Path) -> Iterator[Piece]:
    paths = [data] if data.is_file() else sorted(data.rglob("*"))
    for path in paths:
        if path.suffix.lower() in MIDI_SUFFIXES:
            yield Piece("midi", split_by_name(path.name), path, "")
        elif path.suffix.lower() == ".zip":
            try:
                with zipfile.ZipFile(path) as archive:
                    names = sorted(archive.namelist())
            except (OSError, zipfile.BadZipFile) as error:
                raise CorpusError(f"{path} is not a readable zip: {error}") from error
            for name in names:
                if Path(name).suffix.lower() in MIDI_SUFFIXES:
                    yield Piece("midi", split_by_name(Path(name).name), path, name)
