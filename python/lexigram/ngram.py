"""N-gram language models over token ids: counted in seconds, exact, read as any other model.

`docs/ngram.md` has the equations and their sources; `lexigram.reference.kneser_ney` is the same
model in a page of Python.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from lexigram import _core
from lexigram.errors import InvalidInputError, TokenIdError
from lexigram.interpolation import fit_weights, interpolate

__all__ = ["NgramModel", "TokenStream", "fit_weights", "interpolate"]

Ids: TypeAlias = npt.NDArray[np.integer[Any]]
TokenIds: TypeAlias = Sequence[int] | Ids
Smoothing: TypeAlias = Literal["modified_kneser_ney", "witten_bell", "additive", "stupid_backoff"]
Scores: TypeAlias = npt.NDArray[np.floating[Any]]


class TokenStream(Protocol):
    """What a `TokenDataset` offers a model: its ids in one array, and what they mean."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def document_separator(self) -> int | None: ...
    def tokens(self) -> Ids: ...


class SavesTokenizer(Protocol):
    """What a `Tokenizer` offers a model that is to carry it."""

    def save(self, path: Path, /) -> object: ...


class NgramModel:
    """An n-gram model of orders 1 to N; satisfies `lexigram.lm.LanguageModel`.

    Made by `train` or `load`, never changed afterwards. Log-probabilities are natural logarithms,
    float64 inside. A state is the array (B, n) of the ids that the next step can still see.
    """

    def __init__(self, core: _core.NgramModel) -> None:
        """Use `train` or `load`."""
        self._core = core

    @classmethod
    def train(
        cls,
        tokens: TokenIds | TokenStream,
        *,
        order: int = 5,
        smoothing: Smoothing = "modified_kneser_ney",
        vocab_size: int | None = None,
        document_separator: int | None = None,
        prune: Sequence[int] = (),
        pseudocount: float = 1.0,
        memory_limit: int | None = None,
        num_threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
        tokenizer: SavesTokenizer | str | None = None,
    ) -> NgramModel:
        """Counts the stream and estimates a model.

        `tokens`: ids (n,) of any integer type, or a `TokenDataset`, which brings its own
        `vocab_size` and `document_separator`. `document_separator`: the id that ends every
        document; n-grams never cross it, and it stands for both ends of a document. `prune`: the
        n-grams of order k with a raw count of at most `prune[k - 1]` are dropped, the last entry
        holding for longer ones; the first is 0 and none is below the one before. `pseudocount`:
        k of "additive". `tokenizer`: the `Tokenizer` that the ids belong to, or the text of its
        tokenizer.json; the saved model carries it. The result does not depend on `num_threads`.
        `progress(done, total)` counts tokens times passes.

        "stupid_backoff" gives scores that do not sum to one, so no perplexity.

        Raises `TokenIdError` for an id outside the vocabulary, `InvalidInputError` for an
        argument outside its limits or an empty stream.
        """
        if memory_limit is not None:
            raise InvalidInputError(
                f"memory_limit = {memory_limit}: counting within a limit is not supported yet; "
                "leave it out, or train on fewer tokens or a lower order"
            )
        if _is_stream(tokens):
            vocab_size = tokens.vocab_size if vocab_size is None else vocab_size
            if document_separator is None:
                document_separator = tokens.document_separator
        if vocab_size is None:
            raise InvalidInputError(
                "vocab_size is not given; pass the tokenizer's n_vocab, or a TokenDataset"
            )
        order = _count("order", order)
        vocab_size = _count("vocab_size", vocab_size, least=1)
        if document_separator is not None:
            document_separator = _count("document_separator", document_separator)
        if num_threads is not None:
            num_threads = _count("num_threads", num_threads)
        core = _core.NgramModel.train(
            _ids(tokens, vocab_size),
            order=order,
            vocab_size=vocab_size,
            document_separator=document_separator,
            smoothing=smoothing,
            pseudocount=float(pseudocount),
            prune=[_count("prune", threshold) for threshold in prune],
            num_threads=num_threads,
            progress=progress,
            tokenizer=_tokenizer_json(tokenizer),
        )
        return cls(core)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> NgramModel:
        """Opens a saved model, mapped into memory.

        Raises `MissingFileError`, or `FormatError` when any byte of the file is not as written.
        """
        return cls(_core.NgramModel.load(os.fspath(path)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model, and its tokenizer if it has one, to one file in one step."""
        self._core.save(os.fspath(path))

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

    @property
    def num_tokens(self) -> int:
        """How many ids the model was trained on."""
        return self._core.num_tokens

    @property
    def num_ngrams(self) -> tuple[int, ...]:
        """The number of n-grams of each order, after pruning; of order 1, the ids seen."""
        return tuple(self._core.num_ngrams)

    @property
    def num_parameters(self) -> int:
        """How many numbers the model holds: a value for each n-gram, a weight for each that is
        shorter than N."""
        return 2 * sum(self.num_ngrams) - self.num_ngrams[-1]

    @property
    def discounts(self) -> tuple[tuple[float, float, float], ...]:
        """D₁, D₂, D₃₊ of each order; empty for smoothings other than Kneser-Ney."""
        return tuple(self._core.discounts)

    @property
    def discount_fallbacks(self) -> tuple[int, ...]:
        """The orders whose counts of counts gave no discounts, so that ½, 1, 1½ stand in."""
        return tuple(self._core.discount_fallbacks)

    @property
    def tokenizer(self) -> str | None:
        """The text of the tokenizer.json that the ids belong to, if the model carries one."""
        return self._core.tokenizer

    def counts_of_counts(self) -> npt.NDArray[np.int64]:
        """n₁ … n₄ of each order, (N, 4), before pruning: how many n-grams have the count 1, 2,
        3, 4; the adjusted count for Kneser-Ney, else the count."""
        return self._core.counts_of_counts().astype(np.int64)

    def score(self, ids: TokenIds | TokenStream, dtype: npt.DTypeLike = np.float32) -> Scores:
        """ln p (n,) of each of `ids` (n,) given those before it, the first given an empty
        context; `dtype` float32 or float64. A context reaches back to the last document
        separator and includes it.

        Raises `TokenIdError` for an id outside the vocabulary.
        """
        array = _ids(ids, self.vocab_size)
        return self._core.score(array) if _wide(dtype) else self._core.score_f32(array)

    def next_logprobs(self, context: TokenIds, dtype: npt.DTypeLike = np.float32) -> Scores:
        """ln p (V,) of every id after `context` (n,); `dtype` float32 or float64."""
        context = _ids(context, self.vocab_size)
        rows = self._next(context[None, max(0, len(context) - self.order + 1) :], dtype)
        logprobs: Scores = rows[0]
        return logprobs

    def perplexity(self, tokens: TokenIds | TokenStream) -> float:
        """exp of the mean of −`score(tokens)`, ends of documents included.

        Raises `InvalidInputError` for no tokens, and for "stupid_backoff".
        """
        return math.exp(-float(self._probabilities(tokens).mean()))

    def bits_per_byte(self, tokens: TokenIds | TokenStream, num_bytes: int) -> float:
        """−Σ log₂ p of the tokens that are text over `num_bytes`, the UTF-8 bytes of that text.

        Separators are context and not counted; a document's first token is given the separator,
        or an empty context if the model has none.
        """
        if num_bytes < 1:
            raise InvalidInputError(
                f"num_bytes = {num_bytes}: give the UTF-8 bytes of the text, at least 1"
            )
        ids = _ids(tokens, self.vocab_size)
        separator = self.document_separator
        if separator is None:
            scores = self._probabilities(ids)
        else:
            front = np.array([separator], dtype=ids.dtype)
            scores = self._probabilities(np.concatenate([front, ids]))[1:][ids != separator]
        return -float(scores.sum()) / math.log(2) / num_bytes

    def _probabilities(self, tokens: TokenIds | TokenStream) -> npt.NDArray[np.float64]:
        if self.smoothing == "stupid_backoff":
            raise InvalidInputError(
                "smoothing = 'stupid_backoff': its scores are no probabilities and have no "
                "perplexity; train with another smoothing to compare models"
            )
        array = _ids(tokens, self.vocab_size)
        if len(array) == 0:
            raise InvalidInputError("the token stream is empty; give at least one token")
        return self._core.score(array)

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
        rows = _ids(array.reshape(-1), self.vocab_size).astype(np.uint32).reshape(array.shape)
        seen = np.concatenate([state, rows], axis=1)
        seen = np.ascontiguousarray(seen[:, max(0, seen.shape[1] - self.order + 1) :])
        return self._next(seen, np.float32), _frozen(seen)

    def reorder(self, state: Ids, rows: Any) -> Ids:
        """The state of the given rows, in their order."""
        return _frozen(np.ascontiguousarray(state[np.asarray(rows)]))

    def _next(self, contexts: Ids, dtype: npt.DTypeLike) -> Scores:
        array = np.ascontiguousarray(contexts, dtype=np.uint32)
        if _wide(dtype):
            return self._core.next_logprobs(array)
        return self._core.next_logprobs_f32(array)

    def __repr__(self) -> str:
        return (
            f"NgramModel(order={self.order}, smoothing={self.smoothing!r}, "
            f"vocab_size={self.vocab_size}, num_ngrams={self.num_ngrams})"
        )


def _frozen(state: Ids) -> Ids:
    state.flags.writeable = False
    return state


def _wide(dtype: npt.DTypeLike) -> bool:
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise InvalidInputError(f"dtype = {kind}: use float32 or float64")
    return bool(kind == np.float64)


def _count(name: str, value: int, least: int = 0) -> int:
    """`value` as a number that the core's 32 bits hold; the core knows the narrower limits."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InvalidInputError(f"{name} = {value!r}: give an integer")
    number = int(value.__index__())
    if not least <= number < 2**32:
        raise InvalidInputError(f"{name} = {number}: use {least} to {2**32 - 1}")
    return number


def _tokenizer_json(tokenizer: SavesTokenizer | str | None) -> str | None:
    """The text of the tokenizer.json."""
    if tokenizer is None:
        return None
    if isinstance(tokenizer, str):
        try:
            json.loads(tokenizer)
        except ValueError:
            raise _no_tokenizer(tokenizer) from None
        return tokenizer
    if not hasattr(tokenizer, "save"):
        raise _no_tokenizer(tokenizer)
    with tempfile.TemporaryDirectory(prefix="lexigram-") as folder:
        path = Path(folder) / "tokenizer.json"
        tokenizer.save(path)
        return path.read_text(encoding="utf-8")


def _no_tokenizer(value: object) -> InvalidInputError:
    return InvalidInputError(
        f"tokenizer = {str(value)[:40]!r}: give a Tokenizer or the text of a tokenizer.json"
    )


def _is_stream(tokens: TokenIds | TokenStream) -> TypeGuard[TokenStream]:
    return hasattr(tokens, "document_separator")


def _ids(tokens: TokenIds | TokenStream, vocab_size: int) -> Ids:
    """The ids (n,) as a contiguous uint16 or uint32 array."""
    if hasattr(tokens, "verify"):
        tokens.verify()  # a damaged token would be counted like any other
    array = np.asarray(tokens.tokens() if _is_stream(tokens) else tokens)
    if array.ndim != 1:
        raise InvalidInputError(f"token ids have the shape {array.shape}: give one dimension")
    if array.size == 0:
        return np.zeros(0, dtype=np.uint32)
    if not np.issubdtype(array.dtype, np.integer):
        raise InvalidInputError(f"token ids are of type {array.dtype}: give integers")
    if array.min() < 0 or array.max() >= vocab_size:
        position = int(((array < 0) | (array >= vocab_size)).argmax())
        raise TokenIdError(
            f"token id {array[position]} at position {position} is not in the vocabulary of "
            f"{vocab_size} tokens (0 to {vocab_size - 1}); was it made with another tokenizer?"
        )
    narrow = array.dtype == np.uint16
    return np.ascontiguousarray(array, dtype=np.uint16 if narrow else np.uint32)
