"""What training needs to know of an architecture: its data, its network, its loss.

Knows both architectures, and for each the windows it is fed and what a window costs; knows no
schedule, optimizer, state or files of a run. The loop in models/training.py is one for both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.augment import PLAIN, Chances
from models.nested.events import (
    AHEAD,
    FORCE,
    FORCES,
    KEY,
    KEYS,
    LENGTH,
    NO_KEY_START,
    NO_LENGTH,
    NO_ONSET,
    ONSET,
    crosses,
)
from models.nested.network import NestedConfig, NestedNetwork, deltas_of
from models.nested.windows import HELD, EventWindows
from models.network import Network, NetworkConfig
from models.note_cache import Shelves
from models.windows import LEARNT, TOKEN, TokenWindows

VALIDATION_SEED = 20_001  # the same windows in every run, so that runs compare
IGNORED = -100

Config = NetworkConfig | NestedConfig
AnyNetwork = Network | NestedNetwork
Losses = Callable[[AnyNetwork, Tensor], tuple[Tensor, Tensor]]


class DataView(Protocol):
    """A data folder as one architecture is trained on it."""

    unit: str  # what is counted: "token" or "note"
    fields: tuple[str, ...]  # what the loss is split into
    weights: dict[str, float]  # corpus -> share of the training windows
    held_out: bool  # False if no piece falls to the validation split

    def report(self) -> str:
        """One line about what was read and what was left out."""

    def draw(self, generator: np.random.Generator, *, count: int, length: int) -> Tensor:
        """Training windows of `length` steps."""

    def validation(self, *, count: int, length: int) -> Tensor:
        """The same windows at each call, from the validation split, nothing changed in them."""

    def losses(self, network: AnyNetwork, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Nats by field, summed over the windows (len(fields),), and the number of units (1,)."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A name on the command line, and how its parts are made."""

    name: str
    config: Callable[..., Config]
    network: Callable[..., AnyNetwork]  # (config, *, dropout)
    view: Callable[..., DataView]  # (shelves, *, most_rounds)


class _ShelvesView:
    """A data folder as windows of notes, whatever their rows are."""

    windows: type[TokenWindows] | type[EventWindows]

    def __init__(
        self,
        shelves: Shelves,
        *,
        most_rounds: float | None = None,
        chances: Chances | None = None,
    ) -> None:
        """`most_rounds` is of the training alone, so that validations stay comparable."""
        self.shelves = shelves
        self.weights = shelves.weights_within(most_rounds) if most_rounds else shelves.weights
        self.chances = chances or Chances()
        self.train = self.windows(replace(shelves, weights=self.weights), split="train")
        self.valid = self.windows(shelves, split="valid")
        self.held_out = bool(self.valid.sources)
        if not self.held_out:
            self.valid = self.train

    def report(self) -> str:
        """One line about what was read and what was left out."""
        return self.shelves.report()

    def draw(self, generator: np.random.Generator, *, count: int, length: int) -> Tensor:
        """(count, length + 1, columns) rows."""
        windows = self.train.draw(generator, count=count, length=length + 1, chances=self.chances)
        return torch.from_numpy(windows)

    def validation(self, *, count: int, length: int) -> Tensor:
        """(count, length + 1, columns) rows."""
        generator = np.random.default_rng(VALIDATION_SEED)
        windows = self.valid.draw(generator, count=count, length=length + 1, chances=PLAIN)
        return torch.from_numpy(windows)


class TokenView(_ShelvesView):
    """REMI tokens for the flat network."""

    unit = "token"
    fields: tuple[str, ...] = ("all",)

    windows = TokenWindows

    def losses(self, network: AnyNetwork, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Nats of all tokens that are to be learnt, and how many."""
        tokens = windows[..., TOKEN]
        learnt = windows[:, 1:, LEARNT] == 1
        nats = _nats(network(tokens[:, :-1]), tokens[:, 1:], learnt)
        return nats.sum()[None], learnt.sum()[None]


class NoteView(_ShelvesView):
    """Events, one a note, for the nested network."""

    unit = "note"
    fields: tuple[str, ...] = ("onset", "pitch", "duration", "velocity")
    windows = EventWindows

    def losses(self, network: AnyNetwork, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Nats of onset (bar lines, metres and ends among it), pitch, duration, velocity."""
        nats = event_nats(network, windows)
        notes = (windows[:, 1:, KEY] < KEYS).sum()
        return nats.sum(dim=(0, 1)), notes[None]


def event_nats(network: AnyNetwork, windows: Tensor) -> Tensor:
    """(B, T, 4): what each row after the first costs, by field; rows that are no notes cost an
    onset alone, and what is not to be learnt costs nothing."""
    assert isinstance(network, NestedNetwork)
    deltas = deltas_of(windows)
    last, rows = windows[:, :-1], windows[:, 1:]
    known = network(last, deltas[:, :-1])
    onset, key, length, force, metre = network.chain(known, last, rows, deltas[:, 1:])
    symbol = rows[..., ONSET]
    length_target = torch.where(rows[..., HELD] == 1, IGNORED, rows[..., LENGTH])
    opens = rows[..., KEY] == NO_KEY_START
    first = network.first_metre.expand(*symbol.shape, -1)
    parts = (
        _nats(onset, symbol, symbol != NO_ONSET)
        + _nats(metre, rows[..., AHEAD], crosses(symbol))
        + _nats(first, rows[..., AHEAD], opens),
        _nats(key, rows[..., KEY], rows[..., KEY] < KEYS),
        _nats(length, length_target, rows[..., LENGTH] < NO_LENGTH),
        _nats(force, rows[..., FORCE], rows[..., FORCE] < FORCES),
    )
    return torch.stack(parts, dim=-1)


def _nats(logits: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
    """(B, T) cross-entropies, 0 where not counted."""
    wanted = torch.where(counted, targets, IGNORED)
    flat = F.cross_entropy(
        logits.float().flatten(0, 1), wanted.flatten(), reduction="none", ignore_index=IGNORED
    )
    return flat.view(targets.shape)


FLAT = Architecture("flat", NetworkConfig, Network, TokenView)
NESTED = Architecture("nested", NestedConfig, NestedNetwork, NoteView)
ARCHITECTURES = {architecture.name: architecture for architecture in (FLAT, NESTED)}


def architecture_of(config: Config) -> Architecture:
    """The architecture that a shape belongs to."""
    return NESTED if isinstance(config, NestedConfig) else FLAT
