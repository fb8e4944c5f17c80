"""One run of a comparison at equal training time, and what unseen music costs it.

Trains a variant as `segue train` would, but that torch has compiled the network before the clock
starts, and judges it on the validation split: bits a note as `segue evaluate` counts them, with 96
notes known at least (`bits`), and over whole pieces with the network's own context (`own`). Each
corpus counts alike. Prints a row, and keeps it as OUT/row.json.

    python -m models.ablations --data DIR --cache NOTES --out RUN --minutes 6 --threads 1 --compile
    python -m models.ablations --architecture flat --spelling merged --data DIR ...

The options are those of `segue train`; models/LOG.md has what came of it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from models.ablations.notes import OneKeyJudge, OneKeyView, without_looks, without_phase
from models.ablations.spellings import BytePairs, Merged, Remi, Spelling
from models.ablations.tokens import SpelledJudge, SpelledView
from models.architectures import AnyNetwork, NoteView
from models.corpus import CorpusError
from models.description import CheckpointError
from models.evaluation.bits import piece_bits
from models.evaluation.excerpts import excerpt
from models.evaluation.pieces import Split
from models.judged import BAR, FIELDS, Judged, Piece
from models.nested.judging import NestedJudge
from models.nested.network import NestedNetwork
from models.network import Network
from models.note_cache import Shelves, open_shelves
from models.spelling import spelled
from models.training import Trainer
from models.training_options import add_arguments, settings_of, shape_of
from models.training_state import Progress
from models.vocabulary import standard_vocabulary

PIECES = 8  # of each corpus that are judged
MOST_NOTES = 600  # of each piece
COMPILING_STEPS = 8  # in which both lengths of window come, but for one seed in sixty
LEARNT_FROM = 40  # pieces of each corpus that byte pairs are learnt from

SPELLINGS = ("remi", "merged", "byte-pairs")
WITHOUT: dict[str, Callable[[NestedNetwork], None]] = {
    "looks": without_looks,
    "phase": without_phase,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and judge one variant; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m models.ablations", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--spelling", choices=SPELLINGS, default="remi", help="of the flat network")
    parser.add_argument("--without", choices=tuple(WITHOUT), help="of the nested network")
    parser.add_argument("--one-key", action="store_true", help="nested: in C or A minor")
    args = parser.parse_args(arguments)
    if args.threads:
        torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    run = _flat if args.architecture == "flat" else _nested
    try:
        shelves = open_shelves(args.data, args.cache or args.out / "cache")
        if not any(len(splits["valid"]) for splits in shelves.by_name.values()):
            raise CorpusError("no piece falls to the validation split; give more files")
        row = run(args, shelves)
    except (CorpusError, CheckpointError, ValueError) as error:
        print(f"models.ablations: {error}", file=sys.stderr)
        return 2
    text = json.dumps(row)
    (args.out / "row.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


def _flat(args: argparse.Namespace, shelves: Shelves) -> dict[str, Any]:
    settings = settings_of(args)
    spelling = spelling_of(args.spelling, shelves)
    view = SpelledView(shelves, spelling=spelling, most_rounds=settings.most_rounds)
    shape = replace(shape_of(args), vocabulary=spelling.size)
    trainer = Trainer(view, shape, settings, out=args.out)
    network = trained(trainer)
    assert isinstance(network, Network)
    return {**cost_of(trainer), **figures(SpelledJudge(network, spelling), shelves)}


def _nested(args: argparse.Namespace, shelves: Shelves) -> dict[str, Any]:
    settings = settings_of(args)
    view = (OneKeyView if args.one_key else NoteView)(shelves, most_rounds=settings.most_rounds)
    trainer = Trainer(view, shape_of(args), settings, out=args.out)
    assert isinstance(trainer.network, NestedNetwork)
    if args.without:
        WITHOUT[args.without](trainer.network)
    network = trained(trainer)
    assert isinstance(network, NestedNetwork)
    judge: Judged = NestedJudge(network, standard_vocabulary())
    judge = OneKeyJudge(judge) if args.one_key else judge
    return {**cost_of(trainer), **figures(judge, shelves)}


def spelling_of(name: str, shelves: Shelves) -> Spelling:
    """A spelling by its name; byte pairs are learnt from some pieces of each training split."""
    vocabulary = standard_vocabulary()
    if name == "remi":
        return Remi(vocabulary)
    if name == "merged":
        return Merged(vocabulary)
    pieces = []
    for splits in shelves.by_name.values():
        shelf = splits["train"]
        for index in range(0, len(shelf), max(1, len(shelf) // LEARNT_FROM)):
            pieces.append(spelled(shelf.performance(index).placed(), vocabulary))
    return BytePairs(pieces, vocabulary)


def trained(trainer: Trainer) -> AnyNetwork:
    """The network that the budget leads to; what torch compiles at first is not part of it."""
    first = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.network.train()
    for _ in range(COMPILING_STEPS):
        trainer.step()
    trainer.network.load_state_dict(first)
    trainer.optimizer.state.clear()
    trainer.progress = Progress()
    trainer.train()
    return trainer.averaged.eval()


def cost_of(trainer: Trainer) -> dict[str, Any]:
    """What a run took."""
    return {
        "parameters": trainer.network.parameter_count(),
        "minutes": round(trainer.progress.elapsed_s / 60, 2),
        "steps": trainer.progress.step,
        f"{trainer.view.unit}s": trainer.progress.seen,
    }


def figures(judge: Judged, shelves: Shelves) -> dict[str, Any]:
    """Bits a note of each corpus, and by field over all of them."""
    by_corpus = {}
    fields = []
    own = []
    for name, splits in shelves.by_name.items():
        held_out = Split(splits["valid"])
        pieces = [beginning(held_out[index]) for index in range(min(PIECES, len(held_out)))]
        if not pieces:
            continue
        bits = np.concatenate([piece_bits(judge, piece) for piece in pieces])
        by_corpus[name] = round(float(bits.sum(axis=1).mean()), 3)
        fields.append(bits.mean(axis=0))
        own.append(np.concatenate([judge.note_bits(piece) for piece in pieces]).sum(axis=1).mean())
    mean = np.mean(fields, axis=0)
    return {
        "bits": round(float(mean.sum()), 3),
        "own": round(float(np.mean(own)), 3),
        **{field: round(float(part), 3) for field, part in zip(FIELDS, mean, strict=True)},
        "corpora": by_corpus,
    }


def beginning(piece: Piece) -> Piece:
    """Its first notes, up to a bar line."""
    if len(piece) <= MOST_NOTES:
        return piece
    return excerpt(piece, 0, max(1, int(piece.notes[MOST_NOTES, BAR])))


if __name__ == "__main__":
    sys.exit(main())
