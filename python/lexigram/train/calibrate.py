"""How many steps fit in a time: measured once, then fixed, so that the run itself is exact."""

from __future__ import annotations

import math
import statistics
import time

import torch

from lexigram.data import TokenLoader
from lexigram.errors import InvalidInputError
from lexigram.train.config import TrainConfig
from lexigram.train.learner import Learner
from lexigram.train.schedule import learning_rate
from lexigram.train.setup import open_datasets
from lexigram.train.state import own_torch_state

__all__ = ["steps_for"]

_LONGEST = 30.0  # seconds of measuring, however long the run
_WARMUP_STEPS = 2  # the first steps pay for memory and kernel selection


def steps_for(config: TrainConfig, seconds: float) -> int:
    """The number of steps that training takes `seconds` for, evaluations included; at least 1.

    Trains a throw-away model of the config on its data for about a fiftieth of the time, 5 steps
    at least and 30 seconds at most. `config.steps` is not looked at. Nothing is written or changed.

    Raises `InvalidInputError` for a time that is not above 0, and what `train` raises for a config
    and datasets that do not agree.
    """
    if not 0 < seconds < math.inf:
        raise InvalidInputError(f"{seconds:g} seconds: must be above 0 and finite")
    dataset, held_out = open_datasets(config)
    loader = TokenLoader(
        dataset,
        batch_size=config.batch_size,
        seq_len=config.seq_len,
        seed=config.seed,
        packing=config.data.packing,
    )
    with own_torch_state(config):
        learner = Learner(config)
        lr = learning_rate(config, config.steps)
        times: list[float] = []
        while len(times) < 5 + _WARMUP_STEPS or sum(times) < min(seconds / 50, _LONGEST):
            began = time.perf_counter()
            learner.update(loader.next_batch(), lr)
            times.append(time.perf_counter() - began)
            if sum(times) > seconds / 4 and len(times) > _WARMUP_STEPS:
                break  # few steps will fit: measuring more of them would cost too much
        per_step = statistics.median(times[_WARMUP_STEPS:])
        per_evaluation = 0.0
        if held_out is not None:
            passes: list[float] = []
            with torch.no_grad():
                for _ in range(3):
                    began = time.perf_counter()
                    learner.logits(loader.next_batch())
                    passes.append(time.perf_counter() - began)
            tokens = min(config.eval_tokens, len(held_out))
            batches = max(1.0, tokens / (config.batch_size * config.seq_len))
            per_evaluation = batches * statistics.median(passes)
    left = seconds - per_evaluation  # the one after the last step
    return max(1, int(left / (per_step + per_evaluation / config.eval_every)))
