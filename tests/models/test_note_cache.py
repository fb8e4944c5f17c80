"""From MIDI files to notes on disk, once: what is kept, left out, and said about it."""

import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import note_cache
from models.architectures import NoteView
from models.corpus import CorpusError
from models.note_cache import Shelf, Shelves, open_shelves
from models.performance import NOTE, Performance, performance_of
from models.placing import Bars
from models.scores import ScoreError


def test_a_performance_keeps_times_voices_and_bars(toy):
    hands = [
        ("RH", 0, [(5, 72, 1), (6.05, 74, 1)]),
        ("LH", 1, [(5, 48, 2)]),
        ("Kit", 9, [(0, 36, 1)]),
    ]
    found = performance_of(toy.midi_file(hands))
    assert found.notes["pitch"].tolist() == [72, 48, 74]
    assert found.notes["voice"].tolist() == [0, 1, 0]
    assert found.notes["onset"].tolist() == [1, 1, 2.05]  # from the bar of the first note
    assert found.bars.starts[:2].tolist() == [0, 4]
    assert found.bars.starts[-1] > 6.05
    assert found.bpm == 120


@pytest.mark.parametrize(
    ("midi", "reason"),
    [(b"", "not a readable MIDI file"), (b"\x00" * 20_000_001, "too large")],
)
def test_broken_files_have_a_reason(midi, reason):
    with pytest.raises(ScoreError, match=reason):
        performance_of(midi)


def test_files_without_keys_and_endless_ones_have_a_reason(toy):
    for notes in ([], [("Kit", 9, [(0, 36, 1)])], [("SOLO", 0, [(0, 5, 1)])]):
        with pytest.raises(ScoreError, match="no notes"):
            performance_of(toy.midi_file(notes))
    with pytest.raises(ScoreError, match="too long"):
        performance_of(toy.midi_file([("SOLO", 0, [(0, 60, 1), (100_000, 60, 1)])]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, toy):
    """Scales, a zip of scales, one of them twice, and what every folder of MIDI holds."""
    root = tmp_path_factory.mktemp("data")
    toy.fill(root / "loose", pieces=8)
    with zipfile.ZipFile(root / "more.zip", "w") as archive:
        archive.writestr("deep/a.mid", toy.scale(70))
        archive.writestr("deep/the same.mid", toy.scale(70))
        archive.writestr("readme.txt", "no music")
    (root / "broken.mid").write_bytes(b"MThd and nothing")
    (root / "odd.mid").write_bytes(toy.midi_file([("RH", 0, [(0, 60, 1)])], metre=(15, 8)))
    return root


def test_a_folder_is_read_once(folder, tmp_path, monkeypatch):
    first = open_shelves(folder, tmp_path, workers=1)
    assert first.left_out == {"not a readable MIDI file": 1, "metre 15/8": 1, "a duplicate": 1}
    assert sum(len(shelf) for shelf in first.by_name["midi"].values()) == 9
    assert "9 pieces in 1 corpora, 0.0M notes; 3 left out (1 a duplicate," in first.report()

    monkeypatch.setattr(note_cache, "_read_all", None)  # may not be called again
    again = open_shelves(folder, tmp_path, workers=1)
    train = again.by_name["midi"]["train"]
    assert train.notes.tolist() == first.by_name["midi"]["train"].notes.tolist()
    assert again.left_out == first.left_out

    (tmp_path / "midi.train.notes.npy").write_bytes(b"")
    with pytest.raises(CorpusError, match=r"cache of notes .* is damaged .*delete it"):
        open_shelves(folder, tmp_path, workers=1)


def test_a_piece_comes_back_from_the_shelf_as_it_was_read(folder, tmp_path, toy):
    shelf = open_shelves(folder, tmp_path, workers=1).by_name["midi"]["train"]
    read = [performance_of(toy.scale(54 + number, bars=8)) for number in range(8)]
    expected = {tuple(p.placed().notes.flatten().tolist()) for p in read}
    found = {
        tuple(shelf.performance(i).placed().notes.flatten().tolist()) for i in range(len(shelf))
    }
    assert expected & found
    assert all(np.diff(shelf.pieces["note"]) > 0)


def test_of_two_equal_pieces_the_one_to_test_on_stays(tmp_path, toy):
    data = tmp_path / "data"
    data.mkdir()
    splits = {"train": ["a/0", "a/1"], "valid": [], "test": ["a/2"]}
    with zipfile.ZipFile(data / "a.zip", "w") as archive:
        for number, root in enumerate((60, 62, 60)):
            archive.writestr(f"{number}.mid", toy.scale(root))
    index = [{"id": f"a/{n}", "corpus": "a", "file": f"a.zip::{n}.mid"} for n in range(3)]
    (data / "index.jsonl").write_text("\n".join(map(json.dumps, index)))
    (data / "splits.json").write_text(json.dumps(splits))
    (data / "recommended_mix.json").write_text(json.dumps({"a": 0.6}))
    found = open_shelves(data, tmp_path / "cache", workers=1)
    sizes = {split: len(shelf) for split, shelf in found.by_name["a"].items()}
    assert sizes == {"train": 1, "valid": 0, "test": 1}
    assert found.left_out == {"a duplicate": 1}
    assert found.weights == {"a": 1.0}


def shelves(sizes, weights):
    """Shelves with a piece of so many notes in each training split."""
    bars = Bars(np.array([0.0]), np.array([0]), 1)
    by_name = {}
    for name, size in sizes.items():
        notes = np.zeros(size, dtype=NOTE)
        notes["duration"] = 1.0
        train = Shelf.of([Performance(notes=notes, bars=bars, bpm=120.0)])
        by_name[name] = {"train": train, "valid": Shelf.of([]), "test": Shelf.of([])}
    total = sum(weights.values())
    return Shelves(by_name, {name: weight / total for name, weight in weights.items()}, {})


corpora = st.integers(1, 6).flatmap(
    lambda count: st.tuples(
        st.lists(st.integers(1, 1000), min_size=count, max_size=count),
        st.lists(st.floats(0.01, 1.0), min_size=count, max_size=count),
    )
)


@given(corpora, st.floats(1.0, 20.0))
def test_no_corpus_comes_round_more_often_than_is_allowed(corpora, most):
    sizes, weights = ({str(n): part for n, part in enumerate(parts)} for parts in corpora)
    mix = shelves(sizes, weights)
    found = mix.weights_within(most)
    limits = {name: most * size / sum(sizes.values()) for name, size in sizes.items()}
    assert sum(found.values()) == pytest.approx(1)
    assert all(share <= limits[name] * (1 + 1e-9) for name, share in found.items())
    # What was not cut stands as it stood, each to each, and has more than before.
    whole = [name for name in found if found[name] < limits[name] * (1 - 1e-9)]
    assert len({round(found[name] / mix.weights[name], 6) for name in whole}) <= 1
    assert all(found[name] >= mix.weights[name] * (1 - 1e-9) for name in whole)


def test_rounds_are_of_the_training_alone():
    mix = shelves({"jazz": 100, "songs": 900}, {"jazz": 0.5, "songs": 0.5})
    mix.by_name["songs"]["valid"] = mix.by_name["songs"]["train"]
    mix.by_name["jazz"]["valid"] = mix.by_name["jazz"]["train"]
    view = NoteView(mix, most_rounds=2)
    assert view.weights == pytest.approx({"jazz": 0.2, "songs": 0.8})
    assert view.train.shares.tolist() == pytest.approx([0.2, 0.8])
    assert view.valid.shares.tolist() == pytest.approx([0.5, 0.5])


def test_data_without_a_piece_to_train_on_gets_one_line(tmp_path):
    (tmp_path / "broken.mid").write_bytes(b"MThd and nothing")
    with pytest.raises(CorpusError, match=r"no piece of .* can be trained on: .*not a readable"):
        open_shelves(tmp_path, tmp_path / "cache", workers=1)
