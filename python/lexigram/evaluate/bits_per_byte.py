"""Bits per byte: the measure that compares models across vocabularies.

Definition. The sum of −log2 p(token | the tokens before it in its document) over the tokens of a
text, divided by the number of UTF-8 bytes of that text [Gao et al. 2020, section 3.1]. A
document's first token is given the model's document separator, or an empty context if it has
none; separators themselves are not counted, neither their bits nor their bytes. Long documents
are read in windows, as `lexigram.evaluate.windows` defines them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lexigram.errors import EncodingError, InvalidInputError
from lexigram.evaluate.windows import document_logprobs, limits
from lexigram.lm import Ids, LanguageModel, TokenIds

__all__ = [
    "Score",
    "bits_per_byte",
    "bits_per_byte_of_dataset",
    "score_dataset",
    "score_documents",
    "score_texts",
]

Progress = Callable[[int, int], object]
"""Called as `progress(done, total)`, in tokens; an exception that it raises ends the work."""


class Encoder(Protocol):
    """What is needed of a tokenizer to score text."""

    def encode_ordinary(self, text: str, /) -> Sequence[int]:
        """The ids of a text, in which no special token is recognised."""
        ...


class Decoder(Protocol):
    """What is needed of a tokenizer to count the bytes of a part of a dataset."""

    def decode_bytes(self, ids: Sequence[int], /) -> bytes:
        """The bytes that the ids stand for."""
        ...


class Documents(Protocol):
    """What is needed of a `lexigram.data.TokenDataset`."""

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes of the text, separators not counted."""
        ...

    def documents(self) -> Iterable[Ids]:
        """The ids of each document, without its separator."""
        ...


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a model makes of a text."""

    bits: float
    """−log2 of the probability of the tokens; infinite if the model thought one impossible."""
    bytes: int
    """UTF-8 bytes of the text."""
    tokens: int
    """Tokens of the text, separators not counted."""

    @property
    def bits_per_byte(self) -> float:
        """Bits for each byte of text."""
        return self.bits / self.bytes

    @property
    def nats_per_token(self) -> float:
        """The cross-entropy in nats for each token, as training losses are given."""
        return self.bits * math.log(2) / self.tokens

    @property
    def perplexity(self) -> float:
        """exp(nats per token); comparable within one vocabulary only."""
        try:
            return math.exp(self.nats_per_token)
        except OverflowError:
            return math.inf


def bits_per_byte(
    lm: LanguageModel,
    tokenizer: Encoder,
    texts: Iterable[str],
    *,
    context_length: int | None = None,
    stride: int | None = None,
    progress: Progress | None = None,
) -> float:
    """Bits per byte of `texts`, each of which is one document; see `score_texts`."""
    return score_texts(
        lm, tokenizer, texts, context_length=context_length, stride=stride, progress=progress
    ).bits_per_byte


def bits_per_byte_of_dataset(
    lm: LanguageModel,
    dataset: Documents,
    *,
    max_tokens: int | None = None,
    tokenizer: Decoder | None = None,
    context_length: int | None = None,
    stride: int | None = None,
    progress: Progress | None = None,
) -> float:
    """Bits per byte of a `TokenDataset`, which need not be tokenised again; see `score_dataset`."""
    return score_dataset(
        lm,
        dataset,
        max_tokens=max_tokens,
        tokenizer=tokenizer,
        context_length=context_length,
        stride=stride,
        progress=progress,
    ).bits_per_byte


def score_texts(
    lm: LanguageModel,
    tokenizer: Encoder,
    texts: Iterable[str],
    *,
    context_length: int | None = None,
    stride: int | None = None,
    progress: Progress | None = None,
) -> Score:
    """The score of `texts`, each of which is one document.

    Raises `EncodingError` for text that UTF-8 cannot hold, and what `score_documents` raises.
    """
    if isinstance(texts, str):
        raise InvalidInputError("texts is one string: pass a list of documents, such as [text]")
    documents: list[TokenIds] = []
    num_bytes = 0
    for text in texts:
        try:
            num_bytes += len(text.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise EncodingError(
                f"text {len(documents)} has a lone surrogate at character {error.start}, "
                "which UTF-8 cannot hold; replace it"
            ) from None
        documents.append(tokenizer.encode_ordinary(text))
    return score_documents(
        lm, documents, num_bytes, context_length=context_length, stride=stride, progress=progress
    )


def score_dataset(
    lm: LanguageModel,
    dataset: Documents,
    *,
    max_tokens: int | None = None,
    tokenizer: Decoder | None = None,
    context_length: int | None = None,
    stride: int | None = None,
    progress: Progress | None = None,
) -> Score:
    """The score of a `TokenDataset`, or of the first `max_tokens` tokens of its text.

    The last document is cut where `max_tokens` ends. The dataset knows the bytes of its whole
    text only; those of a part are counted by its `tokenizer`.
    """
    if max_tokens is not None and max_tokens < 1:
        raise InvalidInputError(f"max_tokens={max_tokens}: must be at least 1")
    documents: list[TokenIds] = list(dataset.documents())
    num_bytes = dataset.num_bytes
    if max_tokens is not None and max_tokens < sum(map(len, documents)):
        if tokenizer is None:
            raise InvalidInputError(
                f"max_tokens={max_tokens} takes a part of the dataset, whose bytes only its "
                "tokenizer can count; pass tokenizer="
            )
        documents = list(_first_tokens(documents, max_tokens))
        num_bytes = sum(len(tokenizer.decode_bytes([int(i) for i in d])) for d in documents)
    return score_documents(
        lm, documents, num_bytes, context_length=context_length, stride=stride, progress=progress
    )


def score_documents(
    lm: LanguageModel,
    documents: Iterable[TokenIds],
    num_bytes: int,
    *,
    context_length: int | None = None,
    stride: int | None = None,
    progress: Progress | None = None,
) -> Score:
    """The score of documents given as token ids, without separators, whose text has `num_bytes`
    UTF-8 bytes. Documents without a token are passed over.

    `context_length` is the model's own unless a smaller one is given, `stride` half of that.
    `progress(done, total)` counts tokens.

    Raises `InvalidInputError` if there is no text, for a context length beyond the model's, for a
    stride outside 1 … context length, and for a model that gives NaN; `TokenIdError` for an id
    outside the vocabulary.
    """
    context_length, stride = limits(lm, context_length, stride)
    arrays = [np.asarray(d) for d in documents]
    total = sum(map(len, arrays))
    if total == 0 or num_bytes < 1:
        raise InvalidInputError("there is no text to score: give at least one byte of it")
    nats: list[float] = []
    done = 0
    for logprobs in document_logprobs(lm, arrays, context_length, stride):
        nats.append(-float(logprobs.sum()))
        done += len(logprobs)
        if progress is not None:
            progress(done, total)
    # fsum is exact, so that the order of the windows cannot change the last digit.
    return Score(bits=math.fsum(nats) / math.log(2), bytes=num_bytes, tokens=total)


def _first_tokens(documents: Iterable[TokenIds], count: int) -> Iterator[TokenIds]:
    """The documents of the first `count` tokens; the last one cut."""
    for document in documents:
        if count <= 0:
            return
        yield document[:count]
        count -= len(document)
