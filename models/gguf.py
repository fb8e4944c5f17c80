"""A checkpoint as a GGUF file with Q8_0 weights: the same network for llama.cpp.

Knows the file format (version 3) and the names that llama.cpp gives to a network of the LLaMA kind;
knows neither llama.cpp itself nor its package. `segue bench decode` writes one to be compared with.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

ALIGNMENT = 32  # bytes, of each tensor's beginning
BLOCK = 32  # weights that share a scale
F32, Q8_0 = 0, 8  # tensor types
MOSTLY_Q8_0 = 7  # file type
TEXT_KIND = 8
NORM_EPSILON, ROPE_BASE = 1e-5, 10_000.0  # as in models/network.py, which needs torch

#: llama.cpp's names for a layer's weights that are taken as they are.
LAYER = {
    "attention_norm": "attn_norm",
    "attention.out": "attn_output",
    "ffn_norm": "ffn_norm",
    "ffn.down": "ffn_down",
}


def gguf(shape: Mapping[str, int], weights: Mapping[str, Floats]) -> bytes:
    """The file, from `shape` and `weights` as a checkpoint names them.

    Raises ValueError where rows cannot be cut into blocks of 32, KeyError for a weight that is
    not there.
    """
    tensors = list(_tensors(shape, weights))
    infos, data = [], bytearray()
    for name, array in tensors:
        data.extend(bytes(-len(data) % ALIGNMENT))
        kind = F32 if array.ndim == 1 else Q8_0
        sizes = array.shape[::-1]  # the fastest running first
        infos.append(
            _text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, len(data))
        )
        data.extend(array.tobytes() if kind == F32 else q8_0(array))
    values = _values(shape)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    head += b"".join(_text(key) + _value(value) for key, value in values.items())
    head += b"".join(infos)
    return head + bytes(-len(head) % ALIGNMENT) + bytes(data)


def q8_0(array: Floats) -> bytes:
    """Rows in blocks of 32: a scale in half precision, then 32 numbers of 8 bits."""
    if array.shape[-1] % BLOCK:
        raise ValueError(f"rows of {array.shape[-1]} numbers cannot be cut into blocks of {BLOCK}")
    blocks = array.reshape(-1, BLOCK)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / 127
    numbers = np.rint(blocks / np.where(scales == 0, 1, scales))
    packed = np.zeros(len(blocks), dtype=[("scale", "<f2"), ("numbers", "i1", BLOCK)])
    packed["scale"], packed["numbers"] = scales[:, 0], numbers
    return packed.tobytes()


def _values(shape: Mapping[str, int]) -> dict[str, Any]:
    return {
        "general.architecture": "llama",
        "general.file_type": MOSTLY_Q8_0,
        "llama.block_count": shape["layers"],
        "llama.context_length": shape["context"],
        "llama.embedding_length": shape["width"],
        "llama.feed_forward_length": shape["ffn"],
        "llama.attention.head_count": shape["heads"],
        "llama.attention.head_count_kv": shape["heads"],
        "llama.attention.layer_norm_rms_epsilon": NORM_EPSILON,
        "llama.rope.dimension_count": shape["width"] // shape["heads"],
        "llama.rope.freq_base": ROPE_BASE,
        "llama.vocab_size": shape["vocabulary"],
        "tokenizer.ggml.model": "none",
    }


def _tensors(
    shape: Mapping[str, int], weights: Mapping[str, Floats]
) -> Iterator[tuple[str, Floats]]:
    """By llama.cpp's names; without an output matrix it takes the embedding, as we do."""
    yield "token_embd.weight", weights["embedding.weight"]
    yield "output_norm.weight", weights["norm.weight"]
    for n in range(shape["layers"]):
        ours, theirs = f"blocks.{n}", f"blk.{n}"
        query, key, value = np.split(weights[f"{ours}.attention.qkv.weight"], 3)
        yield f"{theirs}.attn_q.weight", _in_pairs(query, shape["heads"])
        yield f"{theirs}.attn_k.weight", _in_pairs(key, shape["heads"])
        yield f"{theirs}.attn_v.weight", value
        gate, up = np.split(weights[f"{ours}.ffn.gate_up.weight"], 2)
        yield f"{theirs}.ffn_gate.weight", gate
        yield f"{theirs}.ffn_up.weight", up
        for name, their_name in LAYER.items():
            yield f"{theirs}.{their_name}.weight", weights[f"{ours}.{name}.weight"]


def _in_pairs(rows: Floats, heads: int) -> Floats:
    """llama.cpp turns neighbours against each other, and we the halves of a head."""
    halves = rows.reshape(heads, 2, -1, rows.shape[-1])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(rows.shape)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: str | int | float) -> bytes:
    """A value behind the number of its kind: text, 32-bit number or 32-bit float."""
    if isinstance(value, str):
        return struct.pack("<I", TEXT_KIND) + _text(value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    return struct.pack("<If", 6, value)
