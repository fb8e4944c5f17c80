"""How far the live backends are from the float32 reference, on music that was not trained on.

For windows of the test split, token by token: the total variation distance between the two
distributions over what the grammar allows (half the sum of the absolute differences: the share of
draws that would turn out otherwise), how often their best token is the same, the bits that a note
costs under each, and how far logits part when the cache was rewound and fed again in other chunks.

    python tests/benchmarks/equal_answers.py --data FOLDER --cache NOTES --checkpoint PATH
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.backends import NAMES, open_model
from engine.cache import Backend
from engine.grammar import Grammar
from engine.protocol import Meter
from engine.tokens import Tokenizer
from models.augment import PLAIN
from models.checkpoint import load_checkpoint
from models.description import shipped_checkpoint
from models.note_cache import open_shelves
from models.vocabulary import Vocabulary
from models.windows import TOKEN, TokenWindows, segment

Rows: TypeAlias = NDArray[np.float64]  # (tokens, V)

CHUNKS = (1, 2, 3, 7, 1, 31, 64, 5)


def windows(args: argparse.Namespace, vocabulary: Vocabulary) -> Iterator[list[int]]:
    """BOS and music from a bar line on, some windows of each corpus."""
    random = np.random.default_rng(args.seed)
    for source in TokenWindows(open_shelves(args.data, args.cache), split="test").sources:
        for _ in range(args.windows):
            rows = segment(source, random, vocabulary, room=args.length, chances=PLAIN)
            yield [token for token in rows[:, TOKEN].tolist() if token != vocabulary.eos]


def meters_of(tokens: Sequence[int], vocabulary: Vocabulary) -> list[Meter]:
    """The map of meters that the tokens' time signatures spell."""
    meters: list[Meter] = []
    beat = 0.0
    for token in tokens:
        if token in vocabulary.time_signatures:
            metre = vocabulary.metres[token - vocabulary.time_signatures.start]
            if not meters or (meters[-1].numerator, meters[-1].denominator) != metre:
                meters.append(Meter(beat, *metre))
            beat += metre[0] * 4 / metre[1]
    return meters


def masks(tokens: Sequence[int], vocabulary: Vocabulary) -> Iterator[NDArray[np.bool_] | None]:
    """For each token what the grammar allows in its place, if that holds the token itself.

    None before the first Position, and where a piece does what an answer may not (a long silence).
    """
    tokenizer = Tokenizer(vocabulary, meters_of(tokens, vocabulary))
    grammar: Grammar | None = None
    bar = -1
    for token in tokens:
        if grammar is None:
            yield None
            bar += token == vocabulary.bar
            if token in vocabulary.positions:
                step = token - vocabulary.positions.start
                beat = tokenizer.grid.bar(bar).beat_of(step)
                grammar = Grammar(tokenizer, from_beat=beat, until_beat=1e9)
            continue
        mask = np.zeros(len(vocabulary), dtype=bool)
        for span in grammar.allowed():
            mask[span.start : span.stop] = True
        yield mask if mask[token] else None
        grammar.take(token)


def log_shares(logits: NDArray[Any]) -> Rows:
    """Logarithms of probabilities, row by row."""
    centred = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    rows: Rows = centred - np.log(np.exp(centred).sum(axis=-1, keepdims=True))
    return rows


def refed(backend: Backend, tokens: Sequence[int], last: NDArray[Any]) -> float:
    """How far the last logits part from `last` after a rewind and other chunks."""
    at = len(tokens) // 3
    backend.rewind(at)
    count = 0
    while at < len(tokens):
        chunk = tokens[at : at + CHUNKS[count % len(CHUNKS)]]
        logits = backend.next(chunk[0]) if len(chunk) == 1 else backend.append(chunk)
        at, count = at + len(chunk), count + 1
    return float(np.abs(logits - last).max())


class Score:
    """What is added up for one backend."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.bits = 0.0
        self.refed = 0.0
        self.distances: list[Rows] = []
        self.same_best: list[NDArray[np.bool_]] = []

    def add(self, tokens: list[int], reference: Rows, allowed: NDArray[np.bool_], at: Any) -> None:
        """One window; `at` are the rows of `reference` that `allowed` belongs to."""
        self.backend.rewind(0)
        logits = np.stack([self.backend.next(token).copy() for token in tokens])
        self.refed = max(self.refed, refed(self.backend, tokens, logits[-1]))
        rows = log_shares(logits)
        self.bits += bits(rows, tokens)
        ours = np.exp(log_shares(np.where(allowed, rows[at], -np.inf)))
        theirs = np.exp(log_shares(np.where(allowed, reference[at], -np.inf)))
        self.distances.append(0.5 * np.abs(ours - theirs).sum(axis=-1))
        self.same_best.append(ours.argmax(axis=-1) == theirs.argmax(axis=-1))

    def figures(self, notes: int, reference_bits: float) -> dict[str, float]:
        """What came out."""
        distances, same = np.concatenate(self.distances), np.concatenate(self.same_best)
        return {
            "tv_mean": float(distances.mean()),
            "tv_p99": float(np.quantile(distances, 0.99)),
            "tv_max": float(distances.max()),
            "same_best": float(same.mean()),
            "bits_per_note": self.bits / notes,
            "bits_worse_percent": 100 * (self.bits / reference_bits - 1),
            "refed_logits_max": self.refed,
        }


def bits(rows: Rows, tokens: Sequence[int]) -> float:
    """What the tokens behind the first cost."""
    return float(-rows[np.arange(len(tokens) - 1), tokens[1:]].sum() / np.log(2))


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Every window through the reference and each backend."""
    checkpoint = load_checkpoint(args.checkpoint)
    words = checkpoint.vocabulary
    scores = {
        name: Score(open_model(args.checkpoint, backend=name).backend) for name in args.backends
    }
    notes, reference_bits, compared = 0, 0.0, 0
    for tokens in windows(args, words):
        with torch.inference_mode():
            reference = log_shares(checkpoint.network(torch.tensor([tokens]))[0].numpy())
        found = list(masks(tokens[1:], words))
        at = [row for row, mask in enumerate(found) if mask is not None]
        if not at:
            continue
        allowed = np.stack([found[row] for row in at])
        for score in scores.values():
            score.add(tokens, reference, allowed, at)
        notes += sum(token in words.pitches for token in tokens)
        reference_bits += bits(reference, tokens)
        compared += len(at)
    return {
        "checkpoint": args.checkpoint.name,
        "notes": notes,
        "tokens_compared": compared,
        "reference_bits_per_note": reference_bits / notes,
        "backends": {n: score.figures(notes, reference_bits) for n, score in scores.items()},
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="as for `segue train`")
    parser.add_argument("--cache", type=Path, required=True, help="notes of that data")
    parser.add_argument("--checkpoint", type=Path, default=shipped_checkpoint("flat"))
    parser.add_argument("--backends", nargs="+", choices=NAMES, default=["native", "onnx"])
    parser.add_argument("--windows", type=int, default=4, help="of each corpus")
    parser.add_argument("--length", type=int, default=1024, help="of a window, in tokens")
    parser.add_argument("--seed", type=int, default=1)
    print(json.dumps(compare(parser.parse_args()), indent=1))


if __name__ == "__main__":
    main()
