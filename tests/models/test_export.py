"""Exported graphs: the same bytes for the same weights, and all that a mind needs within."""

import argparse
import json

import numpy as np
import onnx
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from models.description import shipped_checkpoint
from models.export import BLOCK, MIDDLE, add_arguments, exported, in_blocks, run
from models.network import Network, NetworkConfig
from models.vocabulary import standard_vocabulary

VOCABULARY = standard_vocabulary()


def small(seed=5):
    torch.manual_seed(seed)
    shape = NetworkConfig(
        vocabulary=len(VOCABULARY), layers=2, width=32, heads=2, ffn=48, context=128
    )
    return Checkpoint(Network(shape).eval(), VOCABULARY, {"steps": 3})


def export(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args([str(argument) for argument in arguments]))


def test_the_same_weights_give_the_same_bytes():
    assert exported(small()) == exported(small())
    assert exported(small()) != exported(small(seed=6))


def test_the_description_is_within():
    (entry,) = onnx.load_from_string(exported(small())).metadata_props
    description = json.loads(entry.value)
    assert description["vocabulary"] == list(VOCABULARY.tokens)
    assert description["network"]["context"] == 128
    assert description["provenance"] == {"steps": 3}
    assert description["parameters"] == small().network.parameter_count()


def test_it_is_a_third_the_size_of_float32():
    torch.manual_seed(1)
    shape = NetworkConfig(
        vocabulary=len(VOCABULARY), layers=2, width=128, heads=2, ffn=352, context=64
    )
    network = Network(shape)
    data = exported(Checkpoint(network, VOCABULARY, {}))
    assert len(data) < 4 * network.parameter_count() / 2.5


@given(st.integers(1, 5), st.integers(1, 3 * BLOCK), st.integers(0, 2**32 - 1))
def test_a_number_in_8_bits_is_off_by_half_a_step_of_its_block_at_most(rows, columns, seed):
    weight = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    weight[0, :BLOCK] = 0  # a block without anything in it
    numbers, scales = in_blocks(weight)
    assert numbers.shape == (rows, -(-columns // BLOCK), BLOCK) and numbers.min() >= 1
    read = ((numbers.astype(np.float32) - MIDDLE) * scales[..., None]).reshape(rows, -1)
    step = np.repeat(scales, BLOCK, axis=1)
    assert (np.abs(read[:, :columns] - weight) <= 0.5001 * step[:, :columns]).all()
    assert (read[:, columns:] == 0).all()


def test_it_lies_beside_the_checkpoint_or_where_one_says(tmp_path, capsys):
    save_checkpoint(tmp_path / "tiny", small())
    assert export(tmp_path / "tiny.safetensors") == 0
    assert export(tmp_path / "tiny", "-o", tmp_path / "new" / "other.onnx") == 0
    written = (tmp_path / "tiny.onnx").read_bytes()
    assert written == (tmp_path / "new" / "other.onnx").read_bytes()
    assert written == exported(load_checkpoint(tmp_path / "tiny"))
    said = capsys.readouterr()
    assert not said.out and "tiny.onnx" in said.err


def test_what_cannot_be_read_or_written_is_said_in_one_line(tmp_path, capsys):
    assert export(tmp_path / "none") == 1
    assert "there is no checkpoint" in capsys.readouterr().err
    save_checkpoint(tmp_path / "tiny", small())
    (tmp_path / "file").touch()
    assert export(tmp_path / "tiny", "-o", tmp_path / "file" / "tiny.onnx") == 1
    said = capsys.readouterr().err
    assert "cannot write" in said and said.count("\n") == 1


def test_the_shipped_graph_is_the_shipped_checkpoints():
    shipped = shipped_checkpoint("flat")
    assert shipped.with_suffix(".onnx").read_bytes() == exported(load_checkpoint(shipped))
