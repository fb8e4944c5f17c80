"""Segue's own two ports in a process of their own, so that a test may take their world away.

    midi_ports.py [--in NAME] [--out NAME]

It says `open OUT | IN`, then `lost …`, `back …` and `heard HEX`. A line on stdin holds messages in
hex, joined by commas; `burst N` plays N notes and says `burst SENT FAILED LONGEST_MS`.
"""

import argparse
import sys
import threading
import time

from bridges.midi import InputPort, OutputPort, choose_api

parser = argparse.ArgumentParser()
parser.add_argument("--in", dest="source")
parser.add_argument("--out", dest="target")
wanted = parser.parse_args()


voice = threading.Lock()


def say(line: str) -> None:
    with voice:
        print(line, flush=True)


def burst(count: int) -> str:
    sent, longest_s = 0, 0.0
    failed = out.failures
    for number in range(count):
        began = time.monotonic()
        sent += out.send(bytes((0x90, number // 127 % 128, 1 + number % 127)))
        longest_s = max(longest_s, time.monotonic() - began)
    return f"burst {sent} {out.failures - failed} {longest_s * 1000:.1f}"


def keep_house() -> None:
    while not done.wait(0.05):
        out.refresh()
        into.refresh()


api = choose_api("jack")
out = OutputPort(
    api=api,
    wanted=wanted.target,
    lost=lambda why: say(f"lost {why}"),
    back=lambda name: say(f"back {name}"),
)
into = InputPort(
    api=api,
    receive=lambda _, message: say(f"heard {message.hex()}"),
    wanted=wanted.source,
    lost=lambda why: say(f"lost {why}"),
    back=lambda name: say(f"back {name}"),
)
done = threading.Event()
housekeeper = threading.Thread(target=keep_house)
with out, into:
    say(f"open {out.name} | {into.name}")
    housekeeper.start()
    for line in sys.stdin:
        if line.startswith("burst "):
            say(burst(int(line.removeprefix("burst "))))
        else:
            for part in line.split(","):
                out.send(bytes.fromhex(part))
    done.set()
    housekeeper.join()
