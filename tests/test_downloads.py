"""Files from the network, from servers that cut, repeat, change and lie."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_files import FileServer, file_server
from lexigram import downloads
from lexigram.downloads import Progress, RemoteFile, download, sha256_of, watch
from lexigram.downloads import stream as http
from lexigram.downloads.stream import RemoteStream
from lexigram.errors import DownloadError

BODY = random.Random(1).randbytes(100_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(http, "_PAUSES", (0.01, 0.01))
    monkeypatch.setattr(downloads, "_WAIT", 0.01)
    with file_server() as found:
        yield found


def remote(address: str, body: bytes = BODY, **more: object) -> RemoteFile:
    digest = hashlib.sha256(body).hexdigest()
    fields = {"file": "x", "address": address, "sha256": digest, **more}
    return RemoteFile(**fields)  # type: ignore[arg-type]


def part_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def fetch(wanted: RemoteFile, path: Path, **more: object) -> str:
    return download(wanted, path, remedy="do something", **more)  # type: ignore[arg-type]


def only(path: Path) -> None:
    """The file is whole, and nothing lies beside it."""
    assert path.read_bytes() == BODY
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_is_cut_is_made_again(
    server: FileServer, tmp_path: Path, chunked: bool, ranges: bool
) -> None:
    how: dict[str, object] = {"ranges": ranges, "chunked": chunked}
    cuts = [1, 30_000, 5] if ranges and not chunked else [0, 30_000, 50_000]
    address = server.holds("/f", BODY, cuts=cuts, **how)
    calls: list[tuple[int, int]] = []
    path = tmp_path / "new" / "f"
    fetch(remote(address, num_bytes=len(BODY)), path, progress=lambda *a: calls.append(a))
    only(path)
    assert len(server.asked) == 4
    assert [done for done, _ in calls] == sorted({done for done, _ in calls}), "each byte once"
    assert calls[-1] == (len(BODY), len(BODY))
    if ranges and not chunked:
        assert [r for _, r in server.asked] == ["", "bytes=1-", "bytes=30001-", "bytes=30006-"]


def test_what_an_earlier_process_left_is_not_fetched_again(
    server: FileServer, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    wanted = remote(server.holds("/f", BODY, cuts=[40_000, 0, 0]))
    with pytest.raises(DownloadError, match="ended after 40000 of 100000 bytes; do something"):
        fetch(wanted, path)
    assert part_of(path).read_bytes() == BODY[:40_000]
    assert not path.exists()
    server.asked.clear()
    fetch(wanted, path)
    only(path)
    assert server.asked == [("/f", "bytes=40000-")]


@pytest.mark.parametrize(
    "left", [b"something else", BODY, BODY + b"more", BODY[:99_999] + b"?"], ids=len
)
def test_what_was_left_may_be_of_no_use(server: FileServer, tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "f"
    part_of(path).write_bytes(left)
    fetch(remote(server.holds("/f", BODY)), path)
    only(path)


def test_the_exception_of_a_progress_keeps_what_has_come(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stop

    monkeypatch.setattr(downloads, "_CHUNK", 1000)
    path, wanted = tmp_path / "f", remote(server.holds("/f", BODY))
    with pytest.raises(Stop):
        fetch(wanted, path, progress=stop)
    assert 0 < part_of(path).stat().st_size <= 1000
    fetch(wanted, path)
    only(path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"body": b"wrong"}, "what came has the SHA-256"),
        ({"body": BODY[:-1]}, "the server has 99999 bytes, 100000 are published"),
        ({"body": BODY, "cuts": [9, 0, 0]}, "the connection ended after 9 of 100000 bytes"),
        ({"body": BODY, "cuts": [9, 0, 0], "chunked": True}, "ended after"),
        ({"body": BODY, "statuses": [404]}, "the server answers 404 Not Found"),
        ({"body": BODY, "statuses": [503, 503, 503]}, "the server answers 503"),
    ],
)
def test_no_wrong_file_gets_the_name(
    server: FileServer, tmp_path: Path, how: dict[str, object], message: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"what was there")
    size = None if how["body"] == b"wrong" else len(BODY)
    with pytest.raises(DownloadError, match=message) as caught:
        fetch(remote(server.holds("/f", **how), num_bytes=size), path)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"what was there"
    if how["body"] == b"wrong":
        assert not part_of(path).exists(), "it is of no use to anyone"


def test_a_server_that_is_busy_is_asked_again(server: FileServer, tmp_path: Path) -> None:
    path = tmp_path / "f"
    fetch(remote(server.holds("/f", BODY, statuses=[503, 429])), path)
    only(path)


def test_without_a_hash_two_versions_are_not_joined(server: FileServer, tmp_path: Path) -> None:
    path = tmp_path / "f"
    part_of(path).write_bytes(b"of another version")
    wanted = remote(server.holds("/f", BODY, cuts=[500]), sha256=None)
    assert fetch(wanted, path) == sha256_of(path) == hashlib.sha256(BODY).hexdigest()
    only(path)
    wanted = remote(server.holds("/g", BODY, cuts=[500], etag=None), sha256=None)
    with pytest.raises(DownloadError, match="ended after 500 of"):
        fetch(wanted, path)
    assert fetch(wanted, tmp_path / "g", sha256=sha256_of(path)) == sha256_of(path)
    with pytest.raises(DownloadError, match="what came has the SHA-256"):
        fetch(wanted, path, sha256="0" * 64)


def test_two_that_fetch_at_once_share_one_part(server: FileServer, tmp_path: Path) -> None:
    gate = threading.Event()
    path = tmp_path / "f"
    wanted = remote(server.holds("/f", BODY, gate=gate))
    found: list[str] = []
    seen: set[int] = set()

    def run() -> None:
        found.append(fetch(wanted, path, progress=lambda *_: seen.add(threading.get_ident())))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(seen) < 4:  # one fetches, and stands still; three wait for it
        time.sleep(0.01)
    gate.set()
    for thread in threads:
        thread.join()
    assert found == [wanted.sha256] * 4
    assert len(server.asked) == 1
    only(path)


def test_the_command_line_may_watch(server: FileServer, tmp_path: Path) -> None:
    calls: list[object] = []

    @contextmanager
    def shower(name: str) -> Iterator[Progress]:
        calls.append(name)
        yield lambda done, total: calls.append((done, total))

    token = watch.set(shower)
    try:
        fetch(remote(server.holds("/f", BODY)), tmp_path / "f")
    finally:
        watch.reset(token)
    assert calls[0] == "f"
    assert calls[-1] == (len(BODY), len(BODY))


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "f"
    part_of(path).write_bytes(BODY[:10])
    with pytest.raises(DownloadError, match=r"no connection \(.*; do something"):
        fetch(remote("http://name.invalid/x"), path)
    assert part_of(path).read_bytes() == BODY[:10], "for the day when there is a network"


@given(
    st.binary(max_size=300),
    st.lists(st.integers(0, 100), max_size=5),
    st.booleans(),
    st.booleans(),
    st.integers(1, 64),
)
def test_a_stream_is_the_file_or_an_error(
    body: bytes, cuts: list[int], ranges: bool, chunked: bool, size: int
) -> None:
    pauses, http._PAUSES = http._PAUSES, (0.0, 0.0)
    try:
        with file_server() as server:
            address = server.holds("/f", body, cuts=list(cuts), ranges=ranges, chunked=chunked)
            pieces = []
            try:
                with RemoteStream(address) as stream:
                    while piece := stream.read(size):
                        pieces.append(piece)
            except DownloadError:
                assert cuts
                assert body.startswith(b"".join(pieces))
            else:
                assert b"".join(pieces) == body
    finally:
        http._PAUSES = pauses


def test_a_file_that_changes_while_it_is_read(server: FileServer) -> None:
    stream = RemoteStream(server.holds("/f", BODY, cuts=[10]))
    assert stream.read(10) == BODY[:10]
    server.holds("/f", BODY[::-1], etag='"two"')
    with pytest.raises(DownloadError, match="the file changed on the server"):
        stream.read(10)
    stream.close()


def test_a_connection_that_ends_before_an_answer_is_made_again(server: FileServer) -> None:
    address = server.holds("/f", BODY, cuts=[50_000, -1])
    with RemoteStream(address) as stream:
        assert b"".join(iter(lambda: stream.read(1 << 14), b"")) == BODY
    assert len(server.asked) == 3
