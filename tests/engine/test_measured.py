"""One engine under measurement: asked line by line, it answers with milliseconds."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import measured
from engine.measured import BEHIND, Events, Generated, Memory, Ours, drawn, open_subject
from models.checkpoint import Checkpoint, save_checkpoint
from models.nested.network import NestedConfig, NestedNetwork
from models.network import Network, NetworkConfig
from models.vocabulary import Vocabulary, standard_vocabulary

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    words = standard_vocabulary()
    shape = NetworkConfig(vocabulary=len(words), layers=1, width=32, heads=2, ffn=64, context=1024)
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    save_checkpoint(path, Checkpoint(Network(shape).eval(), words, {}))
    return path


def asked(monkeypatch: pytest.MonkeyPatch, *lines: object) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_question_is_answered(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked(monkeypatch, ["steps", 5], ["notes", 3], ["prefill", 64], ["steps", 2], ["notes", 1])
    assert measured.main(["torch", "--checkpoint", str(checkpoint)]) == 0
    ready, *answers = said(capsys)
    assert ready["ready"]
    assert [len(answer["ms"]) for answer in answers] == [5, 3, 1, 2, 1]
    assert all(ms > 0 for answer in answers for ms in answer["ms"])


def test_what_cannot_be_loaded_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measured.main(["torch", "--checkpoint", str(tmp_path / "none")]) == 1
    monkeypatch.setitem(sys.modules, "notochord", None)
    assert measured.main(["notochord"]) == 1
    no_file, no_package = said(capsys)
    assert "there is no checkpoint" in no_file["missing"]
    assert no_package["missing"].startswith("pip install 'segue[bench]'")


def test_without_onnx_runtime_the_line_says_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "engine.onnx_backend", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    graph = tmp_path / "tiny.onnx"
    graph.touch()
    assert measured.main(["onnx", "--checkpoint", str(graph)]) == 1
    (no_package,) = said(capsys)
    assert "pip install 'segue[onnx]'" in no_package["missing"]


def test_tokens_are_taken_one_by_one_behind_others(hash_backend: Any) -> None:
    backend = hash_backend(capacity=1024)
    ours = Ours(backend, standard_vocabulary())
    ours.steps(4)
    assert backend.held == drawn(1024, len(standard_vocabulary()))[: BEHIND + 4]
    ours.prefill(64)
    assert len(backend.held) == 64
    ours.steps(1)
    assert len(backend.held) == BEHIND + 1


def test_notes_do_not_depend_on_what_was_measured_before(
    hash_backend: Any, vocabulary: Vocabulary
) -> None:
    backend, fresh = hash_backend(capacity=1024), hash_backend(capacity=1024)
    ours, other = Ours(backend, vocabulary), Ours(fresh, vocabulary)
    for measure in (ours.steps, ours.prefill):
        measure(3)
    ours.notes(6)
    other.notes(6)
    assert backend.held == fresh.held


def test_the_bound_reads_as_much_as_a_token_of_the_network(checkpoint: Path) -> None:
    subject = open_subject("memory", checkpoint, threads=1)
    assert isinstance(subject, Memory)
    matrices = 32 * len(standard_vocabulary()) + 4 * 32 * 32 + 3 * 32 * 64
    assert subject.size == int(matrices * 34 / 32)
    assert len(subject.steps(3)) == 3
    assert subject.prefill(64) == subject.notes(2) == []


def test_tokens_of_generate_leave_out_the_prompt() -> None:
    asked: list[tuple[int, int]] = []

    def generate(prompt: Any, count: int) -> list[float]:
        asked.append((len(prompt), count))
        return [100.0] + [1.0] * (count - 1)

    subject = Generated(generate, 40)
    assert subject.steps(4) == [1.0] * 4
    assert subject.prefill(1024) == [100.0]
    assert asked[1:] == [(BEHIND, 5), (1023, 1)]
    assert subject.notes(3) == []


def test_an_event_is_a_step_and_a_note() -> None:
    events = []
    subject = Events(lambda: events.append(1))
    assert len(subject.steps(3)) == len(subject.notes(3)) == 3
    assert len(events) == 7  # and one to warm up
    assert subject.prefill(64) == []


def test_a_process_of_its_own_reads_and_writes_lines(checkpoint: Path) -> None:
    program = "import sys; from engine.measured import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "memory", "--checkpoint", str(checkpoint)],
        cwd=ROOT,
        input='["steps", 2]\n',
        capture_output=True,
        text=True,
        check=True,
    )
    ready, answer = (json.loads(line) for line in done.stdout.splitlines())
    assert ready["bytes"] > 0
    assert len(answer["ms"]) == 2


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    words = standard_vocabulary()
    shape = NestedConfig(
        vocabulary=len(words), layers=1, width=32, heads=2, ffn=64, chain=32, context=128
    )
    path = tmp_path_factory.mktemp("tiny") / "nested.safetensors"
    save_checkpoint(path, Checkpoint(NestedNetwork(shape).eval(), words, {}))
    return path


def test_a_network_that_takes_a_note_at_a_time_is_asked_the_same(
    nested: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked(monkeypatch, ["steps", 5], ["notes", 3], ["prefill", 64], ["prefill", 256])
    assert measured.main(["torch", "--checkpoint", str(nested)]) == 0
    _, *answers = said(capsys)
    assert [len(answer["ms"]) for answer in answers] == [5, 3, 1, 0]
    with pytest.raises(ValueError, match="a note at a time"):
        open_subject("llama.cpp", nested, threads=1)
