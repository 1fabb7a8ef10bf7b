"""The parts of a transformer: attention, feed-forward layer, block, positions.

Attention (arXiv:1706.03762, equation 1), for each query head h with key head ⌊h · K / H⌋:

    out_t = Σ_s softmax_s(q_t · k_s / √D + bias_ts) v_s,   over the positions s that t may see

which are those at or before t, of the same document. `lexigram.reference.attention` says the same
in loops.

Names carry their shape: B rows, T positions read, S positions seen, E d_model, H query heads,
K key heads, D head_dim, F d_ff, V vocabulary.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lexigram.model.cache import Store
from lexigram.model.config import ModelConfig

__all__ = ["Attention", "Block", "FeedForward", "alibi_slopes", "make_norm", "rotate", "sinusoids"]


def make_norm(config: ModelConfig, width: int) -> nn.Module:
    """LayerNorm (arXiv:1607.06450) or RMSNorm (arXiv:1910.07467) with a learned gain."""
    if config.norm == "layernorm":
        return nn.LayerNorm(width, eps=config.norm_eps, bias=config.bias)
    return RMSNorm(width, eps=config.norm_eps)


class RMSNorm(nn.RMSNorm):
    """torch's RMSNorm, its gain cast to the type of the input: mixed types miss the fast kernel."""

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class Attention(nn.Module):
    """Causal attention with grouped key heads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = (config.num_heads, config.num_kv_heads, config.num_kv_heads)
        self.head_dim = config.head_dim
        width = config.head_dim * config.num_heads
        # One matrix product for queries, keys and values: the rows of the weight in that order.
        self.qkv = nn.Linear(config.d_model, sum(self.heads) * config.head_dim, bias=config.bias)
        self.output = nn.Linear(width, config.d_model, bias=config.bias)
        self.qk_norm = config.qk_norm
        if config.qk_norm:
            self.query_norm = RMSNorm(config.head_dim, eps=config.norm_eps)
            self.key_norm = RMSNorm(config.head_dim, eps=config.norm_eps)

    def forward(
        self,
        x_BTE: Tensor,
        rotation: tuple[Tensor, Tensor] | None,
        mask: Tensor | None,
        cached: tuple[Store, int, int] | None = None,
    ) -> Tensor:
        """`mask` (broadcasts to B, H, T, S) is True where t may see s, or is added to the scores;
        None means every earlier position of the row. `cached` is (store, layer, start)."""
        rows, length, _ = x_BTE.shape
        x_BTND = self.qkv(x_BTE).view(rows, length, -1, self.head_dim)
        q_BTHD, k_BTKD, v_BTKD = x_BTND.split(self.heads, dim=2)
        if self.qk_norm:
            q_BTHD, k_BTKD = self.query_norm(q_BTHD), self.key_norm(k_BTKD)
        if rotation is not None:
            q_BTHD, k_BTKD = rotate(q_BTHD, rotation), rotate(k_BTKD, rotation)
        q_BHTD, k_BKSD, v_BKSD = (x.transpose(1, 2) for x in (q_BTHD, k_BTKD, v_BTKD))
        if cached is not None:
            store, layer, start = cached
            store.write(layer, start, k_BKSD, v_BKSD)
            k_BKSD, v_BKSD = store.read(layer, start + length)
        out_BHTD = F.scaled_dot_product_attention(
            q_BHTD,
            k_BKSD,
            v_BKSD,
            attn_mask=mask,
            is_causal=mask is None and length > 1,
            enable_gqa=self.heads[0] != self.heads[1],
        )
        out: Tensor = self.output(out_BHTD.transpose(1, 2).reshape(rows, length, -1))
        return out


class FeedForward(nn.Module):
    """down(act(up x)), or down(silu(gate x) ⊙ up x) for SwiGLU (arXiv:2002.05202)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.activation = config.activation
        if config.activation == "swiglu":
            self.gate = nn.Linear(config.d_model, config.d_ff, bias=config.bias)
        self.up = nn.Linear(config.d_model, config.d_ff, bias=config.bias)
        self.down = nn.Linear(config.d_ff, config.d_model, bias=config.bias)

    def forward(self, x_BTE: Tensor) -> Tensor:
        up_BTF = self.up(x_BTE)
        if self.activation == "swiglu":
            inner_BTF = F.silu(self.gate(x_BTE)) * up_BTF
        elif self.activation == "relu2":
            inner_BTF = F.relu(up_BTF).square()
        else:
            inner_BTF = F.gelu(up_BTF, approximate="tanh")
        out: Tensor = self.down(inner_BTF)
        return out


class Block(nn.Module):
    """Attention, then the feed-forward layer, each on a normalised copy and added back."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = make_norm(config, config.d_model)
        self.attention = Attention(config)
        self.feed_forward_norm = make_norm(config, config.d_model)
        self.feed_forward = FeedForward(config)

    def forward(
        self,
        x_BTE: Tensor,
        rotation: tuple[Tensor, Tensor] | None,
        mask: Tensor | None,
        cached: tuple[Store, int, int] | None = None,
    ) -> Tensor:
        x_BTE = x_BTE + self.attention(self.attention_norm(x_BTE), rotation, mask, cached)
        out: Tensor = x_BTE + self.feed_forward(self.feed_forward_norm(x_BTE))
        return out


def rotation_angles(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine, each (…, 1, D / 2), of position · θ^(−2i / D) (arXiv:2104.09864, eq. 15)."""
    exponents = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32)
    frequencies = 1.0 / theta ** (exponents / head_dim)
    angles = positions[..., None, None].float() * frequencies
    return angles.cos(), angles.sin()


def rotate(x_BTND: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turns each pair (x_i, x_{i + D/2}) by its angle; the pairing is that of GPT-NeoX and Qwen."""
    cos, sin = (part.to(x_BTND.dtype) for part in rotation)
    first, second = x_BTND.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """(…, width): sin(p / 10000^(2i / width)) in the even columns, cos in the odd ones
    (arXiv:1706.03762, section 3.5)."""
    exponents = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32)
    angles = positions[..., None].float() * 10_000.0 ** (-exponents / width)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)


def alibi_slopes(num_heads: int) -> list[float]:
    """The slope of each head's linear penalty: 2^(−8h / n) for h = 1 … n when n is a power of two;
    other n take the slopes of the next lower power and every second one of the next higher
    (arXiv:2108.12409, section 3 and its published code)."""
    power = 2 ** math.floor(math.log2(num_heads))
    slopes = [2.0 ** (-8.0 * h / power) for h in range(1, power + 1)]
    between = [2.0 ** (-4.0 * h / power) for h in range(1, 2 * power + 1, 2)]
    return slopes + between[: num_heads - power]
