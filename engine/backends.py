"""Which backend plays a checkpoint: chosen by name, or by what lies there.

Knows the names of files and backends; knows no tokens, and imports a backend only when it is
chosen: the live one must not wait for torch, nor need it to be installed.

  native  NAME.safetensors and NAME.json in the kernel that the wheel was built with, int8 and the
          fastest; one thread.
  onnx    NAME.onnx, made by `segue export`: int8, for wherever there was no compiler. Networks of
          tokens only.
  torch   NAME.safetensors and NAME.json, in float32: the reference that others are held against.
  auto    NAME.onnx if it is named; else native, else NAME.onnx if it is there, else torch.
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
from models.vocabulary import Vocabulary

if TYPE_CHECKING:
    from engine.rows import AnyBackend

#: The architecture that takes a note at a time, as a checkpoint names it.
NESTED = "nested"


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

        if not unfit(read_description(path).get("network", {})):
            return "native"
    return "onnx" if beside(path, ".onnx").is_file() else "torch"


def _open_native(path: Path, threads: int) -> Model:
    from engine.native_backend import NativeBackend
    from engine.native_note_backend import NativeNoteBackend
    from models.weights import read_weights

    description = read_description(path)
    vocabulary = vocabulary_of(description, beside(path, ".json"))
    weights = read_weights(path)
    kind = NativeNoteBackend if _is_nested(description) else NativeBackend
    try:
        backend = kind(description["network"], weights)
    except ValueError as error:
        raise CheckpointError(f"the kernel cannot play {bare(path)}: {error}") from error
    parameters = sum(array.size for array in weights.values())
    return Model(bare(path).name, "native", backend, vocabulary, parameters)


def _open_onnx(path: Path, threads: int) -> Model:
    from engine.onnx_backend import open_graph

    graph = beside(path, ".onnx")
    if not graph.is_file() and _is_nested(read_description(path)):
        raise CheckpointError(
            f"ONNX Runtime cannot play {bare(path)}, which takes a note at a time; "
            "play it with `--backend native`, or `--backend torch`"
        )
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


def _open_torch(path: Path, threads: int) -> Model:
    nested = _is_nested(read_description(path))
    try:
        import torch

        from engine.torch_backend import TorchBackend
        from engine.torch_note_backend import TorchNoteBackend
        from models.checkpoint import load_checkpoint, load_nested
    except ImportError as error:
        without = (
            "the kernel plays it without, where Segue was installed with a C compiler"
            if nested
            else "where that is installed, `segue export` makes an .onnx that plays without"
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


def _is_nested(description: dict[str, Any]) -> bool:
    return description.get("architecture") == NESTED


OPENERS: dict[str, Callable[[Path, int], Model]] = {
    "native": _open_native,
    "onnx": _open_onnx,
    "torch": _open_torch,
}
#: What `--backend` may be.
NAMES = ("auto", *OPENERS)
