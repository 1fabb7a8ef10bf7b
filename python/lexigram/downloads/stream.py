"""The bytes at an address, whose connection may be cut.

A module of its own, since Python's HTTP client takes longer to import than all else of the package
and few runs fetch anything.
"""

from __future__ import annotations

import io
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from lexigram.errors import DownloadError

__all__ = ["Broken", "RemoteStream", "Stale"]

_TIMEOUT = 30.0
_PAUSES = (0.5, 2.0, 5.0)  # seconds before a connection that was cut is made again
_AGAIN = frozenset({429, 500, 502, 503, 504})


class Broken(DownloadError):
    def __init__(self, address: str, what: str) -> None:
        self.what = " ".join(what.split()) or "no reason given"
        super().__init__(f"cannot read {address}: {self.what}")


class Stale(Broken):
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
            raise Broken(self._address, what)
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
                    raise Stale(self._address, what) from error
                what = f"the server answers {error.code} {error.reason}"
                if error.code in _AGAIN and (self._version is not None or self._pinned):
                    return self._again(what)
                raise Broken(self._address, what) from error
        except urllib.error.URLError as error:
            what = f"no connection ({error.reason})"
            if self._connected:
                return self._again(what)
            raise Broken(self._address, what) from error
        except (OSError, HTTPException) as error:  # cut before it answered
            what = f"{type(error).__name__}: {error}"
            if self._connected:
                return self._again(what)
            raise Broken(self._address, what) from error
        except ValueError as error:
            raise Broken(self._address, f"{type(error).__name__}: {error}") from error
        self._accept(self._response)
        return None

    def _accept(self, response: Any) -> None:
        headers = response.headers
        etag = headers.get("ETag")
        version = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
        if self._version not in (None, version):
            raise Broken(self._address, "the file changed on the server while it was read")
        self._version, self._connected = version, True
        if response.status == 206:
            content = headers.get("Content-Range", "")
            if not content.startswith(f"bytes {self.position}-"):
                raise Stale(self._address, f"the server answers with the range {content!r}")
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
