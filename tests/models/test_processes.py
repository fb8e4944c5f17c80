"""Two processes train one network, as torchrun starts them, and stay one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from models.processes import Processes, joined
from models.training_state import read_settings

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--layers", "1", "--width", "16", "--heads", "2", "--context", "16", "--threads", "1"]


def test_one_process_is_alone_and_says_what_it_has(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined("cpu") as processes:
        assert processes.first
        processes.wait()
        gradient = torch.tensor([1.0, 2.0])
        processes.average([gradient])
        assert gradient.tolist() == [1, 2]
        assert processes.as_first([3.0], "cpu") == [3.0]
    assert not Processes(rank=1, size=2).first


def torchrun(data, out, *options):
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"),
        *("-m", "models.training", "--data", str(data), "--out", str(out)),
        *("--cache", str(out.parent / "cache"), *SMALL, *options),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("architecture", ["nested"])
def test_two_processes_train_and_go_on(tmp_path, toy, architecture):
    data = toy.fill(tmp_path / "data", pieces=6)
    options = ["--architecture", architecture, "--batch", "2"]
    done = torchrun(data, tmp_path / "run", *options, "--steps", "3")
    assert done.returncode == 0, done.stderr
    assert "2 processes" in done.stderr
    assert done.stderr.count("done: 3 steps") == 1  # the first alone speaks
    _, progress, _ = read_settings(tmp_path / "run")
    assert progress.step == 3
    assert progress.seen == 3 * 2 * 16  # the batch is shared, not doubled
    weights = load_file(tmp_path / "run" / "state.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())

    uneven = torchrun(data, tmp_path / "other", "--batch", "3", "--steps", "1")
    assert uneven.returncode == 1
    assert "--batch 3 cannot be shared by 2 processes" in uneven.stderr
