"""Which backend plays: the kernel where it was built and fits, else what else is there."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engine.backends import open_model
from engine.native_backend import unfit
from engine.rows import NoteBackend
from models.checkpoint import Checkpoint, save_checkpoint
from models.description import CheckpointError
from models.export import exported
from models.nested.network import NestedConfig, NestedNetwork
from models.network import Network, NetworkConfig
from models.vocabulary import standard_vocabulary

ROOT = Path(__file__).resolve().parents[2]
VOCABULARY = standard_vocabulary()


def saved(folder: Path, *, heads: int = 2, graph: bool = False) -> Path:
    """A checkpoint of a tiny network, with its graph if it should be there."""
    torch.manual_seed(1)
    shape = NetworkConfig(
        vocabulary=len(VOCABULARY), layers=1, width=32, heads=heads, ffn=48, context=128
    )
    checkpoint = Checkpoint(Network(shape).eval(), VOCABULARY, {})
    save_checkpoint(folder / "tiny", checkpoint)
    if graph:
        (folder / "tiny.onnx").write_bytes(exported(checkpoint))
    return folder / "tiny.safetensors"


needs_kernel = pytest.mark.skipif(
    "compiler" in unfit({}), reason="built without a compiler; the ONNX backend plays"
)


@needs_kernel
def test_the_kernel_plays_where_it_was_built(tmp_path: Path) -> None:
    path = saved(tmp_path, graph=True)
    for name in (path, path.with_suffix(""), path.with_suffix(".json")):
        model = open_model(name)
        assert (model.kind, model.name) == ("native", "tiny")
        assert model.vocabulary == VOCABULARY
    assert model.parameters == open_model(path, backend="torch").parameters
    assert open_model(path.with_suffix(".onnx")).kind == "onnx"  # what is named is played
    assert open_model(path, backend="onnx").kind == "onnx"


@needs_kernel
def test_what_does_not_fit_the_kernel_is_played_by_others(tmp_path: Path) -> None:
    path = saved(tmp_path, heads=4, graph=True)  # heads of 8 numbers
    assert open_model(path).kind == "onnx"
    path.with_suffix(".onnx").unlink()
    assert open_model(path).kind == "torch"
    with pytest.raises(CheckpointError, match=r"cannot play .*tiny: .*not of 8"):
        open_model(path, backend="native")


@pytest.mark.parametrize(("graph", "kind"), [(True, "onnx"), (False, "torch")])
def test_without_a_compiler_something_else_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graph: bool, kind: str
) -> None:
    path = saved(tmp_path, graph=graph)
    monkeypatch.setattr("engine.native_backend.unfit", lambda shape: "no compiler")
    assert open_model(path).kind == kind
    with pytest.raises(CheckpointError, match="no compiler"):
        open_model(path, backend="native")


def test_weights_of_another_checkpoint_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="damaged"):
        open_model(path, backend="native")


@needs_kernel
def test_the_kernel_needs_neither_torch_nor_onnx_runtime(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from engine.backends import open_model
model = open_model(Path(sys.argv[1]))
model.backend.append([1, 2, 3])
print(model.kind, *sys.modules)
"""
    command = [sys.executable, "-c", program, str(saved(tmp_path))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    kind, *loaded = done.stdout.split()
    assert kind == "native"
    assert not set(loaded) & {"torch", "onnxruntime", "safetensors", "miditok"}


def saved_nested(folder: Path) -> Path:
    torch.manual_seed(1)
    shape = NestedConfig(
        vocabulary=len(VOCABULARY), layers=1, width=32, heads=2, ffn=48, chain=40, context=64
    )
    save_checkpoint(folder / "notes", Checkpoint(NestedNetwork(shape).eval(), VOCABULARY, {}))
    return folder / "notes.safetensors"


def test_a_checkpoint_says_of_which_kind_it_is(tmp_path: Path) -> None:
    model = open_model(saved_nested(tmp_path), backend="torch")
    assert (model.kind, model.name) == ("torch", "notes")
    assert isinstance(model.backend, NoteBackend)
    assert not isinstance(open_model(saved(tmp_path), backend="torch").backend, NoteBackend)


@needs_kernel
def test_the_kernel_plays_both_kinds(tmp_path: Path) -> None:
    model = open_model(saved_nested(tmp_path))
    assert (model.kind, model.name) == ("native", "notes")
    assert model.parameters == open_model(tmp_path / "notes", backend="torch").parameters


def test_without_a_compiler_numpy_plays_a_note_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved_nested(tmp_path)
    monkeypatch.setattr("engine.native_backend.unfit", lambda shape: "no compiler")
    model = open_model(path)
    assert (model.kind, model.vocabulary) == ("numpy", VOCABULARY)
    assert isinstance(model.backend, NoteBackend)
    with pytest.raises(CheckpointError, match="no compiler"):
        open_model(path, backend="native")


def test_without_onnx_runtime_a_graph_says_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, graph=True)
    monkeypatch.setattr("engine.native_backend.unfit", lambda shape: "no compiler")
    monkeypatch.delitem(sys.modules, "engine.onnx_backend", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for name, backend in ((path, "auto"), (path, "onnx"), (path.with_suffix(".onnx"), "auto")):
        with pytest.raises(CheckpointError, match=r"tiny\.onnx takes pip install 'segue\[onnx\]'"):
            open_model(name, backend=backend)
    path.with_suffix(".onnx").unlink()
    with pytest.raises(CheckpointError, match=r"there is no .*tiny\.onnx"):  # which comes first
        open_model(path, backend="onnx")


def test_a_backend_says_which_kind_it_cannot_play(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"takes a note at a time; play it with `--backend"):
        open_model(saved_nested(tmp_path), backend="onnx")
    with pytest.raises(CheckpointError, match=r"takes tokens; play it with `--backend onnx`"):
        open_model(saved(tmp_path), backend="numpy")


@pytest.mark.parametrize("backend", ["auto", "native", "numpy", "torch"])
def test_a_kind_that_nobody_knows_is_refused_in_one_line(tmp_path: Path, backend: str) -> None:
    path = saved_nested(tmp_path).with_suffix(".json")
    path.write_text(path.read_text().replace('"nested"', '"spiral"'))
    with pytest.raises(CheckpointError, match=r"architecture 'spiral'.* it knows flat and nested"):
        open_model(path, backend=backend)


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_a_note_at_a_time_in_other_words_is_refused(tmp_path: Path, backend: str) -> None:
    path = saved_nested(tmp_path).with_suffix(".json")
    path.write_text(path.read_text().replace('"Velocity_7"', '"Velocity_8"'))
    with pytest.raises(CheckpointError, match="other words"):
        open_model(path, backend=backend)
