"""Mixtures of language models: p(w|h) = Σₘ λₘ pₘ(w|h).

Linear interpolation (Jelinek and Mercer 1980). The weights may depend on what a model says of how
much its numbers are worth: a model with `score_with_classes` and `step_with_classes` puts each
context into one of `num_classes`, and each class has weights of its own. The ∞-gram's classes are
its effective order and whether one id alone ever followed (Liu et al. 2024, section 5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lexigram.errors import InvalidInputError
from lexigram.lm import LanguageModel, TokenIds

__all__ = ["Interpolation", "fit_weights", "interpolate"]

Floats = npt.NDArray[np.float64]
Classes = npt.NDArray[np.intp]


class Interpolation:
    """A mixture; satisfies `lexigram.lm.LanguageModel`. Made by `interpolate`."""

    def __init__(self, models: Sequence[LanguageModel], weights: Floats, judge: int | None) -> None:
        """Use `interpolate`."""
        self.models = tuple(models)
        self.weights = weights
        """λ (M,), or (classes, M); each row sums to one."""
        self._judge = judge

    @property
    def vocab_size(self) -> int:
        """V, the number of token ids."""
        return self.models[0].vocab_size

    @property
    def document_separator(self) -> int | None:
        """The id at both ends of a document."""
        separator: int | None = _shared(self.models, "document_separator")
        return separator

    @property
    def context_length(self) -> int | None:
        """The most tokens a state can hold: the least of the models'."""
        lengths = [getattr(model, "context_length", None) for model in self.models]
        return min((length for length in lengths if length is not None), default=None)

    def start(self, batch_size: int = 1) -> tuple[Any, ...]:
        """The state of `batch_size` empty prefixes."""
        return tuple(model.start(batch_size) for model in self.models)

    def step(self, state: tuple[Any, ...], ids: Any) -> tuple[Floats, tuple[Any, ...]]:
        """Reads `ids` (B, n), n ≥ 0; returns ln p (B, V) float64 of the next token and the new
        state. Raises `TokenIdError` for an id outside the vocabulary."""
        mixed = np.zeros(())
        classes: Classes | None = None
        states, parts = [], []
        for m, model in enumerate(self.models):
            if m == self._judge:
                scores, classes, after = model.step_with_classes(state[m], ids)  # type: ignore[attr-defined]
            else:
                scores, after = model.step(state[m], ids)
            states.append(after)
            parts.append(np.exp(_log_softmax(_numpy(scores))))
        weights = self.weights if classes is None else self.weights[classes]
        for m, probabilities in enumerate(parts):
            mixed = mixed + weights[..., m, None] * probabilities
        with np.errstate(divide="ignore"):
            return np.log(mixed), tuple(states)

    def score(self, ids: Any) -> Floats:
        """ln p (n,) float64 of each of `ids` (n,) given those before it."""
        logprobs, classes = _scores(self.models, ids, self._judge)
        weights = self.weights if classes is None else self.weights[classes].T
        mixed = (weights.reshape(len(self.models), -1) * np.exp(logprobs)).sum(axis=0)
        with np.errstate(divide="ignore"):
            scores: Floats = np.log(mixed)
        return scores

    def reorder(self, state: tuple[Any, ...], rows: Any) -> tuple[Any, ...]:
        """The state of the given rows, in their order; every model must have it."""
        pairs = zip(self.models, state, strict=True)
        return tuple(model.reorder(part, rows) for model, part in pairs)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return f"Interpolation({', '.join(map(repr, self.models))})"


def interpolate(
    models: Sequence[LanguageModel], weights: npt.ArrayLike | None = None
) -> Interpolation:
    """The mixture of `models`, which share a vocabulary: counted or trained ones.

    `weights`: λ (M,), none negative, scaled to sum to one; None: equal. Or (classes, M): row c for
    contexts of class c, as the first model that has classes says; `fit_weights` makes such.

    Raises `InvalidInputError` for models that do not fit together and for wrong weights.
    """
    judge = _check(models)
    if weights is None:
        weights = np.ones(len(models))
    try:
        table = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"weights = {weights!r}: give numbers, as many in each row as there are models "
            f"({len(models)})"
        ) from None
    if table.ndim == 1:
        judge = None
    rows = 0 if judge is None else models[judge].num_classes  # type: ignore[attr-defined]
    if table.shape not in ((len(models),), (rows, len(models))):
        raise InvalidInputError(
            f"weights have the shape {table.shape}: give one for each of the {len(models)} models"
            + (f", or ({rows}, {len(models)})" if rows else "")
        )
    sums = table.sum(axis=-1, keepdims=True)
    if not (np.isfinite(table).all() and (table >= 0).all() and (sums > 0).all()):
        raise InvalidInputError("weights must be 0 or more, and not all 0")
    return Interpolation(models, table / sums, judge)


def fit_weights(
    models: Sequence[LanguageModel],
    held_out: TokenIds,
    *,
    by_class: bool = True,
    prior: float = 20.0,
    rounds: int = 50,
) -> Floats:
    """The weights under which `held_out` (n,), text that no model was trained on, is likeliest:
    (M,), or with `by_class` (classes, M) where a model has classes.

    Expectation-maximization (Jelinek and Mercer 1980), which no round makes worse. `prior`: each
    class begins with so many tokens of the weights that all classes share, so that one that is
    seldom met does not follow a few tokens; above 0, as one that is never met has only these.

    Raises `InvalidInputError` for models that do not fit together, a `prior` that is not above 0,
    and a text that is empty or to whose tokens no model gives a probability.
    """
    if not 0 < prior < math.inf:
        raise InvalidInputError(f"prior = {prior!r}: use a number of tokens above 0")
    judge = _check(models)
    logprobs, classes = _scores(models, held_out, judge if by_class else None)
    if logprobs.shape[1] == 0:
        raise InvalidInputError("the held-out text is empty; give at least one token")
    probabilities = np.exp(logprobs)
    probabilities = probabilities[:, probabilities.max(axis=0) > 0]
    if probabilities.shape[1] == 0:
        raise InvalidInputError(
            f"no model gives any of the {logprobs.shape[1]} held-out tokens a probability; "
            "give other text, or a model that knows no zeros"
        )
    if classes is not None:
        classes = classes[np.exp(logprobs).max(axis=0) > 0]
    shared = np.full(len(models), 1 / len(models))
    for _ in range(rounds):
        joint = shared[:, None] * probabilities
        shared = (joint / joint.sum(axis=0)).sum(axis=1)
        shared /= shared.sum()
    if classes is None or judge is None:
        return shared
    number = models[judge].num_classes  # type: ignore[attr-defined]
    table = np.tile(shared, (number, 1))
    for _ in range(rounds):
        joint = table[classes].T * probabilities
        joint /= joint.sum(axis=0)
        counts = np.stack(
            [np.bincount(classes, weights=row, minlength=number) for row in joint], axis=1
        )
        table = counts + prior * shared
        table /= table.sum(axis=1, keepdims=True)
    return table


def _check(models: Sequence[LanguageModel]) -> int | None:
    """Whether the models fit together; the number of the first one with classes."""
    if len(models) == 0:
        raise InvalidInputError("there are no models; give at least one")
    sizes = [model.vocab_size for model in models]
    if len(set(sizes)) > 1:
        raise InvalidInputError(
            f"the models have vocabularies of {sizes} tokens; train them with one tokenizer"
        )
    if any(getattr(model, "smoothing", None) == "stupid_backoff" for model in models):
        raise InvalidInputError(
            "smoothing = 'stupid_backoff': its scores are no probabilities and cannot be mixed; "
            "train with another smoothing"
        )
    _shared(models, "document_separator")
    return next((m for m, model in enumerate(models) if hasattr(model, "num_classes")), None)


def _shared(models: Sequence[LanguageModel], name: str) -> Any:
    values = {getattr(model, name, None) for model in models} - {None}
    if len(values) > 1:
        raise InvalidInputError(
            f"the models have different values of {name}: {sorted(map(str, values))}"
        )
    return values.pop() if values else None


def _scores(
    models: Sequence[LanguageModel], ids: Any, judge: int | None
) -> tuple[Floats, Classes | None]:
    """ln p (M, n) of each model, and the classes (n,) of the one that judges."""
    rows, classes = [], None
    for m, model in enumerate(models):
        if m == judge:
            scores, classes = model.score_with_classes(ids)  # type: ignore[attr-defined]
        else:
            scores = model.score(ids)
        rows.append(_numpy(scores))
    return np.stack(rows), classes


def _numpy(scores: Any) -> Floats:
    """An array of NumPy or torch as float64."""
    if hasattr(scores, "detach"):
        scores = scores.detach().to("cpu").double().numpy()
    return np.asarray(scores, dtype=np.float64)


def _log_softmax(scores: Floats) -> Floats:
    most = scores.max(axis=-1, keepdims=True)
    shifted = scores - np.where(np.isfinite(most), most, 0)
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    normal: Floats = shifted - total
    return normal
