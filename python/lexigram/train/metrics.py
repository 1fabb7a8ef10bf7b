"""What a run measures: the lines of metrics.jsonl, the held-out loss, and reports to a caller.

A line with "loss" belongs to a training step, one with "validation_loss" to an evaluation after
that step. Losses are nats per target.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lexigram import runs
from lexigram.data import IGNORED, Batch, TokenDataset, TokenLoader
from lexigram.objectives import cross_entropy
from lexigram.train.config import TrainConfig

__all__ = ["HeldOut", "HeldOutScore", "MetricsFile", "Progress", "StepReport"]

Logits = Callable[[Batch], tuple[Tensor, Tensor]]
"""Logits (B, T, V) and targets (B, T) of a batch, on the model's device."""


@dataclass(frozen=True)
class StepReport:
    """How far a run is; given to `progress` after every step and every evaluation."""

    step: int
    steps: int
    loss: float
    """Of this step's batch before the update, in nats per target."""
    lr: float
    grad_norm: float
    """Before clipping."""
    tokens: int
    """Targets trained on since the run began."""
    tokens_per_second: float
    elapsed: float
    """Seconds of training since the run began, interruptions left out."""
    remaining: float
    """Seconds that the steps to come will take at the pace of the last ones."""
    validation_loss: float | None = None
    """The newest; None before the first evaluation."""
    validation_bits_per_byte: float | None = None


Progress = Callable[[StepReport], object]


class MetricsFile:
    """metrics.jsonl, a line at a time; what is written is handed to the system at once."""

    def __init__(self, path: Path, *, upto: int) -> None:
        """Goes on after step `upto`: later lines, and a last line that was cut off, are removed."""
        self.evaluated: dict[int, dict[str, Any]] = {}
        kept = [line for line in runs.read_metrics(path.parent) if line["step"] <= upto]
        for line in kept:
            if "validation_loss" in line:
                self.evaluated[line["step"]] = line
        temporary = path.with_name(f".{path.name}")
        temporary.write_text("".join(map(_line, kept)), encoding="utf-8")
        temporary.replace(path)
        self._file = path.open("a", encoding="utf-8")

    def write(self, **values: float | int | None) -> None:
        self._file.write(_line(values))
        self._file.flush()
        if "validation_loss" in values:
            self.evaluated[int(values["step"] or 0)] = values

    def force_to_disk(self) -> None:
        """After this a power cut loses no line that was written."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values) + "\n"


@dataclass(frozen=True)
class HeldOutScore:
    loss: float
    """Nats per target, separators included, as the training loss."""
    bits_per_byte: float | None
    """None without a tokenizer, which knows how many bytes a token stands for."""


class HeldOut:
    """The loss on rows of a validation set, the same rows each time.

    Rows of `seq_len` tokens follow each other without overlap, and each begins without what stood
    before it: an upper bound on what `lexigram.evaluate.bits_per_byte` gives, at a fraction of the
    cost. Bits per byte: −log₂ p summed over the targets that are no separator, over the UTF-8 bytes
    of just those targets.
    """

    def __init__(
        self,
        dataset: TokenDataset,
        config: TrainConfig,
        token_bytes: npt.NDArray[np.int64] | None,
    ) -> None:
        batch_size, seq_len = config.batch_size // config.grad_accum, config.seq_len
        self._loader = TokenLoader(
            dataset,
            batch_size=batch_size,
            seq_len=seq_len,
            seed=0,
            shuffle=False,
            drop_last=False,
        )
        rows = max(1, min(config.eval_tokens, len(dataset)) // seq_len)
        count = min(len(self._loader), math.ceil(rows / batch_size))
        self._steps = [(2 * i + 1) * len(self._loader) // (2 * count) for i in range(count)]
        self._separator = dataset.document_separator
        self._token_bytes = token_bytes

    @torch.no_grad()
    def score(self, logits: Logits) -> HeldOutScore:
        nats = text_nats = 0.0
        targets_seen = num_bytes = 0
        for step in self._steps:
            batch = self._loader.batch(step)
            logits_BTV, targets_BT = logits(batch)
            losses = cross_entropy(logits_BTV, targets_BT, reduction="none").double()
            is_text = targets_BT != self._separator  # what is ignored has loss 0
            nats += losses.sum().item()
            text_nats += (losses * is_text).sum().item()
            targets = batch.targets[batch.targets != IGNORED]
            targets_seen += targets.size
            if self._token_bytes is not None:
                num_bytes += int(self._token_bytes[targets[targets != self._separator]].sum())
        bits = text_nats / math.log(2) / num_bytes if num_bytes else None
        return HeldOutScore(nats / targets_seen, bits)
