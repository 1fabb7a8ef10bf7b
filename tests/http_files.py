"""A web server that serves files as well, or as badly, as a test asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """One file, and how it is served."""

    body: bytes
    cuts: list[int] = field(default_factory=list)
    """After how many bytes the first answers end, one a request; -1: before the first line."""
    ranges: bool = True
    etag: str | None = '"one"'
    chunked: bool = False
    statuses: list[int] = field(default_factory=list)
    """What the first requests are answered with."""
    gate: threading.Event | None = None
    """An answer stops in the middle until this is set."""


@dataclass
class FileServer:
    address: str
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Paths and their Range, in order."""

    def holds(self, path: str, body: bytes, **how: object) -> str:
        self.files[path] = Served(body, **how)  # type: ignore[arg-type]
        return self.address + path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: FileServer

    def do_GET(self) -> None:
        self.close_connection = True
        wanted = self.headers.get("Range", "")
        self.state.asked.append((self.path, wanted))
        served = self.state.files.get(self.path)
        if served is None or served.statuses:
            return self._plain(served.statuses.pop(0) if served else 404)
        if served.cuts and served.cuts[0] < 0:
            served.cuts.pop(0)
            return None
        start, body = 0, served.body
        same = self.headers.get("If-Range") in (None, served.etag)
        if wanted and served.ranges and same:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                return self._plain(416, {"Content-Range": f"bytes */{len(body)}"})
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if served.etag:
            self.send_header("ETag", served.etag)
        if served.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        sent = rest[: served.cuts.pop(0)] if served.cuts else rest
        if served.gate is not None:
            self.wfile.write(sent[: len(sent) // 2])
            served.gate.wait(30)
            sent = sent[len(sent) // 2 :]
        if served.chunked:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(sent), sent) if sent else b"")
            if len(sent) == len(rest):
                self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.write(sent)
        return None

    def _plain(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def file_server() -> Iterator[FileServer]:
    """A server on this machine, until the `with` ends."""
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.daemon_threads = True
        handler.state = FileServer(f"http://127.0.0.1:{http.server_port}")  # type: ignore[attr-defined]
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield handler.state  # type: ignore[attr-defined]
        http.shutdown()
        thread.join()
