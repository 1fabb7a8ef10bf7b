"""What a training run is: everything that decides its result, and where it goes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from lexigram.errors import ConfigError
from lexigram.model.config import ModelConfig

__all__ = ["DataConfig", "OptimConfig", "ScheduleConfig", "TrainConfig"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which tokens."""

    train: str = ""
    """Directory of token shards, as `lexigram data tokenize` makes them."""
    mixture: str | None = None
    """A mixture file, as `lexigram data mix` writes it, instead of `train`."""
    validation: str | None = None
    """Directory of held-out shards; without one nothing is evaluated."""
    tokenizer: str | None = None
    """The tokenizer.json that made the shards. It is copied to the run folder, which cannot be
    loaded for generation without it, and gives the bytes of bits per byte."""
    packing: Literal["contiguous", "best_fit"] = "contiguous"
    document_masking: bool = True
    """Attention stays inside a document and positions begin anew in each, as when text is
    generated or scored."""


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """AdamW (arXiv:1711.05101)."""

    lr: float = 2e-3
    """Learning rate at the end of the warm-up."""
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.1
    """Of matrices, embeddings included; gains and biases are not decayed."""
    grad_clip: float = 1.0
    """The largest norm of the whole gradient (arXiv:1211.5063); 0: no clipping."""

    def __post_init__(self) -> None:
        _require(0 < self.lr < math.inf, f"optim.lr = {self.lr}: must be above 0, such as 1e-3")
        _require(
            all(0 <= beta < 1 for beta in self.betas),
            f"optim.betas = {list(self.betas)}: each must be at least 0 and below 1",
        )
        _require(0 < self.eps < math.inf, f"optim.eps = {self.eps}: must be above 0")
        _require(
            0 <= self.weight_decay < math.inf,
            f"optim.weight_decay = {self.weight_decay}: must be at least 0",
        )
        _require(
            0 <= self.grad_clip < math.inf, f"optim.grad_clip = {self.grad_clip}: must be 0 or more"
        )


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Linear warm-up, then half a cosine to a floor (arXiv:1608.03983)."""

    warmup: float = 0.05
    """The part of all steps over which the learning rate rises."""
    floor: float = 0.05
    """The last learning rate, as a part of `optim.lr`."""

    def __post_init__(self) -> None:
        _require(
            0 <= self.warmup < 1, f"schedule.warmup = {self.warmup}: must be a part of 1, below 1"
        )
        _require(0 <= self.floor <= 1, f"schedule.floor = {self.floor}: must be between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A run. Raises `ConfigError` for values outside their limits and contradictions."""

    model: ModelConfig
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    name: str = "run"
    """The run folder is NAME-TIME."""
    out: str | None = None
    """The run folder itself, instead of runs/NAME-TIME."""
    steps: int = 1000
    batch_size: int = 16
    """Rows of one step, over all devices and accumulated micro-batches."""
    seq_len: int = 256
    """Tokens of a row."""
    grad_accum: int = 1
    """Micro-batches that a step's rows are split into, to save memory; same gradient."""
    seed: int = 0
    """Of the weights and of the data order."""
    device: str = "auto"
    """auto: CUDA if there is one, else Apple's MPS, else the CPU."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products; weights are float32. auto: bfloat16 on CUDA, else float32."""
    num_threads: int | None = None
    """CPU threads of torch; none: one a core. A resumed run uses the number that it began with,
    since sums of floating-point numbers depend on it."""
    eval_every: int = 250
    """Steps between held-out losses; the last step always has one."""
    eval_tokens: int = 65_536
    """Held-out tokens that are evaluated, in rows evenly spread over the validation set."""
    checkpoint_every: int | None = None
    """Steps between checkpoints; the last step always has one."""
    checkpoint_minutes: float | None = 5.0
    keep_last: int = 2
    """Checkpoints that are kept."""

    def __post_init__(self) -> None:
        counts = ("steps", "batch_size", "seq_len", "grad_accum", "eval_every", "keep_last")
        for name in (*counts, "num_threads", "checkpoint_every"):
            value = getattr(self, name)
            _require(value is None or value >= 1, f"{name} = {value}: must be at least 1")
        _require(
            self.seq_len <= self.model.context_length,
            f"seq_len = {self.seq_len} is longer than model.context_length = "
            f"{self.model.context_length}; lower the one or raise the other",
        )
        _require(
            self.batch_size % self.grad_accum == 0,
            f"batch_size = {self.batch_size} is not a multiple of grad_accum = {self.grad_accum}",
        )
        _require(
            self.eval_tokens >= self.seq_len,
            f"eval_tokens = {self.eval_tokens} is less than a row of seq_len = {self.seq_len}",
        )
        _require(0 <= self.seed < 2**63, f"seed = {self.seed}: must be between 0 and 2^63 − 1")
        minutes = self.checkpoint_minutes
        _require(
            minutes is None or minutes >= 0,
            f"checkpoint_minutes = {minutes}: must be 0 or more, or none",
        )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)
