"""Where there was no compiler, a note at a time says what the reference says, up to rounding."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from engine.measured import drawn_rows
from engine.numpy_note_backend import NumpyNoteBackend
from engine.torch_note_backend import TorchNoteBackend
from models.nested.network import NestedConfig, NestedNetwork
from models.vocabulary import standard_vocabulary

VOCABULARY = standard_vocabulary()
CONTEXT = 100
SHAPE = {
    "layers": 2,
    "width": 48,
    "heads": 3,
    "ffn": 67,
    "chain": 29,
    "vocabulary": len(VOCABULARY),
    "context": CONTEXT,
}
ROWS = drawn_rows(CONTEXT, VOCABULARY)
#: Logits here spread over some units; float32 sums in another order part at the sixth digit.
TOLERANCE = 5e-5


@pytest.fixture(scope="module")
def network() -> NestedNetwork:
    torch.manual_seed(5)
    network = NestedNetwork(NestedConfig(**SHAPE)).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if "looks" in name:
            parameter.data.normal_(std=0.1)
        elif parameter.dim() == 2 and not name.startswith("said_"):
            parameter.data *= 6
    return network


@pytest.fixture(scope="module")
def weights(network: NestedNetwork) -> dict[str, np.ndarray[Any, Any]]:
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def test_it_says_what_the_reference_says(network: NestedNetwork, weights: dict[str, Any]) -> None:
    ours, reference = NumpyNoteBackend(SHAPE, weights), TorchNoteBackend(network)
    for row, following in pairwise(ROWS):
        for backend_says in (
            lambda backend, row=row: backend.next(row),
            lambda backend, row=following: backend.say_where(row),
            lambda backend, row=following: backend.say_key(row.key),
            lambda backend, row=following: backend.say_length(row.length),
        ):
            expected = backend_says(reference)
            np.testing.assert_allclose(backend_says(ours), expected, atol=TOLERANCE, rtol=TOLERANCE)
            assert expected.std() > 0.5  # the comparison is about something


def test_after_a_rewind_the_logits_are_those_of_a_cold_cache(weights: dict[str, Any]) -> None:
    fed, cold = (NumpyNoteBackend(SHAPE, weights) for _ in range(2))
    fed.append(ROWS[:90])
    fed.say_where(ROWS[90])
    fed.rewind(20)
    for row in ROWS[20:30]:
        fed.next(row)
    found = fed.append(ROWS[30:])
    np.testing.assert_allclose(found, cold.append(ROWS), atol=TOLERANCE, rtol=TOLERANCE)
    assert fed.length == CONTEXT


def test_what_cannot_be_taken_is_refused(weights: dict[str, Any]) -> None:
    backend = NumpyNoteBackend(SHAPE, weights)
    backend.append(ROWS[:3])
    with pytest.raises(ValueError, match="0 rows cannot be added to 3"):
        backend.append([])
    with pytest.raises(ValueError, match=f"holds {CONTEXT}"):
        backend.append(ROWS[:98])
    with pytest.raises(ValueError, match="cannot rewind 3"):
        backend.rewind(4)
    with pytest.raises(ValueError, match=r"no stages\.0\.ffn\.gate_up"):
        NumpyNoteBackend(SHAPE | {"chain": 30}, weights)
