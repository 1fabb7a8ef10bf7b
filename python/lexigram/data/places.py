"""Where the files of a source are: on this machine, in an object store, on the web, in a pipe.

Order. A folder's files come in the order of their names, then its folders' in the order of theirs;
what a pattern matches comes in the order of the paths. It depends on nothing but the names.
"""

from __future__ import annotations

import glob
import importlib
import os
import re
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from lexigram.data.compression import COMPRESSED, guarded
from lexigram.errors import (
    EncodingError,
    FileError,
    InvalidInputError,
    LexigramError,
    MissingDependencyError,
    MissingFileError,
)

__all__ = ["STANDARD_INPUT", "TEXT_SUFFIXES", "Place", "is_address", "local_places", "places"]

_RECORDS = frozenset({".jsonl", ".ndjson", ".parquet", ".wet", ".warc"})
_PROSE = (".txt", ".text", ".md", ".markdown", ".rst", ".tex", ".org", ".adoc", ".html", ".htm")
_CODE = (".py", ".pyi", ".rs", ".go", ".c", ".h", ".cc", ".cpp", ".hpp", ".cu", ".m", ".swift")
_MORE_CODE = (".java", ".kt", ".scala", ".js", ".mjs", ".jsx", ".ts", ".tsx", ".css", ".rb", ".php")
_REST = (".pl", ".lua", ".r", ".jl", ".hs", ".ml", ".lisp", ".el", ".sql", ".sh", ".toml", ".yaml")
_AND = (".yml", ".xml", ".cs", ".zig", ".nim", ".clj", ".ex", ".erl", ".dart", ".proto", ".f90")

TEXT_SUFFIXES = _RECORDS.union(_PROSE, _CODE, _MORE_CODE, _REST, _AND)
"""What a directory is searched for, also with `.gz`, `.bz2`, `.xz` or `.zst` after it."""

STANDARD_INPUT = "<stdin>"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_READ: weakref.WeakSet[Any] = weakref.WeakSet()  # standard inputs that have been read

Count = Callable[[int], None]
OnSkip = Callable[[LexigramError], object]


@dataclass(frozen=True)
class Place:
    """One file."""

    name: str
    """As documents are named after it."""
    opener: Callable[[], Any]
    size: int = 0
    """Its bytes; 0: not known."""
    seekable: bool = True

    def open(self, count: Count | None = None) -> BinaryIO:
        """Its bytes as they are stored. `count` is told how many were read."""
        return guarded(self.opener, self.name, count)

    @property
    def compression(self) -> str:
        """The suffix that names a compression, or nothing."""
        suffix = Path(_without_query(self.name)).suffix.lower()
        return suffix if suffix in COMPRESSED else ""

    @property
    def kind(self) -> str:
        """The suffix that tells what is inside: `.jsonl` of `a.jsonl.gz`."""
        return _kind(self.name)


def is_address(source: str) -> bool:
    """Whether this is an address such as s3://bucket/file, and not a path."""
    return bool(_ADDRESS.match(source))


def places(source: str, on_skip: OnSkip | None) -> Iterator[Place]:
    """The files of a path, a pattern, an address, or standard input (`-`). Binary files of a folder
    are told to `on_skip`."""
    if source == "-":
        return iter([_standard_input()])
    if is_address(source):
        if source.lower().startswith(("http://", "https://")):
            return iter([_web(source)])
        return _store(source, on_skip)
    path = Path(source)
    try:
        is_dir, exists = path.is_dir(), path.exists()
    except (OSError, ValueError):  # a name too long, or with NUL in it
        is_dir = exists = False
    if is_dir:
        return _folder(path, on_skip)
    if not exists and glob.has_magic(source) and "\0" not in source:
        return _matches(source, on_skip)
    if not exists:
        raise MissingFileError(f"there is no file or directory {source!r}")
    return iter([_local(path)])


def local_places(paths: Iterable[Path]) -> Iterator[Place]:
    """Files on this machine."""
    return (_local(path) for path in paths)


def _local(path: Path) -> Place:
    try:
        size = path.stat().st_size
    except OSError:
        size = 0  # opening it will say what is wrong
    # A pipe or a device has a name, but cannot be read twice or from the middle.
    return Place(str(path), lambda: path.open("rb", buffering=0), size, path.is_file())


def _without_query(name: str) -> str:
    """`https://…/a.jsonl.gz` of `https://…/a.jsonl.gz?download=true`."""
    return name.partition("?")[0] if is_address(name) else name


def _kind(name: str) -> str:
    path = Path(_without_query(name))
    return Path(path.stem if path.suffix.lower() in COMPRESSED else path.name).suffix.lower()


def _folder(folder: Path, on_skip: OnSkip | None) -> Iterator[Place]:
    def refused(error: OSError) -> None:
        raise FileError(f"cannot read {error.filename}: {error.strerror or error}") from None

    found = False
    for root, folders, names in os.walk(folder, onerror=refused):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if name.startswith(".") or _kind(name) not in TEXT_SUFFIXES or not path.is_file():
                continue
            place = _local(path)
            if _is_text(place, on_skip):
                found = True
                yield place
    if not found:
        raise _no_text(str(folder))


def _no_text(folder: str) -> InvalidInputError:
    return InvalidInputError(
        f"{folder} holds no text: no file that ends in .txt, .md, .jsonl, .parquet, .py or another "
        "suffix of lexigram.data.TEXT_SUFFIXES; name a file itself to read it anyway"
    )


def _is_text(place: Place, on_skip: OnSkip | None) -> bool:
    """Whether no NUL stands in the first 8 KiB; the content of records and of compressed files is
    judged when it is read."""
    if place.compression or place.kind in _RECORDS:
        return True
    with place.open() as file:
        binary = b"\0" in file.read(1 << 13)
    if binary and on_skip is not None:
        on_skip(EncodingError(f"{place.name} is binary: it has NUL bytes; name it to read it"))
    return not binary


def _matches(pattern: str, on_skip: OnSkip | None) -> Iterator[Place]:
    found = False
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207 (Path takes no absolute pattern)
    for match in sorted(set(map(Path, names))):  # `**/**` finds a file several times
        if match.is_dir():
            continue  # `**` matches its files themselves
        found = True
        yield _local(match)
    if not found:
        raise MissingFileError(f"no file matches the pattern {pattern!r}")


def _standard_input() -> Place:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise FileError("standard input is closed: name a file instead of -")
    if stream in _READ:
        raise InvalidInputError(
            "standard input has been read already, and can be read only once: save it to a file"
        )

    def opener() -> Any:
        _READ.add(stream)
        return _Unclosed(stream)

    return Place(STANDARD_INPUT, opener, seekable=False)


class _Unclosed:
    """A stream that is not ours to close."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, length: int) -> bytes:
        chunk = self._stream.read(length) if length < 0 else self._stream.read1(length)
        return cast("bytes", chunk)

    def close(self) -> None:
        pass


def _web(address: str) -> Place:
    from lexigram.downloads.stream import RemoteStream

    return Place(address.partition("#")[0], lambda: RemoteStream(address), seekable=False)


def _store(address: str, on_skip: OnSkip | None) -> Iterator[Place]:
    """Files of an object store, or of whatever else fsspec knows by the address's first word."""
    try:
        fsspec = importlib.import_module("fsspec")
    except ImportError:
        raise MissingDependencyError(
            f"reading {address} needs the package fsspec; pip install 'lexigram[interop]'"
        ) from None
    system, found = _asked(address, lambda: fsspec.url_to_fs(address))

    def stored(path: str, size: object = None) -> Place:
        name = str(system.unstrip_protocol(path))
        return Place(name, lambda: system.open(path, "rb"), size if isinstance(size, int) else 0)

    if glob.has_magic(found):
        paths = sorted(_asked(address, lambda: system.glob(found)), key=_parts)
        matches = [path for path in paths if not _asked(address, partial(system.isdir, path))]
        if not matches:
            raise MissingFileError(f"no file matches the pattern {address!r}")
        yield from map(stored, matches)
    elif _asked(address, lambda: system.isdir(found)):
        some = False
        sizes = _asked(address, lambda: system.find(found, detail=True))
        base = str(found).rstrip("/")
        for path in sorted(sizes, key=_walk_order):
            parts = path[len(base) :].split("/")
            if _kind(path) in TEXT_SUFFIXES and not any(part.startswith(".") for part in parts):
                place = stored(path, sizes[path].get("size"))
                if _is_text(place, on_skip):
                    some = True
                    yield place
        if not some:
            raise _no_text(address)
    else:
        info = _asked(address, lambda: system.info(found))
        yield stored(found, info.get("size"))


def _walk_order(path: str) -> tuple[tuple[bool, str], ...]:
    """Files before folders, both in the order of their names, as a folder is walked."""
    *folders, name = path.split("/")
    return (*((True, folder) for folder in folders), (False, name))


def _parts(path: str) -> list[str]:
    return path.split("/")


def _asked(address: str, question: Callable[[], Any]) -> Any:
    try:
        return question()
    except FileNotFoundError:
        raise MissingFileError(f"there is no file {address}") from None
    except ImportError as error:
        line = " ".join(str(error).split())
        raise MissingDependencyError(f"cannot read {address}: {line}") from None
    except Exception as error:
        line = " ".join(str(error).split())
        raise FileError(f"cannot read {address}: {type(error).__name__}: {line}") from None
