"""Token shards: what goes in comes out, and damage never passes."""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_tokenizer import ByteTokenizer
from lexigram.data import Document, TokenDataset, tokenize
from lexigram.errors import (
    FormatError,
    InvalidInputError,
    LexigramError,
    MissingFileError,
    OutOfRangeError,
    TokenIdError,
)

texts = st.lists(st.text(max_size=12), min_size=1, max_size=12).filter(any)
vocabularies = st.sampled_from([257, 65_536, 65_537])


def stream(documents: list[str]) -> list[int]:
    return [id_ for text in documents for id_ in (*text.encode(), 256)]


@given(texts, vocabularies, st.integers(1, 40), st.data())
def test_dataset_is_the_concatenation_of_its_documents(
    documents: list[str], n_vocab: int, shard_tokens: int, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "set")
        dataset = tokenize(documents, ByteTokenizer(n_vocab), out, shard_tokens=shard_tokens)
        expected = stream(documents)
        assert dataset.tokens().tolist() == list(dataset) == expected
        assert len(dataset) == len(expected)
        assert dataset.dtype == (np.uint16 if n_vocab <= 65_536 else np.uint32)
        assert dataset.tokens().dtype == dataset[1:].dtype == dataset.document(0).dtype
        assert np.asarray(dataset).tolist() == expected

        contents = [list(text.encode()) for text in documents]
        assert [document.tolist() for document in dataset.documents()] == contents
        assert dataset.document(-1).tolist() == contents[-1]
        assert dataset.num_documents == len(documents)
        assert dataset.num_bytes == sum(map(len, contents))
        assert dataset.vocab_size == n_vocab
        assert dataset.document_separator == 256
        assert dataset.tokenizer_fingerprint == "bytes"
        sizes, shards = [len(content) + 1 for content in contents], 0
        while sizes:  # a shard ends with the document that brings it to `shard_tokens`
            filled = 0
            while sizes and filled < shard_tokens:
                filled += sizes.pop(0)
            shards += 1
        assert dataset.num_shards == shards == len(list(out.glob("*.tokens")))
        dataset.verify()

        part = data.draw(st.slices(len(expected)))
        assert dataset[part].tolist() == expected[part]
        index = data.draw(st.integers(-len(expected), len(expected) - 1))
        assert dataset[index] == expected[index]
        for outside in (len(expected), -len(expected) - 1):
            with pytest.raises(OutOfRangeError, match="token"):
                dataset[outside]
        with pytest.raises(OutOfRangeError, match="document"):
            dataset.document(len(documents))


def test_equal_content_has_an_equal_fingerprint(tmp_path: Path) -> None:
    def fingerprint(name: str, documents: list[str]) -> str:
        return tokenize(documents, ByteTokenizer(), tmp_path / name).fingerprint

    same = fingerprint("a", ["x", "y"])
    assert fingerprint("b", ["x", "y"]) == same
    assert fingerprint("c", ["xy"]) != same


def test_many_small_documents_and_one_long(tmp_path: Path) -> None:
    documents = ["", "\0", "\r\n"] * 4000 + ["long " * 200_000]
    dataset = tokenize(documents, ByteTokenizer(), tmp_path / "set", shard_tokens=5000)
    assert dataset.num_documents == 12_001
    assert dataset.tokens().tolist() == stream(documents)
    dataset.verify()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    tokenize(["one", "two", "", "three"], ByteTokenizer(), tmp_path / "set", shard_tokens=8)
    return tmp_path / "set"


def files(folder: Path) -> Iterator[Path]:
    found = sorted(folder.iterdir())
    assert len(found) == 3, "two shards and a manifest"
    return iter(found)


def test_every_flipped_bit_is_found_and_its_file_is_named(small: Path) -> None:
    for path in files(small):
        good = path.read_bytes()
        for at in range(len(good)):
            bad = bytearray(good)
            bad[at] ^= 1 << at % 8
            path.write_bytes(bad)
            with pytest.raises(FormatError, match=path.name):
                TokenDataset(small).verify()
        path.write_bytes(good)
    TokenDataset(small).verify()


def test_every_truncation_and_a_byte_too_many_are_found(small: Path) -> None:
    for path in files(small):
        good = path.read_bytes()
        for content in (*(good[:end] for end in range(len(good))), good + b"\n"):
            path.write_bytes(content)
            with pytest.raises(FormatError, match=path.name):
                TokenDataset(small)  # without reading the tokens
        path.write_bytes(good)
    TokenDataset(small).verify()


def test_verify_reads_the_disk_again(small: Path, tmp_path: Path) -> None:
    dataset = TokenDataset(small)
    reports: list[tuple[int, int]] = []
    dataset.verify(progress=lambda done, total: reports.append((done, total)))
    assert reports[-1] == (len(dataset), len(dataset))
    tokenize(["another"], ByteTokenizer(), small, overwrite=True)
    with pytest.raises(FormatError, match="another one has taken its place"):
        dataset.verify()


def test_missing_and_exchanged_shards(small: Path, tmp_path: Path) -> None:
    other = tokenize(["one", "tow", "", "three"], ByteTokenizer(), tmp_path / "b", shard_tokens=8)
    first = "shard-00000.tokens"
    (small / first).write_bytes((other.directory / first).read_bytes())
    with pytest.raises(FormatError, match=r"is not the shard that manifest\.json names"):
        TokenDataset(small)
    (small / first).unlink()
    with pytest.raises(MissingFileError, match=first):
        TokenDataset(small)


def test_only_finished_directories_open(tmp_path: Path, small: Path) -> None:
    with pytest.raises(MissingFileError, match="nowhere"):
        TokenDataset(tmp_path / "nowhere")
    (small / "manifest.json").unlink()
    with pytest.raises(FormatError, match="not a directory with a manifest"):
        TokenDataset(small)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stop

    def broken() -> Iterator[str]:
        yield "good"
        raise Stop

    out, fake = tmp_path / "set", ByteTokenizer()
    with pytest.raises(Stop):
        tokenize(["text"], fake, out, progress=stop)
    with pytest.raises(Stop):
        tokenize(broken(), fake, out)
    with pytest.raises(InvalidInputError, match="the corpus is empty"):
        tokenize([], fake, out)
    with pytest.raises(InvalidInputError, match="the corpus is empty"):
        tokenize(["", ""], fake, out)
    with pytest.raises(MissingFileError):
        tokenize(tmp_path / "none.txt", fake, out)
    with pytest.raises(InvalidInputError, match="document_separator = 300: must be an id"):
        tokenize(["x"], fake, out, document_separator=300)
    with pytest.raises(InvalidInputError, match="also stands inside a document"):
        tokenize(["x"], fake, out, document_separator=ord("x"))
    with pytest.raises(TokenIdError, match=r"token id 120 .* position 1"):
        tokenize(["Ax"], ByteTokenizer(70), out, document_separator=0)
    with pytest.raises(InvalidInputError, match="shard_tokens = 0"):
        tokenize(["x"], fake, out, shard_tokens=0)
    fake.eot_token = None
    with pytest.raises(InvalidInputError, match=r"no <\|endoftext\|> token"):
        tokenize(["x"], fake, out)
    assert left(tmp_path) == []


def test_what_fails_leaves_the_old_dataset(small: Path) -> None:
    old = TokenDataset(small).tokens().tolist()

    def broken() -> Iterator[str]:
        yield "new"
        raise RuntimeError("the source failed")

    with pytest.raises(RuntimeError, match="the source failed"):
        tokenize(broken(), ByteTokenizer(), small, overwrite=True)
    assert TokenDataset(small).tokens().tolist() == old
    assert left(small.parent) == ["manifest.json", "set", *(f"shard-0000{i}.tokens" for i in "01")]


def test_overwrite(small: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="overwrite=True"):
        tokenize(["new"], ByteTokenizer(), small)
    assert tokenize(["new"], ByteTokenizer(), small, overwrite=True).tokens().tolist() == stream(
        ["new"]
    )
    assert left(tmp_path) == ["manifest.json", "set", "shard-00000.tokens"]
    (small / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InvalidInputError, match=r"holds \"notes.txt\""):
            tokenize(["newer"], ByteTokenizer(), small, overwrite=overwrite)
    assert (small / "notes.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    tokenize(["x"], ByteTokenizer(), tmp_path / "empty")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(LexigramError, match="file"):
        tokenize(["x"], ByteTokenizer(), tmp_path / "file", overwrite=True)
    assert (tmp_path / "file").read_text() == "mine"


def test_skipped_documents_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "good"}\nnot json\n{"text": 3}\n')
    dataset = tokenize(tmp_path / "a.jsonl", ByteTokenizer(), tmp_path / "set", errors="skip")
    assert dataset.num_skipped == 2
    assert dataset.tokens().tolist() == stream(["good"])


def test_documents_and_progress(tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    source = [Document("höhe", "a"), Document("b", "b"), Document("c", "c")]
    dataset = tokenize(
        source,
        ByteTokenizer(),
        tmp_path / "deep" / "set",
        max_documents=2,
        progress=lambda done, total: reports.append((done, total)),
    )
    assert dataset.num_documents == 2
    assert reports == [(6, 0)]
    assert "8 tokens, 2 documents" in repr(dataset)


def test_shard_by_hand(tmp_path: Path) -> None:
    """The worked example of docs/formats.md, decoded with `struct` alone."""
    dataset = tokenize(["Hi", "!"], ByteTokenizer(), tmp_path / "set")
    raw = (dataset.directory / "shard-00000.tokens").read_bytes()
    assert raw[:12] == b"LEXIGRAMSHRD"
    version, sections, block_log2, end, length = struct.unpack_from("<IIIQQ", raw, 12)
    assert (version, sections, block_log2) == (1, 3, 20)
    assert length == len(raw)
    assert end == length - 16, "one block: its checksum, and the checksum of the table"
    table = {
        tag.rstrip(b"\0"): raw[offset : offset + size]
        for tag, offset, size in struct.iter_unpack("<16sQQ", raw[40 : 40 + 3 * 32])
    }
    assert struct.unpack("<5H", table[b"tokens"]) == (72, 105, 256, 33, 256)
    assert struct.unpack("<3Q", table[b"documents"]) == (0, 3, 5)
    assert json.loads(table[b"meta"]) == {
        "vocab_size": 257,
        "document_separator": 256,
        "tokenizer": "bytes",
        "dtype": "uint16",
        "num_tokens": 5,
        "num_documents": 2,
        "num_bytes": 3,
    }
    manifest = json.loads((dataset.directory / "manifest.json").read_text())
    (shard,) = manifest["shards"]
    assert shard["xxh3"] == f"{struct.unpack('<Q', raw[-8:])[0]:016x}"
    assert manifest["checksum"] == dataset.fingerprint


def test_documented_bytes_are_the_real_ones(tmp_path: Path) -> None:
    path = Path(__file__).parents[1] / "docs" / "formats.md"
    text = path.read_text(encoding="utf-8")
    lines = text.partition("```hex\n")[2].partition("```")[0].splitlines()
    documented = b"".join(bytes.fromhex(line[5:]) for line in lines)
    assert [int(line[:3]) for line in lines] == list(range(0, len(documented), 16))
    dataset = tokenize(["Hi", "!"], ByteTokenizer(), tmp_path / "set")
    assert (dataset.directory / "shard-00000.tokens").read_bytes() == documented
    manifest = text.partition("```json\n")[2].partition("```")[0]
    assert (dataset.directory / "manifest.json").read_text(encoding="utf-8") == manifest


@settings(max_examples=30)
@given(texts)
def test_opening_twice_is_the_same(documents: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = tokenize(documents, ByteTokenizer(), Path(folder, "set"))
        again = TokenDataset(made.directory)
        assert again.fingerprint == made.fingerprint
        assert again.tokens().tolist() == made.tokens().tolist()
