"""Folders of MIDI, tokenized once into flat arrays on disk.

Knows where pieces lie, which split each belongs to and how corpora are weighted. Knows nothing of
networks or of how windows are drawn.

A curated folder (index.jsonl, splits.json, recommended_mix.json beside zips) brings its own splits
and weights; copyleft corpora are read only when asked for. Any other folder or zip is one corpus
called "midi", split 90/5/5 by the hash of each file's name, so that a file stays in its split
when others come or go.

The cache holds CORPUS.SPLIT.tokens.npy (int16, pieces end to end) and CORPUS.SPLIT.offsets.npy
(int64, pieces + 1), and corpus.json with the fingerprint of what it was made from.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.files import replacing
from models.scores import ScoreError, tokens_of
from models.vocabulary import build_tokenizer, standard_vocabulary, tokenizer_tokens

SPLITS = ("train", "valid", "test")
CACHE_FORMAT = 2  # raise it when the tokens of a piece change
PIECES_A_TASK = 32
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


@dataclass(frozen=True, slots=True)
class Tokens:
    """The pieces of one corpus and split, end to end, mapped from disk."""

    tokens: NDArray[np.int16]  # (all tokens,)
    offsets: NDArray[np.int64]  # (pieces + 1,)

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True, slots=True)
class Corpora:
    """Every corpus that was found, its weight in the mix, and what was left out and why."""

    by_name: dict[str, dict[str, Tokens]]  # corpus -> split -> tokens
    weights: dict[str, float]  # sums to 1
    left_out: dict[str, int]  # reason -> pieces

    def report(self) -> str:
        """One line: pieces and tokens read, pieces left out by reason."""
        pieces = sum(len(t) for splits in self.by_name.values() for t in splits.values())
        tokens = sum(len(t.tokens) for splits in self.by_name.values() for t in splits.values())
        line = f"{pieces} pieces in {len(self.by_name)} corpora, {tokens / 1e6:.1f}M tokens"
        if self.left_out:
            reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(self.left_out.items()))
            line += f"; {sum(self.left_out.values())} left out ({reasons})"
        return line


def open_corpora(data: Path, cache: Path, *, copyleft: bool = False, workers: int = 2) -> Corpora:
    """The tokens of a data folder, from the cache if it still fits; raises CorpusError."""
    pieces, weights = find_pieces(data, copyleft=copyleft)
    expected = fingerprint(pieces, f"{CACHE_FORMAT} {standard_vocabulary().tokens}")
    summary_path = cache / "corpus.json"
    try:
        summary = json.loads(summary_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        summary = {}
    if summary.get("fingerprint") != expected:
        summary_path.unlink(missing_ok=True)  # a cache half made must not pass for the old one
        left_out = _tokenize_all(pieces, cache, workers=workers)
        summary = {"fingerprint": expected, "left_out": left_out}
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
    return Corpora(by_name=by_name, weights=shares, left_out=summary["left_out"])


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


def fingerprint(pieces: list[Piece], kind: str) -> str:
    """What a cache of this kind was made from; another file, size or time is another one."""
    digest = hashlib.sha256(kind.encode())
    for path in sorted({piece.path for piece in pieces}):
        stat = path.stat() if path.exists() else None
        digest.update(f"{path} {stat and (stat.st_size, stat.st_mtime_ns)}\n".encode())
    for piece in pieces:
        digest.update(f"{piece.corpus} {piece.split} {piece.path.name} {piece.name}\n".encode())
    return digest.hexdigest()


def _tokenize_all(pieces: list[Piece], cache: Path, *, workers: int) -> dict[str, int]:
    """Fill the cache; returns the count of pieces left out by reason."""
    vocabulary = standard_vocabulary()
    if tokenizer_tokens(build_tokenizer()) != vocabulary.tokens:
        raise CorpusError("this MidiTok makes another vocabulary; install miditok>=3.1,<4")
    groups: dict[tuple[str, str], list[Piece]] = defaultdict(list)
    for piece in pieces:
        groups[piece.corpus, piece.split].append(piece)
    left_out: Counter[str] = Counter()
    done = 0
    context = multiprocessing.get_context("spawn")  # forking beside torch's threads may hang
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            for corpus in sorted({piece.corpus for piece in pieces}):
                for split in SPLITS:
                    group = groups[corpus, split]
                    tasks = [
                        group[i : i + PIECES_A_TASK] for i in range(0, len(group), PIECES_A_TASK)
                    ]
                    found: list[NDArray[np.int16]] = []
                    for arrays, reasons in pool.map(_tokenize, tasks):
                        found += arrays
                        left_out.update(reasons)
                    _store(cache, corpus, split, found)
                    done += len(group)
                print(f"tokenized {done} of {len(pieces)} pieces", file=sys.stderr, flush=True)
    except BrokenProcessPool as error:
        raise CorpusError(f"a file of the corpus {corpus} crashes the MIDI reader") from error
    except OSError as error:
        raise CorpusError(f"cannot write the token cache {cache}: {error}") from error
    return dict(left_out)


def _tokenize(pieces: list[Piece]) -> tuple[list[NDArray[np.int16]], Counter[str]]:
    """In a worker process: the tokens of each piece, and why others were left out."""
    vocabulary, tokenizer = standard_vocabulary(), _worker_tokenizer()
    arrays: list[NDArray[np.int16]] = []
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
            arrays.append(np.array(tokens_of(midi, vocabulary, tokenizer), dtype=np.int16))
        except ScoreError as error:
            reasons[str(error)] += 1
        except (OSError, KeyError, zipfile.BadZipFile):
            reasons["missing or damaged"] += 1
    for archive in archives.values():
        archive.close()
    return arrays, reasons


_tokenizers: list[Any] = []  # the worker's own, made at its first task


def _worker_tokenizer() -> Any:
    if not _tokenizers:
        _tokenizers.append(build_tokenizer())
    return _tokenizers[0]


def _store(cache: Path, corpus: str, split: str, pieces: list[NDArray[np.int16]]) -> None:
    offsets = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    tokens = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int16)
    for name, array in (("tokens", tokens), ("offsets", offsets)):
        # Replaced rather than overwritten: a training that still maps the old file lives on.
        with replacing(cache / f"{corpus}.{split}.{name}.npy") as part, part.open("wb") as file:
            np.save(file, array)


def _load(cache: Path, corpus: str, split: str) -> Tokens:
    try:
        offsets = np.load(cache / f"{corpus}.{split}.offsets.npy")
        # An empty array cannot be mapped.
        mode: Literal["r"] | None = "r" if offsets[-1] else None
        tokens = np.load(cache / f"{corpus}.{split}.tokens.npy", mmap_mode=mode)
    except (OSError, ValueError, EOFError) as error:
        raise CorpusError(f"the token cache {cache} is damaged ({error}); delete it") from error
    return Tokens(tokens=tokens, offsets=offsets)
