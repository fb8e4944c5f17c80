"""Several processes that train one network, as torchrun starts them; or one, which is the same.

Knows torch.distributed and torchrun's environment; knows no data, schedule or files. Each process
draws windows of its own, the gradients are averaged, and so all networks stay the same. The first
process alone speaks, validates, saves, and says when it is over.

    torchrun --nproc-per-node 2 -m models.training --data DIR --out RUN …
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor


class Processes:
    """This process among `size`; a single one never talks to anybody."""

    def __init__(self, *, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @property
    def first(self) -> bool:
        """Whether this is the one that speaks and saves."""
        return self.rank == 0

    def wait(self) -> None:
        """Let the others come as far."""
        if self.size > 1:
            dist.barrier()

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Set every tensor to its mean over the processes, all in one message."""
        if self.size == 1:
            return
        parts = list(tensors)
        flat = torch.cat([part.flatten() for part in parts])
        dist.all_reduce(flat)
        flat /= self.size
        means = torch.split(flat, [part.numel() for part in parts])
        for part, mean in zip(parts, means, strict=True):
            part.copy_(mean.view_as(part))

    def as_first(self, numbers: list[float], device: str) -> list[float]:
        """What the first process has, for decisions that all must make alike."""
        if self.size == 1:
            return numbers
        said = torch.tensor(numbers, dtype=torch.float64, device=device)
        dist.broadcast(said, src=0)
        return said.tolist()


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """The processes that torchrun started, or this one alone where nobody did."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Processes()
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Processes(rank=dist.get_rank(), size=size)
    finally:
        dist.destroy_process_group()
