"""The live backend: what the reference says, whatever the cache has been through."""

import platform
import subprocess
import sys
import tracemalloc
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backends import open_model
from engine.cache import Logits
from engine.onnx_backend import MOST_ROWS, OnnxBackend, open_graph
from engine.torch_backend import TorchBackend
from models.checkpoint import Checkpoint, save_checkpoint
from models.description import CheckpointError
from models.export import exported
from models.network import Network, NetworkConfig
from models.vocabulary import standard_vocabulary

ROOT = Path(__file__).resolve().parents[2]
VOCABULARY = standard_vocabulary()
CONTEXT = 160
#: Bit for bit on x86-64, with AVX-512 and with AVX2 alone; not measured elsewhere.
SAME = 0.0 if platform.machine() in {"x86_64", "AMD64"} else 0.05

words = st.integers(0, len(VOCABULARY) - 1)


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segue as it is installed where the kernel could not be built."""
    monkeypatch.setattr("engine.native_backend.unfit", lambda shape: "no compiler")


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    """A network whose opinions are as strong as a trained one's."""
    torch.manual_seed(11)
    config = NetworkConfig(
        vocabulary=len(VOCABULARY), layers=3, width=64, heads=2, ffn=80, context=CONTEXT
    )
    network = Network(config).eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.dim() == 2:
            parameter.data *= 6
    return Checkpoint(network, VOCABULARY, {"steps": 1})


@pytest.fixture(scope="module")
def graph(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "tiny.onnx"
    path.write_bytes(exported(checkpoint))
    return path


@pytest.fixture(scope="module")
def backends(graph: Path) -> tuple[OnnxBackend, OnnxBackend]:
    """One to be fed this and that, and one that is always cold."""
    return open_graph(graph)[0], open_graph(graph)[0]


def shares(logits: Logits) -> np.ndarray[Any, Any]:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return weights / weights.sum()  # type: ignore[no-any-return]


def test_it_says_what_the_reference_says(checkpoint: Checkpoint, graph: Path) -> None:
    live, reference = open_graph(graph)[0], TorchBackend(checkpoint.network)
    tokens = np.random.default_rng(2).integers(0, len(VOCABULARY), CONTEXT).tolist()
    distances, agree = [], []
    for at in range(0, CONTEXT, 4):
        said, expected = (b.append(tokens[at : at + 3]) for b in (live, reference))
        for token in (None, tokens[at + 3]):
            if token is not None:
                said, expected = live.next(token), reference.next(token)
            distances.append(0.5 * np.abs(shares(said) - shares(expected)).sum())
            agree.append(said.argmax() == expected.argmax())
            assert shares(expected).max() < 0.99  # the comparison is about something
    assert live.length == reference.length == CONTEXT
    assert np.mean(distances) < 0.02 and max(distances) < 0.1
    assert np.mean(agree) > 0.9  # of random weights; trained ones are further apart


@settings(deadline=None)
@given(
    actions=st.lists(
        st.one_of(
            st.lists(words, min_size=1, max_size=20),  # append these
            words,  # next
            st.floats(0, 1).map(lambda share: ("rewind", share)),
        ),
        min_size=1,
        max_size=25,
    )
)
def test_after_any_history_the_logits_are_those_of_a_cold_cache(
    backends: tuple[OnnxBackend, OnnxBackend], actions: list[Any]
) -> None:
    fed, cold = backends
    fed.rewind(0)
    held: list[int] = []
    for action in actions:
        if isinstance(action, tuple):
            held = held[: int(action[1] * len(held))]
            fed.rewind(len(held))
            continue
        tokens = action if isinstance(action, list) else [action]
        if len(held) + len(tokens) > CONTEXT:
            with pytest.raises(ValueError, match=r"holds 160"):
                fed.append(tokens) if isinstance(action, list) else fed.next(action)
            continue
        held += tokens
        said = fed.append(tokens) if isinstance(action, list) else fed.next(action)
        cold.rewind(0)
        np.testing.assert_allclose(said, cold.append(held), rtol=0, atol=SAME)
        assert fed.length == len(held)


def test_a_long_prompt_is_taken_in_runs(graph: Path) -> None:
    tokens = [(7 * i) % len(VOCABULARY) for i in range(2 * MOST_ROWS + 1)]
    whole, alone = open_graph(graph)[0], open_graph(graph)[0]
    whole.append(tokens)
    for token in tokens:
        alone.next(token)
    np.testing.assert_allclose(whole.next(5), alone.next(5), rtol=0, atol=SAME)


def test_a_full_cache_holds_the_whole_context(graph: Path) -> None:
    backend = open_graph(graph)[0]
    assert backend.capacity == CONTEXT
    for token in range(CONTEXT):
        backend.next(token)
    with pytest.raises(ValueError, match="full"):
        backend.next(0)
    with pytest.raises(ValueError, match="cannot be added"):
        backend.append([])
    with pytest.raises(ValueError, match="cannot rewind"):
        backend.rewind(CONTEXT + 1)


def test_a_file_that_is_no_graph_of_ours_is_said(tmp_path: Path, checkpoint: Checkpoint) -> None:
    import onnx

    data = exported(checkpoint)
    (tmp_path / "half.onnx").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match=r"damaged.*segue export"):
        open_graph(tmp_path / "half.onnx")
    stranger = onnx.load_from_string(data)
    del stranger.metadata_props[:]
    onnx.save(stranger, tmp_path / "stranger.onnx")
    with pytest.raises(CheckpointError, match=r"no graph of this version"):
        open_graph(tmp_path / "stranger.onnx")


def test_nothing_grows_with_what_it_is_fed(graph: Path) -> None:
    backend = open_graph(graph)[0]
    random = Random(1)

    def play(rounds: int) -> None:
        for _ in range(rounds):
            backend.rewind(random.randrange(backend.length // 2 + 1))
            for count in (random.randint(1, 60), 1, 2):
                backend.append([random.randrange(len(VOCABULARY)) for _ in range(count)])
            for _ in range(10):
                backend.next(random.randrange(len(VOCABULARY)))

    play(300)  # chunks of every size have been seen
    tracemalloc.start()
    try:
        before = resident_bytes(), tracemalloc.get_traced_memory()[0]
        play(1000)
        after = resident_bytes(), tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after[0] <= 1.05 * before[0]
    assert after[1] - before[1] < 20_000


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not say it so."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 if statm.exists() else 0


# --- which backend -------------------------------------------------------------------------------


@pytest.fixture
def saved(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, checkpoint)
    return path


def test_a_graph_is_played_where_there_is_one(saved: Path, checkpoint: Checkpoint) -> None:
    assert open_model(saved).kind == "torch"
    graph = saved.with_suffix(".onnx")
    graph.write_bytes(exported(checkpoint))
    for name in (saved, graph, saved.with_suffix("")):
        model = open_model(name)
        assert (model.kind, model.name) == ("onnx", "tiny")
        assert model.vocabulary == VOCABULARY
        assert model.parameters == checkpoint.network.parameter_count()
    assert open_model(graph, backend="torch").kind == "torch"
    saved.unlink()
    saved.with_suffix(".json").unlink()
    assert open_model(graph).kind == "onnx"


def test_a_graph_of_other_weights_is_refused(saved: Path, checkpoint: Checkpoint) -> None:
    other = Checkpoint(checkpoint.network, VOCABULARY, {"steps": 2})
    saved.with_suffix(".onnx").write_bytes(exported(other))
    with pytest.raises(CheckpointError, match=r"not made from the weights.*segue export .*tiny`"):
        open_model(saved)
    assert open_model(saved, backend="torch").kind == "torch"


def test_what_is_not_there_is_said_with_the_remedy(saved: Path, tmp_path: Path) -> None:
    for backend in ("auto", "onnx", "torch"):
        with pytest.raises(CheckpointError, match="there is no checkpoint"):
            open_model(tmp_path / "none", backend=backend)
    with pytest.raises(CheckpointError, match=r"tiny\.onnx; make it with `segue export"):
        open_model(saved, backend="onnx")


def python(program: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_torch_a_checkpoint_says_what_to_do(saved: Path) -> None:
    program = """
import sys
sys.modules["torch"] = None
from pathlib import Path
from engine import native_backend
from engine.backends import open_model
native_backend.unfit = lambda shape: "no compiler"
open_model(Path(sys.argv[1]))
"""
    last_line = python(program, saved).stderr.splitlines()[-1]
    assert "segue export" in last_line and "segue[train]" in last_line


def test_the_live_mind_imports_nothing_of_training(graph: Path) -> None:
    program = """
import sys
from engine.server import _load, add_arguments
import argparse
parser = argparse.ArgumentParser()
add_arguments(parser)
_load(parser.parse_args(["--checkpoint", sys.argv[1]])).warm_up()
print(*sys.modules)
"""
    done = python(program, graph)
    loaded = set(done.stdout.split())
    assert "onnxruntime" in loaded, done.stderr
    heavy = {"torch", "miditok", "symusic", "safetensors", "onnx", "models.network"}
    assert not loaded & heavy
