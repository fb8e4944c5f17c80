"""The wheel, built where there is no C compiler and installed with nothing but what it asks for."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("daemon", "engine", "bridges", "models")
SONG = ROOT / "daemon" / "performances" / "ode.mid"
KIND = """
import sys, segue
from pathlib import Path
sys.path.insert(0, str(Path(segue.__file__).parent))
from engine.backends import open_model
print(open_model(*map(Path, sys.argv[1:])).kind)
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="written for POSIX environments")


def call(*command: object, code: int = 0, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run it at the root of the disk; it has to end with this code."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd="/",
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """It, with the weights that ship."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in FLOORS:
        ignore = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source)
    call(sys.executable, *build, CC="false")
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory) -> Path:
    """The folder of programs of a fresh environment with the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    pip_install(folder / "bin", wheel)
    assert not list(folder.rglob("_kernel*.so"))
    listed = call(folder / "bin" / "python", "-m", "pip", "list", "--format", "freeze").stdout
    names = {line.partition("==")[0].lower() for line in listed.splitlines()}
    assert "segue" in names
    assert names.isdisjoint({"onnx", "onnxruntime", "safetensors", "torch"})
    return folder / "bin"


def pip_install(programs: Path, requirement: object) -> None:
    """In the tested versions."""
    pip = (programs / "python", "-m", "pip", "install", "--quiet")
    call(*pip, "-c", ROOT / "constraints.txt", requirement)


def test_what_ships_plays_without_extras(programs, tmp_path):
    assert call(programs / "python", "-c", KIND).stdout.strip() == "numpy"
    call(programs / "segue", "continue", SONG, "-o", tmp_path / "more.mid", "--bars", 1)
    assert (tmp_path / "more.mid").stat().st_size > 0


def test_a_network_of_tokens_says_what_it_takes_and_plays_with_that(programs, wheel, tmp_path):
    (flat,) = programs.parent.rglob("models/weights/segue-flat.safetensors")
    song = ("continue", SONG, "-o", tmp_path / "more.mid", "--bars", 1, "--checkpoint", flat)
    said = call(programs / "segue", *song, code=1).stderr
    assert "pip install 'segue[onnx]'" in said and said.count("\n") == 1

    pip_install(programs, f"segue[onnx] @ {wheel.as_uri()}")
    assert call(programs / "python", "-c", KIND, flat).stdout.strip() == "onnx"
    call(programs / "segue", *song)
    assert (tmp_path / "more.mid").stat().st_size > 0
