"""The invariants of `lexigram.lm.LanguageModel` as assertions, run on every model there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lexigram.decode.processors import as_float64, log_softmax
from lexigram.errors import InvalidInputError, TokenIdError
from lexigram.lm import LanguageModel


def check_language_model(
    lm: LanguageModel,
    rng: np.random.Generator,
    *,
    context_length: int | None = None,
    atol: float = 1e-5,
) -> None:
    """Asserts every invariant of the protocol on random ids.

    `context_length` is the most ids that the test may feed, where the 12 that it feeds otherwise
    are too many; a model's own `context_length` is minded anyway. `atol` is in nats.
    """
    limits = [12, context_length, getattr(lm, "context_length", None)]
    length = min(n for n in limits if n is not None)
    ids = rng.integers(lm.vocab_size, size=(3, length))
    ids.flags.writeable = False  # as slices of a memory-mapped dataset are
    _check_shapes(lm)
    _check_splits(lm, rng, ids, atol)
    _check_score(lm, ids[0], atol)
    _check_rows(lm, ids, atol)
    _check_branches(lm, rng, ids, atol)
    _check_integer_types(lm, ids, atol)
    _check_errors(lm)


def next_logprobs(scores: Any) -> np.ndarray:
    """Scores (B, V) as natural log-probabilities; constants per row drop out."""
    return log_softmax(as_float64(scores))


def empty(batch_size: int) -> np.ndarray:
    return np.zeros((batch_size, 0), dtype=np.int64)


def _assert_same(scores: Any, expected: Any, atol: float) -> None:
    np.testing.assert_allclose(
        next_logprobs(scores), next_logprobs(expected), rtol=0, atol=atol, equal_nan=False
    )


def _check_shapes(lm: LanguageModel) -> None:
    assert isinstance(lm, LanguageModel)
    assert lm.vocab_size >= 1
    for batch_size in (1, 3):
        scores, _ = lm.step(lm.start(batch_size), empty(batch_size))
        assert tuple(scores.shape) == (batch_size, lm.vocab_size)
        assert not np.isnan(next_logprobs(scores)).any()
    assert as_float64(lm.score(empty(1)[0])).shape == (0,)
    separator = getattr(lm, "document_separator", None)
    assert separator is None or 0 <= separator < lm.vocab_size


def _check_splits(
    lm: LanguageModel, rng: np.random.Generator, ids: np.ndarray, atol: float
) -> None:
    """One call and any split of it give the same scores; a call without ids repeats them."""
    whole, _ = lm.step(lm.start(len(ids)), ids)
    cuts = np.sort(rng.integers(ids.shape[1] + 1, size=3))
    scores, state = lm.step(lm.start(len(ids)), empty(len(ids)))
    for part in np.split(ids, cuts, axis=1):
        scores, state = lm.step(state, part)
    _assert_same(scores, whole, atol)
    again, _ = lm.step(state, empty(len(ids)))
    _assert_same(again, whole, atol)


def _check_score(lm: LanguageModel, ids: np.ndarray, atol: float) -> None:
    """`score` is the log-softmax of what `step` gives, so its probabilities sum to one."""
    given = as_float64(lm.score(ids))
    assert given.shape == ids.shape
    scores, state = lm.step(lm.start(1), empty(1))
    for i, token in enumerate(ids):
        logprobs = next_logprobs(scores)[0]
        assert given[i] == pytest.approx(logprobs[token], rel=0, abs=atol)
        scores, state = lm.step(state, token.reshape(1, 1))
    context = ids[: len(ids) // 2]
    scores, _ = lm.step(lm.start(1), context[None])
    every = range(min(lm.vocab_size, 100))
    each = [as_float64(lm.score(np.append(context, token)))[-1] for token in every]
    expected = next_logprobs(scores)[0, : len(each)]
    np.testing.assert_allclose(each, expected, rtol=0, atol=atol)


def _check_rows(lm: LanguageModel, ids: np.ndarray, atol: float) -> None:
    """A row's scores do not depend on the other rows."""
    together, _ = lm.step(lm.start(len(ids)), ids)
    for i, row in enumerate(ids):
        alone, _ = lm.step(lm.start(1), row[None])
        _assert_same(as_float64(together)[i], as_float64(alone)[0], atol)


def _check_branches(
    lm: LanguageModel, rng: np.random.Generator, ids: np.ndarray, atol: float
) -> None:
    """A state can be continued in several ways, because no step changes it, nor the scores that
    an earlier step gave."""
    given, state = lm.step(lm.start(len(ids)), ids[:, :-1])
    before = as_float64(given).copy()
    first, _ = lm.step(state, ids[:, -1:])
    first = as_float64(first).copy()
    for _ in range(2):
        lm.step(state, rng.integers(lm.vocab_size, size=(len(ids), 1)))
    second, _ = lm.step(state, ids[:, -1:])
    _assert_same(second, first, atol)
    np.testing.assert_array_equal(as_float64(given), before)
    unchanged, _ = lm.step(state, empty(len(ids)))
    _assert_same(unchanged, before, atol)


def _check_integer_types(lm: LanguageModel, ids: np.ndarray, atol: float) -> None:
    """Ids come in the types of tokenizers and datasets, and as lists."""
    expected = as_float64(lm.score(ids[0]))
    types = ["int32", "uint32", *(["uint16"] if lm.vocab_size <= 2**16 else [])]
    for other in [ids[0].tolist(), *(ids[0].astype(name) for name in types)]:
        np.testing.assert_allclose(as_float64(lm.score(other)), expected, rtol=0, atol=atol)
    whole, _ = lm.step(lm.start(len(ids)), ids)
    for name in types:
        scores, _ = lm.step(lm.start(len(ids)), ids.astype(name))
        _assert_same(scores, whole, atol)


def _check_errors(lm: LanguageModel) -> None:
    for wrong in (lm.vocab_size, -1, 2**40):
        with pytest.raises(TokenIdError, match=str(wrong)):
            lm.step(lm.start(1), np.array([[wrong]]))
        with pytest.raises(TokenIdError, match=str(wrong)):
            lm.score(np.array([wrong]))
    limit = getattr(lm, "context_length", None)
    if limit is not None:
        _, state = lm.step(lm.start(1), np.zeros((1, limit), dtype=np.int64))
        with pytest.raises(InvalidInputError, match=str(limit)):
            lm.step(state, np.zeros((1, 1), dtype=np.int64))
        with pytest.raises(InvalidInputError, match=str(limit)):
            lm.step(lm.start(1), np.zeros((1, limit + 1), dtype=np.int64))
