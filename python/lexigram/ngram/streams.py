"""What n-gram models and counts are made of: a stream of ids, and what its ids mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias, cast

from lexigram.arguments import (
    array_of,
    in_vocabulary,
    integer,
    optional_integer,
    stored,
    stream_facts,
)
from lexigram.errors import InvalidInputError
from lexigram.lm import Ids, TokenIds

__all__ = ["Progress", "Smoothing", "TokenStream", "ids_of", "meaning"]

Smoothing: TypeAlias = Literal[
    "modified_kneser_ney",
    "witten_bell",
    "additive",
    "stupid_backoff",
    "normalized_stupid_backoff",
]
Progress: TypeAlias = Callable[[int, int], object]


class TokenStream(Protocol):
    """What a `TokenDataset` offers a model: its ids in one array, and what they mean."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def document_separator(self) -> int | None: ...
    def tokens(self) -> Ids: ...


def meaning(
    tokens: TokenIds | TokenStream, vocab_size: int | None, document_separator: int | None
) -> tuple[int, int | None]:
    """The vocabulary's size and the separator, as given or as the stream knows them."""
    vocab_size, document_separator = stream_facts(tokens, vocab_size, document_separator)
    if vocab_size is None:
        raise InvalidInputError(
            "vocab_size is not given; pass the tokenizer's n_vocab, or a TokenDataset"
        )
    return (
        integer("vocab_size", vocab_size, least=1),
        optional_integer("document_separator", document_separator),
    )


def ids_of(tokens: TokenIds | TokenStream, vocab_size: int) -> Ids:
    """The ids (n,) as a contiguous uint16 or uint32 array."""
    if hasattr(tokens, "verify"):
        tokens.verify()  # a damaged token would be counted like any other
    given: Any = tokens
    if hasattr(tokens, "document_separator"):
        given = cast(TokenStream, tokens).tokens()
    return stored(in_vocabulary(array_of(given), vocab_size))
