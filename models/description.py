"""What stands beside a checkpoint's weights: its shape, its words and where it comes from.

Knows names of files and JSON; knows no weights, and imports neither torch nor numpy, because a live
mind reads this before it knows which of its backends will play.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.vocabulary import Vocabulary, VocabularyError

FORMAT = "segue-checkpoint-1"
DEFAULT_ARCHITECTURE = "nested"
#: An exported graph carries the same description within itself, under this key.
METADATA_KEY = "segue"
ONNX_FORMAT = "segue-onnx-1"
#: What a checkpoint and a graph that was made from it say alike.
SAME_IN_GRAPH = ("network", "vocabulary", "provenance")


class CheckpointError(Exception):
    """A checkpoint that cannot be used; its text says why and what to do."""


def weights_folder() -> Path:
    """The folder of the checkpoints that are shipped with Segue."""
    return Path(__file__).resolve().parent / "weights"


def shipped_checkpoint(architecture: str) -> Path:
    """The checkpoint of an architecture that ships with Segue; it may not be there."""
    return weights_folder() / f"segue-{architecture}.safetensors"


def default_checkpoint() -> Path:
    """The checkpoint that is played when none is named; it may not be there."""
    return shipped_checkpoint(DEFAULT_ARCHITECTURE)


def bare(path: Path) -> Path:
    """NAME of a NAME.safetensors, NAME.json, NAME.onnx, or of NAME itself."""
    is_named = path.suffix in {".safetensors", ".json", ".onnx"}
    return path.with_name(path.stem) if is_named else path


def beside(path: Path, suffix: str) -> Path:
    """The file with another suffix that belongs to the same checkpoint; names may have dots."""
    name = bare(path)
    return name.with_name(name.name + suffix)


def read_description(path: Path) -> dict[str, Any]:
    """The JSON alone, without a weight being read; raises CheckpointError."""
    json_path = beside(path, ".json")
    try:
        description = json.loads(json_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"there is no checkpoint {json_path}; name one that exists, "
            "or make one with `segue train`"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"cannot read the checkpoint {json_path}: {error}; copy it again or name another"
        ) from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise CheckpointError(
            f"{json_path} is not a checkpoint of this version of Segue; train it again, or name "
            "one that `segue models` lists"
        )
    return description


def vocabulary_of(description: dict[str, Any], path: Path) -> Vocabulary:
    """The words of the checkpoint at `path`; raises CheckpointError."""
    try:
        vocabulary = Vocabulary.from_tokens(description["vocabulary"])
        size = description["network"]["vocabulary"]
    except (KeyError, TypeError, VocabularyError) as error:
        raise CheckpointError(
            f"{path} does not describe a network of this version of Segue ({error}); "
            "train it again or take the checkpoint that came with it"
        ) from error
    if size != len(vocabulary):
        raise CheckpointError(
            f"{path} has {len(vocabulary)} tokens for a network of {size}; "
            "its two parts belong to different checkpoints"
        )
    return vocabulary
