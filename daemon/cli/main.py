"""The command line: which word leads to which module. Knows nothing of what they do.

Each module has `add_arguments(parser)` and `run(args) -> exit code`, and is imported only when its
word is given, so that `segue run` starts with no more than it needs.

Exit codes: 0 done, 1 failed, 2 wrong use or configuration, 130 interrupted with Ctrl-C.
"""

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from daemon import __version__

SUBCOMMANDS = {
    "demo": (
        "daemon.cli.demo",
        "hear and see Segue trade bars with a recorded player, no MIDI needed",
    ),
    "run": ("daemon.cli.run", "the daemon, on virtual or named MIDI ports"),
    "continue": ("daemon.cli.continuation", "continue a MIDI file, offline"),
    "send": ("daemon.cli.send", "give a command to the daemon that runs here"),
    "ports": ("daemon.cli.ports", "the MIDI systems and ports of this machine"),
    "calibrate": ("daemon.cli.calibrate", "how long a note takes from the output to the input"),
    "doctor": ("daemon.cli.doctor", "what is broken, and how to mend it, one line each"),
    "bench": ("daemon.cli.bench", "figures on this machine, beside those of the peers"),
    "replay": ("daemon.cli.replay", "play a journal again, to the identical take"),
    "engine": ("engine.server", "a mind of its own, for other machines"),
    "export": ("models.export", "make the graph that the live mind plays of a checkpoint"),
    "evaluate": ("engine.evaluate", "what a checkpoint is worth, on music it never saw"),
    "models": ("models.installed", "which checkpoints are here, and what each of them is"),
    "train": ("models.training", "train a checkpoint from a folder of MIDI files"),
}


#: What training and export need, and playing does not.
TRAINING = ("onnx", "safetensors", "symusic", "torch")
#: What a shell says of a command that SIGINT ended: 128 and the number of the signal.
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, instead of behind a page of usage."""

    def error(self, message: str) -> NoReturn:
        """End with code 2."""
        self.exit(2, f"{self.prog}: {message}; `{self.prog} --help` says what there is\n")


def main(argv: Sequence[str]) -> int:
    """Run the command in `argv` and return its exit code."""
    parser = Parser(
        prog="segue",
        description="You play some bars; Segue answers on the grid.",
        epilog="\n".join(f"  {name:10}{text}" for name, (_, text) in SUBCOMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"segue {__version__}")
    parser.add_argument(
        "command", choices=SUBCOMMANDS, metavar="COMMAND", help="one of those below"
    )
    if not argv:
        parser.print_help(sys.stderr)
        return 2
    args = parser.parse_args(argv[:1])
    try:
        return run(args.command, argv[1:])
    except KeyboardInterrupt:  # everything was closed on the way here; again, and it ends at once
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        print(f"segue {args.command}: interrupted", file=sys.stderr)
        return INTERRUPTED


def run(command: str, argv: Sequence[str]) -> int:
    """Run one command with its own arguments and return its exit code."""
    module_name, description = SUBCOMMANDS[command]
    try:
        with ending_at_once(command):
            module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name in TRAINING:
            print(f"segue {command} needs pip install 'segue[train]'", file=sys.stderr)
            return 2
        raise
    own = Parser(prog=f"segue {command}", description=description)
    module.add_arguments(own)
    code: int = module.run(own.parse_args(argv))
    return code


@contextmanager
def ending_at_once(command: str) -> Iterator[None]:
    """Ctrl-C ends the process meanwhile: raised in the middle of an import, it may get lost."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        os.write(sys.stderr.fileno(), f"segue {command}: interrupted\n".encode())
        os._exit(INTERRUPTED)

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # in the background nobody hears it
        yield
        return
    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
