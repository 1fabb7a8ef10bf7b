"""Opens a file for reading bytes, whatever it is compressed with."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from lexigram.errors import FileError, FormatError, MissingDependencyError, MissingFileError

__all__ = ["COMPRESSED", "open_bytes"]

COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst"})
"""Suffixes that are read through."""


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """The content of a file. Raises `MissingFileError`, `FileError`, `FormatError` for damaged
    compression, `MissingDependencyError` for `.zst` without a decompressor; errors while reading
    inside the `with` are turned into these as well."""
    suffix = path.suffix.lower()
    damage: tuple[type[Exception], ...] = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
    try:
        if suffix == ".zst":
            opener, error = _zstd()
            damage += (error,)
            with opener(path) as file:
                yield file
        elif suffix == ".gz":
            with gzip.open(path) as file:
                yield cast("BinaryIO", file)
        elif suffix == ".bz2":
            with bz2.open(path) as file:
                yield cast("BinaryIO", file)
        elif suffix == ".xz":
            with lzma.open(path) as file:
                yield cast("BinaryIO", file)
        else:
            with path.open("rb") as file:
                yield file
    except damage as error:
        raise FormatError(f"{path} is damaged {suffix[1:]} data: {error}") from None
    except (FileError, MissingFileError):
        raise
    except FileNotFoundError:
        raise MissingFileError(f"there is no file {path}") from None
    except OSError as error:
        if suffix == ".bz2" and error.errno is None:  # how bz2 says "not mine"
            raise FormatError(f"{path} is damaged bz2 data: {error}") from None
        raise FileError(f"cannot read {path}: {error.strerror or error}") from None


def _zstd() -> tuple[Callable[[Path], BinaryIO], type[Exception]]:
    """What opens Zstandard, and its error: Python's own from 3.14 on, or the package zstandard."""
    try:
        own = importlib.import_module("compression.zstd")
        return own.open, own.ZstdError
    except ImportError:
        pass
    try:
        package = importlib.import_module("zstandard")
    except ImportError:
        raise MissingDependencyError(
            "reading .zst files needs the package zstandard; pip install 'lexigram[interop]'"
        ) from None
    return lambda path: cast("BinaryIO", io.BufferedReader(_Zstd(path, package))), package.ZstdError


class _Zstd(io.RawIOBase):
    """Frame after frame. The package's own reader takes a file that was cut off for a whole one;
    this one raises `EOFError` as gzip does."""

    def __init__(self, path: Path, package: Any) -> None:
        self._file = path.open("rb")
        self._decompressor = package.ZstdDecompressor()
        self._frame: Any = None
        self._waiting = memoryview(b"")  # decompressed, not yet read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._waiting:
            rest = self._frame.unused_data if self._frame is not None and self._frame.eof else b""
            chunk = rest or self._file.read(1 << 16)
            if not chunk:
                if self._frame is not None and not self._frame.eof:
                    raise EOFError("the file ends inside a frame")
                return 0
            if self._frame is None or self._frame.eof:
                self._frame = self._decompressor.decompressobj()
            self._waiting = memoryview(self._frame.decompress(chunk))
        length = min(len(buffer), len(self._waiting))
        buffer[:length], self._waiting = self._waiting[:length], self._waiting[length:]
        return length

    def close(self) -> None:
        self._file.close()
        super().close()
