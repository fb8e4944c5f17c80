"""`segue evaluate`: what a checkpoint is worth, by style and over all, on music it never saw.

Knows where checkpoints, pieces and measures are, and puts them together; what is measured, and how,
is in models/evaluation/. `--json` prints one JSON object on stdout; a table goes there without it,
and everything else to stderr.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from engine.backends import NAMES, open_model
from engine.decoder import Decoder
from engine.judging import FlatJudge, LiveAnswerer
from engine.protocol import Controls
from engine.rows import NoteBackend
from models.corpus import SPLITS, CorpusError, find_pieces
from models.description import CheckpointError, beside, default_checkpoint, read_description
from models.evaluation.bits import NoBits
from models.evaluation.copying import Longs, text_of
from models.evaluation.pieces import Split
from models.evaluation.suite import Figures, Model, Style, evaluate_style, overall
from models.evaluation.table import as_json, as_text
from models.judged import Judged, Piece
from models.note_cache import Shelves, open_shelves

PIECES, PLACES = 24, 4


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A checkpoint, ready to be judged, and what is known of it."""

    name: str
    backend: str
    parameters: int
    trained_on: tuple[str, ...]  # corpora; empty where nobody wrote them down
    model: Model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = parser.add_argument
    add("--data", type=Path, required=True, help="a folder or zip of MIDI, as `segue train` takes")
    add("--cache", type=Path, help="where notes are kept (default: your user's cache folder)")
    add("--copyleft", action="store_true", help="read a curated folder's copyleft corpora too")
    add("--checkpoint", type=Path, help="a checkpoint instead of the one that ships")
    add("--backend", choices=NAMES, default="auto", help="what plays it (default: the fastest)")
    add("--split", choices=SPLITS, default="test", help="default: test")
    add("--styles", nargs="+", metavar="NAME", help="these corpora alone (default: all)")
    add("--pieces", type=_positive, default=PIECES, help=f"of each style (default {PIECES})")
    add("--places", type=_positive, default=PLACES, help=f"prompts of a piece (default {PLACES})")
    add("--seed", type=_seed, default=0, help="same seed, same figures (default 0)")
    controls = Controls()
    add(
        "--temperature",
        type=_share(2.0),
        default=controls.temperature,
        help=f"how boldly it answers (default {controls.temperature})",
    )
    add(
        "--top-p",
        type=_share(1.0),
        default=controls.top_p,
        help=f"out of which share of the likeliest (default {controls.top_p})",
    )
    add(
        "--hands",
        action="store_true",
        help="give the prompts the loudness of a player, where they have that of a score",
    )
    add("--json", action="store_true", help="one JSON object on stdout instead of the table")


def run(args: argparse.Namespace) -> int:
    """Evaluate; 2 for data or a checkpoint that cannot be used, 1 for one that says nonsense."""
    begun_s = time.monotonic()
    try:
        controls = Controls(temperature=args.temperature, top_p=args.top_p)
        evaluated = open_evaluated(args.checkpoint, backend=args.backend, controls=controls)
        styles = styles_of(args)  # before the data is read, which may take minutes
        cache = args.cache or cache_of(args.data)
        shelves = open_shelves(args.data, cache, copyleft=args.copyleft)
        styles = readable(styles, shelves, args)
    except (CheckpointError, CorpusError) as error:
        print(f"segue evaluate: {error}", file=sys.stderr)
        return 2
    say(f"{evaluated.name} on {evaluated.backend}, {shelves.report()}")
    text, copied_from = training_text(shelves, evaluated.trained_on)
    figures: dict[str, Figures] = {}
    try:
        for name in styles:
            style = style_of(shelves, name, args)
            figures[name] = evaluate_style(
                style,
                evaluated.model,
                text=text,
                places=args.places,
                seed=args.seed,
                say=say,
                hands=args.hands,
            )
    except NoBits as error:
        say(f"segue evaluate: {evaluated.name} cannot be judged: {error}; copy or train it again")
        return 1
    everything = overall(figures.values())
    minutes = (time.monotonic() - begun_s) / 60
    say(f"{minutes:.1f} minutes")
    if args.json:
        print(json.dumps(_report(args, evaluated, copied_from, everything, figures), indent=1))
    else:
        print(as_text(everything, figures))
    return 0


def open_evaluated(
    path: Path | None, *, backend: str, controls: Controls | None = None
) -> Evaluated:
    """The checkpoint twice, to judge and to answer; raises CheckpointError."""
    path = path or default_checkpoint()
    plays = open_model(path, backend=backend)
    description = read_description(path) if beside(path, ".json").is_file() else {}
    return Evaluated(
        name=plays.name,
        backend=plays.kind,
        parameters=plays.parameters,
        trained_on=tuple(description.get("provenance", {}).get("data_mix", {})),
        model=Model(
            open_judge(path, backend=backend),
            LiveAnswerer(Decoder(plays.backend, plays.vocabulary), controls),
        ),
    )


def open_judge(path: Path, *, backend: str) -> Judged:
    """What says what music costs the checkpoint; raises CheckpointError.

    A network of tokens is judged as it plays. One that takes a note at a time is judged in PyTorch:
    what plays says nothing of metres and ends, which are part of what music costs.
    """
    opened = open_model(path, backend=backend)
    if not isinstance(opened.backend, NoteBackend):
        return FlatJudge(opened.backend, opened.vocabulary)
    try:
        from models.checkpoint import load_nested
        from models.nested.judging import NestedJudge
    except ImportError as error:
        raise CheckpointError(
            f"to judge {path.name}, which takes a note at a time, takes "
            f"pip install 'segue[train]' ({error})"
        ) from error
    checkpoint = load_nested(path)
    return NestedJudge(checkpoint.network, checkpoint.vocabulary)


def styles_of(args: argparse.Namespace) -> list[str]:
    """The corpora to judge; raises CorpusError where there are none."""
    pieces, _ = find_pieces(args.data, copyleft=args.copyleft)
    there = sorted({piece.corpus for piece in pieces if piece.split == args.split})
    if not there:
        raise CorpusError(
            f"no piece of {args.data} falls to the {args.split} split; "
            "give more files, or judge another one with --split"
        )
    if missing := sorted(set(args.styles or ()) - set(there)):
        raise CorpusError(
            f"no piece of {missing[0]} is in the {args.split} split; "
            f"there are pieces of {', '.join(there)}"
        )
    return args.styles or there


def readable(styles: Sequence[str], shelves: Shelves, args: argparse.Namespace) -> list[str]:
    """The corpora of which something could be read; raises CorpusError where there are none."""
    found = [name for name in styles if len(shelves.by_name[name][args.split])]
    if not found:
        raise CorpusError(
            f"no piece of the {args.split} split can be judged; left out were {shelves.left_out}"
        )
    return found


def style_of(shelves: Shelves, name: str, args: argparse.Namespace) -> Style:
    """Some pieces of a corpus, drawn by the seed, and all that baselines may know."""
    splits = {split: Split(shelf) for split, shelf in shelves.by_name[name].items()}
    asked = splits[args.split]
    random = np.random.default_rng(args.seed)
    drawn = sorted(random.permutation(len(asked))[: args.pieces].tolist())
    return Style(
        name=name,
        judged=[asked[index] for index in drawn],
        train=_all(splits["train"]),
        valid=_all(splits["valid"]),
    )


def training_text(shelves: Shelves, trained_on: Sequence[str]) -> tuple[Longs, list[str]]:
    """What a checkpoint may have copied from: its own corpora where they are known and here."""
    names = [name for name in shelves.by_name if name in trained_on] or list(shelves.by_name)
    pieces = [piece for name in names for piece in _all(Split(shelves.by_name[name]["train"]))]
    return text_of(pieces), names


def cache_of(data: Path) -> Path:
    """A folder of its own for each data folder."""
    place = "".join(c if c.isalnum() else "_" for c in str(data.resolve()))
    return platformdirs.user_cache_path("segue") / "notes" / place[-100:]


def say(line: str) -> None:
    """A line of progress; stdout is kept for the result."""
    print(line, file=sys.stderr, flush=True)


def _all(split: Split) -> list[Piece]:
    return [split[index] for index in range(len(split))]


def _report(
    args: argparse.Namespace,
    evaluated: Evaluated,
    copied_from: Sequence[str],
    everything: Figures,
    figures: dict[str, Figures],
) -> dict[str, Any]:
    return {
        "checkpoint": evaluated.name,
        "backend": evaluated.backend,
        "parameters": evaluated.parameters,
        "split": args.split,
        "seed": args.seed,
        "hands": args.hands,
        "temperature": args.temperature,
        "top_p": args.top_p,
        "training_set": list(copied_from),
        "overall": as_json(everything),
        "styles": {name: as_json(found) for name, found in figures.items()},
    }


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= 100_000:
        raise argparse.ArgumentTypeError(f"a whole number from 1, not {text[:40]!r}")
    return number


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"a whole number of at most 9 digits, not {text[:40]!r}")
    return int(text)


def _share(most: float) -> Callable[[str], float]:
    """A number from 0 to `most`."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value <= most:
            raise argparse.ArgumentTypeError(f"a number from 0 to {most:g}, not {text[:40]!r}")
        return value

    return number
