"""Which of two precisions this machine is faster in.

Knows devices and the clock; knows no networks and no data. Processors without instructions for
bfloat16 convert it step by step and lose time over it, so that it is tried rather than asked for.
"""

from __future__ import annotations

import time

import torch

from models.processes import Processes

AUTO, BF16, FLOAT32 = "auto", "bf16", "float32"
PRECISIONS = (AUTO, BF16, FLOAT32)
ROWS, WIDTH, HIDDEN = 1024, 256, 1536  # of a product as a network of the usual size has it
TRIES = 5


def faster(device: str, processes: Processes) -> str:
    """BF16 where a matrix product takes less time in it, by the first process's clock."""
    wins = _seconds(device, torch.bfloat16) < _seconds(device, torch.float32)
    return BF16 if processes.as_first([float(wins)], device)[0] else FLOAT32


def _seconds(device: str, kind: torch.dtype) -> float:
    """The best of some tries."""
    rows = torch.ones(ROWS, WIDTH, dtype=kind, device=device)
    weights = torch.ones(WIDTH, HIDDEN, dtype=kind, device=device)
    found = []
    for _ in range(TRIES):
        begun_s = time.perf_counter()
        float((rows @ weights)[0, 0])  # a GPU has to be done with it
        found.append(time.perf_counter() - begun_s)
    return min(found)
