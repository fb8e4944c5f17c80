"""What a note costs beside the network: sampling, grammar, token to note, the way to the player.

A mind serves a socket as `segue engine` does. Counted is the time within its backend, and from one
call of that to the next, which is everything else that a note costs; medians of many answers, and
the least, since the machine may do something else meanwhile.

    python tests/benchmarks/note_overhead.py [--checkpoint PATH] [--backend NAME] [--answers N]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import zmq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.backends import NAMES, open_model
from engine.cache import Backend, Logits
from engine.decoder import Decoder
from engine.protocol import Continue, Controls, Drafted, Finished, Meter, Note, Prompt, Ready
from engine.server import serve
from engine.service import Service
from engine.wire import decode, encode

PLAYED = tuple((k, Note(k / 2, 48 + (5 * k) % 24, 0.5, 40 + 8 * (k % 8))) for k in range(128))
FROM_BEAT, UNTIL_BEAT = 64.0, 96.0


class Timed:
    """A backend that adds up the time within its calls and between them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.capacity = backend.capacity
        self.within_s = self.between_s = 0.0
        self.calls = 0
        self._left_s = 0.0

    @property
    def length(self) -> int:
        return self._backend.length

    def append(self, tokens: Sequence[int]) -> Logits:
        begun_s = self._enter()
        logits = self._backend.append(tokens)
        self._leave(begun_s)
        return logits

    def next(self, token: int) -> Logits:
        begun_s = self._enter()
        logits = self._backend.next(token)
        self._leave(begun_s)
        return logits

    def rewind(self, length: int) -> None:
        self._backend.rewind(length)

    def rest(self) -> None:
        """The time up to the next call is nobody's."""
        self._left_s = 0.0

    def _enter(self) -> float:
        self.calls += 1
        now_s = perf_counter()
        self.between_s += now_s - (self._left_s or now_s)
        return now_s

    def _leave(self, begun_s: float) -> None:
        self._left_s = perf_counter()
        self.within_s += self._left_s - begun_s


def answer(dealer: "zmq.Socket[bytes]", timed: Timed, seed: int) -> tuple[float, float]:
    """Microseconds a note within the backend and beside it, from its first token to the end."""
    timed.rest()
    within_s, between_s = timed.within_s, timed.between_s
    dealer.send(encode(Continue(seed, FROM_BEAT, UNTIL_BEAT, Controls(), seed)))
    calls = -1
    while calls != timed.calls:  # who listens meanwhile takes the interpreter's lock
        calls = timed.calls
        time.sleep(0.1)
    notes = 0
    while not isinstance(said := decode(dealer.recv()), Finished):
        notes += isinstance(said, Drafted)
    return (timed.within_s - within_s) / notes * 1e6, (timed.between_s - between_s) / notes * 1e6


def measure(checkpoint: Path | None, backend: str, answers: int) -> dict[str, float | str]:
    """Figures in microseconds a note."""
    model = open_model(checkpoint, backend=backend)
    timed = Timed(model.backend)
    service = Service(Decoder(timed, model.vocabulary), Ready(model.name, model.parameters, 0))
    service.warm_up()
    with tempfile.TemporaryDirectory() as folder:
        context = zmq.Context()
        router, dealer = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
        address = f"ipc://{folder}/mind"
        router.bind(address)
        dealer.connect(address)
        threading.Thread(target=serve, args=(router, service), daemon=True).start()
        dealer.send(encode(Prompt(PLAYED, (), (Meter(0.0, 4, 4),), reset=True)))
        assert isinstance(decode(dealer.recv()), Ready)
        answer(dealer, timed, 0)  # the prompt, and the first call in the thread of the mind
        rows = [answer(dealer, timed, seed) for seed in range(answers)]
    within, beside = min(rows, key=sum)
    return {
        "backend": model.kind,
        "answers": answers,
        "network_us_p50": statistics.median(within for within, _ in rows),
        "beside_us_p50": statistics.median(beside for _, beside in rows),
        "share_p50": statistics.median(beside / (beside + within) for within, beside in rows),
        "network_us_min": within,
        "beside_us_min": beside,
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--backend", choices=NAMES, default="auto")
    parser.add_argument("--answers", type=int, default=40)
    args = parser.parse_args()
    print(json.dumps(measure(args.checkpoint, args.backend, args.answers), indent=1), flush=True)
    os._exit(0)  # the mind serves for ever


if __name__ == "__main__":
    main()
