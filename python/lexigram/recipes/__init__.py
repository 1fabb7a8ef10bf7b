"""Named runs: functions that return a whole `TrainConfig`.

`lexigram train NAME --set data.train=DIR …` starts one; `RECIPES` maps the names to the functions.
"""

from __future__ import annotations

from collections.abc import Callable

from lexigram.model import ModelConfig
from lexigram.train import DataConfig, OptimConfig, ScheduleConfig, TrainConfig

__all__ = ["RECIPES", "stdlib_cpu"]


def stdlib_cpu(
    *,
    train: str = "",
    validation: str | None = None,
    tokenizer: str | None = None,
    vocab_size: int = 4096,
    document_separator: int | None = None,
) -> TrainConfig:
    """A small Qwen3 for a few minutes on two CPU cores: the quickstart's transformer.

    Made for about 10 MB of source text and a vocabulary of 4,096; `lexigram.train.steps_for` says
    how many steps fit in the time there is.
    """
    return TrainConfig(
        name="stdlib-cpu",
        model=ModelConfig.preset(
            "qwen3",
            vocab_size=vocab_size,
            context_length=256,
            num_layers=4,
            d_model=128,
            num_heads=2,
            rope_theta=10_000.0,
            tie_embeddings=False,
            document_separator=document_separator,
        ),
        data=DataConfig(train=train, validation=validation, tokenizer=tokenizer),
        optim=OptimConfig(lr=5e-3),
        schedule=ScheduleConfig(warmup=0.05, floor=0.05),
        steps=1500,
        batch_size=4,  # many small steps: at this size a batch of 1,024 tokens is not too noisy
        seq_len=256,
        eval_every=200,
        eval_tokens=16_384,
    )


RECIPES: dict[str, Callable[[], TrainConfig]] = {"stdlib-cpu": stdlib_cpu}
