"""The wheel as a stranger gets it: in an environment of its own beside python-daemon, run from `/`.

The heavy packages are lent by the environment of these tests through a .pth file, so that torch is
not installed twice. Such a file adds a folder to the path without obeying the .pth files in that
folder: the editable Segue of the outer environment stays outside.
"""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("daemon", "engine", "bridges", "models")
WEIGHTS = ROOT / "models" / "weights"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="written for POSIX environments")


def call(*command: object, cwd: Path = Path("/")) -> str:
    """Run a command and return what it prints; what it says is in the failure."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel, built from a copy, so that nothing that was built before can get into it."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in FLOORS:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    call(*build, cwd=source)
    (path,) = (source / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The folder of programs of a fresh environment with the wheel and python-daemon."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    pip = [programs / "python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt"]
    call(*pip, "python-daemon")
    call(*pip, "--no-deps", wheel)
    # Only now: pip must not see what is already there.
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("platlib") + "\n")
    return programs


def contents(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_puts_one_name_at_the_top(wheel):
    top = {name.split("/")[0] for name in contents(wheel)}
    assert {name for name in top if not name.endswith(".dist-info")} == {"segue"}


def test_every_module_is_in_the_wheel(wheel):
    modules = {
        f"segue/{path.relative_to(ROOT)}"
        for folder in FLOORS
        for path in (ROOT / folder).rglob("*.py")
    }
    modules -= {"segue/daemon/entry/__init__.py"}  # that one is segue/__init__.py
    assert modules <= set(contents(wheel))


def test_recordings_and_their_scores_are_in_the_wheel(wheel):
    folder = ROOT / "daemon" / "performances"
    files = {
        f"segue/daemon/performances/{path.name}"
        for pattern in ("*.mid", "*.txt")
        for path in folder.glob(pattern)
    }
    assert files
    assert files <= set(contents(wheel))


def test_the_checkpoint_and_its_card_are_in_the_wheel(wheel):
    files = {f"segue/models/weights/{path.name}" for path in WEIGHTS.iterdir()}
    assert {Path(name).suffix for name in files} >= {".safetensors", ".json"}
    assert files | {"segue/models/CARD.md"} <= set(contents(wheel))


def test_what_plays_asks_for_no_framework(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        asked = Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []
    brought = {line for line in asked if "extra ==" not in line}
    assert {re.split(r"[<>=]", line)[0] for line in brought} == {
        *("mido", "numpy", "pillow", "platformdirs"),
        *("python-osc", "python-rtmidi", "pyzmq"),
    }
    (onnx,) = (line for line in asked if re.search(r"extra == .onnx.", line))
    assert onnx.startswith("onnxruntime")


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")
def test_the_kernel_is_in_the_wheel(wheel):
    assert [name for name in contents(wheel) if name.startswith("segue/engine/_kernel.")]


def test_segue_runs_from_the_wheel_and_not_from_the_checkout(installed):
    where = Path(call(installed / "python", "-c", "import segue; print(segue.__file__)").strip())
    assert where.is_relative_to(installed.parent)
    assert call(installed / "segue", "--version").startswith("segue ")


def test_python_daemon_keeps_its_name(installed):
    where = call(
        installed / "python", "-c", "import daemon; print(daemon.DaemonContext.__module__)"
    )
    assert where.strip() == "daemon.daemon"


def test_the_demo_plays_from_the_wheel_at_the_root_of_the_disk(installed, tmp_path):
    call(installed / "segue", "demo", "--fast", "--out", tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["notes_out"] > 0
    assert report["hanging_notes"] == 0
    assert {path.name for path in tmp_path.iterdir()} >= {"take.mid", "take.png", "report.json"}


def test_a_file_is_continued_from_the_wheel(installed, tmp_path):
    piece = ROOT / "daemon" / "performances" / "ode.mid"
    call(installed / "segue", "continue", piece, "-o", tmp_path / "more.mid", "--bars", "2")
    assert (tmp_path / "more.mid").stat().st_size > 0
