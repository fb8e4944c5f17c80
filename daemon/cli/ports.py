"""`segue ports`: the MIDI systems of this machine, and their ports."""

import argparse
import json

from bridges.midi import available_apis, list_ports


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """List the ports; 1 if no MIDI system answers."""
    found = {api.name: list_ports(api) for api in available_apis()}
    if args.json:
        listed = {name: {"inputs": ins, "outputs": outs} for name, (ins, outs) in found.items()}
        print(json.dumps(listed))
    for name, (inputs, outputs) in found.items() if not args.json else ():
        print(name)
        for direction, names in (("in", inputs), ("out", outputs)):
            for port in names or ["(none)"]:
                print(f"  {direction:4}{port}")
    if not found and not args.json:
        print("no MIDI system answers; segue doctor says what to do")
    return 0 if found else 1
