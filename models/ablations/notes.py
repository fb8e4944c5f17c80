"""The nested network with one thing taken away or told otherwise.

Knows events, windows and the network; knows no files.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.architectures import NoteView
from models.augment import Chances
from models.evaluation.excerpts import transposed
from models.evaluation.keys import key_of
from models.evaluation.pieces import piece_of
from models.judged import FIELDS, Judged, Piece
from models.nested.lookback import LOOKS
from models.nested.network import NestedNetwork, Stage
from models.nested.sizes import CHOICES
from models.note_cache import Shelves
from models.placing import PITCH, Placed
from models.segments import Source

KEY_NOTES = 96  # of which the key is guessed
KEYS_TOLD = math.log2(12)  # bits, for saying which of twelve transpositions it is


def without_looks(network: NestedNetwork) -> None:
    """The past suggests nothing: its tables and gates stay 0. A step costs as much as with them."""
    for name, parameter in network.named_parameters():
        if "looks" in name:
            _keep_at_zero(parameter)
    for stage, choices in zip(network.stages, CHOICES, strict=True):
        assert isinstance(stage, Stage)
        gates = slice(choices, choices + LOOKS)
        with torch.no_grad():
            stage.head.weight[gates] = 0
        learnt = torch.ones_like(stage.head.weight)
        learnt[gates] = 0
        stage.head.weight.register_hook(learnt.mul)  # type: ignore[no-untyped-call]


def without_phase(network: NestedNetwork) -> None:
    """A key is chosen without being told where in the bar the note falls, only how far on."""
    for table in (
        network.said_onsets,
        network.said_positions,
        network.said_phases,
        network.said_metres,
    ):
        for parameter in table.parameters():
            _keep_at_zero(parameter)


class OneKeyView(NoteView):
    """Everything in C major or A minor instead of in any key."""

    def __init__(self, shelves: Shelves, *, most_rounds: float | None = None) -> None:
        super().__init__(shelves, most_rounds=most_rounds, chances=Chances(transpose=0.0))
        for windows in (self.train, self.valid):
            windows.sources = [OneKeySource.of(source.shelf) for source in windows.sources]


class OneKeySource(Source):
    """Segments in C major or A minor."""

    def segment(
        self, generator: np.random.Generator, *, notes: int, chances: Chances
    ) -> tuple[Placed, bool]:
        """See `Source`."""
        placed, ends = super().segment(generator, notes=notes, chances=chances)
        moved = in_one_key(piece_of(placed))
        placed.notes[:, PITCH] = moved.notes[:, PITCH]
        return placed, ends


class OneKeyJudge:
    """`Judged` of a network that knows one key: which one it is has to be told first."""

    def __init__(self, judge: Judged) -> None:
        self._judge = judge

    def note_bits(self, piece: Piece) -> NDArray[np.float64]:
        """(N, 4): see `Judged`."""
        found = self._judge.note_bits(in_one_key(piece))
        found[0, FIELDS.index("pitch")] += KEYS_TOLD
        return found


def in_one_key(piece: Piece) -> Piece:
    """In C major or A minor by its first notes, as far as the keyboard reaches."""
    opening = Piece(piece.metres, piece.notes[:KEY_NOTES])
    tonic, minor = key_of(opening)
    shift = (6 + (9 if minor else 0) - tonic) % 12 - 6
    return transposed(piece, shift) or piece


def _keep_at_zero(parameter: nn.Parameter) -> None:
    nn.init.zeros_(parameter)
    parameter.requires_grad_(False)
