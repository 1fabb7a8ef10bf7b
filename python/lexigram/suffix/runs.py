"""Runs of ids, as the core takes them: it compares unsigned ids with the vocabulary itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeGuard

import numpy as np
import numpy.typing as npt

from lexigram.arguments import array_of, batch, in_vocabulary, stored
from lexigram.lm import Ids, TokenIds

__all__ = ["Stream", "block_of", "blocks", "flat", "is_stream", "wide"]

_BLOCK = 1 << 22  # a dataset is read so many tokens at a time


class Stream(Protocol):
    """What a `TokenDataset` offers: its ids in blocks, and what they mean."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def document_separator(self) -> int | None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: slice, /) -> Ids: ...


def is_stream(source: TokenIds | Stream) -> TypeGuard[Stream]:
    """Whether ids come with their meaning."""
    return hasattr(source, "document_separator")


def blocks(source: Ids | Stream) -> Iterator[Ids]:
    """The ids, a part at a time."""
    for start in range(0, len(source), _BLOCK):
        yield source[start : start + _BLOCK]


def block_of(array: Ids, vocab_size: int, before: int = 0) -> Ids:
    """The ids as a contiguous uint16 or uint32 array; `before` of them came earlier."""
    if array.dtype not in (np.uint16, np.uint32):
        in_vocabulary(array, vocab_size, before)
    return stored(array)


def wide(ids: Any, vocab_size: int) -> npt.NDArray[np.uint32]:
    """The ids (n,) as a contiguous uint32 array."""
    return block_of(array_of(ids), vocab_size).astype(np.uint32, copy=False)


def flat(
    runs: Any, offsets: Any, vocab_size: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """All ids, and where each run begins, and the end."""
    ids, ends = batch(runs, offsets, array_of, "runs")  # the ids are compared all at once
    return wide(ids, vocab_size), ends
