"""What each step of a training is fed: drawn as it is asked for, or ahead of it by workers.

Knows seeds, steps and processes; knows no music, network, schedule or files. What a step is fed
depends on the seed, the step and the process's rank alone, so that it is the same with any number
of workers, and in a run that was resumed.

Workers are torch's (DataLoader). They are started anew rather than forked: a fork beside torch's
threads may hang, and beside CUDA is not allowed. So what they draw from travels to them pickled,
but for what is mapped from files: there a name travels, and all read the same pages.

Ctrl-C, and what ends a job, go to all processes of a run. It is the training that then finishes its
step, saves and leaves, so the workers hear nothing of it. They go with the block that started them,
or, where the training was killed, seconds later by themselves.
"""

from __future__ import annotations

import io
import itertools
import mmap
import pickle
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from models.architectures import DataView
from models.processes import Processes

SHORT_SHARE = 0.6  # of the steps take windows of half the context, which are cheaper a token
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class FeedError(Exception):
    """A worker died; the text says of what, and what helps."""


class Fed(NamedTuple):
    """What one step is fed."""

    dropout: int  # the seed of its dropout, the same in all processes
    seen: int  # units in the windows of all processes
    windows: Tensor  # (count, length + 1, columns): this process's


class Steps(Dataset[Fed]):
    """What each step is fed, by its number."""

    def __init__(
        self, view: DataView, *, seed: int, batch: int, context: int, processes: Processes
    ) -> None:
        self._view = view
        self._seed = seed
        self._batch = batch
        self._context = context
        self._processes = processes

    def __getitem__(self, step: int) -> Fed:
        generator = np.random.default_rng([self._seed, step])
        dropout = int(generator.integers(2**62))
        short = generator.random() < SHORT_SHARE
        rank, size = self._processes.rank, self._processes.size
        if size > 1:
            generator = np.random.default_rng([self._seed, step, rank])
        batch = self._batch // size
        length, count = (self._context // 2, 2 * batch) if short else (self._context, batch)
        windows = self._view.draw(generator, count=count, length=length)
        return Fed(dropout, count * length * size, windows)

    def __getstate__(self) -> bytes:
        buffer = io.BytesIO()
        _ByName(buffer).dump(self.__dict__)
        return buffer.getvalue()

    def __setstate__(self, state: bytes) -> None:
        self.__dict__.update(pickle.loads(state))


class Feed:
    """Hands the steps what they are fed; with workers, inside of `ahead`, without waiting."""

    def __init__(self, steps: Steps, *, workers: int, pinned: bool) -> None:
        """`pinned` is for a GPU, which then takes windows while the processor goes on."""
        self._steps = steps
        self._workers = workers
        self._pinned = pinned
        self._coming: Iterator[Fed] | None = None

    def take(self, step: int) -> Fed:
        """What a step is fed; inside of `ahead` the steps must come one after the other."""
        return self._steps[step] if self._coming is None else next(self._coming)

    @contextmanager
    def ahead(self, first: int) -> Iterator[None]:
        """Let the workers draw, from step `first` on, until the block is left.

        Raises FeedError in the block, wherever it is, when one dies.
        """
        if not self._workers:
            yield
            return
        loader = DataLoader(
            self._steps,
            batch_size=None,  # an item is all that a step takes
            sampler=itertools.count(first),  # nobody asks how many
            num_workers=self._workers,
            multiprocessing_context="spawn",
            pin_memory=self._pinned,
            generator=torch.Generator(),  # it draws a number, which must not be one of dropout's
        )
        with _unheard():
            coming = iter(loader)
        self._coming = coming
        try:
            yield
        except RuntimeError as error:
            if str(error).startswith("DataLoader worker"):  # torch has no type for it
                cause = error.__cause__  # where it is torch's too, it says which signal
                told = str(cause if isinstance(cause, RuntimeError) else error).strip(" .")
                raise FeedError(f"{told}; go on with --resume and fewer --workers") from error
            raise
        finally:
            self._coming = None
            # torch waits for the last reference to go. A traceback may hold one until the end of
            # the process, which would then wait for workers that nobody has told.
            coming._shutdown_workers()  # type: ignore[attr-defined]


class _ByName(pickle.Pickler):
    """Pickles arrays that are mapped from a file by its name, where others would copy the file."""

    def reducer_override(self, thing: object) -> Any:
        if isinstance(thing, np.memmap) and isinstance(thing.base, mmap.mmap):
            return np.memmap, (thing.filename, thing.dtype, "r", thing.offset, thing.shape)
        return NotImplemented


@contextmanager
def _unheard() -> Iterator[None]:
    """Let processes that are started inside never hear the signals; this one hears them later.

    A mask is inherited, and holds from the first instruction on.
    """
    resource_tracker.ensure_running()  # or it is started inside, and lifts the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
