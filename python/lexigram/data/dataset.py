"""A finished directory of token shards, read as one long array of ids.

The layout is in `docs/formats.md`. Opening reads the manifest and the shards' headers, whatever
their size; the ids stay on the disk until they are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, overload

import numpy as np
import numpy.typing as npt

from lexigram._core import ShardReader
from lexigram.errors import InvalidInputError, OutOfRangeError

__all__ = ["TokenDataset", "Verification"]

Verification = Literal["on_read", "off"]

StoredIds = npt.NDArray[Any]
"""uint16 where the vocabulary has at most 65,536 tokens, else uint32."""

_READ_TOKENS = 1 << 20  # iteration reads a megatoken at a time


class TokenDataset:
    """Tokens of many documents: each document is followed by the document separator.

        dataset = TokenDataset("shards")
        dataset[:10], len(dataset), dataset.document(3)

    Raises `MissingFileError`, or `FormatError` for a directory that was never finished and for
    damaged files. Opening finds a truncated or exchanged file. With `verify="on_read"` each block
    of 1 MiB is compared with its checksum when the first of it is read, by whatever way: a changed
    bit is a `FormatError` that names file, block and byte, never a wrong token. With "off" only
    `verify` finds it: for a disk so slow that reading whole blocks at first is too much.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, verify: Verification = "on_read"
    ) -> None:
        if verify not in get_args(Verification):
            raise InvalidInputError(f"verify = {verify!r}: must be 'on_read' or 'off'")
        self._directory = Path(directory)
        self._verification = verify
        self._reader = ShardReader(self._directory, verify_on_read=verify == "on_read")

    def __reduce__(self) -> tuple[Any, ...]:
        return _open, (self._directory, self._verification)

    @property
    def directory(self) -> Path:
        """Where the shards are."""
        return self._directory

    @property
    def num_documents(self) -> int:
        """Documents in the dataset."""
        return self._reader.num_documents

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes of the documents' text, separators not counted."""
        return self._reader.num_bytes

    @property
    def num_skipped(self) -> int:
        """Documents left out with `errors="skip"` when the dataset was made."""
        return self._reader.num_skipped

    @property
    def num_duplicates(self) -> int | None:
        """Documents left out because an earlier one was equal; None if that was not asked for."""
        return self._reader.num_duplicates

    @property
    def num_shards(self) -> int:
        """Shard files."""
        return self._reader.num_shards

    @property
    def vocab_size(self) -> int:
        """Ids are 0 … vocab_size − 1."""
        return self._reader.vocab_size

    @property
    def document_separator(self) -> int:
        """The id after every document; it stands nowhere else."""
        return self._reader.document_separator

    @property
    def tokenizer_fingerprint(self) -> str:
        """`fingerprint` of the tokenizer that made the ids."""
        return self._reader.tokenizer

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that stand for the whole content."""
        return self._reader.fingerprint

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint16 or uint32."""
        return np.dtype(self._reader.dtype)

    def __len__(self) -> int:
        """The number of tokens, separators included."""
        return self._reader.num_tokens

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> StoredIds: ...
    def __getitem__(self, index: int | slice) -> int | StoredIds:
        """The id at a position, or a copy of a run of ids (`dtype`); Python's rules for negative
        positions and steps. Raises `OutOfRangeError` (an `IndexError`)."""
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:
                return self._reader.read(start, max(start, stop))
            chosen = range(start, stop, step)
            if not chosen:
                return self._reader.read(0, 0)
            low, high = min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1])
            run = self._reader.read(low, high + 1)
            return run[::step].copy() if step > 0 else run[::-1][::-step].copy()
        at = _position(index, len(self), "token")
        return int(self._reader.read(at, at + 1)[0])

    def __iter__(self) -> Iterator[int]:
        """All ids in order."""
        for start in range(0, len(self), _READ_TOKENS):
            yield from self[start : start + _READ_TOKENS].tolist()

    def document(self, index: int) -> StoredIds:
        """The ids of a document, without its separator (`dtype`; empty for an empty text). Raises
        `OutOfRangeError`."""
        at = _position(index, self.num_documents, "document")
        return self._reader.read(*self._reader.document_range(at))

    def documents(self) -> Iterator[StoredIds]:
        """The ids of each document in order, without separators."""
        for index in range(self.num_documents):
            yield self._reader.read(*self._reader.document_range(index))

    def tokens(self) -> StoredIds:
        """A copy of all ids, separators included (`dtype`)."""
        return self._reader.read(0, len(self))

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("the ids are on the disk: a copy cannot be avoided")
        return self.tokens().astype(dtype or self.dtype, copy=False)

    def verify(self, *, progress: Callable[[int, int], object] | None = None) -> None:
        """Reads every byte from the disk again. Raises `FormatError`, which names the file and the
        byte, for any damage. `progress` counts tokens."""
        self._reader.verify(progress)

    def __repr__(self) -> str:
        return (
            f"TokenDataset({str(self._directory)!r}: {len(self):,} tokens, "
            f"{self.num_documents:,} documents)"
        )


def _open(directory: Path, verify: Verification) -> TokenDataset:
    return TokenDataset(directory, verify=verify)


def _position(index: int, length: int, what: str) -> int:
    at = int(index) + length if index < 0 else int(index)
    if not 0 <= at < length:
        raise OutOfRangeError(f"{what} {index} of {length}: must be {-length} to {length - 1}")
    return at
