"""The kernel says what the reference says, and the same bits on every way to the same tokens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import native_library
from engine.cache import Logits
from engine.native_backend import NativeBackend, paths, unfit
from engine.torch_backend import TorchBackend
from models.network import Network, NetworkConfig

CONTEXT = 96
WORDS = 53
#: No number is a multiple of the kernel's vectors and groups but those that have to be.
SHAPE = {
    "layers": 3,
    "width": 96,
    "heads": 3,
    "ffn": 83,
    "vocabulary": WORDS,
    "context": CONTEXT,
}

pytestmark = pytest.mark.skipif(
    bool(unfit(SHAPE)), reason="built without a compiler; the ONNX backend plays"
)

words = st.integers(0, WORDS - 1)
actions = st.lists(
    st.one_of(
        st.lists(words, min_size=1, max_size=40),  # append these
        words,  # next
        st.floats(0, 1).map(lambda share: ("rewind", share)),
    ),
    min_size=1,
    max_size=20,
)


@pytest.fixture(scope="module")
def network() -> Network:
    """A network whose opinions are as strong as a trained one's."""
    torch.manual_seed(7)
    network = Network(NetworkConfig(**SHAPE)).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.data *= 6 if parameter.dim() == 2 else 1 + 0.2 * torch.randn(parameter.shape)
    return network


@pytest.fixture(scope="module")
def weights(network: Network) -> dict[str, np.ndarray[Any, Any]]:
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def pair(weights: dict[str, Any]) -> Iterator[tuple[NativeBackend, NativeBackend]]:
    """One to be fed this and that, and one that is always cold."""
    return NativeBackend(SHAPE, weights), NativeBackend(SHAPE, weights)


def tokens(count: int, *, seed: int = 3) -> list[int]:
    drawn: list[int] = np.random.default_rng(seed).integers(0, WORDS, count).tolist()
    return drawn


def shares(logits: Logits) -> np.ndarray[Any, Any]:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return weights / weights.sum()  # type: ignore[no-any-return]


def distance(said: Logits, expected: Logits) -> float:
    """Total variation: the share of answers that would be drawn otherwise."""
    return float(0.5 * np.abs(shares(said) - shares(expected)).sum())


def test_it_says_what_the_reference_says(network: Network, weights: dict[str, Any]) -> None:
    kernel, reference = NativeBackend(SHAPE, weights), TorchBackend(network)
    distances = []
    for token in tokens(CONTEXT):
        said, expected = kernel.next(token), reference.next(token)
        assert shares(expected).max() < 0.99  # the comparison is about something
        distances.append(distance(said, expected))
    assert np.mean(distances) < 0.02
    assert max(distances) < 0.1


def test_every_instruction_set_gives_the_same_bits(weights: dict[str, Any]) -> None:
    said = []
    for path in paths():
        backend = NativeBackend(SHAPE, weights, path=path)
        said.append(backend.append(tokens(41)).copy())
        said[-1] = np.concatenate((said[-1], backend.next(5)))
    assert next(iter(paths())) == "plain"
    for other in said[1:]:
        np.testing.assert_array_equal(other, said[0])


@pytest.mark.parametrize("path", paths() if not unfit(SHAPE) else ())
def test_alone_or_in_a_chunk_gives_the_same_bits(weights: dict[str, Any], path: str) -> None:
    alone, whole = (NativeBackend(SHAPE, weights, path=path) for _ in range(2))
    said = [alone.next(token).copy() for token in tokens(CONTEXT)]
    for count in (1, 2, 5, 31, 32, 33, 70, CONTEXT):  # around the kernel's batches
        whole.rewind(0)
        np.testing.assert_array_equal(whole.append(tokens(CONTEXT)[:count]), said[count - 1])


@settings(deadline=None)
@given(actions=actions)
def test_after_any_history_the_logits_are_those_of_a_cold_cache(
    pair: tuple[NativeBackend, NativeBackend], actions: list[Any]
) -> None:
    fed, cold = pair
    fed.rewind(0)
    held: list[int] = []
    for action in actions:
        if isinstance(action, tuple):
            held = held[: int(action[1] * len(held))]
            fed.rewind(len(held))
            continue
        new = action if isinstance(action, list) else [action]
        if len(held) + len(new) > CONTEXT:
            with pytest.raises(ValueError, match=f"holds {CONTEXT}"):
                fed.append(new) if isinstance(action, list) else fed.next(action)
            continue
        held += new
        said = fed.append(new) if isinstance(action, list) else fed.next(action)
        cold.rewind(0)
        np.testing.assert_array_equal(said, cold.append(held))
        assert fed.length == len(held)


def test_what_cannot_be_taken_is_refused_and_changes_nothing(weights: dict[str, Any]) -> None:
    backend = NativeBackend(SHAPE, weights)
    backend.append([1, 2, 3])
    for wrong in (-1, WORDS):
        with pytest.raises(ValueError, match=f"none of the {WORDS}"):
            backend.append([4, wrong])
        with pytest.raises(ValueError, match="cannot be added"):
            backend.next(wrong)
    with pytest.raises(ValueError, match="0 tokens cannot be added to 3"):
        backend.append([])
    for length in (-1, 4):
        with pytest.raises(ValueError, match="cannot rewind 3 tokens"):
            backend.rewind(length)
    cold = NativeBackend(SHAPE, weights)
    np.testing.assert_array_equal(backend.next(4), cold.append([1, 2, 3, 4]))


def test_networks_that_do_not_fit_are_refused(weights: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not of 24"):
        NativeBackend(SHAPE | {"heads": 4}, weights)
    with pytest.raises(ValueError, match=r"no blocks\.0\.ffn\.gate_up of \(200, 96\)"):
        NativeBackend(SHAPE | {"ffn": 100}, weights)
    with pytest.raises(ValueError, match=r"no blocks\.3\.attention_norm"):
        NativeBackend(SHAPE | {"layers": 4}, weights)


def test_where_there_was_no_compiler_it_says_so(
    monkeypatch: pytest.MonkeyPatch, weights: dict[str, Any]
) -> None:
    native_library.library.cache_clear()
    monkeypatch.setattr(native_library, "__file__", str(Path("/nowhere/native_library.py")))
    try:
        assert "C compiler" in unfit(SHAPE)
        with pytest.raises(ValueError, match="without its compiled kernel"):
            NativeBackend(SHAPE, weights)
    finally:
        monkeypatch.undo()
        native_library.library.cache_clear()
