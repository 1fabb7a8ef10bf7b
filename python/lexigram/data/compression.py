"""Reads bytes whatever they are compressed with, and turns what goes wrong into our errors.

Damaged content is an error however little is wrong: a compressed file that was cut off is never
taken for a whole one. Several compressed streams one after the other are one, as for `zcat`.
"""

from __future__ import annotations

import importlib
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from lexigram.errors import (
    FileError,
    FormatError,
    LexigramError,
    MissingDependencyError,
    MissingFileError,
)

__all__ = ["COMPRESSED", "MAGIC", "guarded", "open_bytes", "unpacked"]

COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst"})
"""Suffixes that are read through."""

MAGIC = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\0": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
"""How compressed content begins: what has no name is known by it."""

_BUFFER = 1 << 18
_FED = 1 << 13  # zstd may make of each byte 32,000: this bounds what is held

Unpacker: TypeAlias = "tuple[Callable[[BinaryIO], Any], tuple[type[Exception], ...]]"
"""What reads through a compression, and what it raises when the content is damaged."""


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """The content of a file. Raises `MissingFileError`, `FileError`, `FormatError` for damaged
    compression, `MissingDependencyError` for `.zst` without a decompressor; reading from it raises
    these as well."""
    with (
        guarded(lambda: cast("BinaryIO", path.open("rb", buffering=0)), str(path)) as raw,
        unpacked(raw, str(path), path.suffix) as file,
    ):
        yield file


def guarded(
    opener: Callable[[], Any], name: str, count: Callable[[int], None] | None = None
) -> BinaryIO:
    """What `opener` opens; whatever it or reading raises becomes `MissingFileError` or `FileError`
    with `name` in it. `count` is called with the length of what was read."""

    def turned(error: Exception) -> Exception:
        if isinstance(error, FileNotFoundError):
            return MissingFileError(f"there is no file {name}")
        if isinstance(error, ImportError):
            return MissingDependencyError(f"cannot read {name}: {_line(error)}")
        what = error.strerror if isinstance(error, OSError) and error.strerror else _line(error)
        return FileError(f"cannot read {name}: {what}")

    try:
        inner = opener()
    except LexigramError:
        raise
    except Exception as error:
        raise turned(error) from None
    return _buffered(_Turned(inner, turned, count))


def unpacked(raw: BinaryIO, name: str, suffix: str) -> BinaryIO:
    """`raw` read through the compression that `suffix` names, or as it is."""
    suffix = suffix.lower()
    if suffix not in COMPRESSED:
        return raw
    unpacker, damage = _unpacker(suffix)

    def turned(error: Exception) -> Exception:
        # bz2 says with an OSError that has no number that content is damaged
        if isinstance(error, damage) or (isinstance(error, OSError) and error.errno is None):
            return FormatError(f"{name} is damaged {suffix[1:]} data: {_line(error)}")
        return error

    return _buffered(_Turned(unpacker(raw), turned, None))


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _buffered(stream: io.RawIOBase) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(stream, _BUFFER))


class _Turned(io.RawIOBase):
    """Reads `inner`; an exception becomes the one that `turned` makes of it."""

    def __init__(
        self,
        inner: Any,
        turned: Callable[[Exception], Exception],
        count: Callable[[int], None] | None,
    ) -> None:
        self._inner = inner
        self._turned = turned
        self._count = count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def readall(self) -> bytes:
        return self._read(-1)

    def _read(self, length: int) -> bytes:
        try:
            chunk: bytes = self._inner.read(length)
        except LexigramError:
            raise
        except Exception as error:
            raise self._turned(error) from None
        if self._count is not None:
            self._count(len(chunk))
        return chunk

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
        super().close()


def _unpacker(suffix: str) -> Unpacker:
    if suffix == ".zst":
        return _zstd()
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


def _zstd() -> Unpacker:
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

    def unpacker(raw: BinaryIO) -> BinaryIO:
        return cast("BinaryIO", io.BufferedReader(_Zstd(raw, package)))

    return unpacker, (EOFError, package.ZstdError)


class _Zstd(io.RawIOBase):
    """Frame after frame. The package's own reader takes a file that was cut off for a whole one;
    this one raises `EOFError` as gzip does."""

    def __init__(self, raw: BinaryIO, package: Any) -> None:
        self._file = raw
        self._decompressor = package.ZstdDecompressor()
        self._frame: Any = None
        self._waiting = memoryview(b"")  # decompressed, not yet read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._waiting:
            rest = self._frame.unused_data if self._frame is not None and self._frame.eof else b""
            chunk = rest or self._file.read(_FED)
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
