"""A checkpoint's weights as numpy arrays, without torch: what a live backend packs for itself.

Knows the safetensors format (eight bytes of length, a JSON header, the numbers), of which a
checkpoint uses a small part; knows no network.
"""

import json
import math
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.description import CheckpointError, beside

Floats: TypeAlias = NDArray[np.float32]

KINDS: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}


def read_weights(path: Path) -> dict[str, Floats]:
    """Every tensor by its name, in float32; raises CheckpointError with the remedy."""
    weights_path = beside(path, ".safetensors")
    try:
        data = weights_path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"there is no {weights_path}") from None
    except OSError as error:
        raise CheckpointError(f"cannot read {weights_path}: {error}") from error
    try:
        start = 8 + int.from_bytes(data[:8], "little")
        header: dict[str, Any] = json.loads(data[8:start])
        header.pop("__metadata__", None)
        return {name: _tensor(memoryview(data)[start:], entry) for name, entry in header.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{weights_path} is truncated or damaged ({error}); copy it again"
        ) from error


def _tensor(data: memoryview, entry: dict[str, Any]) -> Floats:
    kind, shape, (begin, end) = KINDS[entry["dtype"]], entry["shape"], entry["data_offsets"]
    if end - begin != kind.itemsize * math.prod(shape):
        raise ValueError(f"{end - begin} bytes for a tensor of {shape}")
    numbers: Floats = np.frombuffer(data[begin:end], dtype=kind).astype(np.float32)
    return numbers.reshape(shape)
