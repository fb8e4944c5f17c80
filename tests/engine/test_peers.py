"""The peers are given the same network: what they say is what the reference says."""

from typing import Any

import numpy as np
import pytest
import torch

from models.network import Network, NetworkConfig

SHAPE = {"layers": 2, "width": 64, "heads": 2, "ffn": 96, "vocabulary": 64, "context": 128}


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(3)
    network = Network(NetworkConfig(**SHAPE)).eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.dim() == 2:
            parameter.data *= 6
    return network


@pytest.fixture(scope="module")
def weights(network: Network) -> dict[str, np.ndarray[Any, Any]]:
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def test_llama_cpp_plays_the_same_network(network: Network, weights: dict[str, Any]) -> None:
    pytest.importorskip("llama_cpp")
    from engine.peers import LlamaCpp

    peer = LlamaCpp(SHAPE, weights, threads=1)
    tokens = np.random.default_rng(1).integers(0, 64, 24).tolist()
    expected = network(torch.tensor([tokens]))[0].numpy()
    said = [peer.append(tokens[:10]).copy()]
    said += [peer.next(token).copy() for token in tokens[10:]]
    assert np.abs(np.array(said) - expected[9:]).mean() < 0.05 * expected.std()  # it is rounded
    peer.rewind(9)
    np.testing.assert_allclose(peer.next(tokens[9]), said[0], atol=0.1 * expected.std())


def test_transformers_plays_the_same_network(network: Network, weights: dict[str, Any]) -> None:
    pytest.importorskip("transformers")
    from engine.peers import Transformers

    peer = Transformers(SHAPE, weights, threads=1)
    tokens = torch.from_numpy(np.random.default_rng(1).integers(0, 64, (1, 24)))
    said = peer._model(tokens).logits.detach()
    torch.testing.assert_close(said, network(tokens), atol=1e-3, rtol=1e-3)
    assert len(peer.generate(tokens[0].tolist(), 5)) == 5


def test_notochord_takes_and_gives_events() -> None:
    pytest.importorskip("notochord")
    from engine.peers import notochord_event

    event = notochord_event(threads=1)
    for _ in range(3):
        event()
