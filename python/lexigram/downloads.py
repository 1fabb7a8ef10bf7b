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
import io
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from lexigram.errors import DownloadError

__all__ = ["Progress", "RemoteFile", "RemoteStream", "download", "sha256_of", "watch"]

Progress: TypeAlias = "Callable[[int, int], object]"
"""Called with the bytes that are there and their total (0: not known)."""

watch: ContextVar[Callable[[str], AbstractContextManager[Progress]] | None] = ContextVar(
    "watch", default=None
)
"""Who shows downloads that their caller does not watch; the command line sets it. It is given the
file's name."""

_TIMEOUT = 30.0
_PAUSES = (0.5, 2.0, 5.0)  # seconds before a connection that was cut is made again
_AGAIN = frozenset({429, 500, 502, 503, 504})
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


class _Broken(DownloadError):
    def __init__(self, address: str, what: str) -> None:
        self.what = " ".join(what.split()) or "no reason given"
        super().__init__(f"cannot read {address}: {self.what}")


class _Stale(_Broken):
    """What is here already is not the begin of what the server has."""


class RemoteStream(io.RawIOBase):
    """The bytes at an address, from `start` on. A connection that is cut is made again from where
    it was, as often as it brings something new. Raises `DownloadError`.

    Bytes of two versions are never joined: the second request carries If-Range. Where the server
    names no version, a cut is final, unless `pinned` says that the caller compares a hash."""

    def __init__(self, address: str, *, start: int = 0, pinned: bool = False) -> None:
        super().__init__()
        self.total: int | None = None
        """Bytes of the whole; None: the server does not say."""
        self.position = start
        """Bytes before the next one."""
        self._address = address
        self._pinned = pinned
        self._version: str | None = None
        self._skip = 0
        self._best = start
        self._tries = 0
        self._connected = False
        self._response: Any = None
        self._connect()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            why, data = "", b""
            try:
                if self._response:  # read1: what came of a chunk before a cut is not lost
                    data = self._response.read1(min(len(buffer), self._skip or len(buffer)))
            except (OSError, HTTPException) as error:
                why = f" ({type(error).__name__})"
            length = len(data)
            if length and self._skip:
                self._skip -= length
                continue
            buffer[:length] = data
            self.position += length
            if length or (not why and self._is_end()):
                return length
            total = f" of {self.total}" if self.total is not None else ""
            self._again(f"the connection ended after {self.position}{total} bytes{why}")

    def _is_end(self) -> bool:
        return not self._skip and (self.total is None or self.position >= self.total)

    def _again(self, what: str) -> None:
        """Connects anew, after a pause; raises if that has brought nothing several times."""
        self._close_response()
        self._tries = 0 if self.position > self._best else self._tries
        self._best = max(self._best, self.position)
        if self._tries == len(_PAUSES) or (self._version is None and not self._pinned):
            raise _Broken(self._address, what)
        time.sleep(_PAUSES[self._tries])
        self._tries += 1
        self._connect()

    def _connect(self) -> None:
        headers = {"User-Agent": "lexigram"}
        if self.position:
            headers["Range"] = f"bytes={self.position}-"
            if self._version is not None:
                headers["If-Range"] = self._version
        try:
            request = urllib.request.Request(self._address, headers=headers)
            self._response = urllib.request.urlopen(request, timeout=_TIMEOUT)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416 and self.position:
                    self.total = _total(error.headers.get("Content-Range", ""))
                    if self.total == self.position:
                        return None  # all of it was there already
                    what = f"there are {self.position} bytes here, more than the server has"
                    raise _Stale(self._address, what) from error
                what = f"the server answers {error.code} {error.reason}"
                if error.code in _AGAIN and (self._version is not None or self._pinned):
                    return self._again(what)
                raise _Broken(self._address, what) from error
        except urllib.error.URLError as error:
            what = f"no connection ({error.reason})"
            if self._connected:
                return self._again(what)
            raise _Broken(self._address, what) from error
        except (OSError, HTTPException, ValueError) as error:
            raise _Broken(self._address, f"{type(error).__name__}: {error}") from error
        self._accept(self._response)
        return None

    def _accept(self, response: Any) -> None:
        headers = response.headers
        etag = headers.get("ETag")
        version = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
        if self._version not in (None, version):
            raise _Broken(self._address, "the file changed on the server while it was read")
        self._version, self._connected = version, True
        if response.status == 206:
            content = headers.get("Content-Range", "")
            if not content.startswith(f"bytes {self.position}-"):
                raise _Stale(self._address, f"the server answers with the range {content!r}")
            self.total, self._skip = _total(content), 0
        else:
            length = headers.get("Content-Length", "")
            self.total = int(length) if length.isdigit() else None
            self._skip = self.position  # the server sends all of it again

    def _close_response(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None

    def close(self) -> None:
        self._close_response()
        super().close()


def _total(content_range: str) -> int | None:
    _, _, total = content_range.partition("/")
    return int(total) if total.isdigit() else None


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
        except _Broken as error:
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
        except _Stale:
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
