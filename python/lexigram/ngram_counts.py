"""Exact n-gram counts: taken of parts of a corpus, saved, merged, and turned into a model.

Several machines each count a part and save it, and one merges the files: the map and the reduce
of a count. `docs/ngram.md` has the method.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lexigram import _core
from lexigram.arguments import SavesTokenizer, integer, optional_integer, tokenizer_json
from lexigram.errors import InvalidInputError
from lexigram.lm import TokenIds
from lexigram.ngram import NgramModel, TokenStream
from lexigram.ngram.streams import Progress, Smoothing, ids_of, meaning
from lexigram.ngram.words import FilePath
from lexigram.outputs import file_to_write

__all__ = ["NgramCounts"]


class NgramCounts:
    """How often each n-gram of orders 1 to N stands in a stream of ids. Never changed."""

    def __init__(self, core: _core.NgramCounts) -> None:
        """Use `count`, `load` or `merge`."""
        self._core = core

    @classmethod
    def count(
        cls,
        tokens: TokenIds | TokenStream,
        *,
        order: int = 5,
        vocab_size: int | None = None,
        document_separator: int | None = None,
        memory_limit: int | None = None,
        num_threads: int | None = None,
        progress: Progress | None = None,
    ) -> NgramCounts:
        """Counts a stream; arguments, progress and errors as in `NgramModel.train`.

        With `memory_limit` (bytes), counting keeps within it and the counts lie in temporary
        files, of which the system keeps in memory what is free. The result depends neither on
        the limit nor on `num_threads`.
        """
        vocab_size, document_separator = meaning(tokens, vocab_size, document_separator)
        core = _core.NgramCounts.count(
            ids_of(tokens, vocab_size),
            order=integer("order", order),
            vocab_size=vocab_size,
            document_separator=document_separator,
            memory_limit=_bytes(memory_limit),
            num_threads=optional_integer("num_threads", num_threads),
            progress=progress,
        )
        return cls(core)

    @classmethod
    def load(cls, path: FilePath) -> NgramCounts:
        """Opens saved counts, mapped into memory, after checking all of the file.

        Raises `MissingFileError`, or `FormatError` when any byte is not as written.
        """
        return cls(_core.NgramCounts.load(os.fspath(path)))

    @classmethod
    def merge(
        cls,
        parts: Sequence[NgramCounts | FilePath],
        *,
        memory_limit: int | None = None,
        progress: Progress | None = None,
    ) -> NgramCounts:
        """The counts of all parts together; files are loaded first.

        With a document separator, parts that are whole documents give exactly the counts of the
        whole. Without one each part is a stream of its own, and n-grams across two parts are not
        counted. With a `memory_limit` of any size, the result lies in temporary files and memory
        does not grow with it. Raises `InvalidInputError` if there are no parts, or if they differ
        in order, vocabulary or separator.
        """
        in_files = _bytes(memory_limit) is not None
        opened = [part if isinstance(part, NgramCounts) else cls.load(part) for part in parts]
        return cls(_core.NgramCounts.merge([part._core for part in opened], in_files, progress))

    def save(self, path: FilePath) -> None:
        """Writes the counts to one file in one step (`docs/formats.md`, kind `NGRC`)."""
        self._core.save(str(file_to_write(path)))

    def model(
        self,
        *,
        smoothing: Smoothing = "modified_kneser_ney",
        prune: Sequence[int] = (),
        pseudocount: float = 1.0,
        num_threads: int | None = None,
        progress: Progress | None = None,
        tokenizer: SavesTokenizer | str | None = None,
    ) -> NgramModel:
        """The model that `NgramModel.train` would make of the whole stream; arguments as there."""
        core = self._core.model(
            smoothing=smoothing,
            pseudocount=float(pseudocount),
            prune=[integer("prune", threshold) for threshold in prune],
            num_threads=optional_integer("num_threads", num_threads),
            progress=progress,
            tokenizer=tokenizer_json(tokenizer),
        )
        return NgramModel(core)

    def __getitem__(self, ngram: int | Sequence[int]) -> int:
        """How often an n-gram of 1 to N ids stands in the stream: 0 if it never does. A document
        separator in front is the begin of a document, one at the end its end. Raises
        `InvalidInputError` for what are no integers."""
        try:
            ids = [operator.index(ngram)]  # type: ignore[arg-type]
        except TypeError:
            ids = _integers(ngram)
        if any(not 0 <= id < self.vocab_size for id in ids):
            return 0
        return self._core.get(ids)

    def ngrams(self, order: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """All n-grams of one order, sorted: ids (n, order) uint32 and counts (n,) uint32."""
        order = integer("order", order)
        ids, counts = self._core.ngrams(order)
        return ids.reshape(-1, order), counts

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
        """The id that ends every document."""
        return self._core.document_separator

    @property
    def num_tokens(self) -> int:
        """How many ids were counted."""
        return self._core.num_tokens

    @property
    def num_ngrams(self) -> tuple[int, ...]:
        """The number of distinct n-grams of each order; for order 1, of ids that occur."""
        return tuple(self._core.num_ngrams)

    def __repr__(self) -> str:
        numbers = ", ".join(f"{number:,}" for number in self.num_ngrams)
        return (
            f"NgramCounts(order={self.order}, num_tokens={self.num_tokens:,}, ngrams=({numbers}))"
        )


def _integers(ngram: Any) -> list[int]:
    try:
        return [operator.index(id) for id in ngram]
    except TypeError:
        raise InvalidInputError(f"ngram = {ngram!r}: give an id, or a sequence of ids") from None


def _bytes(memory_limit: Any) -> int | None:
    return optional_integer("memory_limit", memory_limit, 1, 2**63 - 1)
