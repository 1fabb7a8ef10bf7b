"""Log-probabilities of documents of any length, under a model with a context of limited length.

Definition. A window [begin, end) of a document is read from an empty context, and the tokens
[first, end) of it are scored. Windows are at most `context_length` long and their ends advance by
`stride`; every window but the first is as long as it can be. Invariant: the scored parts follow
each other and cover the document, so each token is scored exactly once. A token is given
everything before it while the document fits into one window, and after that at least
`context_length − stride` and at most `context_length − 1` tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from lexigram.decode.generation import document_beginning
from lexigram.decode.processors import Scores, as_float64
from lexigram.errors import InvalidInputError
from lexigram.lm import Ids, LanguageModel

__all__ = ["Window", "document_logprobs", "limits", "windows"]

_SCORES_AT_ONCE = 2**26
"""How many scores (tokens · V) one batch of windows may need: 256 MiB in float32."""

_BATCHES_AHEAD = 8
"""Windows for this many batches are collected, so that those of one length go together."""


class Window(NamedTuple):
    """Read [begin, end), score [first, end)."""

    begin: int
    first: int
    end: int


def windows(length: int, context_length: int | None, stride: int | None = None) -> list[Window]:
    """The windows over `length` tokens; one over all of them if `context_length` is None.
    `stride` is half the context unless given."""
    if context_length is None or length <= context_length:
        return [Window(0, 0, length)] if length else []
    stride = max(1, context_length // 2) if stride is None else stride
    ends = [*range(context_length, length, stride), length]
    return [
        Window(max(0, end - context_length), first, end)
        for first, end in zip([0, *ends[:-1]], ends, strict=True)
    ]


def limits(
    lm: LanguageModel, context_length: int | None, stride: int | None
) -> tuple[int | None, int | None]:
    """The context length and stride to use: as given, or the model's own and half of it.

    Raises `InvalidInputError` for a context below 1 or beyond the model's, and for a stride that
    is not from 1 to the context length.
    """
    own: int | None = getattr(lm, "context_length", None)
    context_length = own if context_length is None else context_length
    if context_length is not None and context_length < 1:
        raise InvalidInputError(f"context_length={context_length}: must be at least 1")
    if context_length is not None and own is not None and context_length > own:
        raise InvalidInputError(
            f"context_length={context_length} is beyond the model's, which is {own}; "
            "leave it out to use all of that"
        )
    if stride is None:
        return context_length, None
    if context_length is None:
        raise InvalidInputError(
            f"stride={stride} needs a context_length, because this model has no limit of its own"
        )
    if not 1 <= stride <= context_length:
        raise InvalidInputError(
            f"stride={stride}: must be from 1 to the context length, {context_length}"
        )
    return context_length, stride


def document_logprobs(
    lm: LanguageModel,
    documents: Iterable[Ids],
    context_length: int | None,
    stride: int | None,
) -> Iterator[Scores]:
    """The natural log-probabilities of the tokens of `documents`, window by window: arrays in no
    promised order that together hold one number for each token.

    A document's first token is given the model's `document_separator`, or an empty context. A
    model that offers `score_batch(ids[B, n]) -> (B, n)`, the `score` of each row, is given
    windows of like length together, filled up on the right with id 0: nothing after a token can
    change its probability. Any other is asked for one `score` a window.
    """
    rows = _rows(lm, documents, context_length, stride)
    score_batch = getattr(lm, "score_batch", None)
    if score_batch is None:
        for ids, first in rows:
            yield _checked(as_float64(lm.score(ids))[first:], ids[first:])
        return
    for batch in _batches(rows, max(1, _SCORES_AT_ONCE // lm.vocab_size)):
        filled = np.zeros((len(batch), max(len(ids) for ids, _ in batch)), dtype=np.int64)
        for row, (ids, _) in zip(filled, batch, strict=True):
            row[: len(ids)] = ids
        scores = as_float64(score_batch(filled))
        for row, (ids, first) in zip(scores, batch, strict=True):
            yield _checked(row[first : len(ids)], ids[first:])


_Row = tuple[Ids, int]
"""The ids to read and the first of them to score."""


def _rows(
    lm: LanguageModel, documents: Iterable[Ids], context_length: int | None, stride: int | None
) -> Iterator[_Row]:
    prefix = np.array(document_beginning(lm), dtype=np.int64)
    for document in documents:
        if len(document) == 0:
            continue
        ids = np.concatenate([prefix, document]).astype(np.int64)
        for begin, first, end in windows(len(ids), context_length, stride):
            first = max(first, len(prefix))
            if first < end:
                yield ids[begin:end], first - begin


def _batches(rows: Iterator[_Row], tokens_at_once: int) -> Iterator[list[_Row]]:
    """Rows of like length together; a batch, filled up, holds at most `tokens_at_once` ids, or
    one row."""
    for ahead in _until(rows, tokens_at_once * _BATCHES_AHEAD):
        batch: list[_Row] = []
        for row in sorted(ahead, key=lambda row: len(row[0])):
            if batch and (len(batch) + 1) * len(row[0]) > tokens_at_once:
                yield batch
                batch = []
            batch.append(row)
        yield batch


def _until(rows: Iterator[_Row], tokens: int) -> Iterator[list[_Row]]:
    """Consecutive rows, in lists of about `tokens` ids."""
    while first := list(itertools.islice(rows, 1)):
        taken, count = first, len(first[0][0])
        while count < tokens and (row := next(rows, None)) is not None:
            taken.append(row)
            count += len(row[0])
        yield taken


def _checked(logprobs: Scores, ids: Ids) -> Scores:
    """`logprobs`, unless one of them is NaN."""
    broken = np.isnan(logprobs)
    if broken.any():
        token = int(ids[np.argmax(broken)])
        raise InvalidInputError(
            f"the model's log-probability of token id {token} is NaN; its weights are broken"
        )
    return logprobs
