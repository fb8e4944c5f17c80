"""The decoder: causal, tied, and the same through its cache as without."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.network import Network, NetworkConfig

CONFIG = NetworkConfig(vocabulary=50, layers=2, width=32, heads=2, ffn=64, context=48)
TOLERANCE = 1e-4  # logits, float32; the sums are taken in another order


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    net = Network(CONFIG).eval().requires_grad_(False)
    for block in net.blocks:  # larger branches than at the start of training, so they are heard
        block.attention.out.weight.mul_(20)
    return net


def some_tokens(count, *, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, CONFIG.vocabulary, (1, count), generator=generator)


def test_the_future_is_not_heard(network):
    tokens = some_tokens(20)
    other = tokens.clone()
    other[0, 12] = (other[0, 12] + 1) % CONFIG.vocabulary
    before, after = network(tokens), network(other)
    assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.allclose(before[:, 12:], after[:, 12:], atol=TOLERANCE)


def test_the_order_of_the_past_is_heard(network):
    tokens = some_tokens(10)
    swapped = tokens.clone()
    swapped[0, [2, 3]] = tokens[0, [3, 2]]
    assert not torch.allclose(network(tokens)[:, -1], network(swapped)[:, -1], atol=TOLERANCE)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, 47), unique=True, max_size=6), seed=st.integers(0, 999))
def test_the_cache_changes_nothing(network, cuts, seed):
    tokens = some_tokens(CONFIG.context, seed=seed)
    keys, values = network.empty_cache()
    edges = [0, *sorted(cuts), CONFIG.context]
    parts = [network(tokens[:, a:b], keys=keys, values=values, start=a) for a, b in pairwise(edges)]
    whole = network(tokens)
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=TOLERANCE)


def test_to_rewind_is_to_start_earlier(network):
    keys, values = network.empty_cache()
    first, second = some_tokens(30, seed=1), some_tokens(30, seed=2)
    network(first, keys=keys, values=values, start=0)
    again = torch.cat((first[:, :10], second[:, 10:20]), dim=1)
    rewound = network(again[:, 10:], keys=keys, values=values, start=10)
    assert torch.allclose(rewound, network(again)[:, 10:], atol=TOLERANCE)


def test_a_batch_is_its_rows(network):
    tokens = torch.cat((some_tokens(9, seed=1), some_tokens(9, seed=2)))
    both = network(tokens)
    assert torch.allclose(both[1:], network(tokens[1:]), atol=TOLERANCE)


def test_input_and_output_share_one_table(network):
    names = [name for name, _ in network.named_parameters()]
    assert names.count("embedding.weight") == 1
    assert not [name for name in names if "head" in name or "bias" in name]
    assert network.parameter_count() == 50 * 32 + 2 * (4 * 32 * 32 + 3 * 32 * 64 + 2 * 32) + 32


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    net = Network(CONFIG, dropout=0.5)
    tokens = some_tokens(8)
    assert not torch.equal(net(tokens), net(tokens))
    net.eval()
    assert torch.equal(net(tokens), net(tokens))


def test_misuse_is_an_error(network):
    keys, values = network.empty_cache()
    with pytest.raises(ValueError, match="49 tokens do not fit into a context of 48"):
        network(some_tokens(49))
    with pytest.raises(ValueError, match="49 tokens do not fit"):
        network(some_tokens(2), keys=keys, values=values, start=47)
    with pytest.raises(ValueError, match="needs a cache"):
        network(some_tokens(2), start=3)
    with pytest.raises(ValueError, match="not a batch"):
        network(some_tokens(2).repeat(2, 1), keys=keys, values=values)


@pytest.mark.parametrize("wrong", [{"layers": 0}, {"width": 33}, {"heads": 5}, {"ffn": "wide"}])
def test_a_shape_that_cannot_be_built_is_refused(wrong):
    with pytest.raises(ValueError, match=r"network is|cannot be split"):
        NetworkConfig(vocabulary=50, **wrong)
