"""`segue evaluate` from a folder of MIDI to a report, and what it says when it cannot."""

import argparse
import json

import pytest
import torch

from engine import evaluate
from models.checkpoint import Checkpoint, save_checkpoint
from models.corpus import split_by_name
from models.nested.network import NestedConfig, NestedNetwork
from models.network import Network, NetworkConfig
from models.vocabulary import standard_vocabulary


@pytest.fixture(scope="module")
def folder(tmp_path_factory, toy):
    """Scales in all keys, of which some fall to each split."""
    return toy.fill(tmp_path_factory.mktemp("data") / "midi", pieces=40, bars=16)


@pytest.fixture
def call(folder, tmp_path_factory, capsys):
    """`call("--json")` -> (exit code, stdout, stderr)."""
    cache = tmp_path_factory.getbasetemp() / "tokens of the scales"

    def call(*words, data=folder):
        parser = argparse.ArgumentParser()
        evaluate.add_arguments(parser)
        args = parser.parse_args(["--data", str(data), "--cache", str(cache), *words])
        code = evaluate.run(args)
        return code, *capsys.readouterr()

    return call


def in_split(split, pieces=40):
    return sum(split_by_name(f"scale {number}.mid") == split for number in range(pieces))


def test_a_folder_is_evaluated(call):
    code, out, err = call("--json", "--places", "1")
    report = json.loads(out)
    assert code == 0
    assert report["checkpoint"] == "segue-nested"
    assert set(report["styles"]) == {"midi"}
    assert report["styles"]["midi"]["pieces"] == in_split("test")
    for part in (report["overall"], report["styles"]["midi"]):
        fields = part["bits_per_note"]
        assert fields["total"] == pytest.approx(
            sum(fields[name] for name in ("onset", "pitch", "duration", "velocity")), abs=1e-3
        )
        assert 0 < fields["total"] < 20
        assert part["on_grid"] == 1
    assert report["training_set"] == ["midi"]
    assert "midi: " in err


def test_without_json_there_is_a_table(call):
    code, out, _ = call("--places", "1", "--pieces", "1")
    assert code == 0
    assert out.startswith("bits per note")
    assert "\n  all styles" in out


def test_the_same_seed_gives_the_same_figures(call):
    first, second = (json.loads(call("--json", "--pieces", "1", "--places", "1")[1]) for _ in "ab")
    for report in (first, second):
        for part in (report["overall"], report["styles"]["midi"]):
            part.pop("note_ms")
            part["intervals"].pop("note_ms", None)
    assert first == second


def test_bolder_answers_cost_the_same_bits_and_match_less(call):
    meek, bold = (
        json.loads(call("--json", "--pieces", "2", "--places", "2", "--temperature", heat)[1])
        for heat in ("0", "2")
    )
    assert (meek["temperature"], bold["temperature"]) == (0.0, 2.0)
    assert meek["overall"]["bits_per_note"] == bold["overall"]["bits_per_note"]
    f1 = [report["overall"]["continuation_f1"]["8"] for report in (meek, bold)]
    assert f1[0] > f1[1]


def test_prompts_by_hands_have_other_answers_and_the_same_truth(call):
    plain, hands = (
        json.loads(call("--json", "--pieces", "2", "--places", "2", *more)[1])
        for more in ((), ("--hands",))
    )
    assert (plain["hands"], hands["hands"]) == (False, True)
    one, other = plain["overall"], hands["overall"]
    for same in ("bits_per_note", "discrimination", "baselines"):
        assert one[same] == other[same]
    assert one["copying"]["train"]["human"] == other["copying"]["train"]["human"]
    assert one["distance"] != other["distance"]


def test_a_network_of_one_step_a_note_is_evaluated_alike(call, tmp_path):
    words = standard_vocabulary()
    shape = NestedConfig(
        vocabulary=len(words), layers=1, width=32, heads=2, ffn=32, chain=32, context=256
    )
    path = tmp_path / "small"
    save_checkpoint(path, Checkpoint(NestedNetwork(shape).eval(), words, {"data_mix": {"x": 1.0}}))
    code, out, _ = call("--json", "--pieces", "1", "--places", "1", "--checkpoint", str(path))
    report = json.loads(out)
    assert code == 0
    # It has learnt nothing: a note costs about as much as one drawn from everything.
    assert 20 < report["overall"]["bits_per_note"]["total"] < 40
    assert report["overall"]["on_grid"] == 1
    assert report["training_set"] == ["midi"]  # nothing of x is here to be copied from


@pytest.mark.parametrize(
    ("words", "clue"),
    [
        (["--checkpoint", "nowhere/best"], "there is no checkpoint nowhere/best.json"),
        (["--styles", "polka"], "no piece of polka is in the test split; there are pieces of midi"),
    ],
)
def test_what_is_not_there_is_one_clear_line(call, words, clue):
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert clue in err
    assert err.count("\n") == 1


def test_weights_that_are_no_numbers_are_one_clear_line(call, tmp_path):
    words = standard_vocabulary()
    shape = NetworkConfig(vocabulary=len(words), layers=1, width=32, heads=2, ffn=32, context=1024)
    network = Network(shape)
    with torch.no_grad():
        network.norm.weight.fill_(torch.nan)
    save_checkpoint(tmp_path / "nan", Checkpoint(network, words, {}))
    code, out, err = call("--checkpoint", str(tmp_path / "nan"), "--backend", "torch")
    assert (code, out) == (1, "")
    assert "nan cannot be judged" in err.splitlines()[-1]


def test_a_folder_without_music_is_one_clear_line(call, tmp_path):
    for data in (tmp_path, tmp_path / "nowhere"):
        code, out, err = call(data=data)
        assert (code, out) == (2, "")
        assert err.startswith("segue evaluate: there ")
        assert err.count("\n") == 1


def test_a_split_of_broken_files_is_one_clear_line(call, tmp_path, toy):
    toy.fill(tmp_path / "midi", pieces=40, bars=2)
    for path in (tmp_path / "midi").iterdir():
        if split_by_name(path.name) == "test":
            path.write_bytes(b"not music")
    code, out, err = call("--cache", str(tmp_path / "tokens"), data=tmp_path / "midi")
    assert (code, out) == (2, "")
    assert "no piece of the test split can be judged" in err.splitlines()[-1]
    assert "not a readable MIDI file" in err.splitlines()[-1]


def test_a_broken_zip_is_one_clear_line(call, tmp_path):
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\x03\x04 and then nothing")
    code, out, err = call(data=broken)
    assert (code, out) == (2, "")
    assert "not a readable zip" in err


@pytest.mark.parametrize("words", [["--pieces", "0"], ["--places", "many"], ["--seed", "-1"]])
def test_odd_numbers_are_turned_down(call, words, capsys):
    with pytest.raises(SystemExit) as left:
        call(*words)
    assert left.value.code == 2
    assert "a whole number" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--temperature", "hot"], ["--temperature", "nan"], ["--top-p", "1.5"]]
)
def test_odd_controls_are_turned_down(call, words, capsys):
    with pytest.raises(SystemExit) as left:
        call(*words)
    assert left.value.code == 2
    assert "a number from 0 to" in capsys.readouterr().err
