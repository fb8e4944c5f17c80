"""`segue bench WHAT`: figures on this machine. Knows which word leads to which module."""

import argparse

from daemon import bench_decode, bench_live, bench_soak


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be measured, and its flags."""
    words = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    decode = words.add_parser("decode", help="how long a token and a note take, beside the peers")
    bench_decode.add_arguments(decode)
    decode.set_defaults(measure=bench_decode.run)
    live = words.add_parser("live", help="how well in time the daemon is")
    bench_live.add_arguments(live)
    live.set_defaults(measure=bench_live.run)
    soak = words.add_parser("soak", help="what no listener should hear, in the worst of company")
    bench_soak.add_arguments(soak)
    soak.set_defaults(measure=bench_soak.run)


def run(args: argparse.Namespace) -> int:
    """Measure it; returns the exit code."""
    code: int = args.measure(args)
    return code
