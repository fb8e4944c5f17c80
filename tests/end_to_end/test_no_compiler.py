"""The wheel, built where there is no C compiler: other backends continue the song."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.checkpoint import Checkpoint, save_checkpoint
from models.export import exported
from models.nested.network import NestedConfig, NestedNetwork
from models.network import Network, NetworkConfig
from models.vocabulary import standard_vocabulary

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("daemon", "engine", "bridges", "models")
KIND = """
import sys, segue
from pathlib import Path
sys.path.insert(0, str(Path(segue.__file__).parent))
from engine import backends
print(backends.open_model(Path(sys.argv[1])).kind, backends.__file__)
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="written for POSIX environments")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A tiny network with its graph."""
    torch.manual_seed(4)
    words = standard_vocabulary()
    shape = NetworkConfig(vocabulary=len(words), layers=1, width=32, heads=2, ffn=64, context=512)
    made = Checkpoint(Network(shape).eval(), words, {})
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    save_checkpoint(path, made)
    path.with_suffix(".onnx").write_bytes(exported(made))
    return path


def python(*arguments: object, **environment: str) -> str:
    """Run it at the root of the disk, and return what it prints."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd="/",
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def site(tmp_path) -> Path:
    """Segue as it is installed from a wheel that was built without a compiler."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in FLOORS:
        ignore = shutil.ignore_patterns("__pycache__", "*.so", "weights")
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, source)
    python(*build, CC="false")
    (wheel,) = tmp_path.glob("*.whl")
    folder = tmp_path / "site"
    python("-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, wheel)
    return folder


@pytest.fixture(scope="module")
def nested(tmp_path_factory) -> Path:
    """A tiny network that takes a note at a time, which needs no graph."""
    torch.manual_seed(4)
    words = standard_vocabulary()
    shape = NestedConfig(
        vocabulary=len(words), layers=1, width=32, heads=2, ffn=64, chain=32, context=256
    )
    path = tmp_path_factory.mktemp("tiny") / "nested.safetensors"
    save_checkpoint(path, Checkpoint(NestedNetwork(shape).eval(), words, {}))
    return path


def test_a_wheel_without_the_kernel_plays_the_graph_or_in_numpy(site, checkpoint, nested, tmp_path):
    assert not list(site.rglob("_kernel*.so"))
    song = ROOT / "daemon" / "performances" / "ode.mid"
    for path, expected in ((checkpoint, "onnx"), (nested, "numpy")):
        kind, where = python("-P", "-c", KIND, path, PYTHONPATH=str(site)).split()
        assert Path(where).is_relative_to(site)
        assert kind == expected
        python(
            *("-P", "-c", "from segue import main; main()"),
            *("continue", song, "-o", tmp_path / "more.mid", "--bars", 1, "--checkpoint", path),
            PYTHONPATH=str(site),
        )
        assert (tmp_path / "more.mid").stat().st_size > 0
        (tmp_path / "more.mid").unlink()
