"""AdamW, with its state under the names of the parameters."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim import AdamW

from lexigram.errors import FormatError
from lexigram.train.config import OptimConfig

__all__ = ["load_optimizer_state", "make_optimizer", "optimizer_state"]

_PARTS = ("step", "exp_avg", "exp_avg_sq")


def make_optimizer(model: nn.Module, config: OptimConfig) -> AdamW:
    """AdamW that decays matrices, embeddings among them, and leaves gains and biases alone."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    return AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=config.lr,
        betas=config.betas,
        eps=config.eps,
        fused=True,
    )


def optimizer_state(model: nn.Module, optimizer: AdamW) -> dict[str, Tensor]:
    """The optimizer's tensors as `PARAMETER.step`, `PARAMETER.exp_avg`, `PARAMETER.exp_avg_sq`."""
    return {
        f"{name}.{part}": optimizer.state[parameter][part]
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
        for part in _PARTS
    }


def load_optimizer_state(model: nn.Module, optimizer: AdamW, tensors: dict[str, Tensor]) -> None:
    """Puts back what `optimizer_state` returned: nothing, before the first step. Raises
    `FormatError` if it is of another model."""
    if not tensors:
        return
    expected = {f"{name}.{part}" for name, _ in model.named_parameters() for part in _PARTS}
    if tensors.keys() != expected:
        name = min(tensors.keys() ^ expected)
        raise FormatError(f"the optimizer state is of another model: see {name}")
    for name, parameter in model.named_parameters():
        optimizer.state[parameter] = {
            part: tensors[f"{name}.{part}"].to(parameter.device) for part in _PARTS
        }
