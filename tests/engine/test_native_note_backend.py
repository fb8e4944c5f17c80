"""The kernel says of rows what the reference says, and the same bits on every way to them."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backends import open_model
from engine.cache import Logits
from engine.decoder import Decoder
from engine.measured import drawn_rows
from engine.native_backend import paths, unfit
from engine.native_note_backend import NativeNoteBackend
from engine.protocol import Continue, Controls, Meter, Note, Prompt
from engine.rows import NoteBackend, Row, Rows
from engine.tokens import Placed, Tokenizer
from engine.torch_note_backend import TorchNoteBackend
from models.checkpoint import Checkpoint, save_checkpoint
from models.nested.network import NestedConfig, NestedNetwork
from models.vocabulary import standard_vocabulary

VOCABULARY = standard_vocabulary()
CONTEXT = 80
#: No number is a multiple of the kernel's vectors and groups but those that have to be.
SHAPE = {
    "layers": 2,
    "width": 96,
    "heads": 3,
    "ffn": 131,
    "chain": 43,
    "vocabulary": len(VOCABULARY),
    "context": CONTEXT,
}

pytestmark = pytest.mark.skipif(
    bool(unfit(SHAPE)), reason="built without a compiler; the reference plays"
)


@pytest.fixture(scope="module")
def network() -> NestedNetwork:
    """A network whose opinions are as strong as a trained one's."""
    torch.manual_seed(7)
    network = NestedNetwork(NestedConfig(**SHAPE)).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if parameter.dim() == 1:
            parameter.data *= 1 + 0.2 * torch.randn(parameter.shape)
        elif "looks" in name:  # which are zero at first
            parameter.data.normal_(std=0.1)
        elif not name.startswith("said_"):  # which are large from the first
            parameter.data *= 6
    return network


@pytest.fixture(scope="module")
def weights(network: NestedNetwork) -> dict[str, np.ndarray[Any, Any]]:
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def pair(weights: dict[str, Any]) -> tuple[NativeNoteBackend, NativeNoteBackend]:
    """One to be fed this and that, and one that is always cold."""
    return NativeNoteBackend(SHAPE, weights), NativeNoteBackend(SHAPE, weights)


def music() -> list[Row]:
    """Notes in three metres, chords and rests among them, and the length of an hour."""
    meters = (Meter(0.0, 4, 4), Meter(32.0, 6, 8), Meter(80.0, 3, 4))
    tokenizer = Tokenizer(VOCABULARY, meters)
    random = np.random.default_rng(3)
    rows = Rows(tokenizer, first_bar=0)
    notes = []
    for bar in np.cumsum(random.integers(0, 4, CONTEXT)).tolist():
        step = int(random.integers(0, tokenizer.grid.bar(bar).steps))
        for pitch in random.choice(88, random.integers(1, 4), replace=False).tolist():
            length, force = (int(random.integers(0, most)) for most in (96, 16))
            words = VOCABULARY
            notes.append(
                Placed(
                    bar,
                    step,
                    words.pitches[pitch],
                    words.durations[length],
                    words.velocities[force],
                )
            )
    rows.spell(sorted(notes))
    return rows.rows[:CONTEXT]


ROWS = music()


def said(backend: NoteBackend, row: Row, following: Row) -> list[Logits]:
    """All four logits after a row, where `following` is what follows."""
    onset = backend.next(row).copy()
    return [onset, *chain(backend, following)]


def chain(backend: NoteBackend, row: Row) -> list[Logits]:
    key = backend.say_where(row).copy()
    length = backend.say_key(row.key).copy()
    return [key, length, backend.say_length(row.length).copy()]


def shares(logits: Logits) -> np.ndarray[Any, Any]:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return weights / weights.sum()  # type: ignore[no-any-return]


def distance(one: Logits, other: Logits) -> float:
    """Total variation: the share of answers that would be drawn otherwise."""
    return float(0.5 * np.abs(shares(one) - shares(other)).sum())


def test_it_says_what_the_reference_says(network: NestedNetwork, weights: dict[str, Any]) -> None:
    kernel, reference = NativeNoteBackend(SHAPE, weights), TorchNoteBackend(network)
    distances, same, strongest = [], [], []
    for row, following in pairwise(ROWS):
        found, expected = said(kernel, row, following), said(reference, row, following)
        for one, other in zip(found, expected, strict=True):
            distances.append(distance(one, other))
            same.append(one.argmax() == other.argmax())
            strongest.append(shares(other).max())
    assert np.median(strongest) > 0.05  # the comparison is about something
    assert np.mean(distances) < 0.02
    assert max(distances) < 0.15
    assert np.mean(same) > 0.95


def test_every_instruction_set_gives_the_same_bits(weights: dict[str, Any]) -> None:
    found = []
    for path in paths():
        backend = NativeNoteBackend(SHAPE, weights, path=path)
        backend.append(ROWS[:41])
        found.append(np.concatenate(said(backend, ROWS[41], ROWS[42])))
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("path", paths() if not unfit(SHAPE) else ())
def test_alone_or_in_a_chunk_gives_the_same_bits(weights: dict[str, Any], path: str) -> None:
    alone, whole = (NativeNoteBackend(SHAPE, weights, path=path) for _ in range(2))
    found = [
        np.concatenate(said(alone, row, following))
        for row, following in zip(ROWS, [*ROWS[1:], ROWS[1]], strict=True)
    ]
    for count in (1, 2, 5, 31, 32, 33, 70):  # around the kernel's batches
        whole.rewind(0)
        onset = whole.append(ROWS[:count]).copy()
        again = np.concatenate([onset, *chain(whole, ROWS[count])])
        np.testing.assert_array_equal(again, found[count - 1])


actions = st.lists(
    st.one_of(
        st.integers(1, 40),  # append so many
        st.floats(0, 1).map(lambda share: ("rewind", share)),
        st.just("chain"),
    ),
    min_size=1,
    max_size=20,
)


@settings(deadline=None)
@given(actions=actions)
def test_after_any_history_the_logits_are_those_of_a_cold_cache(
    pair: tuple[NativeNoteBackend, NativeNoteBackend], actions: list[Any]
) -> None:
    fed, cold = pair
    fed.rewind(0)
    held = 0
    for action in actions:
        if isinstance(action, tuple):
            held = int(action[1] * held)
            fed.rewind(held)
        elif action == "chain":
            if held:
                chain(fed, ROWS[1])
        elif held + action > CONTEXT:
            with pytest.raises(ValueError, match=f"holds {CONTEXT}"):
                fed.append([ROWS[1]] * action)
        else:
            found = fed.append(ROWS[held : held + action]).copy()
            held += action
            cold.rewind(0)
            np.testing.assert_array_equal(found, cold.append(ROWS[:held]))
            np.testing.assert_array_equal(chain(fed, ROWS[1])[-1], chain(cold, ROWS[1])[-1])
            assert fed.length == held


def test_what_cannot_be_taken_is_refused_and_changes_nothing(weights: dict[str, Any]) -> None:
    backend = NativeNoteBackend(SHAPE, weights)
    backend.append(ROWS[:3])
    for wrong in (ROWS[3]._replace(key=-1), ROWS[3]._replace(delta=-5000)):
        with pytest.raises(ValueError, match="no entry for"):
            backend.append([wrong])
        with pytest.raises(ValueError, match="no entry for"):
            backend.next(wrong)
    with pytest.raises(ValueError, match="no entry for"):
        backend.say_key(5000)
    with pytest.raises(ValueError, match="0 rows cannot be added to 3"):
        backend.append([])
    with pytest.raises(ValueError, match="cannot rewind 3"):
        backend.rewind(4)
    cold = NativeNoteBackend(SHAPE, weights)
    np.testing.assert_array_equal(backend.next(ROWS[3]), cold.append(ROWS[:4]))


def test_networks_that_do_not_fit_are_refused(weights: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no stages\.0\.ffn\.gate_up of \(100, 96\)"):
        NativeNoteBackend(SHAPE | {"chain": 50}, weights)
    with pytest.raises(ValueError, match="no number of chain"):
        NativeNoteBackend({name: SHAPE[name] for name in SHAPE if name != "chain"}, weights)
    with pytest.raises(ValueError, match="not of 24"):
        NativeNoteBackend(SHAPE | {"heads": 4}, weights)


def test_a_checkpoint_plays_in_the_kernel_and_the_same_seed_gives_the_same_notes(
    network: NestedNetwork, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "notes", Checkpoint(network, VOCABULARY, {}))
    heard = []
    for _ in range(2):
        model = open_model(tmp_path / "notes")
        assert model.kind == "native"
        decoder = Decoder(model.backend, model.vocabulary)
        played = tuple((k, Note(k / 2, 60 + k % 12, 0.5, 80)) for k in range(32))
        decoder.apply(Prompt(played, (), (Meter(0.0, 4, 4),)))
        answer = decoder.answer(Continue(1, 16.0, 32.0, Controls(), 5))
        notes = []
        while not answer.finished:
            notes.append(answer.step())
        heard.append([note for note in notes if note])
    assert heard[0] == heard[1] and len(heard[0]) > 4
    reference = open_model(tmp_path / "notes", backend="torch")
    assert model.parameters == reference.parameters


def test_drawn_rows_are_rows_of_music() -> None:
    rows = drawn_rows(20, VOCABULARY)
    assert len(rows) == 20 and all(row.delta == 6 for row in rows[2:])
