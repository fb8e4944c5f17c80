"""What a note costs beside the network: sampling, grammar, token to note, the way to the player.

A mind in a process of its own serves a socket as `segue engine` does, as nice as that, and a player
in this one reads each note as it comes. Counted is the time within the mind's backend, and from one
call of that to the next, which is everything else that a note costs, the sending with it: the
processor's caches are as cold as the network leaves them. Quantiles over all notes, but the first
of each answer; a note during which the machine did something else is one among many. What follows
in the player is no part of the next note's time; a ping there and back, with the mind at rest, says
how long the way is.

    python tests/benchmarks/note_overhead.py [--checkpoint PATH] [--backend NAME] [--answers N]
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import zmq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.backends import NAMES, open_model
from engine.cache import Logits
from engine.decoder import Decoder
from engine.protocol import (
    Continue,
    Controls,
    Drafted,
    Finished,
    FromMind,
    Meter,
    Note,
    Ping,
    Pong,
    Prompt,
    Ready,
)
from engine.rows import NoteBackend, Row
from engine.server import NICENESS, serve
from engine.service import Service
from engine.wire import decode, encode

PLAYED = tuple((k, Note(k / 2, 48 + (5 * k) % 24, 0.5, 40 + 8 * (k % 8))) for k in range(128))
FROM_BEAT, UNTIL_BEAT = 64.0, 96.0
PINGS = 200


class Timed:
    """A backend that adds up the time within its calls and between them."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.capacity = backend.capacity
        self.within_s = self.between_s = 0.0
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
        """An answer begins; the time since the one before is nobody's."""
        self._left_s = 0.0
        self._backend.rewind(length)

    def _enter(self) -> float:
        now_s = perf_counter()
        self.between_s += now_s - (self._left_s or now_s)
        return now_s

    def _leave(self, begun_s: float) -> None:
        self._left_s = perf_counter()
        self.within_s += self._left_s - begun_s


class TimedNotes(Timed):
    """The same of a backend that takes a note at a time."""

    def say_where(self, row: Row) -> Logits:
        return self._said(self._backend.say_where, row)

    def say_key(self, key: int) -> Logits:
        return self._said(self._backend.say_key, key)

    def say_length(self, length: int) -> Logits:
        return self._said(self._backend.say_length, length)

    def _said(self, say: Callable[[Any], Logits], what: object) -> Logits:
        begun_s = self._enter()
        logits = say(what)
        self._leave(begun_s)
        return logits


class Noted(Service):
    """A mind that writes down where the clocks of its backend stand after each note."""

    def __init__(self, decoder: Decoder, ready: Ready, timed: Timed) -> None:
        super().__init__(decoder, ready)
        self.stands: list[tuple[float, float]] = []
        self._timed = timed

    def work(self) -> list[FromMind]:
        said = super().work()
        if said and isinstance(said[0], Drafted):
            self.stands.append((self._timed.within_s, self._timed.between_s))
        return said


def mind(address: str, checkpoint: Path | None, backend: str, told: Connection) -> None:
    """Serve for ever; say how the clocks stood since the last time to whoever asks."""
    os.nice(NICENESS)
    model = open_model(checkpoint, backend=backend)
    timed = (TimedNotes if isinstance(model.backend, NoteBackend) else Timed)(model.backend)
    decoder = Decoder(timed, model.vocabulary)
    service = Noted(decoder, Ready(model.kind, model.parameters, 0), timed)
    service.warm_up()

    def tell() -> None:
        while True:
            told.recv()
            told.send(service.stands)
            service.stands = []

    threading.Thread(target=tell, daemon=True).start()
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.bind(address)
        serve(router, service)


class Player:
    """The other end, which reads each note as it comes."""

    def __init__(self, dealer: "zmq.Socket[bytes]", mind: Connection) -> None:
        self._dealer = dealer
        self._mind = mind

    def say(self, message: Prompt | Continue | Ping) -> None:
        self._dealer.send(encode(message))

    def until(self, kind: type[FromMind]) -> list[FromMind]:
        """All that is said up to the first of a kind."""
        said = [decode(self._dealer.recv())]
        while not isinstance(said[-1], kind):
            said.append(decode(self._dealer.recv()))
        return said  # type: ignore[return-value]

    def answer(self, seed: int) -> list[tuple[float, float]]:
        """Microseconds within the backend and beside it, of each note but the first."""
        self.say(Continue(seed, FROM_BEAT, UNTIL_BEAT, Controls(), seed))
        self.until(Finished)
        self._mind.send("how do they stand?")
        stands = self._mind.recv()
        return [(1e6 * (c - a), 1e6 * (d - b)) for (a, b), (c, d) in pairwise(stands)]

    def ping_us(self) -> float:
        """There and back."""
        begun_s = perf_counter()
        self.say(Ping(1))
        self.until(Pong)
        return 1e6 * (perf_counter() - begun_s)


def measure(checkpoint: Path | None, backend: str, answers: int) -> dict[str, float | str]:
    """Figures in microseconds a note."""
    processes = multiprocessing.get_context("spawn")
    ours, theirs = processes.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        address = f"ipc://{folder}/mind"
        process = processes.Process(target=mind, args=(address, checkpoint, backend, theirs))
        process.start()
        try:
            with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
                dealer.linger = 0
                dealer.connect(address)
                player = Player(dealer, ours)
                player.say(Prompt(PLAYED, (), (Meter(0.0, 4, 4),), reset=True))
                (ready,) = player.until(Ready)
                player.answer(0)  # the prompt
                notes = [note for seed in range(answers) for note in player.answer(seed)]
                pings = [player.ping_us() for _ in range(PINGS)]
        finally:
            process.kill()
            process.join()
    assert isinstance(ready, Ready)
    within, beside = (quantiles(times, n=10) for times in zip(*notes, strict=True))
    return {
        "backend": ready.model,
        "notes": len(notes),
        "network_us_p10": within[0],
        "network_us_p50": within[4],
        "beside_us_p10": beside[0],
        "beside_us_p50": beside[4],
        "share_p50": median(beside / (beside + within) for within, beside in notes),
        "ping_us_p50": median(pings),
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--backend", choices=NAMES, default="auto")
    parser.add_argument("--answers", type=int, default=40)
    args = parser.parse_args()
    print(json.dumps(measure(args.checkpoint, args.backend, args.answers), indent=1), flush=True)


if __name__ == "__main__":
    main()
