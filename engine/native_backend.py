"""The kernel's backend: int8 weights on one thread, in C of our own, without any framework.

Knows the compiled kernel, a network's shape and its weights; knows no music and no sampling. The C
is in engine/kernel/; the wheel is built with it where there is a compiler, and without it where
there is none, which `unfit` tells. The kernel chooses its instruction set by itself. All of
them give the same logits, and so does a token fed alone or in a chunk, bit for bit: an answer
depends neither on the processor nor on how the prompt came to be in the cache.
"""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.cache import Logits
from engine.native_library import library

ROPE_BASE = 10_000.0  # as in models/network.py, which needs torch
#: The kernel's vectors hold sixteen numbers of one head.
HEAD_UNIT = 16
SHAPE = ("layers", "width", "heads", "ffn", "vocabulary", "context")


class Kernel:
    """A network in the kernel, with its cache. Freed when it is collected."""

    def __init__(
        self,
        opens: str,
        shape: Mapping[str, int],
        numbers: Sequence[int],
        arrays: Sequence[NDArray[Any]],
        *,
        path: str | None,
    ) -> None:
        """`opens`: the function that takes these numbers and weights; `path`: one of `paths()`."""
        if reason := unfit(shape):
            raise ValueError(reason)
        self._library, available = library(), paths()
        packed = [np.ascontiguousarray(array, dtype=np.float32) for array in arrays]
        self._decoder = getattr(self._library, opens)(
            (ctypes.c_int32 * len(numbers))(*numbers),
            (ctypes.c_void_p * len(packed))(*(array.ctypes.data for array in packed)),
            available[path or list(available)[-1]],
        )
        if not self._decoder:
            raise MemoryError("no memory for the network and its cache")
        self.capacity = shape["context"]
        self.length = 0
        self._append, self._close = self._library.segue_append, self._library.segue_close

    def rewind(self, length: int) -> None:
        """Forget all steps but the first `length`; ValueError for more than there are."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot rewind {self.length} tokens to {length}")
        self.length = length

    def __del__(self) -> None:
        # Not set where the constructor failed.
        if getattr(self, "_decoder", None):
            self._close(self._decoder)
            self._decoder = None


class NativeBackend(Kernel):
    """A network of tokens in the kernel."""

    def __init__(
        self,
        shape: Mapping[str, int],
        weights: Mapping[str, NDArray[np.float32]],
        *,
        path: str | None = None,
    ) -> None:
        """`shape` and `weights` as a checkpoint names them; `path`: one of `paths()`.

        Raises ValueError where they do not fit each other, or are `unfit`.
        """
        if reason := unfit(shape):
            raise ValueError(reason)
        numbers = [shape[name] for name in SHAPE]
        super().__init__("segue_open", shape, numbers, _arrays(shape, weights), path=path)
        self._vocabulary = shape["vocabulary"]
        self._next = self._library.segue_next
        self._logits: Logits = np.zeros(shape["vocabulary"], dtype=np.float32)
        self._to = self._logits.ctypes.data
        self._tokens = np.zeros(self.capacity, dtype=np.int32)
        self._from = self._tokens.ctypes.data

    def append(self, tokens: Sequence[int]) -> Logits:
        """Take one or more tokens; logits after the last. ValueError beyond the capacity."""
        count = len(tokens)
        if not count or self.length + count > self.capacity:
            raise ValueError(
                f"{count} tokens cannot be added to {self.length}; the cache holds {self.capacity}"
            )
        self._tokens[:count] = tokens
        if self._append(self._decoder, self._from, count, self.length, self._to):
            raise ValueError(f"a token is none of the {self._vocabulary} that there are")
        self.length += count
        return self._logits

    def next(self, token: int) -> Logits:
        """Take one token: what `append` does, by the shortest way."""
        if self._next(self._decoder, token, self.length, self._to):
            raise ValueError(
                f"token {token} cannot be added to {self.length}; the cache holds {self.capacity}"
            )
        self.length += 1
        return self._logits


def unfit(shape: Mapping[str, int]) -> str:
    """Why the kernel cannot play a network of this shape, with the remedy; "" if it can."""
    try:
        library()
    except ImportError as error:
        return str(error)
    if wrong := [name for name in SHAPE if not _is_number(shape.get(name))]:
        return f"its description has no number of {wrong[0]}"
    head_dim = shape["width"] // shape["heads"]
    if head_dim % HEAD_UNIT:
        return f"the kernel plays heads of {HEAD_UNIT}, 32, 48, ... numbers, and not of {head_dim}"
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, int) and value > 0


def paths() -> dict[str, int]:
    """The instruction sets that run here, the fastest last; ImportError without a kernel."""
    kernel, found, number = library(), {}, 0
    while (name := kernel.segue_path(number)) is not None:
        if name:
            found[name.decode()] = number
        number += 1
    return found


def _arrays(
    shape: Mapping[str, int], weights: Mapping[str, NDArray[np.float32]]
) -> list[NDArray[Any]]:
    """All weights in the order in which the kernel takes them; ValueError if one is not there."""
    width = shape["width"]
    outer = {"embedding": (shape["vocabulary"], width), "norm": (width,)}
    return [
        *taken(weights, outer),
        *place_tables(shape),
        *taken(weights, layer_sizes(shape)),
    ]


def layer_sizes(shape: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """The weights of all layers, in the order in which the kernel takes them."""
    width, ffn = shape["width"], shape["ffn"]
    sizes: dict[str, tuple[int, ...]] = {
        "attention_norm": (width,),
        "attention.qkv": (3 * width, width),
        "attention.out": (width, width),
        "ffn_norm": (width,),
        "ffn.gate_up": (2 * ffn, width),
        "ffn.down": (width, ffn),
    }
    return {
        f"blocks.{layer}.{name}": size
        for layer in range(shape["layers"])
        for name, size in sizes.items()
    }


def place_tables(shape: Mapping[str, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cosines and sines (context, head_dim / 2) of the heads that turn with their place."""
    head_dim = shape["width"] // shape["heads"]
    frequencies = ROPE_BASE ** (-np.arange(0, head_dim, 2) / head_dim)
    angles = np.arange(shape["context"])[:, None] * frequencies  # float64
    return np.cos(angles), np.sin(angles)


def taken(
    weights: Mapping[str, NDArray[np.float32]], sizes: Mapping[str, tuple[int, ...]]
) -> list[NDArray[Any]]:
    """The weights of these names and sizes; ValueError if one is not there."""
    found: list[NDArray[Any]] = []
    for name, size in sizes.items():
        array = weights.get(f"{name}.weight")
        if array is None or array.shape != size:
            raise ValueError(f"the weights hold no {name} of {size}")
        found.append(array)
    return found
