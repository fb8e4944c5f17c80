"""The nested network: with its cache as without, stage by stage as all at once."""

import numpy as np
import pytest
import torch

from models.architectures import event_nats
from models.nested.events import KEY, LENGTH, ONSETS, POSITION, POSITIONS, TIME, encode
from models.nested.lookback import (
    ALL_COLUMNS,
    LOOKS,
    SAID_FORCE,
    SAID_KEY,
    SAID_LENGTH,
    SUGGESTED_ONSET,
    suggestions,
)
from models.nested.network import NestedConfig, NestedNetwork, deltas_of, looks
from models.nested.sizes import FORCE_STAGE, KEY_STAGE, LENGTH_STAGE, ONSET_STAGE
from models.nested.windows import HELD
from models.placing import Placed

CONFIG = NestedConfig(vocabulary=362, layers=2, width=32, heads=4, ffn=64, chain=48, context=64)


@pytest.fixture
def network():
    torch.manual_seed(5)
    return NestedNetwork(CONFIG).eval()


def tune(bars=8, *, later=0):
    """Rows of a broken chord, four notes a bar; `later` moves their time alone."""
    notes = [(bar, 12 * n, 60 + 4 * n, 12, 9) for bar in range(bars) for n in range(4)]
    rows = encode(Placed(np.array(notes), np.full(bars, 3)), ends=True)
    rows[:, TIME] += later
    return seen_back(rows)


def seen_back(rows):
    """A batch of one, with what the past suggests."""
    held = np.zeros((len(rows), 1), dtype=np.int64)
    columns = np.concatenate((rows, held, suggestions(rows.tolist())), axis=1)
    return torch.from_numpy(columns)[None]


@torch.no_grad()
def test_the_cache_changes_nothing(network):
    rows = tune()
    deltas = deltas_of(rows)
    whole = network(rows, deltas)
    keys, values = network.empty_cache()
    cached = []
    for start, end in ((0, 9), (9, 10), (10, 11), (11, 20), (20, rows.shape[1])):
        part = network(
            rows[:, start:end], deltas[:, start:end], keys=keys, values=values, start=start
        )
        cached.append(part)
    assert torch.allclose(torch.cat(cached, dim=1), whole, atol=1e-5)


@torch.no_grad()
def test_only_differences_of_time_count(network):
    early, late = tune(), tune(later=4800)
    assert torch.allclose(
        network(early, deltas_of(early)), network(late, deltas_of(late)), atol=1e-3
    )


@torch.no_grad()
def test_the_future_is_not_seen(network):
    rows = tune()
    other = rows.clone()
    other[0, 12:, [KEY, LENGTH]] = 3
    before, after = network(rows, deltas_of(rows)), network(other, deltas_of(other))
    assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.allclose(before[:, 12:], after[:, 12:])


@torch.no_grad()
def test_a_field_sees_the_fields_before_it_alone(network):
    rows = tune()[:, :9]
    deltas = deltas_of(rows)
    known = network(rows[:, :-1], deltas[:, :-1])
    told = rows[:, 1:].clone()
    before = network.chain(known, rows[:, :-1], told, deltas[:, 1:])
    told[..., KEY] = 40
    after = network.chain(known, rows[:, :-1], told, deltas[:, 1:])
    same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    # onset, key, length, force, next metre
    assert same == [True, True, False, False, True]


@torch.no_grad()
def test_stage_after_stage_is_the_chain(network):
    rows = tune()[:, :6]
    deltas = deltas_of(rows)
    known = network(rows[:, :-1], deltas[:, :-1])
    last, told, steps = rows[:, :-1], rows[:, 1:], deltas[:, 1:]
    onset, key, length, force, _ = network.chain(known, last, told, steps)
    stream = network.stage(ONSET_STAGE, known)
    assert torch.allclose(network.onset_logits(stream, last), onset)
    stream = network.stage(KEY_STAGE, network.say_onset(stream, told, steps))
    assert torch.allclose(network.logits(KEY_STAGE, stream, looks(told, SAID_KEY)), key)
    stream = network.stage(LENGTH_STAGE, network.say_key(stream, told))
    assert torch.allclose(network.logits(LENGTH_STAGE, stream, looks(told, SAID_LENGTH)), length)
    stream = network.stage(FORCE_STAGE, network.say_length(stream, told))
    assert torch.allclose(network.logits(FORCE_STAGE, stream, looks(told, SAID_FORCE)), force)


@torch.no_grad()
def test_a_gate_raises_what_its_look_suggests_and_nothing_else(network):
    rows = tune()
    last, look, opened = rows[:, 8:9], 0, 1.5
    symbol = int(last[0, 0, SUGGESTED_ONSET + look])
    assert symbol < ONSETS
    stream = torch.ones(1, 1, CONFIG.width)
    before = network.onset_logits(stream, last)
    # The stream is all ones when it is normed, so that a row of equal numbers adds up to `opened`.
    network.stages[ONSET_STAGE].head.weight[ONSETS + look] += opened / CONFIG.width
    raised = network.onset_logits(stream, last) - before
    assert raised[0, 0, symbol] == pytest.approx(opened, rel=1e-4)
    raised[0, 0, symbol] = 0
    assert not raised.any()


@torch.no_grad()
def test_a_distance_is_one_thing_at_any_place_in_the_bar(network):
    rows, quaver = tune(), 6
    stream = torch.ones(1, rows.shape[1], CONFIG.width)
    before = network.onset_logits(stream, rows)
    network.stages[ONSET_STAGE].head.weight[ONSETS + LOOKS + quaver] += 1 / CONFIG.width
    raised = (network.onset_logits(stream, rows) - before)[0]
    for row, scores in zip(rows[0, 1:5], raised[1:5], strict=True):  # on each crotchet
        assert scores.nonzero().flatten().tolist() == [int(row[POSITION]) + quaver]
    tied = rows[:, 4:5].clone()
    tied[..., POSITION] = 45  # three steps before the line
    before = network.onset_logits(stream[:, :1], tied)
    network.stages[ONSET_STAGE].head.weight[ONSETS + LOOKS + quaver] += 1 / CONFIG.width
    raised = (network.onset_logits(stream[:, :1], tied) - before)[0, 0]
    # 51 steps into a bar of 48: in this network's next bar, or in this one were it so long.
    assert raised.nonzero().flatten().tolist() == [51, POSITIONS + 3]


@torch.no_grad()
def test_what_is_no_note_costs_an_onset_alone_and_a_held_length_nothing(network):
    rows = tune(bars=2)
    assert rows.shape[2] == ALL_COLUMNS
    rows[0, 3, HELD] = 1
    nats = event_nats(network, rows)[0]
    assert nats.shape == (9, 4)
    assert (nats[-1] > 0).tolist() == [True, False, False, False]  # the end
    assert (nats[2] > 0).tolist() == [True, True, False, True]  # the held one
    assert (nats[:2] > 0).all()


def test_too_long_a_sequence_and_too_odd_a_shape_are_errors(network):
    rows = tune(bars=17)
    with pytest.raises(ValueError, match="70 rows do not fit into a context of 64"):
        network(rows, deltas_of(rows))
    with pytest.raises(ValueError, match="cannot be split into 4 heads"):
        NestedConfig(vocabulary=362, width=30)
    with pytest.raises(ValueError, match="chain of the network is 0"):
        NestedConfig(vocabulary=362, chain=0)
