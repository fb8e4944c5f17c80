"""The tables of a nested network: what a row is the sum of, and what is told to the chain.

Knows rows, the names and sizes of a nested network's weights and how its heads turn with time, all
in numpy; knows no music, no caches and no backend. All tables are one here, one after the other, so
that a backend adds up entries by their numbers and needs to know nothing of fields.
"""

import math
from collections.abc import Mapping
from itertools import accumulate
from operator import add

import numpy as np
from numpy.typing import NDArray

from engine.native_backend import taken
from engine.rows import Row
from models.nested.events import FORCES, KEYS, LENGTHS, METRES, ONSETS, POSITIONS
from models.nested.lookback import LONGEST_RUN, LOOKS, Ints
from models.nested.sizes import LONGEST_PERIOD, MAX_DELTA, READ_OFF, SHORTEST_PERIOD
from models.vocabulary import STEPS_A_BEAT

NO_CLASS = 12  # pitch class of what has no pitch
#: What a look has to add, one part for each look in each table: to a row, then to the chain.
LOOK_TABLES = {
    "looks_onset": ONSETS + 1,
    "looks_key": KEYS + 1,
    "looks_run": LONGEST_RUN + 1,
    "said_looks_key": KEYS + 1,
    "said_looks_length": LENGTHS + 1,
    "said_looks_force": FORCES + 1,
}
#: What is added up, in this order: nine of the first to a row, the others to the chain.
TABLES = {
    "keys": KEYS + 3,
    "classes": NO_CLASS + 1,
    "lengths": LENGTHS + 1,
    "forces": FORCES + 1,
    "positions": POSITIONS,
    "phases": STEPS_A_BEAT,
    "metres": METRES + 1,
    "aheads": METRES,
    "deltas": MAX_DELTA + 1,
    "said_onsets": ONSETS + 1,
    "said_positions": POSITIONS,
    "said_phases": STEPS_A_BEAT,
    "said_metres": METRES + 1,
    "said_deltas": MAX_DELTA + 1,
    "said_keys": KEYS + 3,
    "said_lengths": LENGTHS + 1,
} | {name: LOOKS * size for name, size in LOOK_TABLES.items()}
ROW_TABLES = 9
ROW_ENTRIES = ROW_TABLES + 3 * LOOKS
#: Where each table begins in all of them, one after the other.
FIRST = list(accumulate(TABLES.values(), initial=0))
KEY, CLASS, LENGTH, FORCE, POSITION, PHASE, METRE, AHEAD, DELTA = FIRST[:ROW_TABLES]
SAID_ONSET, SAID_POSITION, SAID_PHASE, SAID_METRE, SAID_DELTA, SAID_KEY, SAID_LENGTH = FIRST[
    ROW_TABLES : -1 - len(LOOK_TABLES)
]
#: Where each look's part of each table begins: of what a row adds all three, of the chain's one.
_PARTS = [
    tuple(first + size * look for look in range(LOOKS))
    for first, size in zip(FIRST[-1 - len(LOOK_TABLES) : -1], LOOK_TABLES.values(), strict=True)
]
_LOOKS_OF_ROW: Ints = _PARTS[0] + _PARTS[1] + _PARTS[2]
_SAID_LOOKS_KEY, _SAID_LOOKS_LENGTH, _SAID_LOOKS_FORCE = _PARTS[3:]


def entries_of(row: Row, suggested: Ints) -> tuple[int, ...]:
    """What a row is the sum of, and behind that its time.

    `suggested`: the onsets, keys and runs of models/nested/lookback.py behind the row.
    """
    _, key, length, force, position, metre, ahead, time, delta = row
    return (
        KEY + key,
        CLASS + (key % 12 if key < KEYS else NO_CLASS),
        LENGTH + length,
        FORCE + force,
        POSITION + position,
        PHASE + position % STEPS_A_BEAT,
        METRE + metre,
        AHEAD + ahead,
        DELTA + min(delta, MAX_DELTA),
        *map(add, _LOOKS_OF_ROW, suggested),
        time,
    )


def entries_of_where(row: Row, keys: Ints) -> tuple[int, ...]:
    """What the chain is told of where a note falls, and of the keys that are suggested there."""
    return (
        SAID_ONSET + row.onset,
        SAID_POSITION + row.position,
        SAID_PHASE + row.position % STEPS_A_BEAT,
        SAID_METRE + row.metre,
        SAID_DELTA + min(row.delta, MAX_DELTA),
        *map(add, _SAID_LOOKS_KEY, keys),
    )


def entries_of_key(key: int, lengths: Ints) -> tuple[int, ...]:
    """What the chain is told of a key, and of the lengths that are suggested for it."""
    return (SAID_KEY + key, *map(add, _SAID_LOOKS_LENGTH, lengths))


def entries_of_length(length: int, forces: Ints) -> tuple[int, ...]:
    """What the chain is told of a length, and of the forces that are suggested."""
    return (SAID_LENGTH + length, *map(add, _SAID_LOOKS_FORCE, forces))


def all_tables(weights: Mapping[str, NDArray[np.float32]], width: int) -> NDArray[np.float32]:
    """The tables, one after the other; ValueError if one is not there."""
    return np.concatenate(taken(weights, {name: (size, width) for name, size in TABLES.items()}))


def stage_sizes(width: int, chain: int) -> dict[str, tuple[int, ...]]:
    """The weights of the chain, five for each stage."""
    sizes: dict[str, tuple[int, ...]] = {}
    for number, read_off in enumerate(READ_OFF):
        sizes |= {
            f"stages.{number}.norm": (width,),
            f"stages.{number}.ffn.gate_up": (2 * chain, width),
            f"stages.{number}.ffn.down": (width, chain),
            f"stages.{number}.head_norm": (width,),
            f"stages.{number}.head": (read_off, width),
        }
    return sizes


def time_rates(head_dim: int) -> NDArray[np.float32]:
    """Radians a step, (head_dim / 2,), of the heads that turn with time."""
    spread = np.linspace(0, 1, head_dim // 2, dtype=np.float32)
    periods = np.float32(SHORTEST_PERIOD) * np.float32(LONGEST_PERIOD / SHORTEST_PERIOD) ** spread
    rates: NDArray[np.float32] = (2 * math.pi / periods).astype(np.float32)
    return rates
