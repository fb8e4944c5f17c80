"""`segue models`: which checkpoints are here, and what each of them is.

Knows what stands beside weights and how long they are; reads none, and needs no torch.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from models.description import (
    FORMAT,
    CheckpointError,
    bare,
    beside,
    default_checkpoint,
    read_description,
    vocabulary_of,
    weights_folder,
)

MOST_HEADER_BYTES = 10_000_000  # of any network that we train it is some kilobytes
VALIDATION = "validation_bits_per_"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "paths",
        nargs="*",
        type=Path,
        metavar="PATH",
        help="checkpoints, or folders of them, to list beside those that ship",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """List them; 2 where one that was named cannot be read, and the others are still listed."""
    found: list[dict[str, Any]] = []
    code = 0
    for path in [*_checkpoints(weights_folder()), *_named(args.paths)]:
        try:
            found.append(entry(path))
        except CheckpointError as error:
            print(f"segue models: {error}", file=sys.stderr)
            code = 2
    if args.json:
        print(json.dumps({"models": found}, indent=1, ensure_ascii=False))
    elif found:
        print("\n\n".join(map(_text, found)))
    return code


def entry(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself; raises CheckpointError."""
    description = read_description(path)
    words = vocabulary_of(description, beside(path, ".json"))
    weights, graph = beside(path, ".safetensors"), beside(path, ".onnx")
    parameters = parameters_of(weights)
    provenance = description.get("provenance", {})
    validation = {
        key.removeprefix(VALIDATION): value
        for key, value in provenance.items()
        if key.startswith(VALIDATION)
    }
    return {
        "name": bare(path).name,
        "path": str(bare(path)),
        "default": bare(path) == bare(default_checkpoint()),
        "architecture": description.get("architecture", "flat"),
        "network": description["network"],
        "parameters": parameters,
        "bytes": weights.stat().st_size,
        "graph_bytes": graph.stat().st_size if graph.is_file() else None,
        "vocabulary": {
            "tokens": len(words),
            "steps_a_beat": words.steps_a_beat,
            "velocities": len(words.velocities),
            "metres": [f"{numerator}/{denominator}" for numerator, denominator in words.metres],
        },
        "trained_on": provenance.get("data_mix", {}),
        "minutes": provenance.get("minutes"),
        "validation_bits_per": validation,
        "licence": description.get("licence", ""),
    }


def parameters_of(weights: Path) -> int:
    """The numbers in a .safetensors file, by its header alone; raises CheckpointError."""
    try:
        with weights.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > MOST_HEADER_BYTES:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        return sum(math.prod(tensor["shape"]) for tensor in header.values())
    except FileNotFoundError:
        raise CheckpointError(f"there is no {weights}") from None
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{weights} is truncated or damaged ({error}); copy it again"
        ) from error


def _named(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from _checkpoints(path)
        else:
            yield path


def _checkpoints(folder: Path) -> Iterator[Path]:
    """All in a folder and below; other JSON files are passed over."""
    for path in sorted(folder.rglob("*.json")):
        try:
            description = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(description, dict) and description.get("format") == FORMAT:
            yield path


def _text(model: dict[str, Any]) -> str:
    words = model["vocabulary"]
    mix = sorted(model["trained_on"].items(), key=lambda item: -item[1])
    validation = ", ".join(f"{bits} bits a {u}" for u, bits in model["validation_bits_per"].items())
    graph = model["graph_bytes"]
    size = f"{model['bytes'] / 1e6:.1f} MB"
    size += f", and {graph / 1e6:.1f} MB exported" if graph else ", not exported"
    shape = ", ".join(f"{name} {value}" for name, value in model["network"].items())
    lines = {
        "architecture": f"{model['architecture']}: {shape}",
        "parameters": f"{model['parameters'] / 1e6:.2f}M ({size})",
        "vocabulary": (
            f"{words['tokens']} tokens; {words['steps_a_beat']} steps a beat, "
            f"{words['velocities']} velocities, {len(words['metres'])} metres"
        ),
        "trained on": ", ".join(f"{name} {share:.0%}" for name, share in mix) or "not written down",
        "validation": validation or "not written down",
        "licence": model["licence"] or "not written down",
    }
    title = f"{model['name']}{' (played by default)' if model['default'] else ''}: {model['path']}"
    return "\n".join([title, *(f"  {name:13}{text}" for name, text in lines.items())])
