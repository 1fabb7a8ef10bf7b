"""The state of torch that a run sets and gives back: the number of threads and the generators."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from lexigram.train.config import TrainConfig
from lexigram.train.learner import num_cores

__all__ = ["own_torch_state", "random_state", "set_random_state"]


@contextmanager
def own_torch_state(config: TrainConfig, num_threads: int | None = None) -> Iterator[None]:
    """Inside, torch has the run's number of threads; afterwards threads and generators are as
    they were. `num_threads`, from a checkpoint, goes before the config's."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads or config.num_threads or num_cores())
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(before)


def random_state(device: torch.device) -> dict[str, str]:
    """The states of torch's generators, as base64."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return {k: base64.b64encode(v.numpy().tobytes()).decode() for k, v in states.items()}


def set_random_state(states: Mapping[str, str], device: torch.device) -> None:
    """Puts back what `random_state` returned; generators of absent devices are left alone."""
    tensors = {
        kind: torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
        for kind, text in states.items()
    }
    torch.set_rng_state(tensors["cpu"])
    if device.type == "cuda" and "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"], device)
