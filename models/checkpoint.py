"""A checkpoint on disk: NAME.safetensors beside NAME.json.

The JSON says everything that a player needs before it reads a weight: the network's shape, the
vocabulary's tokens, the tokenizer's settings, the licence note and where the weights come from.
Weights are in half precision on disk and float32 in memory; never a pickle. Knows no training.

    python -m models.checkpoint RUN/best --name segue-flat    ships a run's best checkpoint
    python -m models.checkpoint RUN/best                       says what is in it
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from models.architectures import (
    ARCHITECTURES,
    FLAT,
    NESTED,
    AnyNetwork,
    Architecture,
    architecture_of,
)
from models.description import (
    FORMAT,
    CheckpointError,
    beside,
    read_description,
    vocabulary_of,
    weights_folder,
)
from models.files import replacing
from models.nested.network import NestedNetwork
from models.network import Network
from models.vocabulary import Vocabulary, standard_vocabulary, tokenizer_settings

LICENCE = (
    "Apache-2.0. Trained on public-domain, CC0, MIT, BSD and CC BY corpora only; "
    "models/CARD.md names them and their authors."
)

AnyOf = TypeVar("AnyOf", Network, NestedNetwork, AnyNetwork)


@dataclass(frozen=True, slots=True)
class Checkpoint(Generic[AnyOf]):
    """A network in evaluation mode, its vocabulary, and where it comes from."""

    network: AnyOf
    vocabulary: Vocabulary
    provenance: dict[str, Any]  # steps, tokens, data, validation loss: whatever training noted
    licence: str = LICENCE


def save_checkpoint(path: Path, checkpoint: Checkpoint[AnyOf]) -> None:
    """Write both files, each whole or not at all; `path` may carry either suffix or none.

    Raises CheckpointError when the disk refuses.
    """
    weights_path, json_path = _pair(path)
    weights = {
        name: tensor.detach().to(dtype=torch.float16, device="cpu").contiguous()
        for name, tensor in checkpoint.network.state_dict().items()
    }
    description = {
        "format": FORMAT,
        "architecture": architecture_of(checkpoint.network.config).name,
        "network": asdict(checkpoint.network.config),
        "licence": checkpoint.licence,
        "provenance": checkpoint.provenance,
        "tokenizer": {"kind": "REMI", **_jsonable(tokenizer_settings())},
        "vocabulary": list(checkpoint.vocabulary.tokens),
    }
    text = json.dumps(description, indent=1, ensure_ascii=False) + "\n"
    try:
        weights_path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(weights_path) as part:
            part.write_bytes(save(weights))  # save_file would make it readable by its owner alone
        with replacing(json_path) as part:
            part.write_text(text, encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot write the checkpoint {weights_path}: {error}") from error


def load_checkpoint(path: Path, *, device: str = "cpu") -> Checkpoint[Network]:
    """Read both files into a flat float32 network; raises CheckpointError with the remedy."""
    checkpoint = load_any(path, wanted=FLAT, device=device)
    assert isinstance(checkpoint.network, Network)
    return Checkpoint(
        checkpoint.network, checkpoint.vocabulary, checkpoint.provenance, checkpoint.licence
    )


def load_nested(path: Path, *, device: str = "cpu") -> Checkpoint[NestedNetwork]:
    """Read both files into a nested float32 network; raises CheckpointError with the remedy."""
    checkpoint = load_any(path, wanted=NESTED, device=device)
    assert isinstance(checkpoint.network, NestedNetwork)
    return Checkpoint(
        checkpoint.network, checkpoint.vocabulary, checkpoint.provenance, checkpoint.licence
    )


def load_any(
    path: Path, *, wanted: Architecture | None = None, device: str = "cpu"
) -> Checkpoint[AnyNetwork]:
    """Read both files into a float32 network of the `wanted` architecture, or of any."""
    weights_path, json_path = _pair(path)
    description = read_description(path)
    vocabulary = vocabulary_of(description, json_path)
    architecture = _architecture(description, json_path)
    if wanted is not None and architecture is not wanted:
        raise CheckpointError(
            f"{json_path} describes a {architecture.name} network where a {wanted.name} one is "
            "needed; name another checkpoint"
        )
    if architecture is NESTED and vocabulary != standard_vocabulary():
        # Its fields are counted in models/nested/events.py, not in the file.
        raise CheckpointError(
            f"{json_path} was trained with another vocabulary than this version's; train it again"
        )
    try:
        config = architecture.config(**description["network"])
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{json_path} does not describe a network of this version of Segue ({error}); "
            "train it again or take the checkpoint that came with it"
        ) from error
    network = architecture.network(config)
    try:
        weights = load_file(weights_path, device="cpu")
        network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except FileNotFoundError:
        raise CheckpointError(f"there is no {weights_path} beside {json_path.name}") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{weights_path} is truncated or damaged ({error}); copy it again"
        ) from error
    except RuntimeError as error:
        raise CheckpointError(
            f"{weights_path} holds other weights than {json_path.name} describes; "
            "its two parts belong to different checkpoints"
        ) from error
    network.to(device).eval().requires_grad_(False)
    return Checkpoint(
        network=network,
        vocabulary=vocabulary,
        provenance=description.get("provenance", {}),
        licence=description.get("licence", ""),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Describe a checkpoint, or copy it into the shipped weights."""
    parser = argparse.ArgumentParser(prog="python -m models.checkpoint", description=main.__doc__)
    parser.add_argument("path", type=Path, help="NAME of a NAME.safetensors and NAME.json")
    parser.add_argument("--name", help="copy it to models/weights under this name")
    options = parser.parse_args(arguments)
    try:
        checkpoint = load_any(options.path)
        if options.name:
            target = weights_folder() / options.name
            save_checkpoint(target, checkpoint)
            print(f"written: {_pair(target)[0]}", file=sys.stderr)
    except CheckpointError as error:
        print(error, file=sys.stderr)
        return 1
    described = asdict(checkpoint.network.config) | {
        "architecture": architecture_of(checkpoint.network.config).name,
        "parameters": checkpoint.network.parameter_count(),
        "provenance": checkpoint.provenance,
        "licence": checkpoint.licence,
    }
    print(json.dumps(described, indent=1, ensure_ascii=False))
    return 0


def _architecture(description: dict[str, Any], json_path: Path) -> Architecture:
    name = description.get("architecture", FLAT.name)  # the first checkpoints do not say
    if name not in ARCHITECTURES:
        raise CheckpointError(
            f"{json_path} describes a network of the architecture {name!r}, which this version of "
            f"Segue does not know; it knows {' and '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[name]


def _pair(path: Path) -> tuple[Path, Path]:
    return beside(path, ".safetensors"), beside(path, ".json")


def _jsonable(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with their non-string keys written out, since JSON has none."""
    readable = dict(settings)
    readable["beat_res"] = [[list(beats), res] for beats, res in settings["beat_res"].items()]
    readable["time_signature_range"] = {
        str(denominator): numerators
        for denominator, numerators in settings["time_signature_range"].items()
    }
    return readable


if __name__ == "__main__":
    sys.exit(main())
