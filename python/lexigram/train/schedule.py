"""The learning rate as a function of the step and of nothing else, so that a resumed run has the
same one.

    lr(s) = lr · s / w                                            for s ≤ w
    lr(s) = lr · (f + (1 − f) · (1 + cos(π (s − w) / (S − w))) / 2)   for w < s ≤ S

for steps s = 1 … S, w warm-up steps and the floor f (arXiv:1608.03983, equation 5, one cycle).
"""

from __future__ import annotations

import math

from lexigram.train.config import TrainConfig

__all__ = ["learning_rate"]


def learning_rate(config: TrainConfig, step: int) -> float:
    """The learning rate of `step`, counted from 1 to `config.steps`."""
    schedule, steps = config.schedule, config.steps
    warmup = round(schedule.warmup * steps)
    if step <= warmup:
        return config.optim.lr * step / warmup
    cosine = (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
    return config.optim.lr * (schedule.floor + (1 - schedule.floor) * cosine)
