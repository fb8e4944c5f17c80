"""Where there was no compiler: a nested network in numpy, float32, without any framework.

Knows a nested network's shape and its tables, and arrays; knows no music and no sampling. A note is
some twenty products of a matrix and a vector, so numpy's own BLAS is not far from what a runtime
would reach, and nothing has to be exported or installed for it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.chain import Chain
from engine.native_backend import layer_sizes, place_tables, taken
from engine.row_tables import ROW_ENTRIES, all_tables, stage_sizes, time_rates
from models.nested.sizes import ONSET_STAGE

Floats: TypeAlias = NDArray[np.float32]

NORM_EPSILON = 1e-5  # as in models/network.py, which needs torch
#: Rows in one go at most: what lies between two layers stays in the nearest caches.
MOST_ROWS = 64
LAYER_WEIGHTS, STAGE_WEIGHTS = 6, 5


class NumpyNoteBackend(Chain):
    """A network, the keys and values of the rows that it has taken, and its chain."""

    def __init__(self, shape: Mapping[str, int], weights: Mapping[str, Floats]) -> None:
        """`shape` and `weights` as a checkpoint names them; ValueError where they do not fit."""
        width, heads, self.capacity = shape["width"], shape["heads"], shape["context"]
        super().__init__()
        self._heads, self._head_dim = heads, width // heads
        self._tables = all_tables(weights, width)
        (self._norm,) = taken(weights, {"norm": (width,)})
        self._place = [table.astype(np.float32) for table in place_tables(shape)]
        self._rates = time_rates(self._head_dim)
        self._layers = _groups(taken(weights, layer_sizes(shape)), LAYER_WEIGHTS)
        chain = taken(weights, stage_sizes(width, shape["chain"]))
        self._stages = _groups(chain, STAGE_WEIGHTS)
        cache = (shape["layers"], heads, self.capacity, self._head_dim)
        self._keys, self._values = (np.zeros(cache, dtype=np.float32) for _ in range(2))
        self._stream = np.zeros(width, dtype=np.float32)

    def _listen(self, rows: list[tuple[int, ...]]) -> None:
        for first in range(0, len(rows), MOST_ROWS):
            some = np.array(rows[first : first + MOST_ROWS])
            last = self._attend(some, start=self.length + first)
        self._stream = _normed(last, self._norm)
        self._stage(ONSET_STAGE)

    def _go_on(self, stage: int, entries: tuple[int, ...]) -> None:
        self._stream += self._tables[list(entries)].sum(axis=0)
        self._stage(stage)

    def _attend(self, numbers: NDArray[Any], *, start: int) -> Floats:
        """The trunk; (width,), what its last layer says of the last row, before the norm."""
        count = len(numbers)
        end = start + count
        x = self._tables[numbers[:, :ROW_ENTRIES]].sum(axis=1)  # (T, width)
        cos, sin = self._turns(numbers[:, ROW_ENTRIES], start)
        unseen = np.triu(np.full((count, end), -np.inf, dtype=np.float32), k=start + 1)
        for layer, (norm_in, qkv_in, out, norm_ffn, gate_up, down) in enumerate(self._layers):
            qkv = _normed(x, norm_in) @ qkv_in.T
            queries, keys, values = qkv.reshape(count, 3, self._heads, -1).transpose(1, 2, 0, 3)
            self._keys[layer, :, start:end] = _turned(keys, cos, sin)
            self._values[layer, :, start:end] = values
            seen = self._keys[layer, :, :end].transpose(0, 2, 1)  # (H, head_dim, end)
            scores = _turned(queries, cos, sin) @ seen / math.sqrt(self._head_dim) + unseen
            shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
            shares /= shares.sum(axis=-1, keepdims=True)
            heard = shares @ self._values[layer, :, :end]  # (H, T, head_dim)
            x += heard.transpose(1, 0, 2).reshape(count, -1) @ out.T
            x += _thought(x, norm_ffn, gate_up, down)
        last: Floats = x[-1]
        return last

    def _turns(self, time: NDArray[Any], start: int) -> tuple[Floats, Floats]:
        """Cosines and sines (H, T, head_dim / 2): the first half of the heads by place."""
        angles = time.astype(np.float32)[:, None] * self._rates
        by_time = self._heads // 2
        by_place = self._heads - by_time
        place = [table[start : start + len(time)] for table in self._place]
        cos, sin = (
            np.stack([of_place] * by_place + [of_time] * by_time)
            for of_place, of_time in zip(place, (np.cos(angles), np.sin(angles)), strict=True)
        )
        return cos, sin

    def _stage(self, number: int) -> None:
        norm, gate_up, down, head_norm, head = self._stages[number]
        self._stream += _thought(self._stream, norm, gate_up, down)
        np.dot(head, _normed(self._stream, head_norm), out=self._scores[number])


def _groups(arrays: Sequence[NDArray[Any]], size: int) -> list[list[NDArray[Any]]]:
    return [list(arrays[first : first + size]) for first in range(0, len(arrays), size)]


def _normed(x: Floats, gain: Floats) -> Floats:
    """RMSNorm of (…, width)."""
    squares = np.mean(np.square(x), axis=-1, keepdims=True)
    normed: Floats = x / np.sqrt(squares + np.float32(NORM_EPSILON)) * gain
    return normed


def _thought(x: Floats, norm: Floats, gate_up: Floats, down: Floats) -> Floats:
    """SwiGLU of (…, width)."""
    gate, up = np.split(_normed(x, norm) @ gate_up.T, 2, axis=-1)
    # The sigmoid by way of tanh, which does not overflow.
    thought: Floats = (gate * (0.5 + 0.5 * np.tanh(0.5 * gate)) * up) @ down.T
    return thought


def _turned(x: Floats, cos: Floats, sin: Floats) -> Floats:
    """(H, T, head_dim), its halves turned against each other."""
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate((first * cos - second * sin, second * cos + first * sin), axis=-1)
