"""Where any run of tokens stands in a corpus, how often, and what follows it: the ∞-gram.

    index = SuffixIndex.build(dataset, "index", tokenizer=tokenizer)
    index.count(ids), index.find(ids, 10), index.trace(generated, min_length=20)

`docs/suffix.md` has the definitions, their source and what to expect.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeGuard, TypeVar

import numpy as np
import numpy.typing as npt

from lexigram import _core
from lexigram.errors import InvalidInputError, OutOfRangeError, TokenIdError

__all__ = ["InfinigramModel", "Place", "Span", "SuffixIndex"]

Ids: TypeAlias = npt.NDArray[np.integer[Any]]
TokenIds: TypeAlias = Sequence[int] | Ids
Counts: TypeAlias = npt.NDArray[np.int64]
Logprobs: TypeAlias = npt.NDArray[np.float64]
Answer = TypeVar("Answer")

_BLOCK = 1 << 22  # a dataset is read so many tokens at a time


class Stream(Protocol):
    """What a `TokenDataset` offers: its ids in blocks, and what they mean."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def document_separator(self) -> int | None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: slice, /) -> Ids: ...


class SavesTokenizer(Protocol):
    """What a `Tokenizer` offers an index that is to carry it."""

    def save(self, path: Path, /) -> object: ...


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
        if _is_stream(source):
            vocab_size = source.vocab_size if vocab_size is None else vocab_size
            if document_separator is None:
                document_separator = source.document_separator
        else:
            source = _array(source)
            if vocab_size is None:
                largest = int(source.max()) if source.size else 0
                vocab_size = 1 + max(largest, document_separator or 0)
        builder = _core.SuffixBuilder(
            os.fspath(out_dir),
            vocab_size=_number("vocab_size", vocab_size, least=1),
            document_separator=_optional("document_separator", document_separator),
            memory_limit=_optional("memory_limit", memory_limit, most=2**63),
            num_threads=_optional("num_threads", num_threads),
            tokenizer=_tokenizer_json(tokenizer),
            total=len(source),
            shard_tokens=_optional("shard_tokens", shard_tokens),
            progress=progress,
        )
        try:
            done = 0
            for block in _blocks(source):
                builder.append(_stored(block, vocab_size, done))
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
        flat, ends = _flat(runs, offsets, self.vocab_size)
        return self._core.count_batch(flat, ends)

    def find(self, ids: TokenIds, limit: int = 10) -> list[Place]:
        """At most `limit` places where `ids` (n,), n ≥ 1, stand, sorted. Of more than that it is
        not said which, but it is always the same ones."""
        number = _number("limit", limit)
        found = self._ask(lambda run: self._core.find(run, number), ids)
        return [Place(*place) for place in found]

    def document(
        self, index: int, start: int = 0, stop: int | None = None
    ) -> npt.NDArray[np.uint32]:
        """Ids `start` to `stop` of a document, as far as it has them, without separators."""
        stop = 2**62 if stop is None else stop
        ends = (_number("start", start, most=2**63), _number("stop", stop, most=2**63))
        return self._core.document(_number("index", index, most=2**63), *ends)

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
        number = _number("support", support, least=1)
        return self._ask(lambda run: self._core.infinigram(run, number), context)

    def probability(self, context: TokenIds, token: int, *, support: int = 1) -> tuple[float, int]:
        """The ∞-gram probability of `token` after `context` (n,), and the effective order: what
        `infinigram` says of one token, without the others."""
        try:
            return self._core.probability(context, token, support)
        except (OverflowError, TypeError):
            _number("support", support, least=1)
            raise _no_id(token, len(_wide(context, self.vocab_size)), self.vocab_size) from None

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
            return question(_wide(ids, self.vocab_size))

    def _scored(
        self, ids: TokenIds, support: int, sparse: bool
    ) -> tuple[Logprobs, npt.NDArray[np.uint32], npt.NDArray[np.bool_]]:
        support = _number("support", support, least=1)
        return self._core.score(_wide(ids, self.vocab_size), support, sparse)

    def trace(self, ids: TokenIds, min_length: int = 10, *, max_documents: int = 10) -> list[Span]:
        """The maximal runs of `ids` (n,) of at least `min_length` that stand verbatim in the
        corpus, by their start, each with at most `max_documents` documents.

        Maximal: neither the run with the id before it nor the one with the id after it stands
        anywhere. Spans may overlap. They hold no separators.
        """
        spans = self._core.trace(
            _wide(ids, self.vocab_size),
            _number("min_length", min_length, least=1),
            _number("max_documents", max_documents),
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


class InfinigramModel:
    """The ∞-gram of an index; satisfies `lexigram.lm.LanguageModel`.

    A state keeps, for each row, the longest suffix that was found and where it stands, so that a
    step goes on from there.

    For `lexigram.ngram.interpolate` it says how much its numbers are worth: class 2 n + s, with n
    the effective order − 1, at most 15, and s = 1 where only one id ever followed (the "sparse"
    case of Liu et al. 2024, section 5).
    """

    num_classes = 32

    def __init__(self, index: SuffixIndex, *, support: int = 1) -> None:
        self.index = index
        self.support = _number("support", support, least=1)

    @property
    def vocab_size(self) -> int:
        """V, the number of token ids."""
        return self.index.vocab_size

    @property
    def document_separator(self) -> int | None:
        """The id at both ends of a document."""
        return self.index.document_separator

    def start(self, batch_size: int = 1) -> _core.SuffixWindows:
        """The state of `batch_size` empty prefixes."""
        return self.index._core.start(_number("batch_size", batch_size, least=1), self.support)

    def step(self, state: _core.SuffixWindows, ids: Any) -> tuple[Logprobs, _core.SuffixWindows]:
        """Reads `ids` (B, n), n ≥ 0; returns ln p (B, V) float64 of the next token and the new
        state. Raises `TokenIdError` for an id outside the vocabulary."""
        logprobs, _, state = self.step_with_classes(state, ids)
        return logprobs, state

    def step_with_classes(
        self, state: _core.SuffixWindows, ids: Any
    ) -> tuple[Logprobs, npt.NDArray[np.intp], _core.SuffixWindows]:
        """`step`, and between its results the class (B,) of each row."""
        array = np.asarray(ids)
        if array.ndim != 2:
            raise InvalidInputError(f"ids have the shape {array.shape}: give (batch, n)")
        rows = _wide(array.reshape(-1), self.vocab_size).reshape(array.shape)
        state = state.read(rows)
        logprobs, orders, sparse = state.distributions()
        return logprobs, _classes(orders, sparse), state

    def score(self, ids: Any) -> Logprobs:
        """ln p (n,) float64 of each of `ids` (n,) given those before it."""
        return self.index.score(ids, support=self.support)

    def score_with_classes(self, ids: Any) -> tuple[Logprobs, npt.NDArray[np.intp]]:
        """`score`, and the class (n,) of each."""
        logprobs, orders, sparse = self.index._scored(ids, self.support, True)
        return logprobs, _classes(orders, sparse)

    def reorder(self, state: _core.SuffixWindows, rows: Any) -> _core.SuffixWindows:
        """The state of the given rows, in their order; of a mask, of those that it marks. Raises
        `OutOfRangeError` for a row that the state has not."""
        array = np.asarray(rows)
        if array.ndim == 1 and array.size == 0:
            return state.reorder([])
        if array.ndim != 1 or array.dtype.kind not in "iub":
            raise InvalidInputError(
                f"rows are {array.dtype} of the shape {array.shape}: give integers in one dimension"
            )
        try:
            kept = np.arange(len(state))[array].tolist()
        except IndexError:
            raise OutOfRangeError(
                f"rows = {array.tolist()}: the state has the rows 0 to {len(state) - 1}"
            ) from None
        return state.reorder(kept)

    def __repr__(self) -> str:
        return f"InfinigramModel({self.index!r}, support={self.support})"


def _classes(orders: npt.NDArray[np.uint32], sparse: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    return (2 * np.minimum(orders.astype(np.intp) - 1, 15) + sparse).astype(np.intp)


def _is_stream(source: TokenIds | Stream) -> TypeGuard[Stream]:
    return hasattr(source, "document_separator")


def _blocks(source: Ids | Stream) -> Iterator[Ids]:
    for start in range(0, len(source), _BLOCK):
        yield source[start : start + _BLOCK]


def _array(ids: Any) -> Ids:
    array = np.asarray(ids)
    if array.ndim != 1:
        raise InvalidInputError(f"token ids have the shape {array.shape}: give one dimension")
    if array.size == 0:
        return np.zeros(0, dtype=np.uint32)
    if not np.issubdtype(array.dtype, np.integer):
        raise InvalidInputError(f"token ids are of type {array.dtype}: give integers")
    return array


def _stored(array: Ids, vocab_size: int, before: int = 0) -> Ids:
    """The ids as a contiguous uint16 or uint32 array; `before` of them came earlier."""
    if array.dtype not in (np.uint16, np.uint32) and array.size:
        wrong = (array < 0) | (array >= vocab_size)
        if wrong.any():
            at = int(wrong.argmax())
            raise _no_id(int(array[at]), before + at, vocab_size)
    dtype = np.uint16 if array.dtype == np.uint16 else np.uint32
    return np.ascontiguousarray(array, dtype=dtype)


def _wide(ids: Any, vocab_size: int) -> npt.NDArray[np.uint32]:
    """The ids as a contiguous uint32 array; the core compares them with the vocabulary."""
    return _stored(_array(ids), vocab_size).astype(np.uint32, copy=False)


def _flat(
    runs: Any, offsets: npt.ArrayLike | None, vocab_size: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """All ids, and where each run begins, and the end."""
    if offsets is not None:
        places = np.asarray(offsets)
        if places.ndim != 1 or places.dtype.kind not in "iu":
            raise InvalidInputError(
                f"offsets are {places.dtype} of the shape {places.shape}: give one dimension of "
                "integers, rising from 0 to the number of ids"
            )
        return _wide(runs, vocab_size), np.ascontiguousarray(places, dtype=np.int64)
    if isinstance(runs, np.ndarray):
        if runs.ndim != 2:
            raise InvalidInputError(
                f"runs have the shape {runs.shape}: give (batch, n), or one array with offsets"
            )
        ends = np.arange(len(runs) + 1, dtype=np.int64) * runs.shape[1]
        return _wide(runs.reshape(-1), vocab_size), ends
    if not hasattr(runs, "__len__") or isinstance(runs, (str, bytes)):
        raise InvalidInputError(f"runs = {runs!r}: give a list of runs, or an array")
    arrays = [_array(run) for run in runs]
    lengths = np.fromiter(map(len, arrays), np.int64, len(arrays))
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    flat = np.concatenate(arrays) if arrays else np.zeros(0, np.uint32)
    return _wide(flat, vocab_size), ends


def _no_id(value: object, position: int, vocab_size: int) -> TokenIdError:
    return TokenIdError(
        f"token id {value} at position {position} is not in the vocabulary of "
        f"{vocab_size} tokens (0 to {vocab_size - 1}); was it made with another tokenizer?"
    )


def _optional(name: str, value: int | None, most: int = 2**32) -> int | None:
    return None if value is None else _number(name, value, most=most)


def _number(name: str, value: int, least: int = 0, most: int = 2**32) -> int:
    """`value` as a number below `most`; the core knows the narrower limits."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InvalidInputError(f"{name} = {value!r}: give an integer")
    number = int(value.__index__())
    if not least <= number < most:
        raise InvalidInputError(f"{name} = {number}: use {least} to {most - 1}")
    return number


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
