"""How a note at a time is chosen: keys cooler than the rest, and what is worn out more seldom."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.cache import Logits
from engine.decoder import Decoder
from engine.note_answer import KEY_WARMTH, WEAR
from engine.protocol import Continue, Controls, Meter, Prompt
from engine.rows import Row
from models.nested.events import KEYS, LENGTHS, ONSETS, POSITIONS
from models.vocabulary import Vocabulary

LOW, HIGH = 40, 41  # keys
SHORT, LONG = 2, 5  # lengths
ODDS = 4.0  # LOW to HIGH, and SHORT to LONG
NOTES = 4_000


@pytest.fixture
def shares(
    hash_note_backend: type[Any], vocabulary: Vocabulary
) -> Callable[..., tuple[float, float]]:
    """`shares(worn=…)`: how often the likelier key, and the likelier length, was chosen."""

    class TwoKeys(hash_note_backend):  # type: ignore[misc]
        """A note on each line, in one of two keys and of one of two lengths."""

        def __init__(self, worn_out: set[int]) -> None:
            super().__init__()
            self._worn_out = worn_out

        def append(self, steps: Any) -> Logits:
            super().append(steps)
            return likely(ONSETS, {POSITIONS: 1.0})

        def say_where(self, row: Row) -> Logits:
            return likely(KEYS, {LOW: ODDS, HIGH: 1.0})

        def say_key(self, key: int) -> Logits:
            return likely(LENGTHS, {SHORT: ODDS, LONG: 1.0})

        def worn(self) -> set[int]:
            return self._worn_out

    def share(*, worn: set[int], controls: Controls) -> tuple[float, float]:
        decoder = Decoder(TwoKeys(worn), vocabulary)
        decoder.apply(Prompt((), (), (Meter(0.0, 4, 4),), reset=True))
        answer = decoder.answer(Continue(1, 0.0, 4.0 * NOTES, controls, 7))
        notes = []
        while not answer.finished:
            note = answer.step()
            notes += [note] if note is not None else []
        lows = sum(note.pitch == vocabulary.lowest_pitch + LOW for note in notes)
        shorts = sum(note.duration == (SHORT + 1) / 12 for note in notes)
        return lows / len(notes), shorts / len(notes)

    return share


def likely(size: int, weights: dict[int, float]) -> Logits:
    logits = np.full(size, -50.0, dtype=np.float32)
    for choice, weight in weights.items():
        logits[choice] = math.log(weight)
    return logits


def share_at(odds: float, temperature: float) -> float:
    sharpened = odds ** (1 / temperature)
    return sharpened / (1 + sharpened)


def test_keys_have_a_part_of_the_temperature_and_lengths_all_of_it(
    shares: Callable[..., tuple[float, float]],
) -> None:
    low, short = shares(worn=set(), controls=Controls(temperature=1.0, top_p=1.0))
    assert low == pytest.approx(share_at(ODDS, KEY_WARMTH), abs=0.02)
    assert short == pytest.approx(share_at(ODDS, 1.0), abs=0.02)
    assert low > short


def test_a_key_that_is_worn_out_loses_ground(
    shares: Callable[..., tuple[float, float]],
) -> None:
    low, _ = shares(worn={LOW}, controls=Controls(temperature=1.0, top_p=1.0))
    assert low == pytest.approx(share_at(ODDS * math.exp(-WEAR), KEY_WARMTH), abs=0.02)
