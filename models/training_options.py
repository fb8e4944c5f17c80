"""What a run is asked for: the options of `segue train` as checked values.

Knows names, defaults and what goes together; knows no data, network or loop.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from models.architectures import ARCHITECTURES, NESTED, Config
from models.description import DEFAULT_ARCHITECTURE, CheckpointError
from models.precision import AUTO, PRECISIONS
from models.training_state import read_settings
from models.vocabulary import standard_vocabulary

RATE = 1.5e-3
DROPOUT = 0.1
COMPILERS = ("c++", "g++", "clang++")
RENEWABLE = ("rate", "dropout", "most_rounds")  # that a resumed run takes if they are given anew
MOST_WORKERS = 16  # beside a GPU, where nobody says how many


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run was asked for, apart from the network's shape."""

    minutes: float | None
    steps: int | None
    batch: int  # windows of a whole context in a step
    rate: float
    dropout: float
    seed: int
    precision: str
    device: str
    validate_minutes: float
    save_minutes: float
    schedule: str = "cosine"
    patience: int = 0  # validations without a better one, then it stops; 0 for never
    compile: bool = False
    workers: int = 0  # processes that draw windows ahead; 0 for none
    most_rounds: float | None = None  # of a corpus, in one of all the music


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `segue train`."""
    add = parser.add_argument
    add("--data", type=Path, required=True, help="a folder or zip of MIDI files")
    add("--out", type=Path, required=True, help="the run's folder")
    add("--cache", type=Path, help="where what was read is kept (default: OUT/cache)")
    add("--copyleft", action="store_true", help="read a curated folder's copyleft corpora too")
    add(
        "--most-rounds",
        type=float,
        help="let no corpus come round more than so often in the time in which all the music "
        "would once, so that small ones are not learnt by heart (default: as the data's own mix "
        "has it)",
    )
    add("--minutes", type=float, help="budget in minutes of work (default: 60)")
    add("--steps", type=int, help="budget in steps instead")
    add(
        "--resume",
        action="store_true",
        help="go on where OUT stopped, with its own settings; a budget, rate, dropout or "
        "--most-rounds that is given anew replaces its own",
    )
    add(
        "--from",
        dest="begin",
        type=Path,
        metavar="CHECKPOINT",
        help="begin with the weights of a checkpoint, and so with its shape: to teach what ships "
        "your own music, give a low --rate",
    )
    add(
        "--architecture",
        choices=tuple(ARCHITECTURES),
        default=DEFAULT_ARCHITECTURE,
        help="nested: one step a note; flat: REMI tokens (default: %(default)s)",
    )
    add("--layers", type=int, default=4)
    add("--width", type=int, default=256)
    add("--heads", type=int, default=4)
    add("--ffn", type=int, help="hidden width of SwiGLU (default: 3 x width)")
    add("--chain", type=int, help="nested: hidden width of each stage (default: 1.5 x width)")
    add("--context", type=int, default=1024, help="longest window, in notes or tokens")
    add("--batch", type=int, default=4, help="windows of a whole context in a step")
    add("--rate", type=float, help=f"peak learning rate (default: {RATE})")
    add(
        "--schedule",
        choices=("cosine", "stable"),
        default="cosine",
        help="stable: the rate falls only in the last fifth, so that a run may be stopped and "
        "given more at any time",
    )
    add("--dropout", type=float, help=f"default: {DROPOUT}")
    add("--seed", type=int, default=0)
    add("--threads", type=int, help="CPU threads (default: torch's choice)")
    add("--precision", choices=PRECISIONS, default=AUTO, help="default: the faster one here")
    add(
        "--compile", action="store_true", help="let torch compile the network; needs a C++ compiler"
    )
    add("--patience", type=int, default=0, help="stop after so many worse validations")
    add("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    add(
        "--workers",
        type=int,
        help="processes that draw windows ahead of the training (default: none on a CPU; beside "
        f"a GPU one for each core but one, {MOST_WORKERS} at most)",
    )
    add("--validate-minutes", type=float, default=5.0, help="time between validations")
    add("--save-minutes", type=float, default=5.0, help="time between saves of the whole state")


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings that are asked for; ValueError where they contradict each other."""
    if args.minutes and args.steps:
        raise ValueError("give the budget in --minutes or in --steps, not in both")
    if args.begin and args.resume:
        raise ValueError("--resume goes on with a run's own weights; leave --from away")
    for name in ("minutes", "steps", "batch", "rate"):
        value = getattr(args, name)
        if value is not None and value <= 0:
            raise ValueError(f"--{name} is {value}; it must be above 0")
    if args.dropout is not None and not 0 <= args.dropout < 1:
        raise ValueError(f"--dropout is {args.dropout}; it must be from 0 to below 1")
    if args.most_rounds is not None and args.most_rounds < 1:
        raise ValueError(f"--most-rounds is {args.most_rounds}; it must be 1 or more")
    if args.workers is not None and args.workers < 0:
        raise ValueError(f"--workers is {args.workers}; it must be 0 or more")
    if args.workers and sys.platform == "win32":
        raise ValueError("--workers is not to be had on Windows; leave it away")
    if args.compile and not _can_compile():
        raise ValueError("--compile needs a C++ compiler; install g++, or train without it")
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    return Settings(
        minutes=None if args.steps else args.minutes or 60.0,
        steps=args.steps,
        batch=args.batch,
        rate=args.rate or RATE,
        dropout=DROPOUT if args.dropout is None else args.dropout,
        seed=args.seed,
        precision=args.precision,
        device=device,
        validate_minutes=args.validate_minutes,
        save_minutes=args.save_minutes,
        schedule=args.schedule,
        patience=args.patience,
        compile=args.compile,
        workers=_usual_workers(device) if args.workers is None else args.workers,
        most_rounds=args.most_rounds,
    )


def resumed(args: argparse.Namespace, asked: Settings) -> tuple[Config, Settings]:
    """Shape and settings of the saved run, on this machine's device and with a new budget."""
    config, _, saved = read_settings(args.out)
    if config.vocabulary != len(standard_vocabulary()):
        raise CheckpointError(f"{args.out} was trained with another vocabulary; start a new run")
    settings = replace(Settings(**saved), device=asked.device, workers=asked.workers)
    settings = replace(settings, compile=settings.compile and _can_compile())
    if args.minutes or args.steps:
        settings = replace(settings, minutes=asked.minutes, steps=asked.steps)
    anew = {name: getattr(asked, name) for name in RENEWABLE if getattr(args, name) is not None}
    return config, replace(settings, **anew)


def shape_of(args: argparse.Namespace) -> Config:
    """The shape of the network that is asked for; ValueError if it cannot be built."""
    architecture = ARCHITECTURES[args.architecture]
    shape = {
        "vocabulary": len(standard_vocabulary()),
        "layers": args.layers,
        "width": args.width,
        "heads": args.heads,
        "ffn": args.ffn or 3 * args.width,
        "context": args.context,
    }
    if architecture is NESTED:
        shape["chain"] = args.chain or 3 * args.width // 2
    return architecture.config(**shape)


def _can_compile() -> bool:
    return any(map(shutil.which, COMPILERS))


def _usual_workers(device: str) -> int:
    """None for a CPU, whose cores compute; a GPU would wait for windows otherwise."""
    if device == "cpu" or sys.platform != "linux":
        return 0
    trainings = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # that torchrun started here
    cores = len(os.sched_getaffinity(0)) // trainings
    return max(1, min(cores - 1, MOST_WORKERS))
