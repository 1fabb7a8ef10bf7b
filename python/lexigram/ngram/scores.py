"""What every n-gram model gives, however it was made: scores, perplexity, and the protocol
`lexigram.lm.LanguageModel`.

A state is the array (B, n) of the ids that the next step can still see, n ≤ N − 1; the model has
seen no others, so equal states have equal distributions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lexigram import _core
from lexigram.arguments import batch, optional_integer
from lexigram.errors import InvalidInputError
from lexigram.lm import Ids, TokenIds
from lexigram.ngram.streams import TokenStream, ids_of
from lexigram.ngram.words import exponential

__all__ = ["NgramScores"]

Scores: TypeAlias = npt.NDArray[np.floating[Any]]
Places: TypeAlias = npt.NDArray[np.uint64]


class NgramScores:
    """The part of `lexigram.NgramModel` that reads ids and says how likely they are."""

    def __init__(self, core: _core.NgramModel) -> None:
        self._core = core

    @property
    def order(self) -> int:
        """N, the length of the longest n-grams."""
        return self._core.order

    @property
    def vocab_size(self) -> int:
        """V, the number of token ids."""
        return self._core.vocab_size

    @property
    def document_separator(self) -> int | None:
        """The id that stands for both ends of a document."""
        return self._core.document_separator

    @property
    def smoothing(self) -> str:
        """How counts became scores: a name that `train` takes."""
        return self._core.smoothing

    def score(
        self,
        ids: TokenIds | TokenStream,
        dtype: npt.DTypeLike = np.float32,
        *,
        num_threads: int | None = None,
    ) -> Scores:
        """ln p (n,) of each of `ids` (n,) given those before it, the first given an empty
        context; `dtype` float32 or float64. A context reaches back to the last document
        separator and includes it. `num_threads`: as many as there are cores if not given; the
        GIL is released.

        Raises `TokenIdError` for an id outside the vocabulary.
        """
        return self._score(*self._sequence(ids), dtype, num_threads)

    def score_batch(
        self,
        sequences: Sequence[TokenIds] | Ids,
        offsets: TokenIds | None = None,
        dtype: npt.DTypeLike = np.float32,
        *,
        num_threads: int | None = None,
    ) -> list[Scores] | Scores:
        """`score` of many sequences, each of which begins with an empty context.

        `sequences`: a list of B sequences, whose scores come as a list of B arrays; or, with
        `offsets` (B + 1,), rising from 0 to n, all ids (n,) in one array: sequence i is
        `sequences[offsets[i] : offsets[i + 1]]`, and the scores (n,) come as one array.

        Raises `TokenIdError`, and `InvalidInputError` for offsets that do not cut the ids.
        """
        ids, places = self._sequences(sequences, offsets, "sequences")
        scores = self._score(ids, places, dtype, num_threads)
        if offsets is not None:
            return scores
        return np.split(scores, places[1:-1].astype(np.int64)) if len(places) > 1 else []

    def order_used(
        self, ids: TokenIds | TokenStream, *, num_threads: int | None = None
    ) -> npt.NDArray[np.uint8]:
        """The length (n,), 1 to N, of the n-gram that gave each of `score(ids)` its value; 0 for
        the uniform distribution, to which "additive" backs off."""
        return self._core.order_used(*self._sequence(ids), num_threads)

    def next_logprobs(
        self,
        context: TokenIds,
        dtype: npt.DTypeLike = np.float32,
        *,
        normalize: bool = False,
    ) -> Scores:
        """ln p (V,) of every id after `context` (n,); `dtype` float32 or float64. They are what
        `score` gives; with `normalize`, less the logarithm of their sum, for a model that is
        quantised and for "stupid_backoff"."""
        ids = ids_of(context, self.vocab_size)[-self.order :]
        rows = self._next(ids, np.array([0, len(ids)], dtype=np.uint64), dtype, None)
        logprobs: Scores = rows[0]
        return _normalized(logprobs) if normalize else logprobs

    def next_logprobs_batch(
        self,
        contexts: Sequence[TokenIds] | Ids,
        offsets: TokenIds | None = None,
        dtype: npt.DTypeLike = np.float32,
        *,
        normalize: bool = False,
        num_threads: int | None = None,
    ) -> Scores:
        """`next_logprobs` (B, V) of B contexts, given as `score_batch` takes its sequences; a
        2-D array holds one in each row."""
        ids, places = self._sequences(contexts, offsets, "contexts")
        rows = self._next(ids, places, dtype, num_threads)
        return _normalized(rows) if normalize else rows

    def perplexity(self, tokens: TokenIds | TokenStream) -> float:
        """exp of the mean of −`score(tokens)`, ends of documents included.

        Raises `InvalidInputError` for no tokens, and for "stupid_backoff".
        """
        return exponential(-float(self._probabilities(tokens).mean()))

    def bits_per_byte(self, tokens: TokenIds | TokenStream, num_bytes: int) -> float:
        """−Σ log₂ p of the tokens that are text over `num_bytes`, the UTF-8 bytes of that text.

        Separators are context and not counted; a document's first token is given the separator,
        or an empty context if the model has none.
        """
        if num_bytes < 1:
            raise InvalidInputError(
                f"num_bytes = {num_bytes}: give the UTF-8 bytes of the text, at least 1"
            )
        ids = ids_of(tokens, self.vocab_size)
        separator = self.document_separator
        if separator is None:
            scores = self._probabilities(ids)
        else:
            front = np.array([separator], dtype=ids.dtype)
            scores = self._probabilities(np.concatenate([front, ids]))[1:][ids != separator]
        return -float(scores.sum()) / math.log(2) / num_bytes

    def _check_probabilities(self) -> None:
        if self.smoothing == "stupid_backoff":
            raise InvalidInputError(
                "smoothing = 'stupid_backoff': its scores are no probabilities and have no "
                "perplexity; use normalized(), or train with another smoothing"
            )

    def _probabilities(self, tokens: TokenIds | TokenStream) -> npt.NDArray[np.float64]:
        self._check_probabilities()
        array, offsets = self._sequence(tokens)
        if len(array) == 0:
            raise InvalidInputError("the token stream is empty; give at least one token")
        return self._core.score(array, offsets, None)

    def start(self, batch_size: int = 1) -> Ids:
        """The state of `batch_size` empty prefixes."""
        if batch_size < 1:
            raise InvalidInputError(f"batch_size = {batch_size}: use 1 or more")
        return _frozen(np.zeros((batch_size, 0), dtype=np.uint32))

    def step(self, state: Ids, ids: Any) -> tuple[Scores, Ids]:
        """Reads `ids` (B, n), n ≥ 0; returns ln p (B, V), float32, of the next token and the new
        state. Raises `TokenIdError` for an id outside the vocabulary."""
        array = np.asarray(ids)
        if array.ndim != 2 or len(array) != len(state):
            raise InvalidInputError(
                f"ids have the shape {array.shape}: give one row for each of the state's "
                f"{len(state)}"
            )
        rows = ids_of(array.reshape(-1), self.vocab_size).astype(np.uint32).reshape(array.shape)
        seen = np.concatenate([state, rows], axis=1)
        seen = np.ascontiguousarray(seen[:, max(0, seen.shape[1] - self.order + 1) :])
        return self._next(*_rows(seen), np.float32, None), _frozen(seen)

    def reorder(self, state: Ids, rows: Any) -> Ids:
        """The state of the given rows, in their order."""
        return _frozen(np.ascontiguousarray(state[np.asarray(rows)]))

    def _sequence(self, ids: TokenIds | TokenStream) -> tuple[Ids, Places]:
        array = ids_of(ids, self.vocab_size)
        return array, np.array([0, len(array)], dtype=np.uint64)

    def _sequences(
        self, sequences: Sequence[TokenIds] | Ids, offsets: TokenIds | None, name: str
    ) -> tuple[Ids, Places]:
        """All ids in one array, and where each sequence begins."""
        ids, places = batch(sequences, offsets, lambda part: ids_of(part, self.vocab_size), name)
        return ids, places.astype(np.uint64)

    def _score(
        self,
        ids: Ids,
        offsets: Places,
        dtype: npt.DTypeLike,
        num_threads: int | None,
    ) -> Scores:
        num_threads = optional_integer("num_threads", num_threads)
        if _wide(dtype):
            return self._core.score(ids, offsets, num_threads)
        return self._core.score_f32(ids, offsets, num_threads)

    def _next(
        self,
        contexts: Ids,
        offsets: Places,
        dtype: npt.DTypeLike,
        num_threads: int | None,
    ) -> Scores:
        ids = np.ascontiguousarray(contexts, dtype=np.uint32)
        num_threads = optional_integer("num_threads", num_threads)
        if _wide(dtype):
            return self._core.next_logprobs(ids, offsets, num_threads)
        return self._core.next_logprobs_f32(ids, offsets, num_threads)


def _frozen(state: Ids) -> Ids:
    state.flags.writeable = False
    return state


def _rows(array: Ids) -> tuple[Ids, Places]:
    """The rows of an array (B, n), one after the other, and where each begins."""
    return array.reshape(-1), np.arange(len(array) + 1, dtype=np.uint64) * np.uint64(array.shape[1])


def _normalized(logprobs: Scores) -> Scores:
    wide = logprobs.astype(np.float64)
    sums = np.logaddexp.reduce(wide, axis=-1, keepdims=True)
    return (wide - sums).astype(logprobs.dtype)


def _wide(dtype: npt.DTypeLike) -> bool:
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise InvalidInputError(f"dtype = {kind}: use float32 or float64")
    return bool(kind == np.float64)
