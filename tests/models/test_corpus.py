"""From MIDI files to tokens on disk: what is read, what is left out, and what is said about it."""

import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import corpus
from models.corpus import CorpusError, find_pieces, open_corpora, split_by_name
from models.scores import ScoreError, supported_metre, tokens_of
from models.vocabulary import build_tokenizer, standard_vocabulary

V = standard_vocabulary()


@pytest.fixture(scope="module")
def words():
    """MIDI bytes to token words."""
    tokenizer = build_tokenizer()
    return lambda midi: [V.tokens[i] for i in tokens_of(midi, V, tokenizer)]


def pitches(tokens):
    return [int(t.split("_")[1]) for t in tokens if t.startswith("Pitch")]


def test_hands_become_one_stream(words, toy):
    hands = [("RH", 0, [(0, 72, 1), (1, 74, 1)]), ("LH", 1, [(0, 48, 2)])]
    assert words(toy.midi_file(hands)) == [
        *("Bar_None", "TimeSig_4/4"),
        *("Position_0", "Pitch_48", "Velocity_79", "Duration_2.0.12"),
        *("Pitch_72", "Velocity_79", "Duration_1.0.12"),
        *("Position_12", "Pitch_74", "Velocity_79", "Duration_1.0.12"),
    ]


def test_drums_and_written_accompaniment_are_left_out(words, toy):
    band = [
        ("SOLO", 0, [(0, 67, 1)]),
        ("COMP_SYNTH", 1, [(0, 48, 4)]),
        ("Kit", 9, [(0, 36, 1)]),
    ]
    assert pitches(words(toy.midi_file(band))) == [67]


def test_a_piece_begins_with_the_bar_of_its_first_note(words, toy):
    late = toy.midi_file([("SOLO", 0, [(17, 60, 1), (25, 62, 1)])])
    assert words(late)[:3] == ["Bar_None", "TimeSig_4/4", "Position_12"]
    assert words(late).count("Bar_None") == 3  # the empty bar in the middle stays


@pytest.mark.parametrize(
    ("written", "read"),
    [
        *(((4, 4), (4, 4)), ((6, 8), (6, 8)), ((2, 2), (4, 4)), ((3, 2), (6, 4))),
        *(((4, 2), (8, 4)), ((4, 8), (2, 4)), ((6, 16), (3, 8)), ((12, 16), (6, 8))),
    ],
)
def test_metres_keep_the_length_of_their_bar(written, read):
    assert supported_metre(*written) == read
    assert written[0] / written[1] == read[0] / read[1]


@pytest.mark.parametrize("written", [(9, 16), (15, 8), (9, 4), (0, 4), (4, 0)])
def test_other_metres_are_refused(written):
    with pytest.raises(ScoreError, match=f"metre {written[0]}/{written[1]}"):
        supported_metre(*written)


@pytest.mark.parametrize(
    ("midi", "reason"),
    [
        (b"", "not a readable MIDI file"),
        (b"MThd\x00\x00\x00\x06\x00\x01", "not a readable MIDI file"),
        (b"this is no music", "not a readable MIDI file"),
        (b"\x00" * 20_000_001, "too large"),
    ],
)
def test_broken_files_have_a_reason(words, midi, reason):
    with pytest.raises(ScoreError, match=reason):
        words(midi)


def test_files_without_keys_have_a_reason(words, toy):
    for notes in ([], [("Kit", 9, [(0, 36, 1)])], [("SOLO", 0, [(0, 5, 1)])]):
        with pytest.raises(ScoreError, match="no notes"):
            words(toy.midi_file(notes))


def test_one_stray_note_does_not_fill_the_disk(words, toy):
    with pytest.raises(ScoreError, match="too long"):
        words(toy.midi_file([("SOLO", 0, [(0, 60, 1), (100_000, 60, 1)])]))


@given(st.text(min_size=1))
def test_a_name_has_one_split_for_ever(name):
    assert split_by_name(name) == split_by_name(name) in {"train", "valid", "test"}


def test_splits_are_about_90_5_5():
    splits = [split_by_name(f"piece {i}.mid") for i in range(4000)]
    assert 0.88 < splits.count("train") / 4000 < 0.92
    assert 0.035 < splits.count("valid") / 4000 < 0.065


@pytest.fixture(scope="module")
def folder(tmp_path_factory, toy):
    """Scales, a zip of scales, and what every folder of MIDI holds: broken and odd files."""
    root = tmp_path_factory.mktemp("data")
    toy.fill(root / "loose", pieces=8)
    with zipfile.ZipFile(root / "more.zip", "w") as archive:
        archive.writestr("deep/a.mid", toy.scale(60))
        archive.writestr("readme.txt", "no music")
    (root / "broken.mid").write_bytes(b"MThd and nothing")
    (root / "odd.mid").write_bytes(toy.midi_file([("RH", 0, [(0, 60, 1)])], metre=(15, 8)))
    return root


def test_a_folder_is_tokenized_once(folder, tmp_path, monkeypatch):
    first = open_corpora(folder, tmp_path, workers=1)
    assert first.left_out == {"not a readable MIDI file": 1, "metre 15/8": 1}
    assert sum(len(tokens) for tokens in first.by_name["midi"].values()) == 9
    assert "9 pieces in 1 corpora" in first.report()
    assert "2 left out (1 metre 15/8, 1 not a readable MIDI file)" in first.report()
    train = first.by_name["midi"]["train"]
    assert train.tokens.dtype == np.int16
    assert all(train.tokens[start] == V.bar for start in train.offsets[:-1])

    monkeypatch.setattr(corpus, "_tokenize_all", None)  # may not be called again
    again = open_corpora(folder, tmp_path, workers=1)
    assert np.array_equal(again.by_name["midi"]["train"].tokens, train.tokens)
    assert again.left_out == first.left_out

    (tmp_path / "midi.train.tokens.npy").write_bytes(b"")
    with pytest.raises(CorpusError, match=r"token cache .* is damaged .*delete it"):
        open_corpora(folder, tmp_path, workers=1)


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
    data = curated(tmp_path / "data", toy)
    found = open_corpora(data, tmp_path / "cache", workers=1)
    assert found.weights == {"pop": pytest.approx(0.75), "jazz": pytest.approx(0.25)}
    sizes = {split: len(tokens) for split, tokens in found.by_name["jazz"].items()}
    assert sizes == {"train": 2, "valid": 1, "test": 1}


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
