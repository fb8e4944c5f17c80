"""What a training run must keep to go on to the step: weights, optimizer, counters.

Knows networks and AdamW's two moments; knows no data and no schedule. One safetensors file holds
everything, float32, with the counters in its header, so that it is whole or not there at all. It
stays in the run's folder and is never shipped.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from models.architectures import ARCHITECTURES, AnyNetwork, Config, architecture_of
from models.description import CheckpointError
from models.files import replacing

STATE_NAME = "state.safetensors"
MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(slots=True)
class Progress:
    """How far a run has come. Steps count updates, `seen` tokens or notes, seconds work only."""

    step: int = 0
    seen: int = 0
    elapsed_s: float = 0.0
    best_bits: float = float("inf")  # validation, bits per token or note
    best_step: int = 0
    validations: list[tuple[int, float]] = field(default_factory=list)  # (step, bits)


def save_state(
    folder: Path,
    *,
    network: AnyNetwork,
    averaged: AnyNetwork,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    settings: dict[str, Any],
) -> None:
    """Replace the folder's state; raises CheckpointError and leaves the old one if it cannot."""
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in network.named_parameters():
        tensors[f"weights/{name}"] = parameter.detach().contiguous()
        moments = optimizer.state.get(parameter, {})
        for moment in MOMENTS:
            if moment in moments:
                tensors[f"{moment}/{name}"] = moments[moment].contiguous()
    for name, parameter in averaged.named_parameters():
        tensors[f"averaged/{name}"] = parameter.detach().contiguous()
    header = {
        "architecture": architecture_of(network.config).name,
        "network": json.dumps(asdict(network.config)),
        "progress": json.dumps(asdict(progress)),
        "settings": json.dumps(settings),
    }
    try:
        with replacing(folder / STATE_NAME) as part:
            save_file(tensors, part, metadata=header)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"cannot write {folder / STATE_NAME}: {error}; the state before it is kept, "
            "make room and go on with --resume"
        ) from error


def read_settings(folder: Path) -> tuple[Config, Progress, dict[str, Any]]:
    """Shape, counters and settings of a saved run; raises CheckpointError."""
    path = folder / STATE_NAME
    if not path.exists():
        raise CheckpointError(f"there is no {path} to resume; start without --resume")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata()
        architecture = ARCHITECTURES[header.get("architecture", "flat")]
        config = architecture.config(**json.loads(header["network"]))
        counters = json.loads(header["progress"])
        if "tokens" in counters:  # what runs of the flat network once called it
            counters["seen"] = counters.pop("tokens")
        counters["validations"] = [(step, bits) for step, bits in counters["validations"]]
        return config, Progress(**counters), json.loads(header["settings"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); start a new run") from error


def load_state(
    folder: Path, *, network: AnyNetwork, averaged: AnyNetwork, optimizer: torch.optim.Optimizer
) -> Progress:
    """Fill a network, its average and its optimizer from a saved run; raises CheckpointError."""
    _, progress, _ = read_settings(folder)
    with safe_open(folder / STATE_NAME, framework="pt") as file:
        names = set(file.keys())
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(file.get_tensor(f"weights/{name}"))
                if f"{MOMENTS[0]}/{name}" in names:
                    optimizer.state[parameter] = {
                        "step": torch.tensor(float(progress.step), device=parameter.device),
                        **{
                            moment: file.get_tensor(f"{moment}/{name}").to(parameter.device)
                            for moment in MOMENTS
                        },
                    }
            for name, parameter in averaged.named_parameters():
                kept = f"averaged/{name}"
                parameter.copy_(file.get_tensor(kept if kept in names else f"weights/{name}"))
    return progress
