"""What ships plays what was trained: its live backends against the float32 reference.

On the recordings that ship; tests/benchmarks/equal_answers.py has more music.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.backends import open_model
from engine.cache import Logits
from engine.native_backend import unfit
from models.description import default_checkpoint, read_description
from models.scores import tokens_of
from models.vocabulary import build_tokenizer, standard_vocabulary

RECORDINGS = Path(__file__).resolve().parents[2] / "daemon" / "performances"
VOCABULARY = standard_vocabulary()
SHIPPED = default_checkpoint()


@pytest.fixture(scope="module")
def pieces() -> list[list[int]]:
    """Tokens of each recording, behind BOS."""
    tokenizer = build_tokenizer()
    return [
        [VOCABULARY.bos, *tokens_of(piece.read_bytes(), VOCABULARY, tokenizer)[:500]]
        for piece in sorted(RECORDINGS.glob("*.mid"))
    ]


def shares(logits: Logits) -> np.ndarray[Any, Any]:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return weights / weights.sum()  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["onnx", "native"])
def test_it_answers_as_its_reference(kind: str, pieces: Sequence[list[int]]) -> None:
    if kind == "native" and unfit(read_description(SHIPPED)["network"]):
        pytest.skip("no kernel here")
    live, reference = (open_model(SHIPPED, backend=name).backend for name in (kind, "torch"))
    distances, agree = [], []
    for piece in pieces:
        live.rewind(0)
        reference.rewind(0)
        for token in piece:
            said, expected = live.next(token), reference.next(token)
            distances.append(0.5 * np.abs(shares(said) - shares(expected)).sum())
            agree.append(said.argmax() == expected.argmax())
    assert np.mean(agree) >= 0.98
    assert np.mean(distances) <= 0.005 and np.quantile(distances, 0.99) <= 0.02
