"""Checkpoints: what is saved is what is loaded, and each damage has its own clear line."""

import json

import pytest
import torch

from models import checkpoint as checkpoints
from models.checkpoint import (
    Checkpoint,
    load_any,
    load_checkpoint,
    load_nested,
    main,
    save_checkpoint,
)
from models.description import CheckpointError, default_checkpoint
from models.nested.network import NestedConfig, NestedNetwork
from models.network import Network, NetworkConfig
from models.vocabulary import standard_vocabulary

VOCABULARY = standard_vocabulary()


def small_network(*, width=16):
    torch.manual_seed(3)
    shape = NetworkConfig(
        vocabulary=len(VOCABULARY), layers=1, width=width, heads=2, ffn=32, context=64
    )
    return Network(shape).eval()


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "weights" / "tiny"
    save_checkpoint(
        path,
        Checkpoint(
            network=small_network(), vocabulary=VOCABULARY, provenance={"steps": 7, "tokens": 99}
        ),
    )
    return path


def test_it_comes_back_as_it_went(saved):
    loaded = load_checkpoint(saved)
    tokens = torch.arange(40)[None]
    with torch.no_grad():
        before, after = small_network()(tokens), loaded.network(tokens)
    assert torch.allclose(before, after, atol=1e-3)  # half precision on disk
    assert after.dtype == torch.float32
    assert loaded.vocabulary == VOCABULARY
    assert loaded.provenance == {"steps": 7, "tokens": 99}
    assert "Apache-2.0" in loaded.licence
    assert not loaded.network.training


def test_either_suffix_or_none_names_it(saved):
    for path in (saved, saved.with_suffix(".safetensors"), saved.with_suffix(".json")):
        assert load_checkpoint(path).provenance["steps"] == 7


def test_it_is_two_plain_files_of_half_precision(saved):
    weights = saved.with_suffix(".safetensors")
    assert sorted(p.name for p in saved.parent.iterdir()) == ["tiny.json", "tiny.safetensors"]
    assert weights.stat().st_size < 2 * small_network().parameter_count() + 4096
    assert json.loads(saved.with_suffix(".json").read_text())["vocabulary"][3] == "Bar_None"


def test_missing(tmp_path):
    with pytest.raises(CheckpointError, match=r"no checkpoint .*nowhere.json; .*segue train"):
        load_checkpoint(tmp_path / "nowhere")


def test_missing_weights(saved):
    saved.with_suffix(".safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no .*tiny.safetensors beside tiny.json"):
        load_checkpoint(saved)


@pytest.mark.parametrize("keep", [0, 5, 4000])
def test_truncated(saved, keep):
    weights = saved.with_suffix(".safetensors")
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"truncated or damaged .*copy it again"):
        load_checkpoint(saved)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "another"}'])
def test_another_json(saved, text):
    saved.with_suffix(".json").write_text(text)
    with pytest.raises(CheckpointError, match=r"tiny\.json"):
        load_checkpoint(saved)


def rewritten(saved, **changes):
    path = saved.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def test_another_vocabulary(saved):
    rewritten(saved, vocabulary=list(VOCABULARY.tokens[:-1]))
    with pytest.raises(CheckpointError, match="361 tokens for a network of 362"):
        load_checkpoint(saved)
    rewritten(saved, vocabulary=[f"Word_{i}" for i in range(362)])
    with pytest.raises(CheckpointError, match="does not describe a network of this version"):
        load_checkpoint(saved)


@pytest.fixture
def nested(tmp_path):
    path = tmp_path / "weights" / "a step a note"
    torch.manual_seed(3)
    shape = NestedConfig(vocabulary=len(VOCABULARY), layers=1, width=16, heads=2, ffn=32, chain=24)
    checkpoint = Checkpoint(NestedNetwork(shape).eval(), VOCABULARY, {"steps": 8})
    save_checkpoint(path, checkpoint)
    return path


def test_a_nested_one_comes_back_as_it_went(nested):
    loaded = load_nested(nested)
    assert loaded.network.config.chain == 24
    assert loaded.provenance == {"steps": 8}
    torch.manual_seed(3)
    before = NestedNetwork(loaded.network.config).state_dict()
    after = loaded.network.state_dict()
    assert all(torch.allclose(before[name], after[name], atol=1e-3) for name in before)


def test_where_one_architecture_is_needed_the_other_gets_one_line(saved, nested):
    with pytest.raises(CheckpointError, match="describes a nested network where a flat one is"):
        load_checkpoint(nested)
    with pytest.raises(CheckpointError, match="describes a flat network where a nested one is"):
        load_nested(saved)
    assert load_any(nested).provenance == {"steps": 8}


def test_a_nested_one_of_other_words_is_refused(nested):
    others = [word.replace("12/8", "13/8") for word in VOCABULARY.tokens]
    rewritten(nested, vocabulary=others)
    with pytest.raises(CheckpointError, match="another vocabulary than this version's"):
        load_nested(nested)


def test_an_architecture_that_nobody_knows(saved):
    rewritten(saved, architecture="round")
    with pytest.raises(CheckpointError, match=r"'round', which .* knows flat and nested"):
        load_any(saved)


def test_the_first_checkpoints_did_not_say_that_they_are_flat(saved):
    path = saved.with_suffix(".json")
    described = json.loads(path.read_text())
    del described["architecture"]
    path.write_text(json.dumps(described))
    assert load_checkpoint(saved).provenance["steps"] == 7


def test_parts_of_two_checkpoints(saved, tmp_path):
    other = tmp_path / "other"
    save_checkpoint(
        other, Checkpoint(network=small_network(width=32), vocabulary=VOCABULARY, provenance={})
    )
    other.with_suffix(".safetensors").replace(saved.with_suffix(".safetensors"))
    with pytest.raises(CheckpointError, match="belong to different checkpoints"):
        load_checkpoint(saved)


def test_a_disk_that_refuses_leaves_the_old_one(saved, monkeypatch):
    before = saved.with_suffix(".safetensors").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save", full)
    with pytest.raises(CheckpointError, match=r"cannot write .*No space left"):
        save_checkpoint(
            saved, Checkpoint(network=small_network(), vocabulary=VOCABULARY, provenance={})
        )
    assert saved.with_suffix(".safetensors").read_bytes() == before
    assert sorted(p.name for p in saved.parent.iterdir()) == ["tiny.json", "tiny.safetensors"]


def test_the_default_lies_beside_the_module():
    assert default_checkpoint().parent.name == "weights"
    assert default_checkpoint().name == "segue-nested.safetensors"


def test_shipping_copies_it_to_the_weights(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(checkpoints, "weights_folder", lambda: tmp_path / "shipped")
    assert main([str(saved), "--name", "segue-flat"]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"]["steps"] == 7
    assert load_checkpoint(tmp_path / "shipped" / "segue-flat").provenance["tokens"] == 99


def test_shipping_what_is_not_there_fails(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "there is no checkpoint" in capsys.readouterr().err
