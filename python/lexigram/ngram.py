"""N-gram language models over token ids: counted in seconds, exact, read as any other model.

`docs/ngram.md` has the equations and their sources; `lexigram.reference.kneser_ney` is the same
model in a page of Python.
"""

from __future__ import annotations

import functools
import json
import math
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, TypeGuard, cast

import numpy as np
import numpy.typing as npt

from lexigram import _core
from lexigram.errors import EncodingError, InvalidInputError, TokenIdError
from lexigram.interpolation import fit_weights, interpolate

__all__ = ["NgramModel", "TokenStream", "WordPerplexity", "fit_weights", "interpolate"]

Ids: TypeAlias = npt.NDArray[np.integer[Any]]
TokenIds: TypeAlias = Sequence[int] | Ids
Smoothing: TypeAlias = Literal[
    "modified_kneser_ney",
    "witten_bell",
    "additive",
    "stupid_backoff",
    "normalized_stupid_backoff",
]
FilePath: TypeAlias = str | os.PathLike[str]
Progress: TypeAlias = Callable[[int, int], object]
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


@dataclass(frozen=True)
class WordPerplexity:
    """How well a word model predicts a text, as KenLM's `query` counts it."""

    including_oov: float
    """Over all tokens."""
    excluding_oov: float
    """Over the tokens that the vocabulary has; not a number if it has none of them."""
    num_tokens: int
    """Words and ends of sentences."""
    num_oov: int
    """Words that the vocabulary lacks."""
    num_sentences: int
    """Lines."""
    logprob: float
    """Σ ln p of all tokens."""


class NgramModel:
    """An n-gram model of orders 1 to N; satisfies `lexigram.lm.LanguageModel`.

    Made by `train` or `load`, never changed afterwards. Log-probabilities are natural logarithms,
    float64 inside. A state is the array (B, n) of the ids that the next step can still see.
    """

    def __init__(self, core: _core.NgramModel, notes: Sequence[str] = ()) -> None:
        """Use `train`, `train_words`, `from_arpa` or `load`."""
        self._core = core
        self._notes = tuple(notes)

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
        prune_entropy: float | None = None,
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
        holding for longer ones; the first is 0 and none is below the one before. `prune_entropy`:
        see `prune`. `pseudocount`: k of "additive". `tokenizer`: the `Tokenizer` that the ids
        belong to, or the text of its tokenizer.json; the saved model carries it. The result does
        not depend on `num_threads`. `progress(done, total)` counts tokens times passes.

        "stupid_backoff" gives scores that do not sum to one, so no perplexity;
        "normalized_stupid_backoff" divides them by their sums.

        Raises `TokenIdError` for an id outside the vocabulary, `InvalidInputError` for an
        argument outside its limits or an empty stream.
        """
        if memory_limit is not None:
            memory_limit = _count("memory_limit", memory_limit, 1, 2**63 - 1)
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
            memory_limit=memory_limit,
            num_threads=num_threads,
            progress=progress,
            tokenizer=_tokenizer_json(tokenizer),
        )
        model = cls(core)
        return model if prune_entropy is None else model.prune(prune_entropy)

    @classmethod
    def train_words(
        cls,
        paths: FilePath | Iterable[FilePath],
        *,
        order: int = 5,
        smoothing: Smoothing = "modified_kneser_ney",
        kenlm_compatible: bool = False,
        prune: Sequence[int] = (),
        prune_entropy: float | None = None,
        pseudocount: float = 1.0,
        min_count: int = 1,
        skip_symbols: bool = False,
        memory_limit: int | None = None,
        num_threads: int | None = None,
        progress: Progress | None = None,
    ) -> NgramModel:
        """Trains on text files (gzip too) as KenLM's lmplz reads them: a line is a sentence, an
        empty one too; words are bytes between space, tab, CR and NUL.

        Id 0 is `<unk>`, id 1 the `document_separator`, which is `<s>` and `</s>`; the words
        follow in the order of their first appearance. The model carries the words.
        `kenlm_compatible`: the discounts of lmplz, which counts the suffixes of one n-gram
        otherwise than the textbook does (`docs/ngram.md`); the difference is seen in small texts
        only. `min_count`: words that occur less often are `<unk>`. `skip_symbols`: reads
        `<s>`, `</s>`, `<unk>` and `<UNK>` in the text as white space. `prune_entropy`: see `prune`.
        `progress(done, total)` counts bytes while reading, then as `train`.

        Raises `FormatError` where the text has one of these symbols and `skip_symbols` is
        not set, `MissingFileError`, and `InvalidInputError` for an argument outside its limits.
        """
        if memory_limit is not None:
            memory_limit = _count("memory_limit", memory_limit, 1, 2**63 - 1)
        if num_threads is not None:
            num_threads = _count("num_threads", num_threads)
        core = _core.NgramModel.train_words(
            _paths(paths),
            order=_count("order", order),
            smoothing=smoothing,
            pseudocount=float(pseudocount),
            kenlm_compatible=kenlm_compatible,
            prune=[_count("prune", threshold) for threshold in prune],
            min_count=_count("min_count", min_count),
            skip_symbols=skip_symbols,
            memory_limit=memory_limit,
            num_threads=num_threads,
            progress=progress,
        )
        model = cls(core)
        return model if prune_entropy is None else model.prune(prune_entropy)

    @classmethod
    def from_arpa(cls, path: FilePath, *, progress: Progress | None = None) -> NgramModel:
        """Reads a word model from an ARPA file (gzip too) of KenLM, SRILM or this package.

        N-grams may come in any order; a back-off weight that is not given is 1. An `<unk>` that
        is not given has log₁₀ p = −100, as in KenLM. `notes` says what was not as expected.
        `progress(done, total)` counts bytes. Raises `FormatError` with the line at fault.
        """
        core, notes = _core.NgramModel.from_arpa(os.fspath(path), progress)
        return cls(core, notes)

    def to_arpa(self, path: FilePath, *, progress: Progress | None = None) -> None:
        """Writes an ARPA file, which KenLM and SRILM read, in one step.

        The words of a token model are its tokens as its tokenizer.json spells them, or `<id:N>`
        where that has white space, is one of `<s>`, `</s>`, `<unk>` or is not unique; without a
        tokenizer they are the ids. `progress(done, total)` counts n-grams.

        Raises `InvalidInputError` for "stupid_backoff", and for "additive" above order 1: they
        are no back-off models.
        """
        tokens = None
        if self.words is None and self.tokenizer is not None:
            tokens = _token_words(self.tokenizer, self.vocab_size, self.document_separator)
        self._core.to_arpa(os.fspath(path), tokens, progress)

    def prune(self, threshold: float) -> NgramModel:
        """The model without the n-grams whose removal raises the perplexity by a factor of less
        than 1 + `threshold` each (Stolcke 1998); back-off weights are computed anew.

        Contexts and suffixes of the n-grams that stay, stay. Raises `InvalidInputError` for
        "stupid_backoff" and "additive".
        """
        return NgramModel(self._core.prune(float(threshold)), self._notes)

    def normalized(self) -> NgramModel:
        """The scores of "stupid_backoff" divided by their sum over the vocabulary: probabilities,
        with a perplexity. An id never seen has the score 0.4/V as a unigram. The same as training
        with "normalized_stupid_backoff"."""
        return NgramModel(self._core.normalized(), self._notes)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], verify: bool = False, *, in_memory: bool = False
    ) -> NgramModel:
        """Opens a saved model, mapped into memory, in a time that does not depend on its size.

        With `in_memory` it is copied into memory in huge pages where the system has them, which
        takes as long as reading the file: for scoring millions of tokens, several times as fast.

        The headers are compared with their checksums; the rest is with `verify`, which reads the
        whole file. Without it a damaged file gives wrong numbers, but never an error or a crash.
        Raises `MissingFileError`, or `FormatError` for what is not as written.
        """
        model = cls(_core.NgramModel.load(os.fspath(path), in_memory))
        if verify:
            model.verify()
        return model

    def verify(self) -> None:
        """Reads the whole file that the model was loaded from; raises `FormatError` when any
        byte of it is not as written, or when the n-grams make no sorted trie."""
        self._core.verify()

    def save(self, path: str | os.PathLike[str], quantize: int | None = None) -> None:
        """Writes the model, and its tokenizer if it has one, to one file in one step.

        `quantize`: 2 to 16, the bits of a log-probability of order 2 and more in the file; without
        it the file is exact. Each becomes the nearest of 2^bits values that its order shares, and
        so do the weights of contexts if the bits are at most 8. A distribution then sums to one
        only nearly (`docs/ngram.md` has figures); `next_logprobs(normalize=True)` mends that.
        """
        bits = None if quantize is None else _count("quantize", quantize)
        self._core.save(os.fspath(path), bits)

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
    def quantized(self) -> int | None:
        """The bits of a log-probability, if the model was saved quantised."""
        return self._core.quantized

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

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not as expected in the ARPA file that the model was read from."""
        return self._notes

    @functools.cached_property
    def words(self) -> tuple[bytes, ...] | None:
        """The words of a word model by id, `<unk>` and `</s>` first; for a token model none."""
        words = self._core.words()
        return None if words is None else tuple(words)

    def score_words(self, sentence: str | bytes) -> npt.NDArray[np.float64]:
        """ln p (n + 1,) of each of the n words of a sentence, after `<s>`, and of its `</s>`.

        Words that the vocabulary lacks are `<unk>`; so is a `<s>`, `</s>` or `<unk>` in the
        sentence. Raises `InvalidInputError` for a token model, `EncodingError` for a string with
        half a surrogate pair, which has no UTF-8.
        """
        try:
            text = sentence.encode() if isinstance(sentence, str) else bytes(sentence)
        except UnicodeEncodeError as error:
            raise EncodingError(
                f"the sentence has half a surrogate pair at character {error.start}, which has no "
                "UTF-8; give bytes"
            ) from None
        return self._core.score_words(text)

    def perplexity_words(
        self, paths: FilePath | Iterable[FilePath], *, progress: Progress | None = None
    ) -> WordPerplexity:
        """The perplexity of text files (gzip too), one sentence a line, with and without the
        words that the vocabulary lacks. `progress(done, total)` counts bytes.

        Raises `InvalidInputError` for a token model, "stupid_backoff", or no line.
        """
        self._check_probabilities()
        logprob, oov_logprob, tokens, oov, sentences = self._core.score_text(
            _paths(paths), progress
        )
        known = tokens - oov
        return WordPerplexity(
            including_oov=_exp(-logprob / tokens),
            excluding_oov=_exp(-(logprob - oov_logprob) / known) if known else math.nan,
            num_tokens=tokens,
            num_oov=oov,
            num_sentences=sentences,
            logprob=logprob,
        )

    def counts_of_counts(self) -> npt.NDArray[np.int64]:
        """n₁ … n₄ of each order, (N, 4), before pruning: how many n-grams have the count 1, 2,
        3, 4; the adjusted count for Kneser-Ney, else the count."""
        return self._core.counts_of_counts().astype(np.int64)

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
        ids, places = self._sequences(sequences, offsets)
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
        ids = _ids(context, self.vocab_size)[-self.order :]
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
        ids, places = self._sequences(contexts, offsets)
        rows = self._next(ids, places, dtype, num_threads)
        return _normalized(rows) if normalize else rows

    def perplexity(self, tokens: TokenIds | TokenStream) -> float:
        """exp of the mean of −`score(tokens)`, ends of documents included.

        Raises `InvalidInputError` for no tokens, and for "stupid_backoff".
        """
        return _exp(-float(self._probabilities(tokens).mean()))

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
        rows = _ids(array.reshape(-1), self.vocab_size).astype(np.uint32).reshape(array.shape)
        seen = np.concatenate([state, rows], axis=1)
        seen = np.ascontiguousarray(seen[:, max(0, seen.shape[1] - self.order + 1) :])
        return self._next(*_rows(seen), np.float32, None), _frozen(seen)

    def reorder(self, state: Ids, rows: Any) -> Ids:
        """The state of the given rows, in their order."""
        return _frozen(np.ascontiguousarray(state[np.asarray(rows)]))

    def _sequence(self, ids: TokenIds | TokenStream) -> tuple[Ids, npt.NDArray[np.uint64]]:
        array = _ids(ids, self.vocab_size)
        return array, np.array([0, len(array)], dtype=np.uint64)

    def _sequences(
        self, sequences: Sequence[TokenIds] | Ids, offsets: TokenIds | None
    ) -> tuple[Ids, npt.NDArray[np.uint64]]:
        """All ids in one array, and where each sequence begins."""
        if offsets is not None:
            return _ids(cast(TokenIds, sequences), self.vocab_size), _offsets(offsets)
        if isinstance(sequences, np.ndarray) and sequences.ndim == 2:
            flat, places = _rows(sequences)
            return _ids(flat, self.vocab_size), places
        arrays = [_ids(sequence, self.vocab_size) for sequence in sequences]
        lengths = np.array([0, *map(len, arrays)], dtype=np.uint64)
        flat = np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.uint32)
        return flat, np.cumsum(lengths, dtype=np.uint64)

    def _score(
        self,
        ids: Ids,
        offsets: npt.NDArray[np.uint64],
        dtype: npt.DTypeLike,
        num_threads: int | None,
    ) -> Scores:
        if num_threads is not None:
            num_threads = _count("num_threads", num_threads)
        if _wide(dtype):
            return self._core.score(ids, offsets, num_threads)
        return self._core.score_f32(ids, offsets, num_threads)

    def _next(
        self,
        contexts: Ids,
        offsets: npt.NDArray[np.uint64],
        dtype: npt.DTypeLike,
        num_threads: int | None,
    ) -> Scores:
        ids = np.ascontiguousarray(contexts, dtype=np.uint32)
        if num_threads is not None:
            num_threads = _count("num_threads", num_threads)
        if _wide(dtype):
            return self._core.next_logprobs(ids, offsets, num_threads)
        return self._core.next_logprobs_f32(ids, offsets, num_threads)

    def __repr__(self) -> str:
        return (
            f"NgramModel(order={self.order}, smoothing={self.smoothing!r}, "
            f"vocab_size={self.vocab_size}, num_ngrams={self.num_ngrams})"
        )


def _frozen(state: Ids) -> Ids:
    state.flags.writeable = False
    return state


def _rows(array: Ids) -> tuple[Ids, npt.NDArray[np.uint64]]:
    """The rows of an array (B, n), one after the other, and where each begins."""
    return array.reshape(-1), np.arange(len(array) + 1, dtype=np.uint64) * np.uint64(array.shape[1])


def _offsets(offsets: TokenIds) -> npt.NDArray[np.uint64]:
    array = np.asarray(offsets)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer) or (array < 0).any():
        raise InvalidInputError(
            f"offsets are {array.dtype} of the shape {array.shape}: give one dimension of "
            "integers, rising from 0 to the number of ids"
        )
    return np.ascontiguousarray(array, dtype=np.uint64)


def _normalized(logprobs: Scores) -> Scores:
    wide = logprobs.astype(np.float64)
    sums = np.logaddexp.reduce(wide, axis=-1, keepdims=True)
    return (wide - sums).astype(logprobs.dtype)


def _wide(dtype: npt.DTypeLike) -> bool:
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise InvalidInputError(f"dtype = {kind}: use float32 or float64")
    return bool(kind == np.float64)


def _count(name: str, value: int, least: int = 0, most: int = 2**32 - 1) -> int:
    """`value` as a number that the core's integer holds; the core knows the narrower limits."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InvalidInputError(f"{name} = {value!r}: give an integer")
    number = int(value.__index__())
    if not least <= number <= most:
        raise InvalidInputError(f"{name} = {number}: use {least} to {most}")
    return number


def _paths(paths: FilePath | Iterable[FilePath]) -> list[str]:
    if isinstance(paths, (str, os.PathLike)):
        return [os.fspath(paths)]
    return [os.fspath(path) for path in paths]


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _token_words(tokenizer: str, vocab_size: int, separator: int | None) -> list[str]:
    """A word for each id: the token's spelling in the tokenizer.json where that can be one."""
    data = json.loads(tokenizer)
    spelled = {id_: token for token, id_ in data.get("model", {}).get("vocab", {}).items()}
    spelled |= {added["id"]: added["content"] for added in data.get("added_tokens", [])}
    taken = Counter(spelled.values()) + Counter(["<s>", "</s>", "<unk>", "<UNK>", ""] * 2)

    def word(id_: int) -> str:
        token = spelled.get(id_, "")
        usable = taken[token] == 1 and not set(token) & set("\0\t\n\r ")
        return token if usable and not token.startswith("<id:") else f"<id:{id_}>"

    return ["</s>" if id_ == separator else word(id_) for id_ in range(vocab_size)]


def _tokenizer_json(tokenizer: SavesTokenizer | str | None) -> str | None:
    """The text of the tokenizer.json."""
    if tokenizer is None:
        return None
    if isinstance(tokenizer, str):
        try:
            data = json.loads(tokenizer)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise _no_tokenizer(tokenizer)
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
