"""A GGUF file says what the checkpoint says, by llama.cpp's names."""

import struct

import numpy as np
import pytest

from models.gguf import ALIGNMENT, BLOCK, gguf, q8_0

SHAPE = {"layers": 2, "width": 64, "heads": 4, "ffn": 96, "vocabulary": 40, "context": 128}
KINDS = {4: "<I", 6: "<f"}


def drawn(*size):
    return np.random.default_rng(sum(size)).standard_normal(size, dtype=np.float32)


@pytest.fixture
def weights():
    width, ffn = SHAPE["width"], SHAPE["ffn"]
    found = {"embedding.weight": drawn(SHAPE["vocabulary"], width), "norm.weight": drawn(width)}
    for n in range(SHAPE["layers"]):
        sizes = {
            "attention_norm": (width,),
            "attention.qkv": (3 * width, width),
            "attention.out": (width, width),
            "ffn_norm": (width,),
            "ffn.gate_up": (2 * ffn, width),
            "ffn.down": (width, ffn),
        }
        found |= {f"blocks.{n}.{name}.weight": drawn(*size) for name, size in sizes.items()}
    return found


class Reader:
    """The format read back, as its description has it."""

    def __init__(self, data):
        self.data, self.at = data, 0
        assert data[:4] == b"GGUF"
        self.at = 4
        version, tensors, values = self.take("<I"), self.take("<Q"), self.take("<Q")
        assert version == 3
        self.values = {self.text(): self.value() for _ in range(values)}
        infos = [self.info() for _ in range(tensors)]
        start = -(-self.at // ALIGNMENT) * ALIGNMENT
        self.tensors = {name: self.tensor(start, *info) for name, *info in infos}

    def take(self, kind):
        (value,) = struct.unpack_from(kind, self.data, self.at)
        self.at += struct.calcsize(kind)
        return value

    def text(self):
        length = self.take("<Q")
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def value(self):
        kind = self.take("<I")
        return self.text() if kind == 8 else self.take(KINDS[kind])

    def info(self):
        name = self.text()
        sizes = [self.take("<Q") for _ in range(self.take("<I"))]
        return name, sizes[::-1], self.take("<I"), self.take("<Q")

    def tensor(self, start, size, kind, offset):
        assert offset % ALIGNMENT == 0
        if kind == 0:
            count = int(np.prod(size))
            return np.frombuffer(self.data, "<f4", count, start + offset).reshape(size)
        assert kind == 8
        count = int(np.prod(size)) // BLOCK
        block = [("scale", "<f2"), ("numbers", "i1", BLOCK)]
        blocks = np.frombuffer(self.data, block, count, start + offset)
        return (blocks["scale"][:, None].astype(np.float32) * blocks["numbers"]).reshape(size)


def test_all_weights_are_there_within_their_rounding(weights):
    read = Reader(gguf(SHAPE, weights))
    assert len(read.tensors) == 2 + 9 * SHAPE["layers"]
    qkv = weights["blocks.1.attention.qkv.weight"]
    gate_up = weights["blocks.1.ffn.gate_up.weight"]
    expected = {
        "token_embd": weights["embedding.weight"],
        "blk.1.attn_v": qkv[128:],
        "blk.1.attn_output": weights["blocks.1.attention.out.weight"],
        "blk.1.ffn_gate": gate_up[:96],
        "blk.1.ffn_up": gate_up[96:],
        "blk.1.ffn_down": weights["blocks.1.ffn.down.weight"],
    }
    for name, array in expected.items():
        np.testing.assert_allclose(read.tensors[f"{name}.weight"], array, atol=0.02)
    norm = read.tensors["blk.1.ffn_norm.weight"]
    np.testing.assert_array_equal(norm, weights["blocks.1.ffn_norm.weight"])


def test_the_halves_of_a_head_become_neighbours(weights):
    read = Reader(gguf(SHAPE, weights))
    query = weights["blocks.0.attention.qkv.weight"][:64]
    theirs = read.tensors["blk.0.attn_q.weight"]
    # Head 1 has the rows 16 to 31; row 16 turns against row 24.
    np.testing.assert_allclose(theirs[16:18], query[[16, 24]], atol=0.02)
    key = weights["blocks.0.attention.qkv.weight"][64:128]
    np.testing.assert_allclose(read.tensors["blk.0.attn_k.weight"][17], key[24], atol=0.02)


def test_the_shape_is_told(weights):
    values = Reader(gguf(SHAPE, weights)).values
    assert values["general.architecture"] == "llama"
    assert values["llama.block_count"] == 2
    assert values["llama.rope.dimension_count"] == 16
    assert values["llama.context_length"] == 128
    assert values["llama.rope.freq_base"] == 10_000.0


def test_a_block_of_zeros_stays_zero():
    assert q8_0(np.zeros((1, 32), dtype=np.float32)) == bytes(34)


def test_rows_that_cannot_be_cut_are_refused():
    with pytest.raises(ValueError, match="rows of 33"):
        q8_0(np.zeros((2, 33), dtype=np.float32))
