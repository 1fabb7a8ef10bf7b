"""The same documents through every format and every compression are the same documents."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lexigram.data import Document, documents
from lexigram.data.warc import records
from lexigram.errors import (
    EncodingError,
    FormatError,
    InvalidInputError,
    LexigramError,
    MissingDependencyError,
)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
NOTABLE = ["", "\0", "a\r\nb\rc\n", "\ufeffafter a mark", "\u2028", "ü€🎉", "WARC/1.0\r\n"]

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


def texts(source: object, **options: object) -> list[str]:
    return [document.text for document in documents(source, **options)]  # type: ignore[arg-type]


def json_lines(found: list[str]) -> bytes:
    return b"".join(json.dumps({"id": 1, "text": text}).encode() + b"\n" for text in found)


def parquet(found: list[str], *, kind: pa.DataType | None = None, rows: int = 3) -> bytes:
    out = io.BytesIO()
    column = pa.array(found, pa.string()).cast(kind or pa.string())
    numbers = pa.array(range(len(found)), pa.int64())
    pq.write_table(pa.table({"id": numbers, "text": column}), out, row_group_size=rows)
    return out.getvalue()


def record(content: bytes, kind: str = "conversion", uri: str = "http://x/") -> bytes:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n%s\r\n\r\n" % (len(content), content)


def warc(found: list[str]) -> bytes:
    pages = [record(text.encode(), uri=f"http://x/{i}") for i, text in enumerate(found)]
    return record(b"software: a test\r\n", "warcinfo") + b"".join(pages)


WRITERS: dict[str, Callable[[list[str]], bytes]] = {
    ".jsonl": json_lines,
    ".parquet": parquet,
    ".warc.wet": warc,
}


@pytest.mark.parametrize("suffix", PACKERS)
@given(found=st.lists(TEXTS | st.sampled_from(NOTABLE), max_size=9))
def test_every_format_holds_the_same_documents(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, found: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    for inner, writer in WRITERS.items():
        path = folder / f"a{inner}{suffix}"
        path.write_bytes(PACKERS[suffix](writer(found)))
        assert texts(path) == found, inner
    path = folder / f"a.txt{suffix}"
    plain = [text.replace("|", "") for text in found]
    path.write_bytes(PACKERS[suffix]("|".join(plain).encode()))
    assert texts(path, document_delimiter="|") == [text for text in plain if text]
    whole = "".join(found)
    path.write_bytes(PACKERS[suffix](whole.encode()))
    assert texts(path) == ([whole] if whole else [])


def test_names_say_where_a_document_is(tmp_path: Path) -> None:
    places = {
        "a.jsonl": ":{n1}",
        "a.parquet": "#{n}",
        "a.wet": "#http://x/{n}",
        "a.warc": "#http://x/{n}",
    }
    for name, place in places.items():
        path = tmp_path / name
        writer = WRITERS.get(path.suffix, warc)
        path.write_bytes(writer(["x", "", "y", "z"]))
        expected = [f"{path}{place.format(n=n, n1=n + 1)}" for n in range(4)]
        assert [document.name for document in documents(path)] == expected


@given(st.binary(max_size=60).filter(lambda b: b), st.binary(min_size=1, max_size=4))
def test_pieces_are_what_bytes_split_gives(content: bytes, mark: bytes) -> None:
    from lexigram.data import formats

    chunk, formats._CHUNK = formats._CHUNK, 3
    try:
        found = list(formats._split(io.BytesIO(content), mark.decode("latin-1")))
    finally:
        formats._CHUNK = chunk
    assert found == content.split(mark.decode("latin-1").encode())


class Stream(io.RawIOBase):
    """Lines without end, for who reads too far; counts what was read."""

    def __init__(self, line: bytes, times: int) -> None:
        self.left = len(line) * times
        self._block = line * (1 + (1 << 20) // len(line))
        self._line = len(line)
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        length = min(len(view), self.left, len(self._block) - self.read_bytes % self._line)
        start = self.read_bytes % self._line
        length = min(length, len(self._block) - start)
        view[:length] = self._block[start : start + length]
        self.read_bytes += length
        self.left -= length
        return length


def test_a_file_with_a_delimiter_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    line = b'{"text": "' + b"x" * 990 + b'"}\n'
    for options in ({"document_delimiter": "\n", "file_format": "text"}, {"file_format": "jsonl"}):
        raw = Stream(line, 60_000)  # 60 MB
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(raw)))
        tracemalloc.start()
        count = sum(1 for _ in documents("-", **options))  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == 60_000
        assert peak < 20e6, options


def test_a_long_piece_is_no_quadratic_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lexigram.data import formats

    monkeypatch.setattr(formats, "_CHUNK", 1000)
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 30_000_000 + b"|y")  # joined anew for each chunk: 450 GB to copy
    assert [len(text) for text in texts(path, document_delimiter="|")] == [30_000_000, 1]


# Parquet


@pytest.mark.parametrize(
    "kind",
    [pa.large_string(), pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_columns_of_text(tmp_path: Path, kind: pa.DataType) -> None:
    found = [f"text {i % 7} ü" for i in range(1000)]
    (tmp_path / "a.parquet").write_bytes(parquet(found, kind=kind, rows=300))
    assert texts(tmp_path / "a.parquet") == found


def test_parquet_that_is_not_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(["x"]))
    with pytest.raises(InvalidInputError, match="no column 'body'; its columns are id, text"):
        texts(path, text_field="body")
    with pytest.raises(InvalidInputError, match="column 'id' holds int64, not text"):
        texts(path, text_field="id")
    pq.write_table(pa.table({"text": pa.array(["a", None, "b"])}), path)
    with pytest.raises(FormatError, match=r"a\.parquet#1 has no text in its column 'text'"):
        texts(path)
    assert texts(path, errors="skip") == ["a", "b"]
    bad = pa.array([b"good", b"\xff bad", b"last"], pa.binary())
    pq.write_table(pa.table({"text": bad}), path)
    with pytest.raises(EncodingError, match=r"a\.parquet#1 is not UTF-8 at byte 0"):
        texts(path)
    assert texts(path, errors="replace") == ["good", "\ufffd bad", "last"]
    skipped: list[LexigramError] = []
    assert texts(path, errors="skip", on_skip=skipped.append) == ["good", "last"]
    assert [type(error) for error in skipped] == [EncodingError]


def test_damaged_parquet_is_no_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    whole = parquet([f"{i} {random.Random(i).random()}" for i in range(500)], rows=100)
    for damaged in (b"", b"PAR1", b"not parquet", whole[:-1], whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match=r"a\.parquet is damaged Parquet data") as caught:
            texts(path, errors="skip")
        assert "\n" not in str(caught.value)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(parquet(["x"]))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingDependencyError, match=r"lexigram\[interop\]"):
        texts(tmp_path / "a.parquet")


def test_a_row_group_is_not_held_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    noise = random.Random(1)
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())]), compression="zstd") as writer:
        rows = [noise.randbytes(5000).hex() for _ in range(10_000)]  # 100 MB in one group
        writer.write_table(pa.table({"text": rows}), row_group_size=10_000)
    assert pq.ParquetFile(path).num_row_groups == 1
    pool = pa.default_memory_pool()
    before, peak = pool.bytes_allocated(), 0
    for number, document in enumerate(documents(path)):
        assert document.text == rows[number]
        peak = max(peak, pool.bytes_allocated() - before)
    assert number == 9_999
    assert peak < 30e6


# WARC


def test_only_extracted_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.wet.gz"
    parts = [
        record(b"info", "warcinfo"),
        record(b"first \xc3\xbc\r\n\r\nWARC/1.0\r\n", uri="http://x/1"),
        record(b"<html>", "response", "http://x/2"),
        record(b"", uri="<http://x/3>"),
        record(b"\xff", uri="http://x/4"),
        record(b"last\n", uri="http://x/5"),
    ]
    path.write_bytes(b"".join(gzip.compress(part) for part in parts))  # a member a record
    with pytest.raises(EncodingError, match=r"a\.warc\.wet\.gz#http://x/4 is not UTF-8 at byte 0"):
        texts(path)
    assert list(documents(path, errors="skip")) == [
        Document("first ü\r\n\r\nWARC/1.0\r\n", f"{path}#http://x/1"),
        Document("", f"{path}#http://x/3"),
        Document("last\n", f"{path}#http://x/5"),
    ]
    path.write_bytes(gzip.compress(parts[0] + parts[2]))
    with pytest.raises(FormatError, match="holds no extracted text: its records are response, w"):
        texts(path)


def test_headers_as_the_standard_allows_them() -> None:
    head = b"WARC/1.1\r\nwarc-TYPE:conversion\r\nX-Note: a\r\n  b\r\nWARC-Target-URI: u:v\r\n"
    content = io.BytesIO(b"\r\n" + head + b"content-length:3\r\n\r\nabc\r\n\r\n")
    assert list(records(content, "f")) == [("u:v", b"abc")]


@given(st.integers(0, 400), st.binary(max_size=3))
def test_damaged_records_are_named_or_harmless(at: int, change: bytes) -> None:
    whole = warc(["one", "two two", "three"])
    damaged = whole[:at] + change + whole[at + len(change) :]
    try:
        found = [content for _, content in records(io.BytesIO(damaged), "f")]
    except FormatError as error:
        assert str(error).startswith(("f is damaged", "f holds no extracted text"))  # noqa: PT017
    else:
        assert len(found) <= 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (record(b"x")[:-5], "ends inside record 1"),
        (b"WARC/1.0\r\nWARC-Type: conversion\r\n\r\n", "record 1 has the length ''"),
        (b"WARC/1.0\r\nContent-Length: -3\r\n\r\n", "record 1 has the length '-3'"),
        (b"WARC/1.0\r\nContent-Length: 9" + b"9" * 30 + b"\r\n\r\n", "ends inside record 1"),
        (b"WARC/1.0\r\nno colon here\r\n\r\n", "record 1 has a broken header"),
        (b"WARC/1.0\r\nA: " + b"x" * 100_000 + b"\r\n\r\n", "record 1 has a broken header"),
        (b"WARC/1.0\r\nA: x", "record 1 has a broken header"),
        (record(b"x") + b"<html>", "after 1 records there is no other, but '<html>'"),
    ],
)
def test_damaged_records(content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        list(records(io.BytesIO(content), "f"))


# Text and lines


def test_a_byte_order_mark_before_the_first_row_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "\xef\xbb\xbfa"}\r\n\r\n{"text": "b"}\r\n')
    assert texts(path) == ["\ufeffa", "b"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
ROWS = st.dictionaries(st.sampled_from(["text", "a"]), JSON) | JSON


@given(
    st.lists(
        st.tuples(ROWS, st.booleans(), st.sampled_from(["", " ", "\t", "\ufeff"]))
        | st.binary(max_size=6).map(lambda b: b.replace(b"\n", b"")),
        max_size=5,
    ),
    st.sampled_from([b"\n", b"\r\n", b" \n", b"x\n"]),
)
def test_json_lines_are_what_json_makes_of_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[object], end: bytes
) -> None:
    lines = [
        row
        if isinstance(row, bytes)
        else (row[2] + json.dumps(row[0], ensure_ascii=row[1])).encode("utf-8", "surrogatepass")  # type: ignore[index]
        for row in rows
    ]
    path = tmp_path_factory.mktemp("json") / "a.jsonl"
    path.write_bytes(end.join([*lines, b""]))
    expected, bad = [], 0
    for number, line in enumerate(path.read_bytes().split(b"\n")):
        try:
            row = json.loads((line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line).decode())
            row["text"].encode()
            expected.append(row["text"])
        except Exception:
            bad += bool(line.strip())
    skipped: list[LexigramError] = []
    assert texts(path, errors="skip", on_skip=skipped.append) == expected
    assert len(skipped) == bad


def test_errors_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\r\nthree \xff\n")
    with pytest.raises(EncodingError, match=r"a\.txt is not UTF-8 at byte 15 \(line 3\)"):
        texts(path)
    path.write_bytes(b"a\nb\n--\nc\nd\xff")
    with pytest.raises(EncodingError, match=r"a\.txt#1 is not UTF-8 at byte 10 \(line 5\)"):
        texts(path, document_delimiter="--\n")
    path.write_bytes("text".encode("utf-16"))
    with pytest.raises(EncodingError, match="but begins as UTF-16 does; convert it"):
        texts(path)


def test_a_row_too_deep_to_be_read_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"[" * 1_000_000 + b'\n{"text": "x"}\n')
    assert texts(path, errors="skip") == ["x"]
    with pytest.raises(FormatError, match=r"a\.jsonl:1 is not JSON"):
        texts(path)


def test_a_format_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(json_lines(["a", "b"]))
    assert texts(path, file_format="jsonl") == ["a", "b"]
    assert texts(path) == [path.read_text()]
    path.write_bytes(parquet(["a", "b"]))
    assert texts(path, file_format="parquet") == ["a", "b"]
    with pytest.raises(InvalidInputError, match="file_format = 'csv': must be one of text, jsonl"):
        texts(path, file_format="csv")


def test_progress_counts_the_bytes_on_the_disk(tmp_path: Path) -> None:
    found = [str(random.Random(i).random()) * 20 for i in range(3000)]
    for inner, writer in WRITERS.items():
        for suffix, packer in PACKERS.items():
            (tmp_path / f"{inner[1:]}{inner}{suffix}").write_bytes(packer(writer(found)))
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    calls: list[tuple[int, int]] = []
    stream: Iterator[Document] = documents(tmp_path, progress=lambda *a: calls.append(a))
    assert sum(1 for _ in stream) == 3000 * len(WRITERS) * len(PACKERS)
    assert {size for _, size in calls} == {total}
    counts = [done for done, _ in calls]
    assert counts == sorted(counts)
    assert total - 3000 < counts[-1] <= total, "Parquet is counted by its rows, and rounded"
    assert len(calls) > 15
