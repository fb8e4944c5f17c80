"""The variants of the network: each spelling is lossless, and what is taken away stays away."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.ablations.__main__ import main
from models.ablations.notes import OneKeyJudge, in_one_key, without_looks, without_phase
from models.ablations.spellings import BytePairs, Merged, Remi
from models.ablations.tokens import SpelledJudge, SpelledView
from models.augment import PLAIN
from models.judged import FIELDS, PITCH, Piece
from models.nested.events import COLUMNS, POSITION, encode
from models.nested.lookback import ALL_COLUMNS, SUGGESTED_ONSET
from models.nested.network import NestedConfig, NestedNetwork
from models.network import Network, NetworkConfig
from models.note_cache import open_shelves
from models.placing import METRE_LIST, Placed
from models.spelling import spelled
from models.vocabulary import standard_vocabulary

pytestmark = pytest.mark.usefixtures("one_thread")

V = standard_vocabulary()
FOUR_FOUR = METRE_LIST.index((4, 4))
SPELLINGS = ("remi", "merged", "byte pairs")


def placed(rows, *, bars=4):
    """(bar, step, pitch, duration, level) rows in 4/4."""
    return Placed(np.array(sorted(rows)).reshape(-1, 5), np.full(bars, FOUR_FOUR))


@st.composite
def music(draw):
    place = st.tuples(st.integers(0, 3), st.integers(0, 47), st.integers(40, 80))
    places = draw(st.lists(place, min_size=1, max_size=20, unique=True))
    rest = st.tuples(st.integers(1, 96), st.integers(0, 15))
    return placed([(*place, *draw(rest)) for place in places])


def scale(root=60, *, bars=4):
    return placed(
        [(bar, 12 * n, root + (0, 4, 7, 11)[n], 12, 9) for bar in range(bars) for n in range(4)],
        bars=bars,
    )


@pytest.fixture(scope="module")
def spellings():
    learnt_from = [spelled(scale(root), V) for root in range(50, 62)]
    found = Remi(V), Merged(V), BytePairs(learnt_from, V)
    return dict(zip(SPELLINGS, found, strict=True))


@pytest.mark.parametrize("name", SPELLINGS)
@given(piece=music())
def test_what_is_spelled_can_be_read_again(spellings, name, piece):
    spelling, tokens = spellings[name], spelled(piece, V)
    said, sizes = spelling.respell(tokens)
    assert np.array_equal(spelling.plain(said), tokens)
    assert sizes.sum() == len(tokens)
    assert ((said >= 0) & (said < spelling.size)).all()


def test_a_pitch_and_its_velocity_are_one_token_less(spellings):
    tokens = spelled(scale(), V)
    said, _ = spellings["merged"].respell(tokens)
    assert len(said) == len(tokens) - 16


def test_a_pitch_that_is_cut_off_from_its_velocity_stays(spellings):
    tokens = spelled(scale(), V)[:4]  # Bar, TimeSig, Position, Pitch
    said, _ = spellings["merged"].respell(tokens)
    assert said.tolist() == tokens.tolist()


def test_byte_pairs_shorten_what_they_were_learnt_from_and_stay_in_their_bar(spellings):
    spelling, tokens = spellings["byte pairs"], spelled(scale(55), V)
    said, sizes = spelling.respell(tokens)
    assert len(said) < len(tokens) / 2
    assert set(np.flatnonzero(tokens == V.bar)) <= {0, *np.cumsum(sizes)}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_note_costs_what_its_tokens_cost(spellings, name):
    """A network that finds all tokens alike pays the logarithm of their number for each."""
    spelling = spellings[name]
    network = Network(NetworkConfig(vocabulary=spelling.size, layers=1, width=16, heads=2, ffn=16))
    torch.nn.init.zeros_(network.embedding.weight)
    piece = Piece(((4, 4),) * 4, in_velocities(scale()), ends=True)
    bits = SpelledJudge(network.eval(), spelling).note_bits(piece)
    said, _ = spelling.respell(np.concatenate(([V.bos], spelled(scale(), V), [V.eos])))
    assert bits.shape == (16, len(FIELDS))
    assert bits.sum() == pytest.approx((len(said) - 1) * math.log2(spelling.size), rel=1e-4)


def test_a_piece_longer_than_the_context_is_judged_to_its_end(spellings):
    shape = NetworkConfig(vocabulary=len(V), layers=1, width=16, heads=2, ffn=16, context=32)
    network = Network(shape)
    torch.nn.init.zeros_(network.embedding.weight)
    piece = Piece(((4, 4),) * 4, in_velocities(scale()), ends=True)
    bits = SpelledJudge(network.eval(), spellings["remi"]).note_bits(piece)
    tokens = len(spelled(scale(), V)) + 1
    assert bits.sum() == pytest.approx(tokens * math.log2(len(V)), rel=1e-4)


def test_windows_are_spelled_and_filled(tmp_path, toy, spellings):
    data = toy.fill(tmp_path / "data", bars=40)
    spelling = spellings["byte pairs"]
    view = SpelledView(open_shelves(data, tmp_path / "cache"), spelling=spelling)
    view.chances = PLAIN
    windows = view.draw(np.random.default_rng(1), count=2, length=48)
    assert windows.shape == (2, 49, 2)
    for window in windows[..., 0].numpy():
        tokens = spelling.plain(window)
        assert tokens[0] == V.bos and V.bar in tokens[1:3]


def rows_of(piece, *, looks):
    events = encode(piece, ends=False)
    rows = np.zeros((1, len(events), ALL_COLUMNS), dtype=np.int64)
    rows[0, :, :COLUMNS] = events
    rows[0, :, SUGGESTED_ONSET:] = looks
    return torch.from_numpy(rows)


def network():
    torch.manual_seed(3)
    shape = NestedConfig(vocabulary=362, layers=1, width=32, heads=4, ffn=48, chain=48, context=64)
    made = NestedNetwork(shape)
    for name, parameter in made.named_parameters():  # so that looks say something from the start
        if "looks" in name:
            torch.nn.init.normal_(parameter)
    return made


def said(made, rows):
    deltas = torch.zeros(rows.shape[:2], dtype=torch.int64)
    known = made(rows[:, :-1], deltas[:, :-1])
    return made.chain(known, rows[:, :-1], rows[:, 1:], deltas[:, 1:])


def learns(made, rows):
    """A few updates that move whatever may move."""
    optimizer = torch.optim.AdamW(list(made.parameters()), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        sum((part.float() ** 2).mean() for part in said(made, rows)).backward()
        optimizer.step()


@pytest.mark.parametrize(("taken_away", "same"), [(False, False), (True, True)])
def test_a_network_without_looks_learns_nothing_of_them(taken_away, same):
    made = network()
    if taken_away:
        without_looks(made)
    some, others = (rows_of(scale(), looks=number) for number in (1, 2))
    learns(made, some)
    alike = [torch.equal(a, b) for a, b in zip(said(made, some), said(made, others), strict=True)]
    assert all(alike) is same


@pytest.mark.parametrize(("taken_away", "same"), [(False, False), (True, True)])
def test_a_network_without_phase_is_not_told_where_a_key_falls(taken_away, same):
    made = network()
    if taken_away:
        without_phase(made)
    rows = rows_of(scale(), looks=0)
    learns(made, rows)
    known = torch.randn(1, len(rows[0]), 32)
    later = rows.clone()
    later[..., POSITION] += 3
    deltas = torch.ones(rows.shape[:2], dtype=torch.int64)
    told = [made.say_onset(known, where, deltas) for where in (rows, later)]
    assert torch.equal(*told) is same


def in_velocities(piece):
    notes = piece.notes.copy()
    notes[:, 4] = 79
    return notes


@given(shift=st.integers(-6, 5))
def test_music_in_one_key_is_the_same_wherever_it_stood(shift):
    notes = in_velocities(scale())
    here = Piece(((4, 4),) * 4, notes)
    moved = notes.copy()
    moved[:, PITCH] += shift
    there = Piece(((4, 4),) * 4, moved)
    distance = in_one_key(here).notes[:, PITCH] - in_one_key(there).notes[:, PITCH]
    assert len(set(distance.tolist())) == 1 and distance[0] % 12 == 0


def test_which_key_it_is_has_to_be_paid_for():
    class Free:
        def note_bits(self, piece):
            return np.zeros((len(piece), len(FIELDS)))

    piece = Piece(((4, 4),) * 4, in_velocities(scale()))
    assert OneKeyJudge(Free()).note_bits(piece).sum() == pytest.approx(math.log2(12))


@pytest.mark.parametrize(
    "variant", [["--architecture", "flat", "--spelling", "merged"], ["--one-key"]]
)
def test_a_run_prints_what_it_cost_and_what_music_costs_it(tmp_path, toy, capsys, variant):
    data = toy.fill(tmp_path / "data")
    for bars in range(9, 30):  # no two alike, so that some fall to the validation split
        (data / f"{bars} bars.mid").write_bytes(toy.scale(bars=bars))
    words = ["--data", str(data), "--out", str(tmp_path / "run"), "--steps", "2", "--batch", "1"]
    shape = ["--layers", "1", "--width", "32", "--context", "32", "--precision", "float32"]
    assert main([*words, *shape, *variant]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["steps"] == 2
    assert row["bits"] == pytest.approx(sum(row[field] for field in FIELDS), abs=0.01)
    assert json.loads((tmp_path / "run" / "row.json").read_text()) == row


def test_without_a_piece_to_judge_it_says_so(tmp_path, toy, capsys):
    data = toy.fill(tmp_path / "data", pieces=2)
    assert main(["--data", str(data), "--out", str(tmp_path / "run"), "--steps", "1"]) == 2
    assert "give more files" in capsys.readouterr().err
