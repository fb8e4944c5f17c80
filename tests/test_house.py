"""The house rules that no other test sees: what the README promises, and what the player loads."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from daemon import __version__
from daemon.cli.main import SUBCOMMANDS
from daemon.interface import commands, stream
from daemon.interface.config import (
    Config,
    ControlConfig,
    LinkConfig,
    MindConfig,
    PortsConfig,
    SessionConfig,
)

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
#: The folders of the daemon.
PARTS = sorted(f"daemon/{path.parent.name}" for path in (ROOT / "daemon").glob("*/__init__.py"))

#: Everything that `segue run` imports, except its MIDI driver, which loads no model either.
PLAYER = """
import bridges.control, bridges.link, bridges.loopback, bridges.midi, bridges.osc, bridges.zeromq
import daemon.cli.demo, daemon.cli.run, daemon.cli.send
import daemon.runtime.live, daemon.runtime.runtime, daemon.take.takes
import engine.client, engine.protocol, engine.standin, engine.wire
"""
HEAVY = ("torch", "numpy", "miditok", "symusic", "safetensors", "PIL", "models")


def between(start: str, end: str) -> str:
    """The part of the README between two marks."""
    assert README.count(start) == 1, f"the README needs {start} once"
    return README.split(start)[1].split(end)[0].strip()


def example() -> dict[str, object]:
    """The configuration file in the README."""
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    return tomllib.loads(block)


def every_key() -> Iterator[tuple[str, str]]:
    """(section, key) of all that the configuration knows, by its own word for it."""
    with pytest.raises(Exception, match="it may have") as refusal:
        Config.from_table({"session": {"no such key": 0}})
    for key in str(refusal.value).split("it may have ")[1].split(", "):
        yield "session", key
    trees = {
        "ports": PortsConfig,
        "control": ControlConfig,
        "link": LinkConfig,
        "mind": MindConfig,
    }
    for section, tree in trees.items():
        for field in fields(tree):
            yield section, field.name


def test_the_readme_has_the_table_of_commands_as_it_is():
    table = commands.markdown_table().strip()
    assert between("<!-- commands -->", "<!-- /commands -->") == table


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda command: command.name)
def test_each_command_says_what_it_does(command):
    assert command.help.endswith(".")


@pytest.mark.parametrize("topic", stream.TOPICS)
def test_each_topic_of_the_stream_stands_in_the_readme(topic):
    table = between("<!-- topics -->", "<!-- /topics -->")
    (row,) = re.findall(rf"^\| `{topic}` \| (.*?) \|", table, re.MULTILINE)
    (line,) = re.findall(rf"^    {topic} +(.*)$", stream.__doc__ or "", re.MULTILINE)
    values = re.split(r"\s{3,}", line)[0]
    assert row == values


def test_the_readmes_session_is_the_default_one():
    assert Config.from_table(example()).session == SessionConfig()


@pytest.mark.parametrize(("section", "key"), list(every_key()))
def test_each_key_of_the_configuration_stands_in_the_readme(section, key):
    assert key in example()[section]


def test_the_folder_of_takes_stands_in_the_readme():
    assert "takes" in example()


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_word_of_the_command_line_stands_in_the_readme(name):
    assert re.search(rf"\bsegue {name}\b", README)


def tree() -> dict[str, set[str]]:
    """Folder to the Python files that the README's tree has in it."""
    found: dict[str, set[str]] = {}
    above: list[tuple[int, str]] = []  # (indent, path) of the folders around a line
    (lines,) = re.findall(r"^daemon/ .*?(?=^max4live/)", README, re.MULTILINE | re.DOTALL)
    for line in lines.splitlines():
        indent = len(line) - len(line.lstrip())
        above = [(of_folder, path) for of_folder, path in above if of_folder < indent]
        if folder := re.match(r"\s*(\w+)/", line):
            above.append((indent, "/".join([*(path for _, path in above[-1:]), folder[1]])))
            found[above[-1][1]] = set()
        found[above[-1][1]].update(re.findall(r"\b\w+\.py\b", line))
    return found


@pytest.mark.parametrize("folder", ["bridges", "engine", "models", *PARTS])
def test_each_module_stands_in_the_tree_of_the_readme(folder):
    modules = {path.name for path in (ROOT / folder).glob("*.py")} - {"__init__.py"}
    assert modules == tree()[folder]


def test_nothing_lies_beside_the_folders_of_the_daemon():
    assert [path.name for path in (ROOT / "daemon").glob("*.py")] == ["__init__.py"]
    assert {folder for folder in tree() if folder.startswith("daemon/")} == set(PARTS)


@pytest.mark.parametrize("folder", ["daemon", "bridges", "engine", "models", *PARTS])
def test_each_folder_says_what_it_knows_and_what_it_must_not_know(folder):
    text = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8")))
    assert text is not None


def test_each_package_is_packed():
    found = {
        ".".join(("segue", *path.parent.relative_to(ROOT).parts))
        for folder in ("daemon", "bridges", "engine", "models")
        for path in (ROOT / folder).rglob("__init__.py")
    }
    found = found - {"segue.daemon.entry"} | {"segue"}  # the one is the other in the wheel
    assert found == set(PYPROJECT["tool"]["setuptools"]["packages"])


def test_the_changelog_knows_this_version():
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_player_process_never_loads_the_model():
    # A fresh interpreter: the tests around this one have loaded everything.
    found = subprocess.run(
        [sys.executable, "-c", f"{PLAYER}\nimport sys\nprint(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in found.stdout.split()}
    assert loaded.isdisjoint(HEAVY), loaded.intersection(HEAVY)


def third_party(folder: str) -> set[str]:
    """The top-level modules that the files of `folder` import from outside of Segue."""
    names: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    own = {"daemon", "engine", "bridges", "models"}
    return {name.split(".")[0] for name in names} - own - sys.stdlib_module_names


def test_what_is_imported_is_required_and_the_other_way_round():
    module_of = {"python-osc": "pythonosc", "python-rtmidi": "rtmidi", "pyzmq": "zmq"}
    module_of |= {"pillow": "PIL", "llama-cpp-python": "llama_cpp"}
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    required = sum((extras[name] for name in extras if name != "dev"), project["dependencies"])
    packages = {re.split(r"[<>=]", requirement)[0] for requirement in required}
    imported = set().union(*map(third_party, ("daemon", "bridges", "engine", "models")))
    assert imported == {module_of.get(package, package) for package in packages}


def test_all_that_is_required_is_pinned():
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    required = project["dependencies"] + extras["dev"]
    required += extras["ablations"] + extras["link"] + extras["onnx"] + extras["train"]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {*re.findall(r"^([\w-]+)==", pins, re.MULTILINE), "segue[ablations,link,onnx,train]"}
    assert {re.split(r"[<>=]", requirement)[0] for requirement in required} <= pinned


def test_what_tests_may_need_is_installed():
    asked = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    table = asked.split("PACKAGES = {")[1].split("}")[0]
    needed = set(re.findall(r': "([\w-]+)"', table))
    script = (ROOT / "tests" / "debian_packages.sh").read_text(encoding="utf-8")
    installed = set(re.findall(r"^[\w-]+ ([\w-]+)$", script.split('"')[1], re.MULTILINE))
    assert needed == installed
