"""The running average of weights."""

import pytest
import torch
from torch import nn

from models.averaging import DECAY, Average


def of(value):
    layer = nn.Linear(2, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def test_it_begins_with_the_first_weights_and_follows():
    network, averaged = of(1.0), of(99.0)
    average = Average(network, averaged)
    average.follow(0)
    assert averaged.weight.tolist() == [[1, 1]]
    nn.init.constant_(network.weight, 2.0)
    average.follow(1)
    assert averaged.weight[0, 0].item() == pytest.approx(1 * 2 / 11 + 2 * 9 / 11)


def test_it_settles_on_weights_that_stay():
    network, averaged = of(5.0), of(0.0)
    average = Average(network, averaged)
    for step in range(200):
        average.follow(step)
    assert averaged.weight[0, 0].item() == pytest.approx(5)


def test_late_steps_move_it_by_a_thousandth():
    network, averaged = of(1.0), of(0.0)
    Average(network, averaged).follow(10**6)
    assert averaged.weight[0, 0].item() == pytest.approx(1 - DECAY)
    assert torch.equal(network.weight, torch.ones(1, 2))
