"""What callers hand to counted models (ids, numbers, tokenizers), checked before the core sees it.

Ids come as any integers in one dimension. The core takes uint16 and uint32 only, and knows the
narrower limits of numbers; what its types cannot hold is told here.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lexigram.errors import InvalidInputError, TokenIdError
from lexigram.lm import Ids

__all__ = [
    "SavesTokenizer",
    "array_of",
    "batch",
    "id_error",
    "in_vocabulary",
    "integer",
    "optional_integer",
    "stored",
    "stream_facts",
    "tokenizer_json",
]


class SavesTokenizer(Protocol):
    """What a `Tokenizer` offers a model or an index that is to carry it."""

    def save(self, path: Path, /) -> object: ...


def integer(name: str, value: Any, least: int = 0, most: int = 2**32 - 1) -> int:
    """`value` as a number that the core's integer holds."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InvalidInputError(f"{name} = {value!r}: give an integer")
    number = int(value.__index__())
    if not least <= number <= most:
        raise InvalidInputError(f"{name} = {number}: use {least} to {most}")
    return number


def optional_integer(name: str, value: Any, least: int = 0, most: int = 2**32 - 1) -> int | None:
    """The same, of a number that need not be given."""
    return None if value is None else integer(name, value, least, most)


def stream_facts(
    tokens: Any, vocab_size: int | None, document_separator: int | None
) -> tuple[int | None, int | None]:
    """The vocabulary's size and the separator: those given, else those that a dataset brings."""
    if hasattr(tokens, "document_separator"):
        vocab_size = tokens.vocab_size if vocab_size is None else vocab_size
        if document_separator is None:
            document_separator = tokens.document_separator
    return vocab_size, document_separator


def array_of(ids: Any) -> Ids:
    """The ids (n,) as an array of integers."""
    array = np.asarray(ids)
    if array.ndim != 1:
        raise InvalidInputError(f"token ids have the shape {array.shape}: give one dimension")
    if array.size == 0:
        return np.zeros(0, dtype=np.uint32)
    if not np.issubdtype(array.dtype, np.integer):
        raise InvalidInputError(f"token ids are of type {array.dtype}: give integers")
    return array


def in_vocabulary(array: Ids, vocab_size: int, before: int = 0) -> Ids:
    """The array itself, if all ids are below `vocab_size`; `before` of them came earlier."""
    if array.size and (array.min() < 0 or array.max() >= vocab_size):
        at = int(((array < 0) | (array >= vocab_size)).argmax())
        raise id_error(int(array[at]), before + at, vocab_size)
    return array


def stored(array: Ids) -> Ids:
    """Ids that fit, contiguous: uint16 as they are, others as uint32."""
    narrow = array.dtype == np.uint16
    return np.ascontiguousarray(array, dtype=np.uint16 if narrow else np.uint32)


def id_error(value: object, position: int, vocab_size: int) -> TokenIdError:
    """What is raised for an id outside the vocabulary."""
    return TokenIdError(
        f"token id {value} at position {position} is not in the vocabulary of "
        f"{vocab_size} tokens (0 to {vocab_size - 1}); was it made with another tokenizer?"
    )


def batch(
    sequences: Any, offsets: Any, read: Callable[[Any], Ids], name: str
) -> tuple[Ids, npt.NDArray[np.int64]]:
    """All ids of B sequences in one array, and where each begins, and the end (B + 1,).

    `sequences`: a list of them or an array (B, n), or with `offsets` (B + 1,) all ids in one
    array. `read` checks ids (n,); `name` is what the caller calls the sequences.
    """
    if offsets is not None:
        return read(sequences), _places(offsets)
    if isinstance(sequences, np.ndarray):
        if sequences.ndim != 2:
            raise InvalidInputError(
                f"{name} have the shape {sequences.shape}: give (batch, n), or one array with "
                "offsets"
            )
        ends = np.arange(len(sequences) + 1, dtype=np.int64) * sequences.shape[1]
        return read(sequences.reshape(-1)), ends
    if not hasattr(sequences, "__len__") or isinstance(sequences, (str, bytes)):
        raise InvalidInputError(f"{name} = {sequences!r}: give a list of {name}, or an array")
    arrays = [read(sequence) for sequence in sequences]
    lengths = np.fromiter(map(len, arrays), np.int64, len(arrays))
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return np.concatenate(arrays) if arrays else np.zeros(0, np.uint32), ends


def _places(offsets: Any) -> npt.NDArray[np.int64]:
    array = np.asarray(offsets)
    if array.ndim != 1 or array.dtype.kind not in "iu" or (array < 0).any():
        raise InvalidInputError(
            f"offsets are {array.dtype} of the shape {array.shape}: give one dimension of "
            "integers, rising from 0 to the number of ids"
        )
    return np.ascontiguousarray(array, dtype=np.int64)


def tokenizer_json(tokenizer: SavesTokenizer | str | None) -> str | None:
    """The text of the tokenizer.json."""
    if tokenizer is None:
        return None
    if isinstance(tokenizer, str):
        try:
            data = json.loads(tokenizer)
        except ValueError:
            data = None
        if isinstance(data, dict):
            return tokenizer
    elif hasattr(tokenizer, "save"):
        with tempfile.TemporaryDirectory(prefix="lexigram-") as folder:
            path = Path(folder) / "tokenizer.json"
            tokenizer.save(path)
            return path.read_text(encoding="utf-8")
    raise InvalidInputError(
        f"tokenizer = {str(tokenizer)[:40]!r}: give a Tokenizer or the text of a tokenizer.json"
    )
