"""Text and ids that arrive in parts: encoding larger than memory, decoding while ids are made."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from lexigram._core import StreamEncoder, Tokenizer
from lexigram.errors import FileError, InvalidInputError, MissingFileError

__all__ = ["Readable", "StreamDecoder", "StreamEncoder", "TextSource", "text_chunks"]


@runtime_checkable
class Readable(Protocol):
    """A file or pipe, of text or of bytes."""

    def read(self, size: int, /) -> str | bytes:
        """At most `size` characters or bytes; nothing at the end."""
        ...


TextSource: TypeAlias = "os.PathLike[str] | Readable | Iterable[str | bytes]"
"""A path, an open file or pipe, or the parts of a text."""


def text_chunks(source: TextSource, chunk_size: int) -> Iterator[str | bytes]:
    """The text of `source` in parts, read as they are asked for."""
    if isinstance(source, str | bytes | bytearray):
        raise InvalidInputError(
            "source is one string, but must be a path, a file or the parts of a text; "
            "pass [text], or pathlib.Path(name) for a file"
        )
    if isinstance(source, os.PathLike):
        path = Path(source)
        try:
            with path.open("rb") as file:
                yield from text_chunks(file, chunk_size)
        except FileNotFoundError:
            raise MissingFileError(f"there is no file {path}") from None
        except OSError as error:
            raise FileError(f"cannot read {path}: {error.strerror or error}") from None
    elif isinstance(source, Readable):
        # From a pipe `read1` gives what is there; `read` would wait until all of it is.
        read = getattr(source, "read1", source.read)
        while chunk := read(chunk_size):
            yield chunk
    else:
        yield from source


def source_name(source: object) -> str:
    """What errors call a source."""
    if isinstance(source, os.PathLike):
        return os.fsdecode(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "the input"


class StreamDecoder:
    """Turns ids into text as they come, and never gives half a character.

    What `push` and `finish` return, joined, is `tokenizer.decode(ids, errors)` of all ids, however
    they were split. One decoder belongs to one stream; it is not shared between threads.
    """

    def __init__(self, tokenizer: Tokenizer, *, errors: str = "replace") -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors)

    def push(self, ids: int | Iterable[int] | npt.NDArray[np.integer[Any]]) -> str:
        """The text that one id or several complete; "" while a character is unfinished.

        Raises `TokenIdError` for an unknown id, and `UnicodeDecodeError` with errors="strict"."""
        if isinstance(ids, int | np.integer):
            return self._decoder.decode(self._tokenizer.decode_single_token_bytes(int(ids)))
        sequence = ids if isinstance(ids, list | np.ndarray) else list(ids)
        return self._decoder.decode(self._tokenizer.decode_bytes(sequence))

    def finish(self) -> str:
        """What an unfinished character at the end becomes: U+FFFD with errors="replace". The next
        push begins another text."""
        try:
            return self._decoder.decode(b"", final=True)
        finally:
            self._decoder.reset()
