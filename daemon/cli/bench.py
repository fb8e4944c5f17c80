"""`segue bench WHAT`: figures on this machine. Knows which word leads to which module."""

import argparse

from daemon.bench import decode, live, soak


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be measured, and its flags."""
    words = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    for name, module, text in (
        ("decode", decode, "how long a token and a note take, beside the peers"),
        ("live", live, "how well in time the daemon is"),
        ("soak", soak, "what no listener should hear, in the worst of company"),
    ):
        word = words.add_parser(name, help=text)
        module.add_arguments(word)
        word.set_defaults(measure=module.run)


def run(args: argparse.Namespace) -> int:
    """Measure it; returns the exit code."""
    code: int = args.measure(args)
    return code
