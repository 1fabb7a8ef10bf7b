"""Attention, written as its definition, in float64 NumPy: for reading, and the oracle in tests.

For query head h at position t, over the positions s ≤ t of the same document (arXiv:1706.03762,
equation 1; grouped key heads: arXiv:2305.13245):

    weight_s = exp(q_t · k_s / √D + bias_ts) / Σ_s' exp(q_t · k_s' / √D + bias_ts')
    out_t    = Σ_s weight_s v_s
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["attention", "rotate"]

Floats = npt.NDArray[np.float64]


def attention(
    queries: Floats,
    keys: Floats,
    values: Floats,
    *,
    document_ids: npt.NDArray[np.int64] | None = None,
    alibi_slopes: list[float] | None = None,
) -> Floats:
    """The outputs (T, H, D) of one row for queries (T, H, D) and keys and values (T, K, D).

    `document_ids` (T,): a position sees only those with its own id. `alibi_slopes` (H,): head h
    adds −slope · (t − s) to the score (arXiv:2108.12409).
    """
    length, num_heads, width = queries.shape
    num_kv_heads = keys.shape[1]
    out = np.zeros_like(queries)
    for h in range(num_heads):
        k = h * num_kv_heads // num_heads  # neighbouring query heads share a key head
        for t in range(length):
            seen = [
                s
                for s in range(t + 1)
                if document_ids is None or document_ids[s] == document_ids[t]
            ]
            scores = [float(queries[t, h] @ keys[s, k]) / math.sqrt(width) for s in seen]
            if alibi_slopes is not None:
                scores = [x - alibi_slopes[h] * (t - s) for x, s in zip(scores, seen, strict=True)]
            weights = [math.exp(x - max(scores)) for x in scores]
            for s, weight in zip(seen, weights, strict=True):
                out[t, h] += weight / sum(weights) * values[s, k]
    return out


def rotate(x: Floats, position: int, theta: float) -> Floats:
    """One head's vector (D,) turned to its position: the pair (x_i, x_{i + D/2}) by the angle
    position · θ^(−2i / D) (arXiv:2104.09864)."""
    half = len(x) // 2
    out = np.empty_like(x)
    for i in range(half):
        angle = position * theta ** (-2 * i / len(x))
        out[i] = x[i] * math.cos(angle) - x[i + half] * math.sin(angle)
        out[i + half] = x[i + half] * math.cos(angle) + x[i] * math.sin(angle)
    return out
