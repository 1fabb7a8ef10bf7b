"""Files from the network: resumed, checked, and put in their place in one step.

A file is fetched to `.NAME.part` beside its place; what is there already is kept and the rest asked
for (RFC 9110, section 14: Range, If-Range). Only when all bytes have come and their SHA-256 is the
expected one does it get its name, by a rename. Two processes that fetch the same file share one
part: the second waits, and finds the file in place. A process that dies leaves the part, whose lock
dies with it; the next one goes on from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from lexigram.errors import DownloadError

__all__ = ["Progress", "RemoteFile", "download", "sha256_of", "watch"]

Progress: TypeAlias = "Callable[[int, int], object]"
"""Called with the bytes that are there and their total (0: not known)."""

watch: ContextVar[Callable[[str], AbstractContextManager[Progress]] | None] = ContextVar(
    "watch", default=None
)
"""Who shows downloads that their caller does not watch; the command line sets it. It is given the
file's name."""

_CHUNK = 1 << 20
_WAIT = 0.2


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file that somebody publishes."""

    file: str
    """Its place below the folder that holds files of its kind."""
    address: str
    """Where its publisher has it; empty: nowhere, it was made."""
    sha256: str | None
    """None: nobody has published it. The first one that comes is believed and remembered."""
    num_bytes: int | None = None
    """Its size, where that is published."""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb", buffering=0) as file:
        return str(_digest(file).hexdigest())


def _digest(file: Any) -> Any:
    digest, chunk = hashlib.sha256(), bytearray(1 << 18)
    while length := file.readinto(chunk):
        digest.update(memoryview(chunk)[:length])
    return digest


def download(
    remote: RemoteFile,
    path: Path,
    *,
    remedy: str,
    sha256: str | None = None,
    largest: int | None = None,
    progress: Progress | None = None,
) -> str:
    """Fetches `remote` to `path` and returns its SHA-256, compared with `sha256`, by default the
    published one. `remedy` ends the message of an error. `progress` counts bytes; without it
    `watch` is told.

    Raises `DownloadError`. What came before a cut, or before an exception of `progress`, is kept.
    """
    from lexigram.downloads.stream import Broken

    expected = sha256 or remote.sha256

    def failed(what: str) -> DownloadError:
        return DownloadError(f"cannot fetch {remote.address} to {path}: {what}; {remedy}")

    shower = watch.get() if progress is None else None
    with shower(path.name) if shower else contextlib.nullcontext(progress) as report:
        before = _stamp(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _own_part(path, remote, report) as part:
                if _stamp(path) != before and (found := sha256_of(path)) == (expected or found):
                    part.remove()  # another process was faster
                    return found
                return _fill(part, path, remote, expected, largest, report, failed)
        except Broken as error:
            raise failed(error.what) from error
        except DownloadError:
            raise
        except OSError as error:
            raise failed(f"{error.strerror or error}") from error


def _fill(
    part: _Part,
    path: Path,
    remote: RemoteFile,
    expected: str | None,
    largest: int | None,
    report: Progress | None,
    failed: Callable[[str], DownloadError],
) -> str:
    from lexigram.downloads.stream import RemoteStream, Stale

    if expected is None:
        part.clear()  # nothing would say whether what is left belongs to the same version
    while True:
        left = part.size()
        digest = part.digest()
        try:
            with RemoteStream(remote.address, start=left, pinned=expected is not None) as stream:
                total = stream.total
                size = remote.num_bytes
                if total is not None and size is not None and total != size:
                    raise failed(f"the server has {total} bytes, {size} are published")
                if total is not None and total - left > shutil.disk_usage(path.parent).free:
                    raise failed(f"no room for its {total} bytes on the disk")
                buffer = bytearray(_CHUNK)
                while length := stream.readinto(buffer):
                    chunk = memoryview(buffer)[:length]
                    part.file.write(chunk)
                    digest.update(chunk)
                    if largest is not None and stream.position > largest:
                        part.remove()
                        raise failed(f"it has more than {largest} bytes")
                    if report is not None:
                        report(stream.position, stream.total or remote.num_bytes or 0)
        except Stale:
            if not left:
                raise
            part.clear()
            continue
        found = str(digest.hexdigest())
        if found == (expected or found):
            part.place(path)
            return found
        if not left:
            part.remove()
            raise failed(f"what came has the SHA-256 {found}")
        part.clear()  # what was left is of another version


@dataclass(frozen=True)
class _Part:
    """What has come of a file, while no other process may touch it."""

    name: Path
    file: BinaryIO

    def size(self) -> int:
        self.file.flush()
        return os.fstat(self.file.fileno()).st_size

    def digest(self) -> Any:
        self.file.seek(0)
        return _digest(self.file)

    def clear(self) -> None:
        self.file.truncate(0)

    def remove(self) -> None:
        self.name.unlink(missing_ok=True)

    def place(self, path: Path) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        if os.name == "nt":  # an open file has no other name there
            self.file.close()
        self.name.replace(path)


@contextmanager
def _own_part(path: Path, remote: RemoteFile, report: Progress | None) -> Iterator[_Part]:
    """The part of `path`, locked; waits while another process has it."""
    lock = _locker()
    # Without locks, parts are private and nothing is resumed by another process.
    name = path.with_name(f".{path.name}.part" if lock else f".{path.name}.{os.getpid()}.part")
    while True:
        file = name.open("a+b")
        try:
            if lock is None or (lock(file) and _same(name, file)):
                yield _Part(name, file)
                return
        finally:
            file.close()
        if report is not None:
            report(_size(name), remote.num_bytes or 0)
        time.sleep(_WAIT)


def _locker() -> Callable[[BinaryIO], bool] | None:
    try:
        fcntl = importlib.import_module("fcntl")
    except ImportError:
        return None

    def lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    return lock


def _same(name: Path, file: BinaryIO) -> bool:
    """Whether the name still means the open file: its last owner may have renamed it."""
    try:
        return os.path.samestat(name.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
