"""What ships plays what was trained: its live backends against the float32 reference.

On the recordings that ship; tests/benchmarks/equal_answers.py and equal_notes.py have more music.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.backends import NESTED, open_model
from engine.cache import Logits
from engine.decoder import Decoder
from engine.native_backend import unfit
from engine.protocol import Continue, Controls, Meter, Note, Prompt
from engine.rows import NoteBackend, Row
from models.description import read_description, weights_folder
from models.nested.events import KEYS, TIME, encode
from models.performance import performance_of
from models.spelling import spelled
from models.vocabulary import standard_vocabulary

RECORDINGS = Path(__file__).resolve().parents[2] / "daemon" / "performances"
VOCABULARY = standard_vocabulary()


def cases() -> Iterator[Any]:
    """Each checkpoint that ships, in each backend that may play it live."""
    for path in sorted(weights_folder().glob("*.json")):
        nested = read_description(path).get("architecture") == NESTED
        for kind in ("numpy" if nested else "onnx", "native"):
            yield pytest.param(path, kind, id=f"{path.stem}-{kind}")


@pytest.fixture(scope="module")
def recordings() -> list[bytes]:
    return [piece.read_bytes() for piece in sorted(RECORDINGS.glob("*.mid"))]


def shares(logits: Logits) -> np.ndarray[Any, Any]:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return weights / weights.sum()  # type: ignore[no-any-return]


def assert_alike(pairs: Iterator[tuple[Logits, Logits]], *, mean: float, most: float) -> None:
    """Total variations: their mean, and the 99th percentile."""
    distances, agree = [], []
    for said, expected in pairs:
        distances.append(0.5 * np.abs(shares(said) - shares(expected)).sum())
        agree.append(said.argmax() == expected.argmax())
    assert np.mean(agree) >= 0.98
    assert np.mean(distances) <= mean and np.quantile(distances, 0.99) <= most


@pytest.mark.parametrize(("path", "kind"), list(cases()))
def test_it_answers_as_its_reference(path: Path, kind: str, recordings: Sequence[bytes]) -> None:
    if kind == "native" and unfit(read_description(path)["network"]):
        pytest.skip("no kernel here")
    live, reference = (open_model(path, backend=name).backend for name in (kind, "torch"))
    # A field comes off more products in a row than a token, each rounded to int8.
    nested = isinstance(reference, NoteBackend)
    says, bounds = (say_notes, (0.01, 0.04)) if nested else (say_tokens, (0.005, 0.02))
    pairs = (pair for piece in recordings for pair in says(piece, live, reference))
    assert_alike(pairs, mean=bounds[0], most=bounds[1])


def say_tokens(midi: bytes, live: Any, reference: Any) -> Iterator[tuple[Logits, Logits]]:
    """What both say after each token of a recording."""
    live.rewind(0)
    reference.rewind(0)
    music = spelled(performance_of(midi).placed(), VOCABULARY)
    for token in [VOCABULARY.bos, *music[:500].tolist()]:
        yield live.next(token), reference.next(token)


def say_notes(midi: bytes, live: Any, reference: Any) -> Iterator[tuple[Logits, Logits]]:
    """What both say of each field of each note."""
    live.rewind(0)
    reference.rewind(0)
    for row, following in pairwise(rows_of(midi)[:200]):
        yield live.next(row), reference.next(row)
        if following.key < KEYS:
            yield live.say_where(following), reference.say_where(following)
            yield live.say_key(following.key), reference.say_key(following.key)
            yield live.say_length(following.length), reference.say_length(following.length)


def rows_of(midi: bytes) -> list[Row]:
    """A recording as a network that takes a note at a time is trained on it."""
    rows = encode(performance_of(midi).placed(), ends=False)
    deltas = np.diff(rows[:, TIME], prepend=0)
    return [Row(*row) for row in np.column_stack((rows, deltas)).tolist()]


def test_an_ostinato_is_taken_up_but_not_gone_on_with_for_ever() -> None:
    model = open_model()
    decoder = Decoder(model.backend, model.vocabulary)
    figure = ((0, 48), (0.5, 55), (1, 60), (1.5, 55), (2, 64), (2.5, 55), (3, 60), (3.5, 55))
    played = [Note(4 * bar + beat, key, 0.5, 80) for bar in range(8) for beat, key in figure]
    decoder.apply(Prompt(tuple(enumerate(played)), (), (Meter(0.0, 4, 4),)))
    for seed in range(3, 7):
        answer = decoder.answer(Continue(1, 32.0, 64.0, Controls(), seed))
        bars: dict[int, list[tuple[float, int]]] = {bar: [] for bar in range(8, 16)}
        while not answer.finished:
            if note := answer.step():
                bars[int(note.onset // 4)].append((note.onset % 4, note.pitch))
        stretches = [(bar, len(list(same))) for bar, same in groupby(bars.values())]
        assert tuple(stretches[0][0]) != figure  # it has come eight times
        assert all(bars.values())
        assert max(count for _, count in stretches) <= 3
