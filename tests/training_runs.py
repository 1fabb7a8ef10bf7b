"""A byte tokenizer and tiny runs, shared by the tests of training; also a script that trains:

python training_runs.py CONFIG.json [resume]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lexigram import config as plain
from lexigram import data
from lexigram.model import ModelConfig
from lexigram.train import DataConfig, OptimConfig, TrainConfig, train

SEPARATOR = 256


class Bytes:
    """Every byte a token, and one more for the separator."""

    n_vocab = 257
    eot_token = SEPARATOR
    fingerprint = "bytes"

    def encode_ordinary_batch_to_numpy(
        self, texts: list[str]
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        pieces = [text.encode() for text in texts]
        offsets = np.cumsum([0, *map(len, pieces)]).astype(np.int64)
        return np.frombuffer(b"".join(pieces), dtype=np.uint8).astype(np.uint32), offsets


def write_dataset(folder: Path, texts: Sequence[str], tokenizer: Any = None) -> Path:
    data.tokenize(list(texts), tokenizer or Bytes(), folder)
    return folder


def texts(count: int, seed: int) -> list[str]:
    """Documents with something to learn: words from a short list."""
    rng = np.random.default_rng(seed)
    words = ["let", "x", "=", "f(", ")", "return", "\n", "def", "né", "42"]
    return [" ".join(rng.choice(words, size=rng.integers(1, 60))) for _ in range(count)]


def tiny(folder: Path, **changes: Any) -> TrainConfig:
    """Twelve steps of a few milliseconds, with two held-out losses."""
    train_dir, held_out = folder / "train", folder / "held_out"
    if not train_dir.exists():
        write_dataset(train_dir, texts(60, seed=1))
        write_dataset(held_out, texts(12, seed=2))
    model = ModelConfig.preset(
        "qwen3",
        vocab_size=257,
        context_length=32,
        num_layers=2,
        d_model=16,
        num_heads=2,
        document_separator=SEPARATOR,
    )
    base: dict[str, Any] = {
        "model": model,
        "data": DataConfig(train=str(train_dir), validation=str(held_out)),
        "optim": OptimConfig(lr=1e-2),
        "name": "tiny",
        "steps": 12,
        "batch_size": 4,
        "seq_len": 32,
        "device": "cpu",
        "num_threads": 1,
        "eval_every": 5,
        "eval_tokens": 256,
        "checkpoint_minutes": None,
    }
    return TrainConfig(**{**base, **changes})


if __name__ == "__main__":
    train(plain.load(TrainConfig, sys.argv[1]), resume="resume" in sys.argv[2:])
