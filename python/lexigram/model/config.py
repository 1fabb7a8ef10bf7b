"""The shape of a transformer, as a frozen dataclass, and the presets `gpt2` and `qwen3`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from lexigram import config as plain
from lexigram.errors import ConfigError

__all__ = ["ModelConfig"]

Norm = Literal["layernorm", "rmsnorm"]
Activation = Literal["gelu", "relu2", "swiglu"]
Positions = Literal["learned", "sinusoidal", "rope", "alibi", "none"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Every number that decides the function a transformer computes.

    Raises `ConfigError` for a value outside its limits.
    """

    vocab_size: int
    """V: token ids are 0 … V − 1."""
    context_length: int = 256
    """The most positions one forward pass reads, the begin marker included."""
    num_layers: int = 4
    d_model: int = 128
    """Width of the residual stream."""
    num_heads: int = 4
    """Query heads."""
    num_kv_heads: int = 4
    """Key and value heads; each serves num_heads / num_kv_heads query heads (arXiv:2305.13245)."""
    head_dim: int = 32
    """Width of one head; num_heads · head_dim need not be d_model."""
    d_ff: int = 384
    """Width of the feed-forward layer."""
    norm: Norm = "rmsnorm"
    norm_eps: float = 1e-6
    activation: Activation = "swiglu"
    """gelu is the tanh approximation that GPT-2 uses; relu2 is max(0, x)² (arXiv:2109.08668)."""
    positions: Positions = "rope"
    rope_theta: float = 10_000.0
    qk_norm: bool = True
    """RMSNorm of every query and key head before they are rotated (arXiv:2302.05442)."""
    bias: bool = False
    """Additive terms in linear layers and in LayerNorm."""
    tie_embeddings: bool = True
    """The output matrix is the token embedding (arXiv:1608.05859)."""
    document_separator: int | None = None
    """The id that stands for both ends of a document. An empty context is read as this id; with
    None, the first token of a text is given the uniform distribution."""

    def __post_init__(self) -> None:
        for name in (
            "vocab_size",
            "context_length",
            "num_layers",
            "d_model",
            "num_heads",
            "num_kv_heads",
            "head_dim",
            "d_ff",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} = {getattr(self, name)}: must be at least 1")
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(
                f"model.num_kv_heads = {self.num_kv_heads} does not divide num_heads = "
                f"{self.num_heads}; each key head serves the same number of query heads"
            )
        if self.positions == "rope" and self.head_dim % 2:
            raise ConfigError(
                f"model.head_dim = {self.head_dim}: rotary positions turn pairs; use an even number"
            )
        if self.positions == "sinusoidal" and self.d_model % 2:
            raise ConfigError(
                f"model.d_model = {self.d_model}: sinusoidal positions need an even number"
            )
        if not self.norm_eps > 0 or not self.rope_theta > 1:
            raise ConfigError(
                f"model.norm_eps = {self.norm_eps} must be above 0 and rope_theta = "
                f"{self.rope_theta} above 1"
            )
        separator = self.document_separator
        if separator is not None and not 0 <= separator < self.vocab_size:
            raise ConfigError(
                f"model.document_separator = {separator} is not in the vocabulary: "
                f"ids are 0 … {self.vocab_size - 1}"
            )

    @staticmethod
    def preset(name: str, **changes: Any) -> ModelConfig:
        """The published model `gpt2` (124M; Radford et al. 2019) or `qwen3` (Qwen3-0.6B;
        arXiv:2505.09388) with `changes` applied.

        A smaller width alone gives a model of the same proportions: unless they are given too,
        `head_dim`, `num_kv_heads` and `d_ff` follow from `d_model` and `num_heads`.

        Raises `ConfigError` for an unknown preset, key or value.
        """
        if name not in _PRESETS:
            raise ConfigError(f"unknown preset {name!r}; presets are {', '.join(_PRESETS)}")
        base = dict(_PRESETS[name])
        if changes.keys() & {"d_model", "num_heads"}:
            width = changes.get("d_model", base["d_model"])
            heads = changes.get("num_heads", base["num_heads"])
            if not (isinstance(width, int) and isinstance(heads, int) and heads >= 1):
                raise ConfigError(f"d_model = {width!r}, num_heads = {heads!r}: must be above 0")
            if "head_dim" not in changes and width % heads:
                raise ConfigError(
                    f"d_model = {width} is not a multiple of num_heads = {heads}; give head_dim"
                )
            grouped = base["num_kv_heads"] < base["num_heads"] and heads % 2 == 0
            base["head_dim"] = width // heads
            base["num_kv_heads"] = heads // 2 if grouped else heads
            base["d_ff"] = width * base["d_ff"] // base["d_model"]
        return plain.from_dict(ModelConfig, {**base, **changes}, where="model")

    @property
    def num_parameters(self) -> int:
        """Trainable numbers; a tied output matrix is counted once."""
        width, bias = self.d_model, int(self.bias)
        queries, keys = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        gain = width * (2 if self.norm == "layernorm" and self.bias else 1)
        attention = (width + bias) * (queries + 2 * keys) + (queries + bias) * width
        attention += 2 * self.head_dim * self.qk_norm
        inner = 2 if self.activation == "swiglu" else 1
        feed_forward = (width + bias) * inner * self.d_ff + (self.d_ff + bias) * width
        embeddings = self.vocab_size * width * (1 if self.tie_embeddings else 2)
        embeddings += self.context_length * width * (self.positions == "learned")
        return embeddings + self.num_layers * (attention + feed_forward + 2 * gain) + gain

    def replace(self, **changes: Any) -> ModelConfig:
        """A copy with `changes` applied."""
        return dataclasses.replace(self, **changes)


_PRESETS: dict[str, dict[str, Any]] = {
    "gpt2": {
        "vocab_size": 50257,
        "context_length": 1024,
        "num_layers": 12,
        "d_model": 768,
        "num_heads": 12,
        "num_kv_heads": 12,
        "head_dim": 64,
        "d_ff": 3072,
        "norm": "layernorm",
        "norm_eps": 1e-5,
        "activation": "gelu",
        "positions": "learned",
        "qk_norm": False,
        "bias": True,
        "tie_embeddings": True,
    },
    "qwen3": {
        "vocab_size": 151936,
        "context_length": 40960,
        "num_layers": 28,
        "d_model": 1024,
        "num_heads": 16,
        "num_kv_heads": 8,
        "head_dim": 128,
        "d_ff": 3072,
        "norm": "rmsnorm",
        "norm_eps": 1e-6,
        "activation": "swiglu",
        "positions": "rope",
        "rope_theta": 1e6,
        "qk_norm": True,
        "bias": False,
        "tie_embeddings": True,
    },
}
