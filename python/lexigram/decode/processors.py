"""The transforms of scores that strategies are made of.

Definition. A transform maps scores s (float64[..., V], log-probabilities up to a constant per row)
to scores of the same shape. p = softmax(s) are the probabilities of the scores *it is given*, so
that a transform sees what the ones before it left. A token is kept while its score is above −inf.

Invariants, for every transform and every row: at least one token is kept; a token that was at
−inf stays there; a constant added to a row changes nothing but that constant; the most probable
token stays kept (of several equal ones, the lowest id). All work row by row on any leading shape.

Ties. Where a definition needs an order of the tokens, it is: higher score first, then lower id.
Top-k and top-p therefore cut through a group of equal scores and keep exactly as many as they
need; min-p is a threshold and keeps or drops a group whole. (Hugging Face's top-k keeps all that
tie with the k-th; its top-p splits ties by the order of an unstable sort.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lexigram.errors import InvalidInputError

__all__ = [
    "Scores",
    "argmax_only",
    "as_float64",
    "check_scores",
    "log_softmax",
    "min_p",
    "temperature",
    "top_ids",
    "top_k",
    "top_p",
]

Scores = npt.NDArray[np.float64]
"""Scores of shape (..., V) in float64; −inf stands for a token that cannot be chosen."""


def as_float64(array: Any) -> Scores:
    """A NumPy or torch array of any float type, on any device, as NumPy float64.

    The one place where arrays of models become NumPy. Torch is recognised by shape, not imported;
    the copy to the CPU comes first because not every device has float64.
    """
    if hasattr(array, "detach"):
        array = array.detach().cpu().double().numpy()
    return np.asarray(array, dtype=np.float64)


def check_scores(scores: Scores) -> None:
    """Raises `InvalidInputError` for a NaN, for +inf and for a row with nothing to choose from."""
    if np.isnan(scores).any():
        token = int(np.argwhere(np.isnan(scores))[0][-1])
        raise InvalidInputError(
            f"the model's score of token id {token} is NaN; its weights or its input are broken"
        )
    highest = scores.max(axis=-1, initial=-np.inf)
    if np.isposinf(highest).any():
        token = int(np.argwhere(np.isposinf(scores))[0][-1])
        raise InvalidInputError(
            f"the model's score of token id {token} is +inf; scores must be below it"
        )
    if np.isneginf(highest).any():
        raise InvalidInputError(
            f"all {scores.shape[-1]} scores are -inf: there is no token left to choose"
        )


def log_softmax(scores: Scores) -> Scores:
    """Natural log-probabilities: s − ln Σ exp s, with the maximum taken out first."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def argmax_only(scores: Scores) -> Scores:
    """Keeps the highest score alone; of several equal ones, the lowest id."""
    best = np.argmax(scores, axis=-1, keepdims=True)
    return _keep(scores, np.arange(scores.shape[-1]) == best)


def temperature(scores: Scores, value: float) -> Scores:
    """s / T, T ≥ 0 [Ackley, Hinton and Sejnowski 1985].

    T = 1 leaves the probabilities as they are. T = 0 is defined as greedy (`argmax_only`); the
    limit T → 0 differs from it only in that it would share the mass between equal maxima. The
    maximum is taken out before the division, so that no T, however small, overflows.
    """
    if value == 0:
        return argmax_only(scores)
    with np.errstate(over="ignore"):  # a score far below the maximum may fall to −inf: the limit
        return np.asarray((scores - scores.max(axis=-1, keepdims=True)) / value)


def top_k(scores: Scores, value: int) -> Scores:
    """Keeps the k highest scores, k ≥ 1 [Fan, Lewis and Dauphin 2018].

    Exactly k, or all that are above −inf if those are fewer; k ≥ V keeps all.
    """
    size = scores.shape[-1]
    if value >= size:
        return scores
    cut = np.partition(scores, size - value, axis=-1)[..., size - value, None]
    above, tied = scores > cut, scores == cut
    room = value - above.sum(axis=-1, keepdims=True)
    return _keep(scores, above | (tied & (np.cumsum(tied, axis=-1) <= room)))


def top_p(scores: Scores, value: float) -> Scores:
    """Keeps the smallest set of most probable tokens whose mass is at least p, 0 ≤ p ≤ 1
    [Holtzman et al. 2020, nucleus sampling].

    A token is kept while the mass before it is below p, so the one that crosses p is included;
    p = 0 keeps the first alone; p = 1 is defined as keeping all, whatever rounding says.
    """
    if value >= 1:
        return scores
    order = np.argsort(-scores, axis=-1, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=-1)
    # Weights, not probabilities: those of equal scores then add up without rounding.
    mass = np.cumsum(np.exp(ordered - ordered[..., :1]), axis=-1)
    keep_ordered = np.empty(scores.shape, dtype=bool)
    keep_ordered[..., 0] = True
    keep_ordered[..., 1:] = mass[..., :-1] < value * mass[..., -1:]
    keep = np.empty(scores.shape, dtype=bool)
    np.put_along_axis(keep, order, keep_ordered, axis=-1)
    return _keep(scores, keep)


def min_p(scores: Scores, value: float) -> Scores:
    """Keeps tokens with p ≥ m · max p, 0 ≤ m ≤ 1 [Nguyen et al. 2024].

    Compared as s − max s ≥ ln m. m = 0 keeps all; m = 1 keeps the maximum and its equals.
    """
    if value == 0:
        return scores
    return _keep(scores, scores - scores.max(axis=-1, keepdims=True) >= np.log(value))


def top_ids(scores: Scores, count: int) -> list[int]:
    """The ids of the `count` highest scores of one row (V,), higher first, then lower id."""
    size = scores.shape[-1]
    count = min(count, size)
    if count == 0:
        return []
    cut = np.partition(scores, size - count)[size - count]
    candidates = np.flatnonzero(scores >= cut)
    best = candidates[np.argsort(-scores[candidates], kind="stable")][:count]
    return [int(i) for i in best]


def _keep(scores: Scores, mask: npt.NDArray[np.bool_]) -> Scores:
    return np.where(mask, scores, -np.inf)
