"""How a note at a time is chosen: keys cooler than the rest, and what is worn out more seldom."""

import math
from typing import Any

import numpy as np
import pytest

from engine.cache import Logits
from engine.decoder import Decoder
from engine.note_answer import KEY_WARMTH
from engine.protocol import Continue, Controls, Meter, Note, Prompt
from engine.rows import Row
from engine.wear import WEAR
from models.nested.events import KEYS, LENGTHS, ONSETS, POSITIONS
from models.vocabulary import Vocabulary

LOW, HIGH = 40, 41  # keys
SHORT, LONG = 2, 5  # lengths
ODDS = 4.0  # LOW to HIGH, and SHORT to LONG
NOTES = 8_000


@pytest.fixture(scope="module")
def answer(hash_note_backend: type[Any], vocabulary: Vocabulary) -> list[Note]:
    """A note on each line, in one of two keys and of one of two lengths."""

    class TwoKeys(hash_note_backend):  # type: ignore[misc]
        def append(self, steps: Any) -> Logits:
            super().append(steps)
            return likely(ONSETS, {POSITIONS: 1.0})

        def say_where(self, row: Row) -> Logits:
            return likely(KEYS, {LOW: ODDS, HIGH: 1.0})

        def say_key(self, key: int) -> Logits:
            return likely(LENGTHS, {SHORT: ODDS, LONG: 1.0})

    decoder = Decoder(TwoKeys(), vocabulary)
    decoder.apply(Prompt((), (), (Meter(0.0, 4, 4),), reset=True))
    controls = Controls(temperature=1.0, top_p=1.0)
    answer = decoder.answer(Continue(1, 0.0, 4.0 * NOTES, controls, 7))
    notes = []
    while not answer.finished:
        note = answer.step()
        notes += [note] if note is not None else []
    return notes


def likely(size: int, weights: dict[int, float]) -> Logits:
    logits = np.full(size, -50.0, dtype=np.float32)
    for choice, weight in weights.items():
        logits[choice] = math.log(weight)
    return logits


def share_at(odds: float, temperature: float) -> float:
    sharpened = odds ** (1 / temperature)
    return sharpened / (1 + sharpened)


def share_behind(notes: list[Note], vocabulary: Vocabulary, *keys: int) -> float:
    """How often LOW follows these keys."""
    played = [note.pitch - vocabulary.lowest_pitch for note in notes]
    places = range(len(keys), len(played))
    after = [played[n] for n in places if tuple(played[n - len(keys) : n]) == keys]
    return after.count(LOW) / len(after)


def test_keys_have_a_part_of_the_temperature_and_lengths_all_of_it(
    answer: list[Note], vocabulary: Vocabulary
) -> None:
    fresh = share_behind(answer, vocabulary, LOW, LOW, HIGH)  # no round goes on behind it
    assert fresh == pytest.approx(share_at(ODDS, KEY_WARMTH), abs=0.03)
    shorts = sum(note.duration == (SHORT + 1) / 12 for note in answer)
    assert shorts / len(answer) == pytest.approx(share_at(ODDS, 1.0), abs=0.02)


def test_a_key_that_is_worn_out_loses_ground(answer: list[Note], vocabulary: Vocabulary) -> None:
    for times in (2, 3):
        behind = share_behind(answer, vocabulary, HIGH, *[LOW] * times)
        odds = ODDS * math.exp(-WEAR * (times - 1))
        assert behind == pytest.approx(share_at(odds, KEY_WARMTH), abs=0.03)
