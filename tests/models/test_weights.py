"""The weights as numpy reads them are those that torch reads."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from models.description import CheckpointError
from models.network import Network, NetworkConfig
from models.vocabulary import standard_vocabulary
from models.weights import read_weights

VOCABULARY = standard_vocabulary()


@pytest.fixture
def saved(tmp_path):
    shape = NetworkConfig(
        vocabulary=len(VOCABULARY), layers=2, width=32, heads=2, ffn=48, context=32
    )
    path = tmp_path / "tiny.1.safetensors"
    save_checkpoint(path, Checkpoint(Network(shape).eval(), VOCABULARY, {}))
    return path


def test_every_weight_is_read_as_torch_reads_it(saved):
    expected = load_checkpoint(saved).network.state_dict()
    found = read_weights(saved)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], tensor.numpy())


def test_single_precision_and_a_note_in_the_header_are_read(tmp_path):
    tensors = {"a": torch.arange(6.0).reshape(2, 3)}
    save_file(tensors, tmp_path / "a.safetensors", metadata={"format": "pt"})
    np.testing.assert_array_equal(read_weights(tmp_path / "a")["a"], [[0, 1, 2], [3, 4, 5]])


def header(**entry):
    text = json.dumps({"a": entry}).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x05\0\0\0\0\0\0\0[1,2]",
        header(dtype="F32", shape=[2], data_offsets=[0, 8]) + b"\0\0\0\0",
        header(dtype="F32", shape=[3], data_offsets=[0, 8]) + bytes(8),
        header(dtype="I64", shape=[1], data_offsets=[0, 8]) + bytes(8),
        header(dtype="F32", shape=[2], data_offsets=[0, "8"]) + bytes(8),
    ],
)
def test_damage_is_said_with_the_remedy(tmp_path, data):
    (tmp_path / "b.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"b\.safetensors is truncated or damaged.*copy it"):
        read_weights(tmp_path / "b")


def test_a_checkpoint_that_is_not_there_is_said(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no .*none\.safetensors"):
        read_weights(tmp_path / "none")
