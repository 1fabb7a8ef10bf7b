"""`SuffixIndex`: built from a corpus, opened, asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from lexigram import _core
from lexigram.arguments import (
    SavesTokenizer,
    array_of,
    id_error,
    integer,
    optional_integer,
    stream_facts,
    tokenizer_json,
)
from lexigram.lm import Ids, TokenIds
from lexigram.outputs import folder_to_write
from lexigram.suffix.model import InfinigramModel
from lexigram.suffix.runs import Stream, block_of, blocks, flat, is_stream, wide

__all__ = ["Place", "Span", "SuffixIndex"]

Counts: TypeAlias = npt.NDArray[np.int64]
Logprobs: TypeAlias = npt.NDArray[np.float64]
Answer = TypeVar("Answer")


class Place(NamedTuple):
    """Where a run of ids stands."""

    document: int
    """The document's number, from 0."""
    position: int
    """The place of the run's first id in it; −1: the separator in front of it."""


@dataclass(frozen=True)
class Span:
    """A run `ids[start:end]` of a text that stands verbatim in the corpus."""

    start: int
    end: int
    count: int
    """In how many places of the corpus it stands."""
    documents: tuple[int, ...]
    """Numbers of documents that it stands in, rising; not more than were asked for."""

    def __len__(self) -> int:
        return self.end - self.start


class SuffixIndex:
    """Sorted suffixes of a corpus, on the disk; made by `build`, opened by `open`.

    A run of ids stands in a document or nowhere: no match goes over a document separator. The
    separator can be the first id of a run (the begin of a document, the first one included) or the
    last (its end). All methods are thread-safe.
    """

    def __init__(self, core: _core.SuffixIndex, directory: Path) -> None:
        """Use `build` or `open`."""
        self._core = core
        self._directory = directory

    @classmethod
    def build(
        cls,
        source: TokenIds | Stream,
        out_dir: str | os.PathLike[str],
        *,
        document_separator: int | None = None,
        vocab_size: int | None = None,
        memory_limit: int | None = None,
        num_threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
        tokenizer: SavesTokenizer | str | None = None,
        shard_tokens: int | None = None,
    ) -> SuffixIndex:
        """Sorts the suffixes of a corpus, in linear time, and opens the index.

        `source`: ids (n,) of any integer type, or a `TokenDataset`, which brings its own
        `vocab_size` and `document_separator` and is read in blocks. Without `vocab_size` it is one
        more than the largest id. `document_separator`: the id that ends every document.
        `memory_limit`: bytes that building may take, the source not counted (about 12 a token of
        a shard, 20 with 32-bit ids); a smaller one makes more shards, which are slower to ask.
        Without it a shard has up to 2²⁸ tokens. `shard_tokens` says so directly: at least 4,098
        (less is taken for that), as 4,096 of them stand in the next shard too where a document is
        cut, which makes many shards if it is little more. Where one document is longer than a
        shard, it is cut, and runs are limited to `max_match` ids.
        `tokenizer`: the `Tokenizer` that the ids belong to, or the text of its tokenizer.json; the
        index carries it. `progress(done, total)` counts tokens. The answers do not depend on
        `num_threads`, nor on the number of shards.

        `out_dir` must be absent or empty; it appears when the index is finished.

        Raises `InvalidInputError` for an argument outside its limits, an empty source or an
        `out_dir` with files in it, `TokenIdError` for an id outside the vocabulary.
        """
        if hasattr(source, "verify"):
            source.verify()  # a damaged token would be sorted like any other
        vocab_size, document_separator = stream_facts(source, vocab_size, document_separator)
        if not is_stream(source):
            source = array_of(source)
            if vocab_size is None:
                largest = int(source.max()) if source.size else 0
                vocab_size = 1 + max(largest, document_separator or 0)
        vocab_size = integer("vocab_size", vocab_size, least=1)
        builder = _core.SuffixBuilder(
            str(folder_to_write(out_dir)),
            vocab_size=vocab_size,
            document_separator=optional_integer("document_separator", document_separator),
            memory_limit=optional_integer("memory_limit", memory_limit, most=2**63 - 1),
            num_threads=optional_integer("num_threads", num_threads),
            tokenizer=tokenizer_json(tokenizer),
            total=len(source),
            shard_tokens=optional_integer("shard_tokens", shard_tokens),
            progress=progress,
        )
        try:
            done = 0
            for block in blocks(source):
                builder.append(block_of(block, vocab_size, done))
                done += len(block)
            builder.finish()
        finally:
            builder.abort()
        return cls.open(out_dir)

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> SuffixIndex:
        """Opens a finished index, mapped into memory: reads headers only.

        Raises `MissingFileError`, or `FormatError` for what is no index or does not belong
        together; `verify` finds any other damage.
        """
        return cls(_core.SuffixIndex(os.fspath(directory)), Path(directory))

    @property
    def directory(self) -> Path:
        """Where the index is."""
        return self._directory

    @property
    def vocab_size(self) -> int:
        """V, the number of token ids."""
        return self._core.vocab_size

    @property
    def document_separator(self) -> int | None:
        """The id at both ends of a document."""
        return self._core.document_separator

    @property
    def num_tokens(self) -> int:
        """Ids of the corpus, separators included."""
        return self._core.num_tokens

    @property
    def num_documents(self) -> int:
        """Documents; a last one without its separator counts. 1 without separators."""
        return self._core.num_documents

    @property
    def num_shards(self) -> int:
        """Files that the corpus was cut into."""
        return self._core.num_shards

    @property
    def max_match(self) -> int | None:
        """The longest run that can be looked up; None (no limit) unless a document was cut."""
        return self._core.max_match

    @property
    def num_bytes(self) -> tuple[int, int]:
        """Bytes on the disk of the index proper, and of the ids that it holds."""
        return self._core.num_bytes

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that stand for the whole content."""
        return self._core.fingerprint

    @property
    def tokenizer(self) -> str | None:
        """The text of the tokenizer.json that the ids belong to, if the index carries one."""
        return self._core.tokenizer

    def __len__(self) -> int:
        """`num_tokens`."""
        return self.num_tokens

    def verify(self, *, progress: Callable[[int, int], object] | None = None) -> None:
        """Reads every byte again and checks all of it, the order of the suffixes too, which takes
        about as long as building. Raises `FormatError`. `progress` counts tokens."""
        self._core.verify(progress)

    def count(self, ids: TokenIds) -> int:
        """In how many places `ids` (n,) stand; of no ids, `num_tokens`.

        Raises `TokenIdError` for an id outside the vocabulary.
        """
        return self._ask(self._core.count, ids)

    def count_batch(
        self, runs: Sequence[TokenIds] | Ids, offsets: npt.ArrayLike | None = None
    ) -> Counts:
        """`count` (B,) int64 of many runs in one call, which is faster for each.

        `runs`: a list of runs, an array (B, n), or with `offsets` (B + 1,) one array of all ids:
        then run i is `runs[offsets[i]:offsets[i + 1]]`.
        """
        return self._core.count_batch(*flat(runs, offsets, self.vocab_size))

    def find(self, ids: TokenIds, limit: int = 10) -> list[Place]:
        """At most `limit` places where `ids` (n,), n ≥ 1, stand, sorted. Of more than that it is
        not said which, but it is always the same ones."""
        number = integer("limit", limit)
        found = self._ask(lambda run: self._core.find(run, number), ids)
        return [Place(*place) for place in found]

    def document(
        self, index: int, start: int = 0, stop: int | None = None
    ) -> npt.NDArray[np.uint32]:
        """Ids `start` to `stop` of a document, as far as it has them, without separators."""
        stop = 2**62 if stop is None else stop
        ends = (integer("start", start, most=2**63 - 1), integer("stop", stop, most=2**63 - 1))
        return self._core.document(integer("index", index, most=2**63 - 1), *ends)

    def next_counts(self, context: TokenIds) -> tuple[npt.NDArray[np.uint32], Counts]:
        """What follows `context` (n,) in the corpus: ids (k,), rising, and how often each does
        (k,) int64. The whole context is looked for; see `infinigram` for its suffixes."""
        return self._ask(self._core.next_counts, context)

    def infinigram(self, context: TokenIds, *, support: int = 1) -> tuple[Logprobs, int]:
        """The ∞-gram distribution after `context` (n,): ln p (V,) float64, −inf for ids that never
        follow, and the effective order.

        With h* the longest suffix of the context, not going back over a separator, that at least
        `support` places go on from: p(w) = c(h* w) / Σₓ c(h* x). The effective order is |h*| + 1,
        the length of the n-grams that are counted (Liu et al. 2024, section 3).
        """
        number = integer("support", support, least=1)
        return self._ask(lambda run: self._core.infinigram(run, number), context)

    def probability(self, context: TokenIds, token: int, *, support: int = 1) -> tuple[float, int]:
        """The ∞-gram probability of `token` after `context` (n,), and the effective order: what
        `infinigram` says of one token, without the others."""
        try:
            return self._core.probability(context, token, support)
        except (OverflowError, TypeError):
            integer("support", support, least=1)
            raise id_error(token, len(wide(context, self.vocab_size)), self.vocab_size) from None

    def score(self, ids: TokenIds, *, support: int = 1) -> Logprobs:
        """ln p (n,) float64 of each of `ids` (n,) given those before it; −inf where the ∞-gram
        gives no probability. See `infinigram`."""
        return self._scored(ids, support, False)[0]

    def effective_orders(self, ids: TokenIds, *, support: int = 1) -> npt.NDArray[np.uint32]:
        """The effective order (n,) that each of `ids` (n,) is scored with."""
        return self._scored(ids, support, False)[1]

    def _ask(self, question: Callable[[Any], Answer], ids: Any) -> Answer:
        """`question(ids)`. What is wrong with ids is looked for only if the core cannot read them:
        that would take longer than most answers."""
        try:
            return question(ids)
        except TypeError:
            return question(wide(ids, self.vocab_size))

    def _scored(
        self, ids: TokenIds, support: int, sparse: bool
    ) -> tuple[Logprobs, npt.NDArray[np.uint32], npt.NDArray[np.bool_]]:
        support = integer("support", support, least=1)
        return self._core.score(wide(ids, self.vocab_size), support, sparse)

    def trace(self, ids: TokenIds, min_length: int = 10, *, max_documents: int = 10) -> list[Span]:
        """The maximal runs of `ids` (n,) of at least `min_length` that stand verbatim in the
        corpus, by their start, each with at most `max_documents` documents.

        Maximal: neither the run with the id before it nor the one with the id after it stands
        anywhere. Spans may overlap. They hold no separators.
        """
        spans = self._core.trace(
            wide(ids, self.vocab_size),
            integer("min_length", min_length, least=1),
            integer("max_documents", max_documents),
        )
        return [Span(start, end, count, tuple(found)) for start, end, count, found in spans]

    def model(self, *, support: int = 1) -> InfinigramModel:
        """The ∞-gram as a `lexigram.lm.LanguageModel`. `support`: see `infinigram`.

        It gives no probability to what it never saw: mix it with another model, by
        `lexigram.ngram.interpolate`.
        """
        return InfinigramModel(self, support=support)

    def __repr__(self) -> str:
        return (
            f"SuffixIndex({str(self._directory)!r}: {self.num_tokens:,} tokens, "
            f"{self.num_documents:,} documents)"
        )
