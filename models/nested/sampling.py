"""Goes on writing notes after some rows, field by field, never against the grammar.

Knows events, the network and random choice; knows no files, beats or live players. The reference
for a faster decoder: plain PyTorch with a cache of keys and values.

The grammar, as masks over each field's choices: onsets go forward, first from where the caller
says on; notes of one onset go upwards; steps lie in their bar; a rest stays within one metre and
before the last bar; the music does not end by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.nested.events import (
    AHEAD,
    COLUMNS,
    FORCE,
    KEY,
    KEYS,
    LENGTH,
    METRE,
    NO_FORCE,
    NO_KEY_REST,
    NO_LENGTH,
    ONSET,
    ONSETS,
    POSITION,
    POSITIONS,
    REST,
    RESTS,
    TIME,
    opened_at,
    opening,
)
from models.nested.lookback import (
    ALL_COLUMNS,
    SAID_FORCE,
    SAID_KEY,
    SAID_LENGTH,
    SUGGESTED_ONSET,
    Lookback,
)
from models.nested.network import NestedNetwork, deltas_of, looks
from models.nested.sizes import FORCE_STAGE, KEY_STAGE, LENGTH_STAGE, ONSET_STAGE
from models.placing import BAR_STEPS, Integers
from models.vocabulary import LOWEST_PITCH

Mask = NDArray[np.bool_]


class Place(NamedTuple):
    """A step of a bar."""

    bar: int
    step: int


class Choice:
    """Draws one of several choices by their logits; the same seed draws the same."""

    def __init__(self, *, seed: int, temperature: float = 1.0, top_p: float = 1.0) -> None:
        self._generator = np.random.default_rng(seed)
        self._temperature = temperature
        self._top_p = top_p

    def pick(self, logits: Tensor, allowed: Mask | None = None) -> int:
        """A choice out of those that are allowed; temperature 0 is the best one."""
        scores = logits.double().cpu().numpy()
        if allowed is not None:
            scores = np.where(allowed, scores, -np.inf)
        if self._temperature <= 0:
            return int(scores.argmax())
        weights = np.exp((scores - scores.max()) / self._temperature)
        order = np.argsort(-weights, kind="stable")
        shares = weights[order] / weights.sum()
        before = np.cumsum(shares) - shares
        shares = np.where(before < self._top_p, shares, 0)
        shares[0] = max(shares[0], np.finfo(np.float64).tiny)
        return int(order[self._generator.choice(len(order), p=shares / shares.sum())])


class Writer:
    """A network in the middle of a piece: what was written, and the cache that holds it."""

    def __init__(
        self, network: NestedNetwork, rows: Integers, metres: Integers, choice: Choice
    ) -> None:
        self._network = network
        self._metres = metres  # of every bar that may be written in
        self._choice = choice
        self._rows = rows
        self._bar = _bar_of(rows)
        self._keys, self._values = network.empty_cache()
        self._held = 0  # rows in the cache
        self._past = Lookback()  # of the same rows

    def write(self, first: Place) -> Iterator[tuple[int, int, int, int, int]]:
        """Notes as (bar, step, pitch, duration, level) at or after `first`, until the bars end."""
        known, last = self._feed(self._rows)
        while True:
            allowed = allowed_onsets(self._rows[-1], self._bar, self._metres, first)
            if not allowed.any():
                return
            row = self._row(known, last, allowed)
            self._rows = np.concatenate((self._rows, row[None]))
            if row[KEY] < KEYS:
                pitch = int(row[KEY]) + LOWEST_PITCH
                yield self._bar, int(row[POSITION]), pitch, int(row[LENGTH]) + 1, int(row[FORCE])
            known, last = self._feed(row[None])

    def _row(self, known: Tensor, behind: Tensor, allowed: Mask) -> Integers:
        """The next row; `behind` is the last one with what it suggests, (1, 1, ALL_COLUMNS)."""
        network, pick, last = self._network, self._choice.pick, self._rows[-1]
        stream = network.stage(ONSET_STAGE, known)
        row = self._placed(pick(network.onset_logits(stream, behind)[0, 0], allowed))
        if row[KEY] == NO_KEY_REST:
            return row
        onset, time = int(row[ONSET]), int(row[TIME])
        said = torch.zeros_like(behind)  # the row, and what is suggested of it
        said[..., :COLUMNS] = torch.from_numpy(row)
        keys = self._past.say_onset(onset, time)
        looks(said, SAID_KEY)[:] = torch.tensor(keys)
        delta = torch.tensor([[time - int(last[TIME])]], device=known.device)
        stream = network.stage(KEY_STAGE, network.say_onset(stream, said, delta))
        higher = np.ones(KEYS, dtype=bool)
        if onset == last[POSITION] and last[KEY] < KEYS:
            higher[: last[KEY] + 1] = False
        key = pick(network.logits(KEY_STAGE, stream, looks(said, SAID_KEY))[0, 0], higher)
        lengths, forces = self._past.say_key(time, key, keys)
        said[..., KEY] = key
        looks(said, SAID_LENGTH)[:] = torch.tensor(lengths)
        looks(said, SAID_FORCE)[:] = torch.tensor(forces)
        stream = network.stage(LENGTH_STAGE, network.say_key(stream, said))
        length = pick(network.logits(LENGTH_STAGE, stream, looks(said, SAID_LENGTH))[0, 0])
        said[..., LENGTH] = length
        stream = network.stage(FORCE_STAGE, network.say_length(stream, said))
        force = pick(network.logits(FORCE_STAGE, stream, looks(said, SAID_FORCE))[0, 0])
        row[[KEY, LENGTH, FORCE]] = key, length, force
        return row

    def _placed(self, onset: int) -> Integers:
        """A row with this onset symbol and everything that follows from it."""
        row = np.zeros(COLUMNS, dtype=np.int64)
        crossed = onset // POSITIONS if onset < REST else onset - REST + 1
        between = self._metres[max(self._bar, 0) : self._bar + crossed]
        last = self._rows[-1]
        time = int(last[TIME] - last[POSITION] + BAR_STEPS[between].sum())
        if self._bar < 0:  # the bar of START has no length
            time = int(last[TIME] + BAR_STEPS[self._metres[: self._bar + crossed]].sum())
        self._bar += crossed
        row[ONSET], row[LENGTH], row[FORCE] = onset, NO_LENGTH, NO_FORCE
        row[KEY] = 0 if onset < REST else NO_KEY_REST
        row[POSITION] = onset % POSITIONS if onset < REST else 0
        row[METRE] = self._metres[self._bar]
        row[AHEAD] = self._metres[min(self._bar + 1, len(self._metres) - 1)]
        row[TIME] = time + row[POSITION]
        return row

    def _feed(self, rows: Integers) -> tuple[Tensor, Tensor]:
        """Take in the newest rows; what is known after the last, (1, 1, width), and that row."""
        context = self._network.config.context
        if self._held + len(rows) > context:
            start = opening(self._rows, len(self._rows), room=context // 2)
            rows, self._held = opened_at(self._rows, start), 0
            self._past = Lookback()
        before = self._rows[-len(rows) - 1 :] if self._held else rows
        deltas = deltas_of(torch.from_numpy(before)[None])[:, -len(rows) :]
        heard = np.zeros((len(rows), ALL_COLUMNS), dtype=np.int64)
        heard[:, :COLUMNS] = rows
        for number, row in enumerate(rows.tolist()):
            self._past.hear(row)
            heard[number, SUGGESTED_ONSET:SAID_KEY] = self._past.suggested
        device = self._keys.device
        fed = torch.from_numpy(heard)[None].to(device)
        known: Tensor = self._network(
            fed, deltas.to(device), keys=self._keys, values=self._values, start=self._held
        )
        self._held += len(rows)
        return known[:, -1:], fed[:, -1:]


def allowed_onsets(last: Integers, bar: int, metres: Integers, first: Place) -> Mask:
    """Onset symbols that may follow a row that lies in `bar`."""
    allowed = np.zeros(ONSETS, dtype=bool)
    if last[KEY] < KEYS and bar >= first.bar:
        step = int(last[POSITION]) + int(last[KEY] == KEYS - 1)
        step = max(step, first.step) if bar == first.bar else step
        allowed[step : BAR_STEPS[metres[bar]]] = True
    following = bar + 1
    if following < len(metres) and following >= first.bar:
        step = first.step if following == first.bar else 0
        allowed[POSITIONS + step : POSITIONS + BAR_STEPS[metres[following]]] = True
    for passed in range(1, RESTS + 1):
        to = bar + passed
        if to >= len(metres) or metres[to] != metres[following]:
            break
        if following >= first.bar or to < first.bar:
            allowed[REST + passed - 1] = True
    if following < first.bar:  # no note may come yet: the longest rest alone leads on
        rests = np.flatnonzero(allowed)
        allowed[rests[:-1]] = False
    return allowed


def _bar_of(rows: Integers) -> int:
    """The bar of the last row."""
    onsets = rows[1:, ONSET]
    crossed = np.where(onsets < REST, onsets // POSITIONS, onsets - REST + 1)
    return int(crossed.sum()) - 1
