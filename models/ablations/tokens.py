"""The flat network on another spelling: what it is trained on, and what music costs it.

Knows windows, spellings and the network; knows no files.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.ablations.spellings import Spelling
from models.architectures import VALIDATION_SEED, TokenView
from models.augment import PLAIN
from models.evaluation.pieces import placed_of
from models.judged import FIELDS, NotTheSame, Piece
from models.network import Network
from models.note_cache import Shelves
from models.placing import Integers
from models.spelling import spelled
from models.vocabulary import Vocabulary, standard_vocabulary
from models.windows import LEARNT, TOKEN


class SpelledView(TokenView):
    """`TokenView` in another spelling."""

    def __init__(
        self, shelves: Shelves, *, spelling: Spelling, most_rounds: float | None = None
    ) -> None:
        super().__init__(shelves, most_rounds=most_rounds)
        self.spelling = spelling

    def draw(self, generator: np.random.Generator, *, count: int, length: int) -> Tensor:
        """(count, length + 1, 2)."""
        longer = self.spelling.shortening * (length + 1)
        drawn = self.train.draw(generator, count=count, length=longer, chances=self.chances)
        return self._respelled(drawn, length + 1)

    def validation(self, *, count: int, length: int) -> Tensor:
        """(count, length + 1, 2)."""
        generator = np.random.default_rng(VALIDATION_SEED)
        longer = self.spelling.shortening * (length + 1)
        drawn = self.valid.draw(generator, count=count, length=longer, chances=PLAIN)
        return self._respelled(drawn, length + 1)

    def _respelled(self, windows: Integers, length: int) -> Tensor:
        found = np.zeros((len(windows), length, 2), dtype=np.int64)
        for row, window in zip(found, windows, strict=True):
            said, sizes = self.spelling.respell(window[:, TOKEN])
            unlearnt = np.concatenate(([0], np.cumsum(window[:, LEARNT] == 0)))
            ends = np.cumsum(sizes)
            learnt = unlearnt[ends] == unlearnt[ends - sizes]
            short = min(length, len(said))
            row[:short, TOKEN], row[:short, LEARNT] = said[:length], learnt[:length]
        return torch.from_numpy(found)


class SpelledJudge:
    """`Judged` of a flat network in evaluation mode, whatever it spells.

    What a token costs is shared evenly among the REMI tokens that it stands for.
    """

    def __init__(self, network: Network, spelling: Spelling) -> None:
        self._network = network
        self._spelling = spelling
        self._words: Vocabulary = standard_vocabulary()

    @torch.inference_mode()
    def note_bits(self, piece: Piece) -> NDArray[np.float64]:
        """(N, 4): see `Judged`."""
        words = self._words
        end = [words.eos] if piece.ends else []
        tokens = np.concatenate(([words.bos], spelled(placed_of(piece), words), end))
        tokens = tokens.astype(np.int64)
        said, sizes = self._spelling.respell(tokens)
        if not np.array_equal(self._spelling.plain(said), tokens):
            raise NotTheSame(f"{len(tokens)} tokens are not what their spelling says")
        bits = np.repeat(self._token_bits(said) / np.maximum(1, sizes), sizes)
        kinds = np.zeros(len(words), dtype=np.int64)  # an onset is what is nothing else
        for kind, field in ((words.pitches, 1), (words.durations, 2), (words.velocities, 3)):
            kinds[list(kind)] = field
        column = kinds[tokens]
        counted = np.cumsum(column == 1)
        # All but the onset stands behind its note's pitch; the end belongs to the last note.
        note = np.where(column == 0, counted, counted - 1).clip(0, len(piece) - 1)
        found = np.zeros((len(piece), len(FIELDS)))
        np.add.at(found, (note, column), bits)
        return found

    def _token_bits(self, said: Integers) -> NDArray[np.float64]:
        """What each token cost; of more than a context, half of it is known."""
        context = self._network.config.context
        bits = np.zeros(len(said))
        done = 1
        while done < len(said):
            start = max(0, done - context // 2) if len(said) > context + 1 else 0
            window = torch.from_numpy(said[start : start + context + 1])[None]
            logits = self._network(window[:, :-1])[0].float()
            nats = F.cross_entropy(logits, window[0, 1:], reduction="none").double().numpy()
            bits[done : start + len(window[0])] = nats[done - start - 1 :] / math.log(2)
            done = start + len(window[0])
        return bits
