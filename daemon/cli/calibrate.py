"""`segue calibrate`: how long a note takes from the output port back to the input port.

It sends notes, one at a time, and waits for each to come back through a cable or a virtual one. A
loop has only the sum of both ways, and only what is MIDI in it: no sound, so not what a synthesizer
or a sound card adds. The text that it prints says so.
"""

import argparse
import json
import queue
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bridges.control import BridgeError
from bridges.midi import InputPort, OutputPort, choose_api
from daemon.interface.config import MOST_LATENCY_MS, Config, ConfigError
from daemon.interface.messages import NOTE_OFF, NOTE_ON, is_on
from daemon.take.report import percentiles

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
LOWEST_PITCH, PITCHES, VELOCITY = 48, 24, 40
#: A note that is not back by then is lost.
PATIENCE_NS = 1_000_000_000
#: Notes are at least so far apart, and then a different part of a driver's period each time.
GAP_MS, SPREAD_MS = 15, 21
GOLDEN = 0.618034  # its multiples fall evenly into an interval, however many there are
#: While nothing has come back yet, a note is sent so often, for whoever is still connecting.
KNOCK_S = 0.5
SPLITS = {"half": 0.5, "input": 1.0, "output": 0.0}  # the input's share

Heard: TypeAlias = "queue.SimpleQueue[tuple[int, bytes]]"


@dataclass(frozen=True, slots=True)
class Loop:
    """What was measured."""

    sent: int
    times_ms: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        """The way there and back of the note in the middle."""
        return percentiles(self.times_ms, 50)["p50"] or 0.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="for its [ports]")
    parser.add_argument("--api", help="coremidi, alsa, jack or winmm")
    parser.add_argument("--in", dest="input", metavar="PORT", help="default: a virtual port")
    parser.add_argument("--out", dest="output", metavar="PORT", help="default: a virtual port")
    parser.add_argument("--notes", type=int, default=100, help="how many (default %(default)s)")
    parser.add_argument(
        "--wait", type=float, default=20.0, metavar="S", help="for a connection (default 20)"
    )
    parser.add_argument(
        "--split", choices=SPLITS, default="half", help="who gets the sum (default half and half)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Measure the loop and print the two lines to copy; 1 if nothing comes back."""
    if args.notes < 1:
        return failed("--notes has to be 1 or more", code=2)
    try:
        ports = (Config.from_file(args.config) if args.config else Config()).ports
        api = choose_api(args.api or ports.api)
    except (BridgeError, ConfigError) as error:
        return failed(str(error), code=2)
    heard: Heard = queue.SimpleQueue()
    out = OutputPort(api=api, wanted=args.output or ports.output)
    into = InputPort(
        api=api,
        wanted=args.input or ports.input,
        receive=lambda t_ns, message: heard.put((t_ns, message)),
    )
    try:
        with out, into:
            way = f"from '{out.name}' to '{into.name}'"
            if not found(out.send, heard, wait_s=args.wait, say=lambda: say(f"waiting {way}")):
                return failed(f"nothing comes back {way}: connect them, with a cable or a patch")
            loop = measure(out.send, heard, notes=args.notes)
    except BridgeError as error:
        return failed(str(error))
    if not loop.times_ms:
        return failed(f"nothing comes back {way} any more: is the cable loose?")
    figures = figures_of(loop, input_share=SPLITS[args.split])
    figures |= {"ports": {"api": api.name, "in": into.name, "out": out.name}}
    print(json.dumps(figures) if args.json else text_of(figures))
    return 0


def found(
    send: Callable[[bytes], object], heard: Heard, *, wait_s: float, say: Callable[[], None]
) -> bool:
    """Knock until something comes back; `say` is called once it has not at first."""
    deadline_s = time.monotonic() + wait_s
    number = 0
    while True:
        began_s = time.monotonic()
        if there_and_back(send, heard, number, patience_ns=round(KNOCK_S * NS_PER_S)) is not None:
            return True
        if time.monotonic() >= deadline_s:
            return False
        if number == 0:
            say()
        number += 1
        time.sleep(max(0.0, began_s + KNOCK_S - time.monotonic()))


def measure(send: Callable[[bytes], object], heard: Heard, *, notes: int) -> Loop:
    """Send so many notes, one after the other, and time each."""
    times_ms: list[float] = []
    for number in range(notes):
        time.sleep((GAP_MS + number * GOLDEN % 1 * SPREAD_MS) / 1e3)
        took_ns = there_and_back(send, heard, number, patience_ns=PATIENCE_NS)
        if took_ns is not None:
            times_ms.append(took_ns / NS_PER_MS)
    return Loop(notes, tuple(times_ms))


def there_and_back(
    send: Callable[[bytes], object], heard: Heard, number: int, *, patience_ns: int
) -> int | None:
    """One note, struck and released: how long it took in nanoseconds, or None if it was lost."""
    pitch = LOWEST_PITCH + number % PITCHES
    left_ns = time.monotonic_ns()
    send(bytes((NOTE_ON, pitch, VELOCITY)))
    try:
        while (rest_ns := left_ns + patience_ns - time.monotonic_ns()) > 0:
            try:
                came_ns, message = heard.get(timeout=rest_ns / NS_PER_S)
            except queue.Empty:
                return None
            if is_on(message) and message[1] == pitch and came_ns >= left_ns:
                return came_ns - left_ns
        return None
    finally:
        send(bytes((NOTE_OFF, pitch, 0)))


def figures_of(loop: Loop, *, input_share: float) -> dict[str, object]:
    """The result as one JSON object."""
    input_ms = min(loop.median_ms * input_share, MOST_LATENCY_MS)
    output_ms = min(loop.median_ms * (1 - input_share), MOST_LATENCY_MS)
    return {
        "notes": loop.sent,
        "lost": loop.sent - len(loop.times_ms),
        "loop_ms": percentiles(loop.times_ms, 5, 50, 95),
        "input_latency_ms": round(input_ms, 1),
        "output_latency_ms": round(output_ms, 1),
    }


def text_of(figures: dict[str, object]) -> str:
    """The result for people."""
    loop_ms = figures["loop_ms"]
    assert isinstance(loop_ms, dict)
    return f"""\
{figures["notes"]} notes, {figures["lost"]} lost; there and back {loop_ms["p50"]:.2f} ms \
(half of them), from {loop_ms["p5"]:.2f} to {loop_ms["p95"]:.2f} ms (nine in ten)

[ports]
input_latency_ms = {figures["input_latency_ms"]}
output_latency_ms = {figures["output_latency_ms"]}

Copy these lines into your configuration. A loop has only the sum of both ways; --split says who
gets how much of it. What makes sound is not in it: to output_latency_ms add what your synthesizer
or the audio buffer of your DAW takes, which is often more (512 frames at 48 kHz are 11 ms)."""


def failed(text: str, *, code: int = 1) -> int:
    """Say what is wrong, and return the exit code."""
    say(text)
    return code


def say(text: str) -> None:
    """One line for the person at the terminal."""
    print(f"segue calibrate: {text}", file=sys.stderr, flush=True)
