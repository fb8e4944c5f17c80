"""One engine under measurement, in a process of its own: what `segue bench decode` asks, line by
line, is done and answered with milliseconds.

Knows backends, the decoder around them, and peers; knows nothing of who asks, and of no other
engine. Every line in is a JSON list, a verb and its number; every line out a JSON object. The first
line out says that the engine is loaded and has taken a token.

    steps N     N tokens one by one behind 512 others; rows behind 256, where a row is a note
    prefill N   N of them into an empty cache
    notes N     N notes of an answer, each from the end of the one before, with all that is around
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol, cast

import numpy as np

from engine.backends import OPENERS, Model, open_model
from engine.cache import Fed
from engine.decoder import Decoder
from engine.protocol import Continue, Controls, Meter, Note, Prompt
from engine.rows import AnyBackend, NoteBackend, Row, Rows
from engine.tokens import Placed, Tokenizer
from models.description import (
    CheckpointError,
    beside,
    default_checkpoint,
    read_description,
    vocabulary_of,
)
from models.nested.sizes import READ_OFF
from models.vocabulary import Vocabulary
from models.weights import read_weights

#: Tokens in the cache while single ones are measured, or half of what it holds if that is less.
BEHIND = 512
#: Three or four minutes of two hands: as much past as the window takes, and more.
PLAYED = tuple((k, Note(k / 2, 48 + (5 * k) % 24, 0.5, 40 + 8 * (k % 8))) for k in range(256))
FROM_BEAT, ANSWER_BEATS = 128.0, 32.0
ENGINES = (*OPENERS, "llama.cpp", "transformers", "notochord", "memory")


class Subject(Protocol):
    """What is measured; each returns milliseconds."""

    def steps(self, count: int) -> list[float]:
        """Each of `count` tokens."""

    def prefill(self, count: int) -> list[float]:
        """One number for `count` tokens."""

    def notes(self, count: int) -> list[float]:
        """Each of `count` notes; none if the engine knows no notes."""


class Ours:
    """A backend, alone and within the decoder."""

    def __init__(self, backend: AnyBackend, vocabulary: Vocabulary) -> None:
        self._backend = cast(Fed[Any], backend)
        self._steps: list[Any] = (
            drawn_rows(backend.capacity, vocabulary)
            if isinstance(backend, NoteBackend)
            else drawn(backend.capacity, len(vocabulary))
        )
        self._behind = min(BEHIND, backend.capacity // 2)
        self._vocabulary = vocabulary
        self._decoder: Decoder | None = None  # while the backend holds what it thinks
        self._holds_steps = False
        self._seed = 0
        self._backend.append(self._steps[:2])
        self._backend.next(self._steps[2])

    def steps(self, count: int) -> list[float]:
        """The backend alone."""
        if not self._holds_steps:
            self.prefill(self._behind)
            self._holds_steps = True
        self._backend.rewind(self._behind)
        following = self._steps[self._behind : self._behind + count]
        return [timed(partial(self._backend.next, step)) for step in following]

    def prefill(self, count: int) -> list[float]:
        """In one piece, as each engine does it best; none of more than the cache holds."""
        self._decoder, self._holds_steps = None, False
        self._backend.rewind(0)
        if count > self._backend.capacity:
            return []
        return [timed(lambda: self._backend.append(self._steps[:count]))]

    def notes(self, count: int) -> list[float]:
        """Within the decoder: grammar, sampling, tokens to notes."""
        if self._decoder is None:
            self._holds_steps = False
            self._decoder = Decoder(cast(AnyBackend, self._backend), self._vocabulary)
            self._decoder.apply(Prompt(PLAYED, (), (Meter(0.0, 4, 4),), reset=True))
        found: list[float] = []
        while len(found) < count:
            found += self._answer(self._decoder, count - len(found))
        return found

    def _answer(self, decoder: Decoder, most: int) -> list[float]:
        self._seed += 1
        until = FROM_BEAT + ANSWER_BEATS
        answer = decoder.answer(Continue(self._seed, FROM_BEAT, until, Controls(), self._seed))
        found: list[float] = []
        begun_s = 0.0  # before the first note there is a prompt to be fed
        while not answer.finished and len(found) < most:
            if answer.step() is not None:
                now_s = perf_counter()
                if begun_s:
                    found.append(1e3 * (now_s - begun_s))
                begun_s = now_s
        return found


class Generated:
    """transformers, which has no step of its own: tokens as they come out of `generate`."""

    def __init__(self, generate: Callable[[Sequence[int], int], list[float]], size: int) -> None:
        self._generate = generate
        self._tokens = drawn(1024, size)
        generate(self._tokens[:8], 2)

    def steps(self, count: int) -> list[float]:
        """Without the first, which has the prompt's time in it."""
        return self._generate(self._tokens[:BEHIND], count + 1)[1:]

    def prefill(self, count: int) -> list[float]:
        """The first token behind the prompt; the context has room for it."""
        return self._generate(self._tokens[: min(count, 1023)], 1)

    def notes(self, count: int) -> list[float]:
        """None."""
        return []


class Events:
    """Notochord: a note is one event, although its end will be another."""

    def __init__(self, event: Callable[[], None]) -> None:
        self._event = event
        event()

    def steps(self, count: int) -> list[float]:
        """Feed and query."""
        return [timed(self._event) for _ in range(count)]

    def prefill(self, count: int) -> list[float]:
        """None: it has no prompt."""
        return []

    notes = steps


class Memory:
    """No engine: how fast this machine reads as many bytes as the weights have, one thread."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._numbers = np.ones(size // 4, dtype=np.float32)

    def steps(self, count: int) -> list[float]:
        """The product of a vector with itself reads it once."""
        return [timed(lambda: self._numbers.dot(self._numbers)) for _ in range(count)]

    def prefill(self, count: int) -> list[float]:
        """None."""
        return []

    def notes(self, count: int) -> list[float]:
        """None."""
        return []


def timed(act: Callable[[], object]) -> float:
    """Milliseconds that it takes."""
    begun_s = perf_counter()
    act()
    return 1e3 * (perf_counter() - begun_s)


def drawn(count: int, size: int) -> list[int]:
    """The same tokens for every engine."""
    tokens: list[int] = np.random.default_rng(5).integers(0, size, count).tolist()
    return tokens


def drawn_rows(count: int, vocabulary: Vocabulary) -> list[Row]:
    """Rows of eight notes a bar, for a network that takes a note at a time."""
    rows = Rows(Tokenizer(vocabulary, ()), first_bar=0)
    fields = vocabulary.pitches, vocabulary.durations, vocabulary.velocities
    drawn = np.random.default_rng(5).integers(0, [len(field) for field in fields], (count, 3))
    for k, chosen in enumerate(drawn.tolist()):
        pitch, duration, velocity = (field[n] for field, n in zip(fields, chosen, strict=True))
        rows.spell([Placed(k // 8, 6 * (k % 8), pitch, duration, velocity)])
    return rows.rows[:count]


def weight_bytes(shape: dict[str, int]) -> int:
    """What a token has to read of an int8 network, or a note of a nested one.

    8 bits a weight, and a scale for 32 or 64.
    """
    width = shape["width"]
    weights = shape["layers"] * (4 * width**2 + 3 * width * shape["ffn"])
    if "chain" in shape:
        weights += len(READ_OFF) * 3 * width * shape["chain"] + width * sum(READ_OFF)
    else:
        weights += width * shape["vocabulary"]
    return int(weights * 34 / 32)


def open_subject(name: str, checkpoint: Path, *, threads: int) -> Subject:
    """The engine, loaded; raises CheckpointError or ImportError where it cannot be."""
    if name == "notochord":
        from engine.peers import notochord_event

        return Events(notochord_event(threads=threads))
    if name in OPENERS:
        model: Model = open_model(checkpoint, backend=name, threads=threads)
        return Ours(model.backend, model.vocabulary)
    description = read_description(checkpoint)
    shape: dict[str, int] = description["network"]
    if name == "memory":
        return Memory(weight_bytes(shape))
    if "chain" in shape:
        raise ValueError(f"{name} plays tokens, and not a network that takes a note at a time")
    from engine.peers import LlamaCpp, Transformers

    weights = read_weights(checkpoint)
    vocabulary = vocabulary_of(description, beside(checkpoint, ".json"))
    if name == "llama.cpp":
        return Ours(LlamaCpp(shape, weights, threads=threads), vocabulary)
    return Generated(Transformers(shape, weights, threads=threads).generate, len(vocabulary))


def say(**values: Any) -> None:
    """One line out."""
    print(json.dumps(values), flush=True)


def main(arguments: Sequence[str]) -> int:
    """Load the engine and serve the lines; 1 if it is not installed or cannot be loaded."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=ENGINES)
    parser.add_argument("--checkpoint", type=Path, default=default_checkpoint())
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(arguments)
    try:
        subject = open_subject(args.name, args.checkpoint, threads=args.threads)
    except ImportError as error:  # of a peer; what our own backends lack is a CheckpointError
        say(missing=f"pip install 'segue[bench]' brings it ({error})")
        return 1
    except (CheckpointError, ValueError) as error:
        say(missing=str(error))
        return 1
    say(ready=True, bytes=getattr(subject, "size", None))
    for line in sys.stdin:
        verb, count = json.loads(line)
        say(ms=getattr(subject, verb)(count))
    return 0
