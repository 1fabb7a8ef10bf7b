"""Where tensors live."""

from __future__ import annotations

from collections.abc import Callable

import torch

from lexigram.errors import ConfigError

__all__ = ["pick_device"]


def pick_device(name: str = "auto") -> torch.device:
    """The device called `name`; `"auto"` is CUDA if there is one, else Apple's MPS, else the CPU.

    Raises `ConfigError` for a device that torch does not know or this machine does not have.
    """
    available: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
    }
    if name == "auto":
        name = next((kind for kind, is_there in available.items() if is_there()), "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device = {name!r}: must be auto, cpu, cuda, cuda:N or mps") from None
    if device.type in available and not available[device.type]():
        raise ConfigError(f"device = {name!r}: this machine has none; use auto or cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device = {name!r}: this machine has {torch.cuda.device_count()}, numbered from 0"
        )
    return device
