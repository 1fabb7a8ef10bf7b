"""What a dataset of token ids looks like: frequencies, lengths, Zipf's law.

Definitions. Separators are counted apart: lengths and frequencies are those of the texts' tokens.
The entropy is that of the frequencies, H = -Σ p log₂ p, in bits a token.

Zipf's law: the r-th most frequent token occurs about C · r^(-s) times. The slope -s is that of the
straight line through (log r, log count), by least squares, over ranks from 10 (the first few follow
no law) to the last one that occurs at least 10 times (below, counts are too coarse), taken at ranks
that are even in log r, so that each decade weighs the same. It describes a curve that is not quite
straight: compare it only over the same ranks, which are given with it.

Method. One pass over slices of the dataset: bincount for frequencies, the distances of separators
for lengths. Memory does not grow with the dataset, but for documents of a million tokens and more.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lexigram.data.dataset import TokenDataset

__all__ = ["DatasetStatistics", "Zipf", "describe", "zipf"]

_SLICE = 1 << 20  # tokens; their counts and positions stay in the cache
_EXACT = 1 << 20  # lengths below this are counted one by one
_FIRST_RANK = 10
_LEAST_COUNT = 10

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Zipf:
    """A straight line through frequencies: log₁₀ count = intercept + slope · log₁₀ rank."""

    slope: float
    intercept: float
    r_squared: float
    """The part of the variance of log count that the line explains."""
    first_rank: int
    last_rank: int


@dataclass(frozen=True, eq=False)
class DatasetStatistics:
    """What one pass over a dataset finds."""

    counts: Counts
    """(vocab_size,): how often each id occurs, the separator not counted."""
    lengths: Counts
    """Distinct lengths of documents in tokens, without separators, ascending."""
    documents: Counts
    """How many documents have each of these lengths."""
    longest: list[tuple[int, int]]
    """(document, tokens) of the longest documents, the longest first."""
    entropy: float
    """Bits a token, of the frequencies."""
    zipf: Zipf | None
    """None where too few tokens are frequent."""

    @property
    def distinct(self) -> int:
        """Ids that occur at least once."""
        return int(np.count_nonzero(self.counts))

    @property
    def empty(self) -> int:
        """Documents without a token."""
        return int(self.documents[self.lengths == 0].sum())

    def quantile(self, part: float) -> int:
        """The length that this part of the documents does not exceed."""
        reached = np.cumsum(self.documents)
        return int(self.lengths[np.searchsorted(reached, part * reached[-1])])

    def top(self, number: int) -> list[tuple[int, int]]:
        """(id, count) of the most frequent tokens; smaller ids first among equals."""
        order = np.argsort(-self.counts, kind="stable")[:number]
        return [(int(i), int(self.counts[i])) for i in order if self.counts[i]]

    def ranked(self) -> Counts:
        """The counts of the tokens that occur, the most frequent first."""
        found = np.sort(self.counts[self.counts > 0])[::-1]
        return np.ascontiguousarray(found)


def describe(
    dataset: TokenDataset,
    *,
    longest: int = 5,
    progress: Callable[[int, int], object] | None = None,
) -> DatasetStatistics:
    """Reads every token once. `longest` is how many of the longest documents are named;
    `progress` counts tokens."""
    counts = np.zeros(dataset.vocab_size, np.int64)
    exact = np.zeros(_EXACT, np.int64)
    long: dict[int, int] = {}
    top: list[tuple[int, int]] = []  # a heap of (length, -document)
    total, separator = len(dataset), dataset.document_separator
    begin = document = 0
    for start in range(0, total, _SLICE):
        ids = dataset[start : start + _SLICE]
        counts += np.bincount(ids, minlength=len(counts))
        ends = np.flatnonzero(ids == separator) + start
        if len(ends):
            found = np.diff(ends, prepend=begin - 1) - 1
            begin = int(ends[-1]) + 1
            short_ones = np.bincount(found[found < _EXACT])
            exact[: len(short_ones)] += short_ones
            for length in found[found >= _EXACT].tolist():
                long[length] = long.get(length, 0) + 1
            _keep_longest(top, found, document, longest)
            document += len(found)
        if progress is not None:
            progress(min(start + _SLICE, total), total)
    counts[separator] = 0
    short = np.flatnonzero(exact)
    lengths = np.concatenate([short, np.array(sorted(long), np.int64)])
    numbers = np.concatenate([exact[short], np.array([long[n] for n in sorted(long)], np.int64)])
    return DatasetStatistics(
        counts=counts,
        lengths=lengths.astype(np.int64),
        documents=numbers.astype(np.int64),
        longest=[(-number, length) for length, number in sorted(top, reverse=True)],
        entropy=_entropy(counts),
        zipf=zipf(np.sort(counts[counts > 0])[::-1]),
    )


def _keep_longest(top: list[tuple[int, int]], found: Counts, first: int, number: int) -> None:
    if number == 0:
        return
    if len(found) > number:
        least = top[0][0] if len(top) == number else 0
        cut = np.partition(found, len(found) - number)[len(found) - number]
        chosen = np.flatnonzero(found >= max(cut, least))
    else:
        chosen = np.arange(len(found))
    for at in chosen.tolist():
        entry = (int(found[at]), -(first + at))
        if len(top) < number:
            heapq.heappush(top, entry)
        else:
            heapq.heappushpop(top, entry)


def _entropy(counts: Counts) -> float:
    found = counts[counts > 0].astype(np.float64)
    total = found.sum()
    return float(np.log2(total) - (found * np.log2(found)).sum() / total) if total else 0.0


def zipf(ranked: Counts) -> Zipf | None:
    """Fits the line to descending counts (see above); None for fewer than 10 ranks to fit."""
    last = int(np.count_nonzero(ranked >= _LEAST_COUNT))
    if last < 2 * _FIRST_RANK:
        return None
    steps = np.geomspace(_FIRST_RANK, last, 200)
    ranks = np.unique(np.rint(steps).astype(np.int64))
    x, y = np.log10(ranks), np.log10(ranked[ranks - 1])
    dx, dy = x - x.mean(), y - y.mean()
    slope = float((dx * dy).sum() / (dx * dx).sum())
    rest = float(((dy - slope * dx) ** 2).sum())
    spread = float((dy * dy).sum())
    return Zipf(
        slope=slope,
        intercept=float(y.mean() - slope * x.mean()),
        r_squared=1 - rest / spread if spread else 1.0,
        first_rank=_FIRST_RANK,
        last_rank=last,
    )
