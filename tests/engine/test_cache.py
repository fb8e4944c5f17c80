"""A cache that was rewound and fed again answers as one that never held anything else."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cache import TokenCache, common_prefix
from engine.torch_backend import TorchBackend
from models.network import Network, NetworkConfig

CONTEXT = 48
WORDS = 40
#: Logits here spread over some units; float32 sums in another order part at the sixth digit.
TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(11)
    config = NetworkConfig(vocabulary=WORDS, layers=3, width=32, heads=2, ffn=48, context=CONTEXT)
    network = Network(config).eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.dim() == 2:
            parameter.data *= 8  # away from the flat logits of a fresh network
    return network


def full_pass(network: Network, tokens: Sequence[int]) -> np.ndarray[Any, Any]:
    with torch.inference_mode():
        logits: np.ndarray[Any, Any] = network(torch.tensor([tokens]))[0, -1].numpy()
    return logits


actions = st.lists(
    st.one_of(
        st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=12),  # append these
        st.integers(0, WORDS - 1),  # next
        st.floats(0, 1).map(lambda share: ("rewind", share)),
    ),
    min_size=1,
    max_size=25,
)


@settings(deadline=None)
@given(actions=actions)
def test_cached_logits_are_those_of_a_full_pass(network: Network, actions: list[Any]) -> None:
    backend = TorchBackend(network)
    held: list[int] = []
    for action in actions:
        if isinstance(action, tuple):
            held = held[: int(action[1] * len(held))]
            backend.rewind(len(held))
            assert backend.length == len(held)
            continue
        tokens = action if isinstance(action, list) else [action]
        if len(held) + len(tokens) > CONTEXT:
            with pytest.raises(ValueError, match=r"context|full"):
                backend.append(tokens) if isinstance(action, list) else backend.next(action)
            continue
        held += tokens
        logits = backend.append(tokens) if isinstance(action, list) else backend.next(action)
        assert backend.length == len(held)
        expected = full_pass(network, held)
        assert expected.std() > 0.3  # the comparison is about something; one in 10,000 has 0.57
        np.testing.assert_allclose(logits, expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("length", [-1, 3])
def test_a_backend_does_not_rewind_to_what_it_never_held(network: Network, length: int) -> None:
    backend = TorchBackend(network)
    backend.append([1, 2])
    with pytest.raises(ValueError, match="cannot rewind"):
        backend.rewind(length)


def test_what_is_shared_stays_and_the_rest_is_fed_in_chunks(hash_backend: Any) -> None:
    backend = hash_backend(size=WORDS)
    cache = TokenCache(backend, chunk=4)
    assert cache.aim(list(range(10))) == 0
    assert [cache.feed() is None for _ in range(3)] == [True, True, False]
    assert backend.held == list(range(10))
    assert cache.aim([0, 1, 2, 3, 9, 9]) == 4
    assert backend.length == 4
    assert cache.feed() is not None
    assert cache.fed and backend.held == [0, 1, 2, 3, 9, 9]


def test_a_prompt_that_is_held_already_costs_nothing_or_one_token(hash_backend: Any) -> None:
    backend = hash_backend(size=WORDS)
    cache = TokenCache(backend)
    cache.aim([1, 2, 3, 4, 5])
    cache.feed()
    assert cache.aim([1, 2, 3], for_logits=False) == 3
    assert cache.fed and backend.length == 5  # what stands behind may come back
    assert cache.aim([1, 2, 3, 4, 5], for_logits=False) == 5
    assert cache.aim([1, 2, 3]) == 3
    logits = cache.feed()
    assert backend.held == [1, 2, 3] and backend.fed == 6
    fresh = hash_backend(size=WORDS)
    np.testing.assert_array_equal(logits, fresh.append([1, 2, 3]))


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1), st.data())
def test_any_history_of_aims_ends_with_the_same_logits(
    hash_backend: Any, prompts: list[list[int]], data: st.DataObject
) -> None:
    backend = hash_backend(size=WORDS)
    cache = TokenCache(backend, chunk=data.draw(st.integers(1, 5)))
    for prompt in prompts:
        cache.aim(prompt, for_logits=data.draw(st.booleans()))
        for _ in range(data.draw(st.integers(0, 4))):
            cache.feed()
    cache.aim(prompts[-1])
    while (logits := cache.feed()) is None:
        pass
    assert backend.held == prompts[-1]
    np.testing.assert_array_equal(logits, hash_backend(size=WORDS).append(prompts[-1]))


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_prefix(first: list[int], second: list[int]) -> None:
    length = common_prefix(first, second)
    assert first[:length] == second[:length]
    assert length in {len(first), len(second)} or first[length] != second[length]
