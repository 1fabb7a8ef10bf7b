"""Where documents come from: folders, patterns, standard input, the web, object stores, the Hub."""

from __future__ import annotations

import gzip
import io
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from http_files import FileServer, file_server
from lexigram.data import Document, documents
from lexigram.downloads import stream
from lexigram.errors import (
    DownloadError,
    EncodingError,
    FileError,
    FormatError,
    InvalidInputError,
    LexigramError,
    MissingDependencyError,
    MissingFileError,
)
from test_data_sources_formats import PACKERS, WRITERS

FOUND = ["first", "", "third ü\r\n", "\0"]


def texts(source: object, **options: object) -> list[str]:
    return [document.text for document in documents(source, **options)]  # type: ignore[arg-type]


def stdin(monkeypatch: pytest.MonkeyPatch, content: bytes, *, piece: int = 1 << 20) -> None:
    """Standard input with this content, which comes in pieces as from a pipe."""

    class Pipe(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return self.read(min(piece, size or piece))

    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=Pipe(content)))


# Patterns and folders


def test_a_pattern_gives_files_in_the_order_of_their_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b.txt", "a.txt", "sub/c.txt", "sub/deep/d.txt", "x.log", ".hidden.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert texts(str(tmp_path / "*.txt")) == ["a.txt", "b.txt"]
    assert texts(tmp_path / "**" / "*.txt") == ["a.txt", "b.txt", "sub/c.txt", "sub/deep/d.txt"]
    assert texts(f"{tmp_path}/[ab].*") == ["a.txt", "b.txt"]
    assert texts(f"{tmp_path}/?.log") == ["x.log"], "a pattern names its files"
    monkeypatch.chdir(tmp_path)
    assert [document.name for document in documents("sub/**")] == ["sub/c.txt", "sub/deep/d.txt"]
    (tmp_path / "[ab].txt").write_text("a file of this name wins")
    assert texts("[ab].txt") == ["a file of this name wins"]
    with pytest.raises(MissingFileError, match=r"no file matches the pattern '.*/\*\.none'"):
        texts(f"{tmp_path}/*.none")


def test_a_folder_holds_every_format(tmp_path: Path) -> None:
    for number, (inner, writer) in enumerate(WRITERS.items()):
        for suffix, packer in PACKERS.items():
            (tmp_path / f"{number}{inner}{suffix}").write_bytes(packer(writer(FOUND)))
    (tmp_path / "9.markdown").write_text("last")
    assert texts(tmp_path) == FOUND * len(WRITERS) * len(PACKERS) + ["last"]


def test_binary_files_of_a_folder_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\0b")
    (tmp_path / "b.txt").write_bytes(b"text")
    told: list[LexigramError] = []
    assert texts(tmp_path, on_skip=told.append) == ["text"]
    assert [str(error) for error in told] == [
        f"{tmp_path / 'a.txt'} is binary: it has NUL bytes; name it to read it"
    ]
    assert texts(tmp_path / "a.txt") == ["a\0b"]


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *args: object, **kwargs: object) -> object:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.txt").write_text("a")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(FileError, match=r"cannot read .*a\.txt: Permission denied"):
        texts(tmp_path / "a.txt", errors="skip")

    def refuse_listing(folder: Path, onerror: Any) -> Iterator[Any]:
        onerror(PermissionError(13, "Permission denied", str(folder / "sub")))
        return iter(())

    monkeypatch.setattr(os, "walk", refuse_listing)
    with pytest.raises(FileError, match=r"cannot read .*sub: Permission denied"):
        texts(tmp_path, errors="skip")


# Standard input


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("inner", [*WRITERS, ".txt"])
def test_standard_input_is_known_by_its_begin(
    monkeypatch: pytest.MonkeyPatch, inner: str, suffix: str, piece: int
) -> None:
    content = b"plain\ntext" if inner == ".txt" else WRITERS[inner](FOUND)
    stdin(monkeypatch, PACKERS[suffix](content), piece=piece)
    assert texts("-") == (["plain\ntext"] if inner == ".txt" else FOUND)


def test_standard_input_that_looks_like_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (b'{"title": "no text here"}\n{}\n', b"[1]\nx", b"{\nbroken", b"WARC", b"\x1f"):
        stdin(monkeypatch, content)
        assert texts("-", errors="replace") == [content.decode(errors="replace")]
    stdin(monkeypatch, b'{"text": "x"}\n')
    assert texts("-", file_format="text") == ['{"text": "x"}\n']
    stdin(monkeypatch, b'{"title": "no text here"}\n')
    with pytest.raises(FormatError, match=r"<stdin>:1 has no text in its field 'text'"):
        texts("-", file_format="jsonl")
    stdin(monkeypatch, b"")
    assert texts("-") == []
    stdin(monkeypatch, gzip.compress(b"x")[:-3])
    with pytest.raises(FormatError, match="<stdin> is damaged gz data"):
        texts("-")


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"a|b")
    assert list(documents("-", document_delimiter="|")) == [
        Document("a", "<stdin>#0"),
        Document("b", "<stdin>#1"),
    ]
    with pytest.raises(InvalidInputError, match="read only once: save it to a file"):
        texts("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(FileError, match="standard input is closed"):
        texts("-")


def test_a_named_pipe(tmp_path: Path) -> None:
    import threading

    pipe = tmp_path / "pipe.parquet"
    os.mkfifo(pipe)
    thread = threading.Thread(target=lambda: pipe.write_bytes(WRITERS[".parquet"](FOUND)))
    thread.start()
    assert texts(pipe) == FOUND
    thread.join()


# The web


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(stream, "_PAUSES", (0.01, 0.01))
    with file_server() as found:
        yield found


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("inner", WRITERS)
def test_files_of_the_web_come_whole(server: FileServer, inner: str, suffix: str) -> None:
    body = PACKERS[suffix](WRITERS[inner](FOUND * 100))
    address = server.holds(f"/a{inner}{suffix}", body, cuts=[10, len(body) // 2])
    assert texts(address) == FOUND * 100
    assert len(server.asked) == 3
    first = next(documents(address))
    assert first.name.startswith(address)


def test_files_of_the_web_that_do_not_come(server: FileServer) -> None:
    with pytest.raises(DownloadError, match="the server answers 404"):
        texts(server.address + "/none.txt")
    address = server.holds("/a.txt", b"x" * 100, cuts=[10], etag=None)
    with pytest.raises(DownloadError, match="the connection ended after 10 of 100 bytes"):
        texts(address)
    address = server.holds("/a.jsonl?download=true", WRITERS[".jsonl"](FOUND))
    assert texts(address) == FOUND
    calls: list[tuple[int, int]] = []
    list(documents(address, progress=lambda *a: calls.append(a)))
    assert calls[-1] == (len(WRITERS[".jsonl"](FOUND)), 0)


# Object stores, by what fsspec has for tests


@pytest.fixture
def bucket() -> Iterator[str]:
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    for inner, writer in WRITERS.items():
        for suffix, packer in PACKERS.items():
            store.pipe(f"/bucket/z{inner}/a{inner}{suffix}", packer(writer(FOUND)))
    store.pipe("/bucket/b.txt", b"b")
    store.pipe("/bucket/a.md", b"a")
    store.pipe("/bucket/.hidden/x.txt", b"x")
    store.pipe("/bucket/binary.txt", b"\0\xff")
    store.pipe("/bucket/image.png", b"x")
    yield "memory://bucket"
    store.store.clear()


def test_object_stores(bucket: str) -> None:
    told: list[LexigramError] = []
    assert texts(bucket, on_skip=told.append) == ["a", "b", *FOUND * len(WRITERS) * len(PACKERS)]
    assert [type(error) for error in told] == [EncodingError]
    assert texts(f"{bucket}/z.*/*.jsonl*") == FOUND * len(PACKERS)
    assert list(documents(f"{bucket}/b.txt")) == [Document("b", "memory:///bucket/b.txt")]
    calls: list[tuple[int, int]] = []
    list(documents(f"{bucket}/z.parquet", progress=lambda *a: calls.append(a)))
    assert calls[-1][1] > 0
    for missing in (f"{bucket}/none.txt", f"{bucket}/*.none"):
        with pytest.raises(MissingFileError, match=r"there is no file memory:|no file matches"):
            texts(missing)


def test_a_store_is_walked_as_a_folder_is(tmp_path: Path) -> None:
    for name in ("b.txt", "z.py", "sub/a.md", "sub/deep/a.txt", "suc/a.rst", "sub.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert texts(f"file://{tmp_path}") == texts(tmp_path)
    assert texts(f"file://{tmp_path}/**/*.txt") == texts(f"{tmp_path}/**/*.txt")
    assert texts(f"file://{tmp_path}/b.txt") == ["b.txt"]


def test_stores_that_cannot_be_read(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileError, match=r"cannot read nonsense://x: ValueError"):
        texts("nonsense://x")
    with pytest.raises(MissingDependencyError, match="cannot read dropbox://x/y: "):
        texts("dropbox://x/y")
    store = fsspec.filesystem("memory")

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise RuntimeError("the token\nexpired")

    monkeypatch.setattr(type(store), "open", lambda *_: Broken())
    with pytest.raises(FileError, match=r"cannot read memory:///bucket/b\.txt: the token expired"):
        texts(f"{bucket}/b.txt")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingDependencyError, match=r"lexigram\[interop\]"):
        texts("s3://bucket/b.txt")


# The Hub. Its client is large, and no test may need a network: this one has its interface.


class FakeStream:
    def __init__(self, rows: list[dict[str, object]], fails: bool) -> None:
        self._rows = rows
        self._fails = fails
        self.column_names = list(rows[0])

    def select_columns(self, names: list[str]) -> FakeStream:
        return FakeStream([{name: row[name] for name in names} for row in self._rows], self._fails)

    def __iter__(self) -> Iterator[dict[str, object]]:
        yield from self._rows
        if self._fails:
            raise ConnectionError("Couldn't reach\nthe Hub")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    state = types.SimpleNamespace(
        asked=[], rows=[{"text": text, "id": i} for i, text in enumerate(FOUND)], fails=False
    )

    def load_dataset(path: str, name: str | None, **options: object) -> FakeStream:
        state.asked.append((path, name, options))
        if path == "none/none":
            raise FileNotFoundError("Dataset 'none/none' doesn't exist on the Hub")
        return FakeStream(state.rows, state.fails)

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1")
    return state


def test_the_hub_without_a_network(
    hub: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://name.invalid")
    with pytest.raises(DownloadError, match=r"cannot read hf://a/b: no connection \(.*network"):
        texts("hf://a/b")
    assert hub.asked == [], "at once"


def test_a_dataset_of_the_hub_is_streamed(hub: types.SimpleNamespace) -> None:
    address = "hf://roneneldan/TinyStories:validation"
    assert list(documents(address)) == [
        Document(text, f"{address}#{i}") for i, text in enumerate(FOUND)
    ]
    options = {"split": "validation", "revision": None, "streaming": True}
    assert hub.asked == [("roneneldan/TinyStories", None, options)]
    for name, path, config, split, revision in (
        ("imdb", "imdb", None, "train", None),
        ("a/b", "a/b", None, "train", None),
        ("a/b/c.d-1", "a/b", "c.d-1", "train", None),
        ("a/b@main/c:test", "a/b", "c", "test", "main"),
        ("a-b.c/d_e@1a2b:x", "a-b.c/d_e", None, "x", "1a2b"),
    ):
        hub.asked.clear()
        list(documents(f"hf://{name}"))
        options = {"split": split, "revision": revision, "streaming": True}
        assert hub.asked == [(path, config, options)]
    assert texts("hf://a/b", max_documents=1) == [FOUND[0]]


def test_datasets_that_are_not_there_or_have_no_text(hub: types.SimpleNamespace) -> None:
    with pytest.raises(InvalidInputError, match="no column 'body'; its columns are text, id"):
        texts("hf://a/b", text_field="body")
    with pytest.raises(FormatError, match="hf://a/b#0 has no text in its column 'id'"):
        texts("hf://a/b", text_field="id")
    assert texts("hf://a/b", text_field="id", errors="skip") == []
    with pytest.raises(DownloadError, match="cannot read hf://none/none: FileNotFoundError"):
        texts("hf://none/none")
    for name in ("hf://", "hf://a/b/c/d", "hf://a b", "hf://a:b:c", "hf://a/b:"):
        with pytest.raises(InvalidInputError, match="is no dataset's name; write hf://OWNER"):
            texts(name)
    hub.fails = True
    found = documents("hf://a/b")
    assert [next(found).text for _ in FOUND] == FOUND
    with pytest.raises(DownloadError, match="ConnectionError: Couldn't reach the Hub; check"):
        next(found)


def test_the_hub_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingDependencyError, match=r"package datasets; .*lexigram\[interop\]"):
        texts("hf://a/b")


def test_a_query_hides_no_suffix(server: FileServer) -> None:
    rows = b'{"text": "one"}\n{"text": "two"}\n'
    server.holds("/a.jsonl.gz?download=true", gzip.compress(rows))
    found = documents(server.address + "/a.jsonl.gz?download=true")
    assert [document.text for document in found] == ["one", "two"]


def test_a_pattern_gives_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.txt").write_text("x")
    found = documents(str(tmp_path / "**" / "**" / "*.txt"))
    assert [document.text for document in found] == ["x"]
