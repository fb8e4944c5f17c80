"""A running average of a network's weights, which is what is validated and shipped.

Knows parameters; knows no data, schedule or files. The average of the last thousand steps stands
where a falling learning rate would have led to, at any time and without the fall: a run may be
stopped or given more when it suits.
"""

from __future__ import annotations

import torch
from torch import nn

DECAY = 0.999


class Average:
    """Moves `averaged` towards `network` after each step."""

    def __init__(self, network: nn.Module, averaged: nn.Module) -> None:
        self._from = [parameter.detach() for parameter in network.parameters()]
        self._to = [parameter.detach() for parameter in averaged.parameters()]

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Take in the weights after the update number `step`, from 0; early ones fade sooner."""
        decay = min(DECAY, (1 + step) / (10 + step)) if step else 0.0
        torch._foreach_lerp_(self._to, self._from, 1 - decay)
