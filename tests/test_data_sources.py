"""Documents from files, folders, compressed files, iterators and names."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexigram.data import Document, corpora, corpus_path, documents, split_of
from lexigram.errors import (
    EncodingError,
    FormatError,
    InvalidInputError,
    LexigramError,
    MissingDependencyError,
    MissingFileError,
)

BAD = b"good \xff bad"


def texts(source: object, **options: object) -> list[str]:
    return [document.text for document in documents(source, **options)]  # type: ignore[arg-type]


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    content = "\ufeffone\r\ntwo\rthree\0\n\n ü€🎉"
    path = tmp_path / "any name"
    path.write_bytes(content.encode())
    assert list(documents(path)) == [Document(content, str(path))]
    assert texts(str(path)) == [content]
    path.write_bytes(b"")
    assert texts(path) == []


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=6))
def test_delimiters_split_whatever_the_chunk(parts: list[str]) -> None:
    import lexigram.data.formats as formats

    delimiter = "<é>"
    parts = [part.replace("<", "") for part in parts]
    whole = delimiter.join(parts).encode()
    chunk, formats._CHUNK = formats._CHUNK, 3
    try:
        path = Path(os.environ["LEXIGRAM_CACHE"])  # a name of our own, in the test's folder
        path.write_bytes(whole)
        found = list(documents(path, document_delimiter=delimiter))
    finally:
        formats._CHUNK = chunk
    assert [document.text for document in found] == [part for part in parts if part]
    numbers = [i for i, part in enumerate(parts) if part]
    assert [document.name for document in found] == [f"{path}#{i}" for i in numbers]


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.JSONL"
    rows = [{"text": "a\r\n", "body": "x"}, {"text": "", "body": "y"}, {"text": "ü", "body": "z"}]
    path.write_text("\n\n".join(json.dumps(row) for row in rows), newline="")
    assert list(documents(path)) == [
        Document("a\r\n", f"{path}:1"),
        Document("", f"{path}:3"),
        Document("ü", f"{path}:5"),
    ]
    assert texts(path, text_field="body") == ["x", "y", "z"]
    with pytest.raises(FormatError, match=r"a\.JSONL:1 has no text in its field 'title'"):
        texts(path, text_field="title")


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        (b'{"text": "x"', FormatError, ":2 is not JSON"),
        (b"3", FormatError, ":2 has no text in its field 'text'"),
        (b'{"text": null}', FormatError, ":2 has no text"),
        (b'{"text": "\xff"}', EncodingError, ":2 is not UTF-8 at byte 10"),
        (b'{"text": "a\\ud800"}', EncodingError, ":2 has half of a surrogate pair at character 1"),
    ],
)
def test_bad_lines(tmp_path: Path, line: bytes, error: type[Exception], message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "first"}\n' + line + b'\n{"text": "last"}\n')
    with pytest.raises(error, match=message):
        texts(path)
    skipped: list[LexigramError] = []
    assert texts(path, errors="skip", on_skip=skipped.append) == ["first", "last"]
    assert [type(e) for e in skipped] == [error]
    if error is EncodingError:
        _, replaced, _ = texts(path, errors="replace")
        assert replaced.endswith("\ufffd")
    else:
        with pytest.raises(FormatError):
            texts(path, errors="replace")


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(BAD)
    message = r"a\.txt is not UTF-8 at byte 5 \(line 1\); convert"
    with pytest.raises(EncodingError, match=message) as caught:
        texts(path)
    assert "\n" not in str(caught.value)
    assert texts(path, errors="replace") == ["good \ufffd bad"]
    assert texts(path, errors="skip") == []
    path.write_bytes(b"first|" + BAD)
    with pytest.raises(EncodingError, match=r"a\.txt#1 is not UTF-8 at byte 11"):
        texts(path, document_delimiter="|")
    assert texts(path, document_delimiter="|", errors="skip") == ["first"]


def test_texts_that_have_no_utf8() -> None:
    with pytest.raises(EncodingError, match="document 1 has half of a surrogate"):
        texts(["a", "b\ud800c"])
    assert texts(["a", "b\ud800c"], errors="replace") == ["a", "b\ufffdc"]
    assert texts(["a", "b\ud800c"], errors="skip") == ["a"]


def _zst(content: bytes) -> bytes:
    zstandard = pytest.importorskip("zstandard")
    packed: bytes = zstandard.compress(content)
    return packed


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": _zst,
}


@pytest.mark.parametrize("suffix", PACKERS)
def test_compressed_files_are_read_whole_or_not_at_all(tmp_path: Path, suffix: str) -> None:
    lines = [json.dumps({"text": hashlib.sha256(bytes([i])).hexdigest()}) for i in range(200)]
    content = "\n".join(lines).encode()
    expected = [json.loads(line)["text"] for line in lines]
    packed = PACKERS[suffix](content)
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(packed)
    assert texts(path) == expected
    path.write_bytes(packed + packed)  # a line of the one runs into a line of the other
    with pytest.raises(FormatError, match="not JSON"):
        texts(path)
    assert len(texts(path, errors="skip")) == 398
    for end in (1, 10, len(packed) // 2, len(packed) - 1):
        path.write_bytes(packed[:end])
        with pytest.raises(FormatError, match=f"{path.name} is damaged {suffix[1:]} data"):
            texts(path, errors="skip")
    path.write_bytes(b"plain text, not compressed at all")
    with pytest.raises(FormatError, match=f"{path.name} is damaged"):
        texts(path)


def test_zst_without_a_decompressor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    (tmp_path / "a.txt.zst").write_bytes(b"x")
    with pytest.raises(MissingDependencyError, match=r"lexigram\[interop\]"):
        texts(tmp_path / "a.txt.zst")


def test_a_directory_in_order(tmp_path: Path) -> None:
    expected = ["b.txt", "z.PY", "sub/a.md", "sub/c.txt.gz", "sub/deep/a.txt", "suc/a.rst"]
    for name in [*expected, "a.png", ".hidden.txt", ".git/a.txt", "sub/data.bin", "no_suffix"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = name.encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (tmp_path / "binary.txt").write_bytes(b"a\0b")
    (tmp_path / "empty.txt").touch()
    assert texts(tmp_path) == expected
    assert [d.name for d in documents(tmp_path)] == [str(tmp_path / name) for name in expected]
    (tmp_path / "suc" / "a.rst").write_bytes(BAD)
    with pytest.raises(EncodingError, match=r"a\.rst"):
        texts(tmp_path)
    assert texts(tmp_path, errors="skip") == expected[:-1]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InvalidInputError, match="nothing holds no text"):
        texts(tmp_path / "nothing")


def test_what_is_no_source(tmp_path: Path) -> None:
    for source in (tmp_path / "none", "some text, not a path", "x" * 10_000, "a\0b"):
        with pytest.raises(MissingFileError, match="there is no file or directory"):
            texts(source)
    for source in (b"bytes", 3, None):
        with pytest.raises(InvalidInputError, match="must be a path, a corpus's name or"):
            texts(source)
    with pytest.raises(InvalidInputError, match="document 1 is a bytes: must be a str"):
        texts(["a", b"b"])
    with pytest.raises(InvalidInputError, match="errors = 'ignore'"):
        texts(["a"], errors="ignore")
    with pytest.raises(InvalidInputError, match="document_delimiter"):
        texts(["a"], document_delimiter="")
    with pytest.raises(InvalidInputError, match="max_documents = 0"):
        texts(["a"], max_documents=0)


def test_an_iterator_is_read_no_further_than_asked() -> None:
    source = iter(["a", "b", "c"])
    assert texts(source, max_documents=2) == ["a", "b"]
    assert next(source) == "c"
    assert texts(["a", "b", "c", "d"], keep=lambda d: d.text > "a", max_documents=2) == ["b", "c"]
    named = Document("x", "here")
    assert list(documents([named, ""])) == [named, Document("", "document 1")]


@given(st.text("ab\r\n", max_size=60), st.integers(1, 12))
def test_cut_documents_join_to_the_whole(text: str, limit: int) -> None:
    parts = texts([text], max_chars=limit)
    assert "".join(parts) == text
    assert all(len(part) <= limit for part in parts)
    for part in parts[:-1]:
        if "\n\n" in part:
            assert part.endswith("\n\n")
        elif "\n" in part:
            assert part.endswith("\n")
        else:
            assert len(part) == limit


def test_stdlib_is_the_same_twice_and_has_no_tests() -> None:
    found = list(documents("stdlib"))
    assert found == list(documents("stdlib"))
    assert len(found) > 100
    assert sum(len(document.text) for document in found) > 1_000_000
    names = [document.name for document in found]
    assert len(set(names)) == len(names)
    assert any(name.endswith("argparse.py") for name in names)
    root = str(corpus_path(corpora()["stdlib"]))
    parts = {part for name in names for part in Path(name.removeprefix(root)).parts}
    assert not parts & {"test", "tests", "site-packages", "__pycache__"}


@given(st.text(), st.integers(0, 2**64 - 1))
def test_a_document_has_one_side(text: str, seed: int) -> None:
    halves = {"train": 0.5, "validation": 0.5}
    assert split_of(text, halves, seed=seed) == split_of(text, halves, seed=seed)
    assert split_of(text, {"train": 1, "validation": 0}, seed=seed) == "train"
    assert split_of(text, {"train": 0, "validation": 1}, seed=seed) == "validation"
    # Growing the first part moves documents into it and none out of it.
    if split_of(text, {"train": 0.5, "validation": 0.5}, seed=seed) == "train":
        assert split_of(text, {"train": 0.7, "validation": 0.3}, seed=seed) == "train"


def test_splits_have_their_sizes_and_depend_on_the_seed() -> None:
    fractions = {"train": 0.9, "validation": 0.06, "test": 0.04}
    sides = [[split_of(f"document {i}", fractions, seed=s) for i in range(5000)] for s in (0, 1)]
    for side in sides:
        for name, fraction in fractions.items():
            deviation = (5000 * fraction * (1 - fraction)) ** 0.5
            assert abs(side.count(name) - 5000 * fraction) < 4 * deviation
    both = sum(a == b == "validation" for a, b in zip(*sides, strict=True))
    assert both < 45, "of 5000 · 0.06² = 18 expected"
    for bad in ({"a": 0.5}, {"a": 1.5, "b": -0.5}, {}, {"a": float("nan")}):
        with pytest.raises(InvalidInputError, match="sum to 1"):
            split_of("x", bad)
    with pytest.raises(InvalidInputError, match="seed = -1"):
        split_of("x", {"a": 1}, seed=-1)
