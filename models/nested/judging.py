"""A nested network as evaluation wants it: what notes cost it, and what it answers.

Knows events, the network and quantized pieces; knows no measures, sockets or live players. It is
the reference that a faster decoder is held to: plain PyTorch, one piece at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.architectures import event_nats
from models.evaluation.pieces import placed_of
from models.judged import (
    FIELDS,
    TICKS_A_QUARTER,
    VELOCITY,
    Metre,
    NotTheSame,
    Piece,
    Sounding,
)
from models.nested.events import AHEAD, KEY, KEYS, decode, encode, opened_at, opening
from models.nested.lookback import suggestions
from models.nested.network import NestedNetwork
from models.nested.sampling import Choice, Place, Writer
from models.placing import LEVEL, METRE_LIST, Integers, Placed
from models.vocabulary import Vocabulary

ONSET_FIELD = FIELDS.index("onset")


class NestedJudge:
    """`Judged` and `Answerer` of a nested network in evaluation mode."""

    def __init__(
        self,
        network: NestedNetwork,
        vocabulary: Vocabulary,
        *,
        temperature: float = 1.0,
        top_p: float = 0.98,
    ) -> None:
        self.network = network
        self.velocities = np.array(vocabulary.velocity_values)
        self.temperature = temperature
        self.top_p = top_p

    @torch.inference_mode()
    def note_bits(self, piece: Piece) -> NDArray[np.float64]:
        """(N, 4): see `Judged`."""
        rows = encode(placed_of(piece), ends=piece.ends)
        self._prove(rows, piece)
        nats = np.zeros((len(rows), len(FIELDS)))
        nats[0, ONSET_FIELD] = self._first_metre_nats(rows)
        done = 1
        while done < len(rows):
            # Of a piece that is longer than the context, at least half a context is known.
            start = opening(rows, done, room=self.network.config.context // 2)
            window = opened_at(rows, start)[: self.network.config.context + 1]
            new = self._row_nats(window)[done - start :]
            nats[done : done + len(new)] = new
            done += len(new)
        # What is no note belongs to the next one's onset, the end to the last one's.
        is_note = rows[:, KEY] < KEYS
        note: Integers = np.cumsum(is_note) - is_note
        bits = np.zeros((len(piece), len(FIELDS)))
        if len(piece):
            np.add.at(bits, note.clip(max=len(piece) - 1), nats / math.log(2))
        return bits

    @torch.inference_mode()
    def answer(
        self, prompt: Piece, *, from_beat: float, until_beat: float, seed: int
    ) -> Sequence[Sounding]:
        """See `Answerer`."""
        metres = bars_until(prompt.metres, until_beat)
        piece = Piece(metres=metres, notes=prompt.notes, ends=False)
        numbers = np.array([METRE_LIST.index(metre) for metre in metres])
        writer = Writer(
            self.network,
            encode(Placed(placed_of(piece).notes, numbers), ends=False),
            numbers,
            Choice(seed=seed, temperature=self.temperature, top_p=self.top_p),
        )
        steps = piece.step_ticks
        starts = piece.bar_starts
        first = _place_at_or_after(piece, math.ceil(from_beat * TICKS_A_QUARTER - 1e-6))
        sounding = []
        for note in writer.write(first):
            bar, step, pitch, duration, level = (int(value) for value in note)
            onset = (starts[bar] + step * steps[bar]) / TICKS_A_QUARTER
            if onset >= until_beat - 1e-9:
                break
            beats = duration * int(steps[bar]) / TICKS_A_QUARTER
            sounding.append(Sounding(float(onset), pitch, beats, int(self.velocities[level])))
        return sounding

    def _prove(self, rows: Integers, piece: Piece) -> None:
        again = decode(rows).notes.copy()
        again[:, VELOCITY] = self.velocities[again[:, LEVEL].clip(0, len(self.velocities) - 1)]
        if not np.array_equal(again, piece.notes):
            raise NotTheSame(f"{len(piece)} notes became {len(again)} others when told as events")

    def _first_metre_nats(self, rows: Integers) -> float:
        shares = torch.log_softmax(self.network.first_metre.float(), dim=0)
        return -float(shares[int(rows[0, AHEAD])])

    def _row_nats(self, rows: Integers) -> NDArray[np.float64]:
        """(rows - 1, 4): what each row after the first costs."""
        if len(rows) < 2:
            return np.zeros((0, len(FIELDS)))
        held = np.zeros((len(rows), 1), dtype=np.int64)
        window = np.concatenate((rows, held, suggestions(rows.tolist())), axis=1)
        batch = torch.from_numpy(window)[None]
        device = self.network.norm.weight.device
        found: NDArray[np.float64] = (
            event_nats(self.network, batch.to(device))[0].double().cpu().numpy()
        )
        return found


def bars_until(metres: Sequence[Metre], until_beat: float) -> tuple[Metre, ...]:
    """The metres, the last one again and again, of all bars that begin before a beat, and one."""
    found: list[Metre] = []
    beat = 0.0
    index = 0
    while index < len(metres) or beat < until_beat:
        metre = metres[min(index, len(metres) - 1)]
        found.append(metre)
        beat += 4 * metre[0] / metre[1]
        index += 1
    return (*found, found[-1])


def _place_at_or_after(piece: Piece, tick: int) -> Place:
    """The first (bar, step) that is not before a tick."""
    starts = piece.bar_starts
    bar = int(np.searchsorted(starts, tick, side="right")) - 1
    bar = min(max(bar, 0), len(piece.metres) - 1)
    step = -(-(tick - int(starts[bar])) // int(piece.step_ticks[bar]))
    if tick >= starts[-1] or step * piece.step_ticks[bar] >= starts[bar + 1] - starts[bar]:
        return Place(bar + 1, 0)
    return Place(bar, max(0, step))
