"""`segue bench decode`: engines in turn, and what their figures are beside each other."""

import argparse
import contextlib
import io
import json
import os

import pytest

from daemon.bench import decode
from daemon.bench.decode import BOUND, PREFILLS, ROUNDS, measure, quantiles, report_of, table
from daemon.bench.engine import BenchEngine, EngineGone, resident_mb
from daemon.cli import bench


class Engine:
    """An engine that is always as fast, and notes when it is asked."""

    threads, ready_s = 1, 0.25

    def __init__(self, name, token_ms, *, asked, note_ms=None):
        self.name, self.token_ms, self.note_ms = name, token_ms, note_ms
        self.asked = asked
        self.ready = {"bytes": 4_000_000}

    def ask(self, verb, count):
        self.asked.append((self.name, verb))
        if verb == "prefill":
            return [count * self.token_ms / 10] if self.note_ms else []
        if verb == "notes":
            return [self.note_ms] * count if self.note_ms else []
        return [self.token_ms] * count

    def rss_mb(self):
        return 50.0


def engines(asked=None, **times):
    """`native=0.1` is an engine with tokens of 0.1 ms and notes of 0.5."""
    asked = [] if asked is None else asked
    found = {BOUND: Engine(BOUND, 0.05, asked=asked)}
    for name, ms in times.items():
        name = name.replace("_", ".")
        found[name] = Engine(name, ms, asked=asked, note_ms=5 * ms)
    return found


def options(*arguments):
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    return parser.parse_args(["decode", *arguments])


def test_engines_are_asked_in_turn():
    asked = []
    measure(engines(asked, native=0.1, llama_cpp=0.3), rounds=2)
    steps = [name for name, verb in asked if verb == "steps"]
    assert steps == [BOUND, "native", "llama.cpp"] * 2


def test_the_report_has_the_keys_that_others_read():
    report = measure(engines(native=0.1, llama_cpp=0.3, notochord=6.0), rounds=1)
    assert report["engines"].keys() == {"native", "llama.cpp", "notochord"}
    for figure in report["engines"].values():
        assert figure["token_ms"].keys() == figure["note_ms"].keys() == {"p50", "p95", "p99"}
        assert figure["prefill_ms"].keys() == {str(count) for count in PREFILLS}
        assert figure.keys() >= {"ready_s", "rss_mb", "threads"}
    assert report["bound_token_ms"] == 0.05
    assert report["bandwidth_gb_s"] == pytest.approx(80)
    assert report["ratio_to_llama_cpp"] == pytest.approx(1 / 3)
    assert report["ratio_to_notochord"] == pytest.approx(0.5 / 6.0)  # a note to an event
    assert report["engines"]["native"]["ratio_to_bound"] == pytest.approx(2)
    json.dumps(report)


def test_ratios_are_those_of_the_engine_that_would_play():
    assert measure(engines(torch=2.0, onnx=0.5, llama_cpp=1.0), rounds=1)["live"] == "onnx"
    report = measure(engines(torch=2.0), rounds=1)
    assert report["live"] == "torch"
    assert report["ratio_to_llama_cpp"] is report["ratio_to_notochord"] is None


def test_boards_are_projected_from_bytes_and_bandwidth():
    figures = {
        name: {"token_ms": {"p50": 0.1}, "note_ms": {"p50": 0.4}} for name in (BOUND, "native")
    }
    projection = report_of(figures, weight_bytes=5_500_000)["projection"]
    assert projection["Raspberry Pi 4"]["token_ms_at_least"] == pytest.approx(1.0)
    assert projection["Raspberry Pi 5"]["token_ms_at_least"] < 0.5


def test_quantiles_are_values_that_were_measured():
    assert quantiles([]) == {}
    assert quantiles([3.0]) == {"p50": 3.0, "p95": 3.0, "p99": 3.0}
    assert quantiles(range(101)) == {"p50": 50, "p95": 95, "p99": 99}


def test_the_table_has_a_line_for_each_engine():
    found = engines(native=0.1, llama_cpp=0.3)
    found["transformers"] = Engine("transformers", 4.0, asked=[])
    report = measure(found, rounds=1)
    text = table(report | {"mind": {"ready_s": 0.5, "rss_mb": 51.0}})
    head, *rows = text.splitlines()[:4]
    assert head.split()[0] == "engine"
    assert [row.split()[0] for row in rows] == ["native", "llama.cpp", "transformers"]
    assert "-" in rows[2].split()  # it knows no notes
    assert "projected, not measured" in text
    assert "ready in 0.50 s, 51 MB" in text


@pytest.mark.parametrize("arguments", [("--engines", "gpt"), ("--rounds", "0"), ("--threads", "0")])
def test_wrong_use_is_said(arguments, capsys):
    assert bench.run(options(*arguments)) == 2
    assert "--engines takes native, onnx, numpy, torch" in capsys.readouterr().err


def test_what_is_not_there_is_left_out_and_nothing_of_ours_is_an_error(monkeypatch, capsys):
    class Missing(BenchEngine):
        def __enter__(self):
            raise EngineGone("it is not installed")

    monkeypatch.setattr(decode, "BenchEngine", Missing)
    assert bench.run(options("--engines", "native,notochord")) == 1
    said = capsys.readouterr().err
    assert "without notochord: it is not installed" in said
    assert "no engine of Segue's own" in said


def test_an_engine_that_cannot_load_says_why(tmp_path):
    engine = BenchEngine("native", checkpoint=str(tmp_path / "none"), threads=1)
    with pytest.raises(EngineGone, match="there is no checkpoint"):
        engine.__enter__()


def test_defaults_take_a_minute_or_two():
    assert options().rounds == ROUNDS
    assert not options().json


def test_memory_is_told_in_megabytes():
    assert 5 < resident_mb(os.getpid()) < 5000


def test_help_names_what_can_be_measured():
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit):
        parser = argparse.ArgumentParser()
        bench.add_arguments(parser)
        parser.parse_args(["--help"])
    assert "decode" in said.getvalue()
