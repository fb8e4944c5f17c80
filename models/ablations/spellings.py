"""Other tokens for the same music: REMI with pitch and velocity in one, and in byte pairs.

Knows numbers of tokens; knows no windows and no networks. A spelling is lossless: `plain` gives the
REMI tokens back. Byte pairs are learnt within bars and by the library that MidiTok calls for it
(Fradet et al., Byte Pair Encoding for Symbolic Music, 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np

from models.placing import Integers
from models.vocabulary import Vocabulary

BYTE_PAIR_TOKENS = 2_000
FIRST_CHARACTER = 0x4E00  # letters, of which there are enough in a row


class Spelling(Protocol):
    """Another way to write REMI tokens."""

    size: int  # different tokens
    shortening: int  # at most so many REMI tokens are told by one, on average over a window

    def respell(self, tokens: Integers) -> tuple[Integers, Integers]:
        """What is said for REMI tokens, and of each how many of them it stands for."""

    def plain(self, spelled: Integers) -> Integers:
        """The REMI tokens again."""


class Remi:
    """REMI as it is."""

    shortening = 1

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.size = len(vocabulary)

    def respell(self, tokens: Integers) -> tuple[Integers, Integers]:
        """The same."""
        return tokens, np.ones_like(tokens)

    def plain(self, spelled: Integers) -> Integers:
        """The same."""
        return spelled


class Merged:
    """A pitch and the velocity behind it are one token, numbered behind REMI's."""

    shortening = 2

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._words = vocabulary
        self.size = len(vocabulary) + len(vocabulary.pitches) * len(vocabulary.velocities)

    def respell(self, tokens: Integers) -> tuple[Integers, Integers]:
        """A pitch at the very end, cut off from its velocity, stays as it is."""
        words = self._words
        pitched = (tokens >= words.pitches.start) & (tokens < words.pitches.stop)
        pitched[-1:] = False
        at = np.flatnonzero(pitched)
        pitch, level = tokens[at] - words.pitches.start, tokens[at + 1] - words.velocities.start
        spelled = tokens.copy()
        spelled[at] = len(words) + pitch * len(words.velocities) + level
        sizes = np.ones_like(tokens)
        sizes[at] = 2
        return np.delete(spelled, at + 1), np.delete(sizes, at + 1)

    def plain(self, spelled: Integers) -> Integers:
        """Pitch and velocity apart."""
        words = self._words
        at = np.flatnonzero(spelled >= len(words))
        pitch, level = np.divmod(spelled[at] - len(words), len(words.velocities))
        tokens = spelled.copy()
        tokens[at] = words.pitches.start + pitch
        return np.insert(tokens, at + 1, words.velocities.start + level)


class BytePairs:
    """What often stands side by side is one token; a bar is what a word is in text."""

    shortening = 4

    def __init__(self, pieces: Sequence[Integers], vocabulary: Vocabulary) -> None:
        """Learns from the REMI tokens of whole pieces; takes the tokenizers that MidiTok brings."""
        from tokenizers import Tokenizer, models, trainers

        self._bar = vocabulary.bar
        alphabet = [chr(FIRST_CHARACTER + token) for token in range(len(vocabulary))]
        self._tokenizer = Tokenizer(models.BPE())
        self._tokenizer.train_from_iterator(
            map(self._bars, pieces),
            trainers.BpeTrainer(
                vocab_size=BYTE_PAIR_TOKENS, initial_alphabet=alphabet, show_progress=False
            ),
        )
        self.size = self._tokenizer.get_vocab_size()
        words = [self._tokenizer.id_to_token(number) or "" for number in range(self.size)]
        self._parts = [np.array([ord(c) - FIRST_CHARACTER for c in word]) for word in words]
        self._sizes = np.array([len(part) for part in self._parts])

    def respell(self, tokens: Integers) -> tuple[Integers, Integers]:
        """Bar by bar."""
        encoded = self._tokenizer.encode(self._bars(tokens), is_pretokenized=True)
        spelled = np.array(encoded.ids, dtype=np.int64)
        return spelled, self._sizes[spelled]

    def plain(self, spelled: Integers) -> Integers:
        """The tokens that each stands for, one after the other."""
        return np.concatenate([self._parts[number] for number in spelled.tolist()])

    def _bars(self, tokens: Integers) -> list[str]:
        """A word for each bar, a character for each token."""
        characters = "".join(chr(FIRST_CHARACTER + token) for token in tokens.tolist())
        lines = [0, *np.flatnonzero(tokens == self._bar).tolist(), len(tokens)]
        return [characters[start:end] for start, end in pairwise(lines) if end > start]
