"""Where pieces lie: which are found, what split they fall to, and what they weigh."""

import json
import zipfile
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.corpus import CorpusError, find_pieces, split_by_name


@given(st.text(min_size=1))
def test_a_name_has_one_split_for_ever(name):
    assert split_by_name(name) == split_by_name(name) in {"train", "valid", "test"}


def test_splits_are_about_90_5_5():
    splits = [split_by_name(f"piece {i}.mid") for i in range(4000)]
    assert 0.88 < splits.count("train") / 4000 < 0.92
    assert 0.035 < splits.count("valid") / 4000 < 0.065


def curated(root, toy):
    for kind in ("permissive", "copyleft"):
        (root / kind).mkdir(parents=True)
    entries = [("pop", "permissive"), ("jazz", "permissive"), ("folk", "copyleft")]
    index, splits = [], {"train": [], "valid": [], "test": []}
    for name, kind in entries:
        with zipfile.ZipFile(root / kind / f"{name}.zip", "w") as archive:
            for number, split in enumerate(["train", "train", "valid", "test"]):
                archive.writestr(f"{number}.mid", toy.scale(60 + number))
                file = f"{kind}/{name}.zip::{number}.mid"
                index.append({"id": f"{name}/{number}", "corpus": name, "file": file})
                splits[split].append(f"{name}/{number}")
    mix = {"comment": "", "pop": 0.6, "jazz": 0.2, "copyleft_optional": {"folk": 0.2}}
    (root / "index.jsonl").write_text("\n".join(map(json.dumps, index)))
    (root / "splits.json").write_text(json.dumps(splits))
    (root / "recommended_mix.json").write_text(json.dumps(mix))
    return root


def test_a_curated_folder_brings_its_splits_and_weights(tmp_path, toy):
    pieces, weights = find_pieces(curated(tmp_path, toy))
    assert (weights["pop"], weights["jazz"]) == (0.6, 0.2)
    splits = Counter(piece.split for piece in pieces if piece.corpus == "jazz")
    assert splits == {"train": 2, "valid": 1, "test": 1}


def test_copyleft_is_read_only_when_asked_for(tmp_path, toy):
    data = curated(tmp_path / "data", toy)
    assert {piece.corpus for piece in find_pieces(data)[0]} == {"pop", "jazz"}
    assert {piece.corpus for piece in find_pieces(data, copyleft=True)[0]} == {
        *("pop", "jazz", "folk")
    }


def test_useless_data_gets_one_line(tmp_path):
    with pytest.raises(CorpusError, match=r"there is no .*elsewhere"):
        find_pieces(tmp_path / "elsewhere")
    with pytest.raises(CorpusError, match="no MIDI files in"):
        find_pieces(tmp_path)
    (tmp_path / "a.zip").write_bytes(b"PK, but not really")
    with pytest.raises(CorpusError, match=r"a\.zip is not a readable zip"):
        find_pieces(tmp_path)
    (tmp_path / "index.jsonl").write_text("{}")
    (tmp_path / "splits.json").write_text("{}")
    with pytest.raises(CorpusError, match=r"index of .* cannot be read"):
        find_pieces(tmp_path)
