"""Opens a file for reading bytes, whatever it is compressed with."""

from __future__ import annotations

import importlib
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from lexigram.errors import FileError, FormatError, MissingDependencyError, MissingFileError

__all__ = ["COMPRESSED", "open_bytes"]

COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst"})
"""Suffixes that are read through."""

Opener: TypeAlias = "tuple[Callable[[Path], BinaryIO], tuple[type[Exception], ...]]"
"""What opens a file, and what it raises when the content is damaged."""


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """The content of a file. Raises `MissingFileError`, `FileError`, `FormatError` for damaged
    compression, `MissingDependencyError` for `.zst` without a decompressor; errors while reading
    inside the `with` are turned into these as well."""
    suffix = path.suffix.lower()
    opener, damage = _opener(suffix)
    try:
        with opener(path) as file:
            yield file
    except damage as error:
        raise FormatError(f"{path} is damaged {suffix[1:]} data: {error}") from None
    except FileError:
        raise
    except FileNotFoundError:
        raise MissingFileError(f"there is no file {path}") from None
    except OSError as error:
        if suffix == ".bz2" and error.errno is None:  # how bz2 says that content is damaged
            raise FormatError(f"{path} is damaged bz2 data: {error}") from None
        raise FileError(f"cannot read {path}: {error.strerror or error}") from None


def _opener(suffix: str) -> Opener:
    if suffix == ".zst":
        return _zstd()
    if suffix not in COMPRESSED:
        return lambda path: path.open("rb"), ()
    name = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}[suffix]
    try:
        module = importlib.import_module(name)
    except ImportError:  # Python can be built without these
        raise MissingDependencyError(
            f"this Python was built without its module {name}, which reads {suffix} files; "
            "unpack them, or use another Python"
        ) from None
    damage: dict[str, tuple[type[Exception], ...]] = {
        "gzip": (EOFError, zlib.error, getattr(module, "BadGzipFile", EOFError)),
        "bz2": (EOFError,),
        "lzma": (EOFError, getattr(module, "LZMAError", EOFError)),
    }
    return module.open, damage[name]


def _zstd() -> Opener:
    """Python's own from 3.14 on, or the package zstandard."""
    try:
        own = importlib.import_module("compression.zstd")
        return own.open, (EOFError, own.ZstdError)
    except ImportError:
        pass
    try:
        package = importlib.import_module("zstandard")
    except ImportError:
        raise MissingDependencyError(
            "reading .zst files needs the package zstandard; pip install 'lexigram[interop]'"
        ) from None

    def opener(path: Path) -> BinaryIO:
        return cast("BinaryIO", io.BufferedReader(_Zstd(path, package)))

    return opener, (EOFError, package.ZstdError)


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
