"""One step of learning: a batch in, an update of the weights out."""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lexigram.data import IGNORED, Batch
from lexigram.model import Transformer, pick_device
from lexigram.objectives import cross_entropy
from lexigram.train.config import TrainConfig
from lexigram.train.optim import make_optimizer

__all__ = ["Learner", "Update", "num_cores"]


class Update(NamedTuple):
    """What an update came to."""

    loss: float
    """Of the batch before the update, nats per target."""
    grad_norm: float
    """Before clipping."""
    num_targets: int

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


class Learner:
    """A model and its optimizer on one device, fresh from the config's seed."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.device = pick_device(config.device)
        self.half = config.dtype == "bfloat16" or (
            config.dtype == "auto" and self.device.type == "cuda"
        )
        torch.manual_seed(config.seed)
        self.model = Transformer(config.model).to(self.device)
        self.optimizer = make_optimizer(self.model, config.optim)

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits (B, T, V) and targets (B, T) of a batch, on the device."""
        places: dict[str, Tensor] = {}
        if self.config.data.document_masking:
            places["positions"] = self._move(batch.positions)
            if batch.document_ids.any():  # one document a row: plain causal kernels are faster
                places["document_ids"] = self._move(batch.document_ids)
        inputs, targets = self._move(batch.inputs), self._move(batch.targets)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            return self.model(inputs, **places), targets

    def update(self, batch: Batch, lr: float) -> Update:
        """One AdamW step on the mean loss over the batch's targets.

        When the loss or the gradient is no finite number, the weights stay as they were.
        """
        num_targets = int((batch.targets != IGNORED).sum())
        loss = torch.zeros((), device=self.device)
        self.optimizer.zero_grad(set_to_none=True)
        for part in _split(batch, self.config.grad_accum):
            logits_BTV, targets_BT = self.logits(part)
            share = cross_entropy(logits_BTV, targets_BT, reduction="sum") / num_targets
            share.backward()  # type: ignore[no-untyped-call]
            loss += share.detach()
        clip = self.config.optim.grad_clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        update = Update(loss.item(), norm.item(), num_targets)
        if update.is_finite:
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            self.optimizer.step()
        return update

    def _move(self, array: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)


def _split(batch: Batch, parts: int) -> list[Batch]:
    """The batch's rows in `parts` groups."""
    if parts == 1:
        return [batch]
    groups = [np.array_split(array, parts) for array in batch]
    return [Batch(*arrays) for arrays in zip(*groups, strict=True) if len(arrays[0])]


def num_cores() -> int:
    """Processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1
