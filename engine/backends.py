"""Which backend plays a checkpoint: chosen by name, or by what lies there.

Knows the names of files and backends; knows no tokens, and imports a backend only when it is
chosen: the live one must not wait for torch, nor need it to be installed.

  native  NAME.safetensors and NAME.json in the kernel that the wheel was built with, int8 and the
          fastest; one thread.
  onnx    NAME.onnx, made by `segue export`: int8, for wherever there was no compiler. Networks of
          tokens only, and only with ONNX Runtime, which `segue[onnx]` brings.
  numpy   NAME.safetensors and NAME.json, in float32: the same for those that take a note at a time,
          which are small enough for it.
  torch   NAME.safetensors and NAME.json, in float32: the reference that others are held against.
  auto    NAME.onnx if it is named; else native; else numpy where it takes a note at a time; else
          NAME.onnx if it is there, else torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.description import (
    SAME_IN_GRAPH,
    CheckpointError,
    bare,
    beside,
    default_checkpoint,
    read_description,
    vocabulary_of,
)
from models.vocabulary import Vocabulary, standard_vocabulary

if TYPE_CHECKING:
    from engine.rows import AnyBackend

#: The architectures, as a checkpoint names them: of tokens, and of a note at a time.
FLAT, NESTED = "flat", "nested"


@dataclass(frozen=True, slots=True)
class Model:
    """A backend, ready to be fed, and what it says."""

    name: str
    kind: str  # of the backend
    backend: "AnyBackend"
    vocabulary: Vocabulary
    parameters: int


def open_model(path: Path | None = None, *, backend: str = "auto", threads: int = 1) -> Model:
    """The checkpoint at `path`, or the shipped one; raises CheckpointError with the remedy."""
    path = path or default_checkpoint()
    return OPENERS[_chosen(path) if backend == "auto" else backend](path, threads)


def _chosen(path: Path) -> str:
    if path.suffix == ".onnx":
        return "onnx"
    if beside(path, ".safetensors").is_file() and beside(path, ".json").is_file():
        from engine.native_backend import unfit

        description = read_description(path)
        if not unfit(description.get("network", {})):
            return "native"
        if _is_nested(description, path):
            return "numpy"
    return "onnx" if beside(path, ".onnx").is_file() else "torch"


def _open_native(path: Path, threads: int) -> Model:
    from engine.native_backend import NativeBackend
    from engine.native_note_backend import NativeNoteBackend

    nested = _is_nested(read_description(path), path)
    return _packed(path, NativeNoteBackend if nested else NativeBackend, "native")


def _open_numpy(path: Path, threads: int) -> Model:
    if not _is_nested(read_description(path), path):
        raise CheckpointError(
            f"numpy plays networks that take a note at a time, and {bare(path)} takes tokens; "
            "play it with `--backend onnx`"
        )
    from engine.numpy_note_backend import NumpyNoteBackend

    return _packed(path, NumpyNoteBackend, "numpy")


def _packed(path: Path, make: Callable[[Any, Any], "AnyBackend"], kind: str) -> Model:
    """A backend of its own weights, made of the shape and the arrays."""
    from models.weights import read_weights

    description = read_description(path)
    vocabulary = vocabulary_of(description, beside(path, ".json"))
    if _is_nested(description, path) and vocabulary != standard_vocabulary():
        raise CheckpointError(
            f"{bare(path)} takes a note at a time, in other words than this version of Segue; "
            "train it again"
        )
    weights = read_weights(path)
    try:
        backend = make(description["network"], weights)
    except (KeyError, ValueError) as error:
        name = "the kernel" if kind == "native" else kind
        raise CheckpointError(f"{name} cannot play {bare(path)}: {error}") from error
    parameters = sum(array.size for array in weights.values())
    return Model(bare(path).name, kind, backend, vocabulary, parameters)


def _open_onnx(path: Path, threads: int) -> Model:
    graph = _graph_of(path)
    try:
        from engine.onnx_backend import open_graph
    except ImportError as error:
        raise CheckpointError(
            f"to play {graph} takes pip install 'segue[onnx]' ({error}); where Segue was built "
            "with a C compiler, `--backend native` plays the weights beside it without"
        ) from error
    backend, description = open_graph(graph, threads=threads)
    if beside(path, ".json").is_file():
        weights = read_description(path)
        if any(weights.get(key) != description.get(key) for key in SAME_IN_GRAPH):
            raise CheckpointError(
                f"{graph} was not made from the weights that lie beside it; "
                f"make it again with `segue export {bare(path)}`, or play with `--backend torch`"
            )
    vocabulary = vocabulary_of(description, graph)
    return Model(bare(path).name, "onnx", backend, vocabulary, description["parameters"])


def _graph_of(path: Path) -> Path:
    """Where its graph lies; raises CheckpointError where there is none, or never will be."""
    graph = beside(path, ".onnx")
    if graph.is_file():
        return graph
    if _is_nested(read_description(path), path):
        raise CheckpointError(
            f"ONNX Runtime cannot play {bare(path)}, which takes a note at a time; "
            "play it with `--backend native`, or `--backend numpy`"
        )
    raise CheckpointError(f"there is no {graph}; make it with `segue export`")


def _open_torch(path: Path, threads: int) -> Model:
    nested = _is_nested(read_description(path), path)
    try:
        import torch

        from engine.torch_backend import TorchBackend
        from engine.torch_note_backend import TorchNoteBackend
        from models.checkpoint import load_checkpoint, load_nested
    except ImportError as error:
        without = (
            "`--backend native` and `--backend numpy` play it without"
            if nested
            else "where that is installed, `segue export` makes an .onnx for 'segue[onnx]'"
        )
        raise CheckpointError(
            f"to play {beside(path, '.safetensors')} with torch takes pip install 'segue[train]' "
            f"({error}); {without}"
        ) from error
    torch.set_num_threads(threads)
    backend: AnyBackend
    if nested:
        notes = load_nested(path)
        backend, vocabulary = TorchNoteBackend(notes.network), notes.vocabulary
        parameters = notes.network.parameter_count()
    else:
        tokens = load_checkpoint(path)
        backend, vocabulary = TorchBackend(tokens.network), tokens.vocabulary
        parameters = tokens.network.parameter_count()
    return Model(bare(path).name, "torch", backend, vocabulary, parameters)


def _is_nested(description: dict[str, Any], path: Path) -> bool:
    """Whether it takes a note at a time; raises CheckpointError for what nobody here can play."""
    architecture = description.get("architecture", FLAT)  # the first checkpoints do not say
    if architecture not in (FLAT, NESTED):
        raise CheckpointError(
            f"{bare(path)} is of the architecture {architecture!r}, which this version of Segue "
            f"does not know; it knows {FLAT} and {NESTED}"
        )
    return bool(architecture == NESTED)


OPENERS: dict[str, Callable[[Path, int], Model]] = {
    "native": _open_native,
    "onnx": _open_onnx,
    "numpy": _open_numpy,
    "torch": _open_torch,
}
#: What `--backend` may be.
NAMES = ("auto", *OPENERS)
