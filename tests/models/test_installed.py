"""`segue models`: what it lists, and what it says of what cannot be read."""

import argparse
import json
import shutil

import pytest

from models import installed
from models.description import CheckpointError, default_checkpoint, shipped_checkpoint
from models.installed import entry, parameters_of
from models.weights import read_weights

SHIPPED = shipped_checkpoint("flat")  # which has a graph beside it


@pytest.fixture
def call(capsys):
    """`call("runs", "--json")` -> (exit code, stdout, stderr)."""

    def call(*words):
        parser = argparse.ArgumentParser()
        installed.add_arguments(parser)
        code = installed.run(parser.parse_args([*map(str, words)]))
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def copies(tmp_path):
    """A folder of runs with two checkpoints, one of them exported, and other files."""
    for name, suffixes in (
        ("a", (".json", ".safetensors")),
        ("b", (".json", ".safetensors", ".onnx")),
    ):
        (tmp_path / name).mkdir()
        for suffix in suffixes:
            shutil.copy(SHIPPED.with_suffix(suffix), tmp_path / name / f"best{suffix}")
    (tmp_path / "corpus.json").write_text('{"fingerprint": 1}')
    (tmp_path / "broken.json").write_text("{")
    return tmp_path


def test_the_shipped_one_is_listed_as_the_default(call):
    code, out, err = call("--json")
    models = json.loads(out)["models"]
    (default,) = [model for model in models if model["default"]]
    assert (code, err) == (0, "")
    assert default["name"] == default_checkpoint().stem
    assert default["bytes"] == default_checkpoint().stat().st_size
    assert default["architecture"] in ("flat", "nested")
    assert default["vocabulary"]["tokens"] == default["network"]["vocabulary"]
    assert sum(default["trained_on"].values()) == pytest.approx(1, abs=0.01)
    assert all(bits > 0 for bits in default["validation_bits_per"].values())


def test_parameters_are_counted_without_reading_them():
    assert parameters_of(SHIPPED) == sum(array.size for array in read_weights(SHIPPED).values())


def test_a_folder_is_looked_through(call, copies):
    _, out, _ = call(copies, "--json")
    paths = [model["path"] for model in json.loads(out)["models"]]
    assert [str(copies / "a" / "best"), str(copies / "b" / "best")] == paths[-2:]
    assert entry(copies / "a" / "best")["graph_bytes"] is None
    assert (
        entry(copies / "b" / "best")["graph_bytes"] == SHIPPED.with_suffix(".onnx").stat().st_size
    )


def test_the_list_is_to_be_read(call, copies):
    _, out, _ = call(copies / "a" / "best.safetensors")
    blocks = out.split("\n\n")
    assert ["(played by default)" in block for block in blocks].count(True) == 1
    assert blocks[-1].startswith(f"best: {copies / 'a' / 'best'}\n")
    assert "not exported" in blocks[-1]
    assert "pop909 35%" in blocks[-1]


@pytest.mark.parametrize("length", [0, 7, 100])
def test_a_damaged_one_is_one_clear_line_and_the_others_are_listed(call, copies, length):
    weights = copies / "a" / "best.safetensors"
    weights.write_bytes(weights.read_bytes()[:length])
    code, out, err = call(copies)
    assert code == 2
    assert "truncated or damaged" in err
    assert err.count("\n") == 1
    assert f"best: {copies / 'b' / 'best'}" in out


def test_one_that_is_not_there_is_one_clear_line(call, copies):
    code, _, err = call(copies / "nowhere")
    assert code == 2
    assert "there is no checkpoint" in err
    (copies / "a" / "best.safetensors").unlink()
    with pytest.raises(CheckpointError, match="there is no"):
        entry(copies / "a" / "best")
