"""The transformer: `ModelConfig` says what it computes, `Transformer` computes it."""

from lexigram.model.config import ModelConfig
from lexigram.model.device import pick_device
from lexigram.model.transformer import Transformer

__all__ = ["ModelConfig", "Transformer", "pick_device"]
