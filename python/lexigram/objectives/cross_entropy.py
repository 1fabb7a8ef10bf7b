"""Cross-entropy of the next token: the negative log-likelihood that pretraining minimises.

    ℓ_i = −log p(y_i) = log Σ_v exp(z_iv) − z_{i, y_i}

in nats, for logits z_i and target y_i (Goodfellow, Bengio & Courville 2016, section 6.2.2.3).
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from lexigram.errors import InvalidInputError

__all__ = ["cross_entropy"]


def cross_entropy(
    logits: Tensor,
    targets: Tensor,
    *,
    ignore_index: int = -100,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Tensor:
    """The cross-entropy in nats, computed and returned in float32.

    `logits` (…, V) of any floating type; `targets` (…) int64. A target equal to `ignore_index`
    counts nothing: 0 with `reduction="none"` (shape …), left out of the sum and of the number that
    the mean divides by. The mean over no target at all is NaN, as in PyTorch.

    Raises `InvalidInputError` when the shapes do not fit or the reduction is unknown.
    """
    if reduction not in ("mean", "sum", "none"):
        raise InvalidInputError(f"reduction = {reduction!r}: must be 'mean', 'sum' or 'none'")
    if logits.dim() == 0 or logits.shape[:-1] != targets.shape:
        raise InvalidInputError(
            f"logits {tuple(logits.shape)} and targets {tuple(targets.shape)}: the targets must "
            "have the shape of the logits without their last axis"
        )
    losses = F.cross_entropy(
        logits.float().reshape(-1, logits.shape[-1]),
        targets.reshape(-1),
        ignore_index=ignore_index,
        reduction=reduction,
    )
    return losses.view(targets.shape) if reduction == "none" else losses
