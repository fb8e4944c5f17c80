"""The network: a small LLaMA-style decoder in PyTorch.

Knows tensors of token numbers and nothing of music, files, training or sampling. Rotary
positions, RMSNorm before each branch, SwiGLU, embeddings tied to the output, no biases.

One forward pass serves both lives. Training calls ``network(tokens)``. A live decoder owns two
preallocated tensors from `empty_cache` and calls ``network(tokens, keys=k, values=v, start=n)``:
the keys and values of the T new tokens are written in place at ``[:, :, n:n+T]``, and each new
token attends to all cached ones before it and to itself. What lies beyond n+T is never read, so
to rewind is to call again with a smaller start.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROPE_BASE = 10_000.0
NORM_EPSILON = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The shape of a network; raises ValueError where it cannot be built."""

    vocabulary: int  # number of tokens
    layers: int = 6
    width: int = 256
    heads: int = 4
    ffn: int = 688  # hidden width of SwiGLU, about 8/3 of the width
    context: int = 1024  # longest sequence, in tokens

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} of the network is {value!r}, not a positive number")
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width {self.width} cannot be split into {self.heads} heads of an even size"
            )

    @property
    def head_dim(self) -> int:
        """Numbers in one key of one head."""
        return self.width // self.heads


class Attention(nn.Module):
    """Causal self-attention with one fused projection for queries, keys and values."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.head_dim = config.head_dim
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(
        self,
        x: Tensor,  # (B, T, width)
        cos: Tensor,  # (T, 1, 1, head_dim)
        sin: Tensor,
        mask: Tensor | None,
        keys: Tensor | None,  # (H, context, head_dim), with values: B is 1
        values: Tensor | None,
        start: int,
    ) -> Tensor:
        """Attend; with a cache, write the new keys and values into it first."""
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, self.head_dim)
        qk = rotate(qkv[:, :, :2], cos, sin)  # (B, T, 2, H, head_dim)
        q, k = qk.unbind(2)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), qkv[:, :, 2].transpose(1, 2)
        if keys is not None and values is not None:
            end = start + length
            keys[:, start:end] = k[0]
            values[:, start:end] = v[0]
            k, v = keys[None, :, :end], values[None, :, :end]
        causal = mask is None and length > 1
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        out: Tensor = self.out(y.transpose(1, 2).reshape(batch, length, width))
        return out


class FeedForward(nn.Module):
    """SwiGLU with gate and up projections fused."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.gate_up = nn.Linear(config.width, 2 * config.ffn, bias=False)
        self.down = nn.Linear(config.ffn, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width) to the same shape."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        out: Tensor = self.down(F.silu(gate) * up)
        return out


class Block(nn.Module):
    """One layer: attention, then feed-forward, each beside a residual."""

    def __init__(self, config: NetworkConfig, *, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.width, eps=NORM_EPSILON)
        self.attention = Attention(config)
        self.ffn_norm = nn.RMSNorm(config.width, eps=NORM_EPSILON)
        self.ffn = FeedForward(config)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor | None,
        keys: Tensor | None,
        values: Tensor | None,
        start: int,
    ) -> Tensor:
        """(B, T, width) to the same shape."""
        heard = self.attention(self.attention_norm(x), cos, sin, mask, keys, values, start)
        x = x + self.dropout(heard)
        thought: Tensor = self.dropout(self.ffn(self.ffn_norm(x)))
        return x + thought


class Network(nn.Module):
    """Token numbers in, logits out. Dropout acts in training mode only and is not in the config."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: NetworkConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(config, dropout=dropout) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, eps=NORM_EPSILON)
        cos, sin = rope_tables(config.context, config.head_dim)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self._initialize()

    def forward(
        self,
        tokens: Tensor,  # (B, T) integers
        *,
        keys: Tensor | None = None,  # (layers, heads, context, head_dim), or None for no cache
        values: Tensor | None = None,
        start: int = 0,
    ) -> Tensor:
        """Logits (B, T, vocabulary) of the token after each.

        With `keys` and `values` (both, as `empty_cache` makes them; B must be 1), the tokens take
        the positions start..start+T, see the module's docstring. Raises ValueError when they
        would pass the context. Without a cache, start must be 0.
        """
        batch, length = tokens.shape
        end = start + length
        if end > self.config.context:
            raise ValueError(f"{end} tokens do not fit into a context of {self.config.context}")
        if keys is None and start:
            raise ValueError("a pass that starts in the middle needs a cache")
        if keys is not None and batch != 1:
            raise ValueError("the cache holds one sequence, not a batch")
        cos, sin = self.cos[start:end], self.sin[start:end]
        # One query may see every key, and from the start the built-in causal mask is right.
        mask = None if length == 1 or start == 0 else self._mask(length, end)
        x = self.dropout(self.embedding(tokens))  # (B, T, width)
        for layer, block in enumerate(self.blocks):
            k = None if keys is None else keys[layer]
            v = None if values is None else values[layer]
            x = block(x, cos, sin, mask, k, v, start)
        return F.linear(self.norm(x), self.embedding.weight)

    def empty_cache(self) -> tuple[Tensor, Tensor]:
        """Keys and values for `forward`: zeros (layers, heads, context, head_dim) each."""
        c = self.config
        shape = (c.layers, c.heads, c.context, c.head_dim)
        weight = self.embedding.weight
        keys = torch.zeros(shape, dtype=weight.dtype, device=weight.device)
        return keys, torch.zeros_like(keys)

    def parameter_count(self) -> int:
        """Trained numbers, the tied embedding counted once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def _mask(self, length: int, end: int) -> Tensor:
        seen = torch.ones(length, end, dtype=torch.bool, device=self.cos.device)
        return seen.tril(diagonal=end - length)  # (T, end), True where a key may be seen

    def _initialize(self) -> None:
        # Branches that add to the residual start smaller, so that depth does not blow it up
        # (GPT-2, section 2.3).
        branch_std = 0.02 / (2 * self.config.layers) ** 0.5
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                ends_branch = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(parameter, std=branch_std if ends_branch else 0.02)


def rope_tables(context: int, head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines (context, 1, 1, head_dim) for `rotate`.

    The halves of a head turn against each other, as in LLaMA's Hugging Face form. The sine of the
    first half carries the minus sign, which saves a negation for each token.
    """
    frequencies = ROPE_BASE ** (-torch.arange(0, head_dim, 2) / head_dim)
    angles = torch.arange(context)[:, None] * frequencies  # (context, head_dim / 2)
    cos, sin = angles.cos(), angles.sin()
    return (
        torch.cat((cos, cos), dim=-1)[:, None, None],
        torch.cat((-sin, sin), dim=-1)[:, None, None],
    )


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn (B, T, 2, H, head_dim) by the angles of its T positions."""
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return x * cos + x.roll(x.shape[-1] // 2, dims=-1) * sin
