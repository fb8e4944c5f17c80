"""The nested network: a transformer over notes, and a chain that says a note field by field.

Knows rows of events as numbers and nothing of music, files, training or sampling. The trunk is
the flat network's blocks over the sum of a row's embeddings; half of its heads turn with the
place of a row in the sequence, the others with its time in steps, so that a bar ago is as easy to
find as a note ago.

The chain is a residual stream: it begins as the trunk's last row, and each of four stages adds a
small feed-forward layer, reads off one field, and adds that field's embedding for the next.

    trunk -> onset -> (where it falls) -> key, next metre -> length -> force

What the past suggests (models/nested/lookback.py) is added to the rows and to the stream, and each
stage has a gate for each look: what it reads off is added to the score of what that look suggests,
as in networks that copy (See et al. 2017). An onset has a second score, by its distance from the
last row, so that "at the same time" is one thing at any place in the bar.

Training calls `chain` with the rows that follow, all stages at once; a player calls `stage` after
`stage`. The first metre of all is a table of its own.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.nested.events import (
    AHEAD,
    BAR_LENGTHS,
    FORCE,
    FORCES,
    KEY,
    KEYS,
    LENGTH,
    LENGTHS,
    METRE,
    METRES,
    ONSET,
    ONSETS,
    POSITION,
    POSITIONS,
    REST,
    TIME,
)
from models.nested.lookback import (
    LONGEST_RUN,
    LOOKS,
    RUN,
    SAID_FORCE,
    SAID_KEY,
    SAID_LENGTH,
    SUGGESTED_KEY,
    SUGGESTED_ONSET,
)
from models.nested.sizes import (
    CHOICES,
    DISTANCES,
    FORCE_STAGE,
    KEY_STAGE,
    LENGTH_STAGE,
    LONGEST_PERIOD,
    MAX_DELTA,
    ONSET_STAGE,
    READ_OFF,
    SHORTEST_PERIOD,
)
from models.network import NORM_EPSILON, Block, FeedForward, NetworkConfig, rope_tables
from models.vocabulary import STEPS_A_BEAT


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedConfig:
    """The shape of a nested network; raises ValueError where it cannot be built."""

    vocabulary: int  # tokens of the vocabulary whose pitches, durations, ... are the fields
    layers: int = 4
    width: int = 256
    heads: int = 4
    ffn: int = 768  # hidden width of SwiGLU in the trunk
    chain: int = 384  # hidden width of SwiGLU in each stage of the chain
    context: int = 512  # longest sequence, in rows

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} of the network is {value!r}, not a positive number")
        self.shape(self.ffn)

    def shape(self, ffn: int) -> NetworkConfig:
        """What the flat network's parts are built from."""
        return NetworkConfig(
            vocabulary=self.vocabulary,
            layers=self.layers,
            width=self.width,
            heads=self.heads,
            ffn=ffn,
            context=self.context,
        )

    @property
    def head_dim(self) -> int:
        """Numbers in one key of one head."""
        return self.width // self.heads


class Stage(nn.Module):
    """One stage of the chain: a feed-forward layer beside the stream, and a field read off it."""

    def __init__(self, config: NestedConfig, read_off: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(config.width, eps=NORM_EPSILON)
        self.ffn = FeedForward(config.shape(config.chain))
        self.head_norm = nn.RMSNorm(config.width, eps=NORM_EPSILON)
        self.head = nn.Linear(config.width, read_off, bias=False)

    def forward(self, stream: Tensor) -> Tensor:
        """(…, width) to the same shape."""
        out: Tensor = stream + self.ffn(self.norm(stream))
        return out

    def read_off(self, stream: Tensor) -> Tensor:
        """(…, READ_OFF of the stage) from a stream that went through `forward`."""
        out: Tensor = self.head(self.head_norm(stream))
        return out


class NestedNetwork(nn.Module):
    """Rows in, logits of the next row's fields out. Dropout acts in training mode only."""

    cos: Tensor
    sin: Tensor
    time_rates: Tensor
    bar_lengths: Tensor

    def __init__(self, config: NestedConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.keys = nn.Embedding(KEYS + 3, width)
        self.classes = nn.Embedding(13, width)  # pitch classes, and none
        self.lengths = nn.Embedding(LENGTHS + 1, width)
        self.forces = nn.Embedding(FORCES + 1, width)
        self.positions = nn.Embedding(POSITIONS, width)
        self.phases = nn.Embedding(STEPS_A_BEAT, width)
        self.metres = nn.Embedding(METRES + 1, width)
        self.aheads = nn.Embedding(METRES, width)
        self.deltas = nn.Embedding(MAX_DELTA + 1, width)
        self.dropout = nn.Dropout(dropout)
        shape = config.shape(config.ffn)
        self.blocks = nn.ModuleList(Block(shape, dropout=dropout) for _ in range(config.layers))
        self.norm = nn.RMSNorm(width, eps=NORM_EPSILON)
        self.said_onsets = nn.Embedding(ONSETS + 1, width)
        self.said_positions = nn.Embedding(POSITIONS, width)
        self.said_phases = nn.Embedding(STEPS_A_BEAT, width)
        self.said_metres = nn.Embedding(METRES + 1, width)
        self.said_deltas = nn.Embedding(MAX_DELTA + 1, width)
        self.said_keys = nn.Embedding(KEYS + 3, width)
        self.said_lengths = nn.Embedding(LENGTHS + 1, width)
        self.looks_onset = nn.Embedding(LOOKS * (ONSETS + 1), width)
        self.looks_key = nn.Embedding(LOOKS * (KEYS + 1), width)
        self.looks_run = nn.Embedding(LOOKS * (LONGEST_RUN + 1), width)
        self.said_looks_key = nn.Embedding(LOOKS * (KEYS + 1), width)
        self.said_looks_length = nn.Embedding(LOOKS * (LENGTHS + 1), width)
        self.said_looks_force = nn.Embedding(LOOKS * (FORCES + 1), width)
        self.stages = nn.ModuleList(Stage(config, read_off) for read_off in READ_OFF)
        self.next_metre = nn.Linear(width, METRES, bias=False)
        self.first_metre = nn.Parameter(torch.zeros(METRES))
        cos, sin = rope_tables(config.context, config.head_dim)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.register_buffer("time_rates", _time_rates(config.head_dim), persistent=False)
        self.register_buffer("bar_lengths", torch.tensor(BAR_LENGTHS), persistent=False)
        self._initialize()

    def forward(
        self,
        rows: Tensor,  # (B, T, COLUMNS or more) integers
        deltas: Tensor,  # (B, T) steps since the row before, 0 at the start
        *,
        keys: Tensor | None = None,  # (layers, heads, context, head_dim), or None for no cache
        values: Tensor | None = None,
        start: int = 0,
    ) -> Tensor:
        """The trunk: (B, T, width), what is known after each row.

        With `keys` and `values` (both, B must be 1) the rows take the places start..start+T, as
        in models/network.py. Raises ValueError when they would pass the context.
        """
        length = rows.shape[1]
        end = start + length
        if end > self.config.context:
            raise ValueError(f"{end} rows do not fit into a context of {self.config.context}")
        cos, sin = self._turns(rows[..., TIME], start, end)
        mask = None
        if length > 1 and start:
            seen = torch.ones(length, end, dtype=torch.bool, device=rows.device)
            mask = seen.tril(diagonal=start)
        x = self.dropout(self._embed(rows, deltas))
        for layer, block in enumerate(self.blocks):
            k = None if keys is None else keys[layer]
            v = None if values is None else values[layer]
            x = block(x, cos, sin, mask, k, v, start)
        out: Tensor = self.norm(x)
        return out

    def chain(
        self, known: Tensor, last: Tensor, rows: Tensor, deltas: Tensor
    ) -> tuple[Tensor, ...]:
        """Logits of onset, key, length, force and next metre of `rows`, each (B, T, choices).

        `last` are the rows before each of them, and `known` (B, T, width) the trunk's output there.
        """
        x = self.stage(ONSET_STAGE, known)
        onset = self.onset_logits(x, last)
        x = self.stage(KEY_STAGE, self.say_onset(x, rows, deltas))
        key, metre = self.logits(KEY_STAGE, x, looks(rows, SAID_KEY)), self.metre_logits(x)
        x = self.stage(LENGTH_STAGE, self.say_key(x, rows))
        length = self.logits(LENGTH_STAGE, x, looks(rows, SAID_LENGTH))
        x = self.stage(FORCE_STAGE, self.say_length(x, rows))
        return onset, key, length, self.logits(FORCE_STAGE, x, looks(rows, SAID_FORCE)), metre

    def stage(self, number: int, stream: Tensor) -> Tensor:
        """One stage's work on the stream."""
        out: Tensor = self.stages[number](stream)
        return out

    def onset_logits(self, stream: Tensor, last: Tensor) -> Tensor:
        """(…, ONSETS) from a stream that went through the onset stage, behind the rows `last`."""
        scores = self._read_off(ONSET_STAGE, stream)
        distances = scores[..., ONSETS + LOOKS :]
        distance, reached = self._distances(last)
        far = distances.gather(-1, distance) * reached
        return _with_gates(scores, looks(last, SUGGESTED_ONSET), ONSETS) + far

    def logits(self, number: int, stream: Tensor, suggested: Tensor) -> Tensor:
        """(…, CHOICES of a later stage) from a stream that went through it.

        `suggested` (…, LOOKS) is what each look suggests, the number of choices for nothing.
        """
        return _with_gates(self._read_off(number, stream), suggested, CHOICES[number])

    def metre_logits(self, stream: Tensor) -> Tensor:
        """The metre of the bar after the row's, from a stream that went through the key stage."""
        out: Tensor = self.next_metre(stream)
        return out

    def say_onset(self, stream: Tensor, rows: Tensor, deltas: Tensor) -> Tensor:
        """Add where the next row falls: its onset, place in the bar, metre and distance."""
        position = rows[..., POSITION]
        out: Tensor = (
            stream
            + self.said_onsets(rows[..., ONSET])
            + self.said_positions(position)
            + self.said_phases(position % STEPS_A_BEAT)
            + self.said_metres(rows[..., METRE])
            + self.said_deltas(deltas.clamp(0, MAX_DELTA))
            + _looked_up(self.said_looks_key, looks(rows, SAID_KEY))
        )
        return out

    def say_key(self, stream: Tensor, rows: Tensor) -> Tensor:
        """Add the key of the next row."""
        looked = _looked_up(self.said_looks_length, looks(rows, SAID_LENGTH))
        out: Tensor = stream + self.said_keys(rows[..., KEY]) + looked
        return out

    def say_length(self, stream: Tensor, rows: Tensor) -> Tensor:
        """Add the length of the next row."""
        looked = _looked_up(self.said_looks_force, looks(rows, SAID_FORCE))
        out: Tensor = stream + self.said_lengths(rows[..., LENGTH]) + looked
        return out

    def empty_cache(self) -> tuple[Tensor, Tensor]:
        """Keys and values for `forward`: zeros (layers, heads, context, head_dim) each."""
        c = self.config
        weight = self.keys.weight
        keys = torch.zeros(
            (c.layers, c.heads, c.context, c.head_dim), dtype=weight.dtype, device=weight.device
        )
        return keys, torch.zeros_like(keys)

    def parameter_count(self) -> int:
        """Trained numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

    def _embed(self, rows: Tensor, deltas: Tensor) -> Tensor:
        key, position = rows[..., KEY], rows[..., POSITION]
        classes = torch.where(key < KEYS, key % 12, 12)
        out: Tensor = (
            self.keys(key)
            + self.classes(classes)
            + self.lengths(rows[..., LENGTH])
            + self.forces(rows[..., FORCE])
            + self.positions(position)
            + self.phases(position % STEPS_A_BEAT)
            + self.metres(rows[..., METRE])
            + self.aheads(rows[..., AHEAD])
            + self.deltas(deltas.clamp(0, MAX_DELTA))
            + _looked_up(self.looks_onset, looks(rows, SUGGESTED_ONSET))
            + _looked_up(self.looks_key, looks(rows, SUGGESTED_KEY))
            + _looked_up(self.looks_run, looks(rows, RUN))
        )
        return out

    def _read_off(self, number: int, stream: Tensor) -> Tensor:
        stage = self.stages[number]
        assert isinstance(stage, Stage)
        return stage.read_off(stream)

    def _distances(self, last: Tensor) -> tuple[Tensor, Tensor]:
        """(…, ONSETS): steps from a row to each onset, and whether it is a note that can come."""
        symbol = torch.arange(ONSETS, device=last.device)
        line = self.bar_lengths[last[..., METRE]][..., None] - POSITIONS
        distance = symbol - last[..., POSITION, None] + torch.where(symbol < POSITIONS, 0, line)
        reached = (distance >= 0) & (distance < DISTANCES) & (symbol < REST)
        return torch.where(reached, distance, 0), reached

    def _turns(self, time: Tensor, start: int, end: int) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines (B, T, 1, heads, head_dim) for `rotate`."""
        by_time = self.config.heads // 2
        by_place = self.config.heads - by_time
        angles = time[..., None].float() * self.time_rates  # (B, T, head_dim / 2)
        cos, sin = angles.cos(), angles.sin()
        batch, length = time.shape
        turned = []
        for place, halves in ((self.cos, (cos, cos)), (self.sin, (-sin, sin))):
            size = (batch, length, 1, -1, -1)
            of_place = place[start:end].expand(batch, length, 1, by_place, -1)
            of_time = torch.cat(halves, dim=-1)[:, :, None, None].expand(*size[:3], by_time, -1)
            turned.append(torch.cat((of_place, of_time), dim=3))
        return turned[0], turned[1]

    def _initialize(self) -> None:
        # As in models/network.py; the chain's stream is of size 1, so what is said to it is larger.
        branch_std = 0.02 / (2 * self.config.layers) ** 0.5
        for name, parameter in self.named_parameters():
            if "looks" in name:
                nn.init.zeros_(parameter)
            elif parameter.dim() == 2:
                ends_branch = name.endswith(("out.weight", "down.weight"))
                std = 0.1 if name.startswith("said_") else branch_std if ends_branch else 0.02
                nn.init.normal_(parameter, std=std)


def deltas_of(rows: Tensor) -> Tensor:
    """(B, T): steps from the row before each; the first has 0."""
    time = rows[..., TIME]
    return torch.diff(time, dim=-1, prepend=time[..., :1])


def looks(rows: Tensor, first: int) -> Tensor:
    """(…, LOOKS): a group of columns of models/nested/lookback.py."""
    return rows[..., first : first + LOOKS]


def _looked_up(table: nn.Embedding, numbers: Tensor) -> Tensor:
    """The sum of an entry for each look, (…, width); each look has its part of the table."""
    size = table.num_embeddings // LOOKS
    entries = numbers + size * torch.arange(LOOKS, device=numbers.device)
    summed = F.embedding_bag(entries.reshape(-1, LOOKS), table.weight, mode="sum")
    return summed.view(*numbers.shape[:-1], -1)


def _with_gates(scores: Tensor, suggested: Tensor, choices: int) -> Tensor:
    """(…, choices): what was read off, and each look's gate added where it points."""
    out = scores[..., :choices]
    every = torch.arange(choices, device=scores.device)
    for look in range(LOOKS):
        gate = scores[..., choices + look, None]
        out = out + gate * (suggested[..., look, None] == every)
    return out


def _time_rates(head_dim: int) -> Tensor:
    """Radians a step, (head_dim / 2,), periods spread evenly in the logarithm."""
    spread = torch.linspace(0, 1, head_dim // 2)
    periods = SHORTEST_PERIOD * (LONGEST_PERIOD / SHORTEST_PERIOD) ** spread
    return 2 * math.pi / periods
