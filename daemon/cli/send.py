"""`segue send`: one command of the table to the daemon that runs on this machine."""

import argparse
import sys

from bridges.control import BridgeError, Reply
from bridges.zeromq import request
from daemon.interface import commands
from daemon.interface.config import ControlConfig

PATIENCE_S = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; the commands are listed below them."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    width = max(len(command.usage) for command in commands.COMMANDS) + 2
    parser.epilog = "\n".join(f"  {c.usage:{width}}{c.help}" for c in commands.COMMANDS)
    parser.add_argument("name", metavar="COMMAND", help="one of those below")
    parser.add_argument("arguments", nargs="*", metavar="VALUE")
    parser.add_argument(
        "--control-port", type=int, default=ControlConfig().control_port, help="default %(default)s"
    )


def run(args: argparse.Namespace) -> int:
    """Send, and print the answer; 2 for a command that does not exist, 1 if nobody answers."""
    try:
        checked = commands.check(args.name, args.arguments)
    except commands.CommandError as error:
        print(f"segue send: {error}", file=sys.stderr)
        return 2
    address = f"tcp://127.0.0.1:{args.control_port}"
    try:
        reply = request(address, args.name, checked, timeout_s=PATIENCE_S)
    except BridgeError as error:
        reply = Reply.refused(str(error))
    if not reply.ok:
        print(f"segue send: {reply.text}", file=sys.stderr)
        return 1
    print(reply.text)
    return 0
