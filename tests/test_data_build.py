"""What `tokenize` writes: the documents of `documents`, split and without duplicates."""

from __future__ import annotations

import bz2
import gzip
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import lexigram
from fake_tokenizer import ByteTokenizer
from lexigram._core import TextBatch, read_json_lines
from lexigram.data import Document, TokenDataset, documents, split_of, tokenize
from lexigram.data import feed as feed_module
from lexigram.data.feed import batches
from lexigram.errors import (
    EncodingError,
    FormatError,
    InvalidInputError,
    LexigramError,
    MissingFileError,
)

SIDES = {"train": 0.6, "validation": 0.3, "test": 0.1}


def texts_of(dataset: TokenDataset) -> list[str]:
    return [bytes(ids.tolist()).decode() for ids in dataset.documents()]


# Rows of all kinds, right and wrong; as bytes, without a line feed in them.
leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just("text")
)
values = st.recursive(
    leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=3)
)
characters = st.text(st.characters() | st.sampled_from('"\\/\b\f\n\r\t\0\x7f\u2028😀\ud800\udc00'))


def _written(pairs: list[tuple[str, Any]], ascii_only: bool, spaced: bool) -> bytes:
    members = (f"{json.dumps(k, ensure_ascii=ascii_only)}: {json.dumps(v)}" for k, v in pairs)
    space = "\t \r" if spaced else ""
    row = f"{space}{{{space}{f'{space},{space}'.join(members)}{space}}}{space}"
    return row.encode(errors="surrogatepass")


keys = st.sampled_from(["text", "id", "te\\xt", ""]) | st.text(max_size=3)
rows = st.builds(
    _written,
    st.lists(st.tuples(keys, values) | st.tuples(st.just("text"), characters), max_size=4),
    st.booleans(),
    st.booleans(),
)
ODD = [
    b'{"text": "\\ud83d\\ude00\\u00e9"}', b'{"text": "\\ud83d"}', b'{"text": "\\ude00"}',
    b'{"text": "a", "text": "b"}', b'{"text": "a", "text": 1}', b'{"t\\u0065xt": "a"}',
    b'{"text": "a", "n": [NaN, Infinity, -Infinity, 1e999, -0, 0.5E-3]}', b'{"text": "a", "n": 01}',
    b'{"text": "a", "n": 1.}', b'{"text": "a", "n": .5}', b'{"text": "a", "n": +1}', b"", b"{}",
    b'{"text": "a", "n": -}', b'{"text": "a",}', b'{"text": "a"} x', b'{"text": "a"}{}', b" \x0b",
    b'{"text": "\t"}', b'{"text": "\\x"}', b'{"text": "\\u12"}', b"\xef\xbb\xbf{\"text\": \"a\"}",
    b'{"text": "\xff"}', b'{"text": "\xed\xa0\x80"}', b"null", b'"text"', b'["text"]', b"\0",
    b'{"text": "a", "n": ' + b"[" * 70 + b"]" * 70 + b"}", b'{"text": "a"' + b" " * 40 + b"}",
    b'{"text": "a", "n": ' + b"1" * 1100 + b"}", b'{"text": "a", "n": ' + b"1" * 5000 + b"}",
    b'{"text": "a", "n": "\\ud800"}', b'{"text": "\xe2\x80\xa8"}', b'\r{"text": "a"}\r', b'{"text"',
]  # fmt: skip
lines = st.lists(st.sampled_from(ODD) | rows | st.binary(max_size=12), max_size=12).map(
    lambda found: [line.replace(b"\n", b"") for line in found]
)


@settings(max_examples=400)
@given(rows | st.sampled_from(ODD), st.integers(0, 1 << 16), st.integers(0, 255), st.booleans())
def test_a_row_that_the_core_reads_is_what_python_reads(
    row: bytes, at: int, byte: int, changed: bool
) -> None:
    if changed and row:
        at %= len(row)
        row = row[:at] + bytes([byte]) + row[at + 1 :]
    row = row.replace(b"\n", b"")
    batch, doubtful, num_lines = read_json_lines(row, "text")
    assert num_lines == bool(row)
    if len(batch):
        assert not doubtful
        assert batch.texts() == [json.loads(row)["text"]]
    else:
        assert doubtful == ([(0, 0, 0, len(row))] if row.strip() else [])


def test_ordinary_rows_are_read_by_the_core() -> None:
    """Rows as writers of JSON write them: no doubt, so none of them is read twice."""
    row = {
        "id": 7,
        "text": 'a "quoted"\n😀',
        "meta": {"url": "http://x/", "score": -1.5e-7},
        "l": [],
    }
    block = b"".join(
        (json.dumps(row, ensure_ascii=flag).encode() + end)
        for flag in (True, False)
        for end in (b"\n", b"\r\n")
    )
    batch, doubtful, num_lines = read_json_lines(block, "text", 2)
    assert (batch.texts(), doubtful, num_lines) == ([row["text"]] * 4, [], 4)


def outcome(work: Any) -> tuple[list[str], list[str], str]:
    """Texts, what was skipped, and the error in the end."""
    found: list[str] = []
    skipped: list[str] = []
    try:
        for text in work(lambda error: skipped.append(f"{type(error).__name__}: {error}")):
            found.append(text)
    except LexigramError as error:
        return [], skipped, f"{type(error).__name__}: {error}"
    return found, skipped, ""


@settings(max_examples=200)
@given(lines, st.sampled_from(["strict", "replace", "skip"]), st.sampled_from(["", ".gz", ".bz2"]),
       st.integers(1, 60), st.booleans(), st.integers(1, 3))  # fmt: skip
@example([], "strict", "", 1, True, 1)
def test_batches_are_the_documents(
    rows: list[bytes], errors: Any, packed: str, block: int, ended: bool, threads: int
) -> None:
    content = b"\n".join(rows) + (b"\n" if ended else b"")
    pack = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}[packed]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a.jsonl{packed}")
        path.write_bytes(pack(content))
        Path(folder, "b.txt").write_bytes(content)
        Path(folder, "c.txt").write_text("text")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(feed_module, "_BLOCK", block)

            def slow(on_skip: Any) -> Iterator[str]:
                for document in documents(
                    folder, errors=errors, on_skip=on_skip, document_delimiter="}\n",
                    progress=lambda done, total: None,
                ):  # fmt: skip
                    yield document.text

            def fast(on_skip: Any) -> Iterator[str]:
                for batch in batches(
                    folder, num_threads=threads, progress=lambda done, total: None, errors=errors,
                    document_delimiter="}\n", text_field="text", file_format=None, on_skip=on_skip,
                ):  # fmt: skip
                    yield from batch.texts()

            assert outcome(fast) == outcome(slow)


def test_errors_and_skips_of_batches_are_those_of_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n\n{"text": "\xff"}\n{"text": 3}\n{"text": "\\ud800"}\nx\n')
    out, fake = tmp_path / "set", ByteTokenizer()
    with pytest.raises(EncodingError, match=r"a\.jsonl:3 is not UTF-8 at byte 10"):
        tokenize(path, fake, out)
    dataset = tokenize(path, fake, out, errors="skip")
    assert (texts_of(dataset), dataset.num_skipped) == (["a"], 4)
    path.write_bytes(b'{"text": "a"}\nx\n')
    with pytest.raises(FormatError, match=r"a\.jsonl:2 is not JSON"):
        tokenize(path, fake, out, overwrite=True)
    # What is not looked at cannot be wrong.
    assert texts_of(tokenize(path, fake, out, overwrite=True, max_documents=1)) == ["a"]
    with pytest.raises(MissingFileError, match=r"b\.jsonl"):
        tokenize(tmp_path / "b.jsonl", fake, out, overwrite=True)
    packed = tmp_path / "c.jsonl.gz"
    packed.write_bytes(gzip.compress(b'{"text": "a"}\n' * 1000)[:-9])
    with pytest.raises(FormatError, match=r"c\.jsonl\.gz is damaged gz data"):
        tokenize(packed, fake, out, overwrite=True)
    assert texts_of(TokenDataset(out)) == ["a"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_progress_counts_the_bytes_of_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    content = b'{"text": "some text"}\n' * 5000
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (tmp_path / "b.txt").write_text("more")
    reports: list[tuple[int, int]] = []
    total = path.stat().st_size + 4
    tokenize(
        tmp_path, ByteTokenizer(), tmp_path / "set",
        progress=lambda done, total: reports.append((done, total)),
    )  # fmt: skip
    assert reports[-1] == (total, total)


def test_our_tokenizer_takes_batches_and_a_changed_one_lists(
    stdlib_text: str, tmp_path: Path
) -> None:
    class Changed(lexigram.Tokenizer):
        seen = 0

        def encode_ordinary_batch_to_numpy(self, text: Any, **options: Any) -> Any:
            Changed.seen += len(text)
            return super().encode_ordinary_batch_to_numpy(text, **options)

    parts = stdlib_text.split("\n\n")
    tokenizer = lexigram.Tokenizer.train(parts, 400, special_tokens=["<|endoftext|>"])
    tokenizer.save(tmp_path / "t.json")
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": part}) + "\n" for part in parts))
    made = tokenize(path, tokenizer, tmp_path / "a", num_threads=2)
    changed = Changed.load(tmp_path / "t.json")
    again = tokenize(parts, changed, tmp_path / "b", num_threads=1)
    assert Changed.seen == len(parts) == made.num_documents
    assert again.fingerprint == made.fingerprint
    assert [tokenizer.decode(ids.tolist()) for ids in made.documents()] == parts
    ids, offsets = tokenizer.encode_ordinary_batch_to_numpy(TextBatch(parts))
    expected = tokenizer.encode_ordinary_batch_to_numpy(parts)
    assert ids.tolist() == expected[0].tolist()
    assert offsets.tolist() == expected[1].tolist()


few_texts = st.lists(st.text(max_size=2), max_size=40)


@settings(max_examples=60)
@given(few_texts, st.integers(0, 2**64 - 1), st.booleans(), st.integers(1, 12))
def test_splits_do_not_leak(
    texts: list[str], seed: int, deduplicate: bool, shard_tokens: int
) -> None:
    texts = [*texts, *(f"text {i}" for i in range(60)), *texts]  # so that every side has some
    expected: dict[str, list[str]] = {side: [] for side in SIDES}
    duplicates: Counter[str] = Counter()
    seen: set[str] = set()
    for text in texts:
        side = split_of(text, SIDES, seed=seed)
        if deduplicate and text in seen:
            duplicates[side] += 1
        else:
            expected[side].append(text)
        seen.add(text)
    assume(all(any(side) for side in expected.values()))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "set")
        made = tokenize(
            texts, ByteTokenizer(), out, splits=SIDES, seed=seed, deduplicate=deduplicate,
            shard_tokens=shard_tokens,
        )  # fmt: skip
        assert {side: texts_of(dataset) for side, dataset in made.items()} == expected
        assert sorted(path.name for path in out.iterdir()) == sorted(SIDES)
        contents = [set(texts_of(dataset)) for dataset in made.values()]
        assert sum(map(len, contents)) == len(set().union(*contents)), "a text on two sides"
        for side, dataset in made.items():
            dataset.verify()
            assert dataset.directory == out / side
            assert dataset.num_duplicates == (duplicates[side] if deduplicate else None)
        one = tokenize(
            texts, ByteTokenizer(), Path(folder, "one"), deduplicate=deduplicate,
            keep=lambda document: split_of(document.text, SIDES, seed=seed) == "test",
            shard_tokens=shard_tokens,
        )  # fmt: skip
        if not deduplicate:
            assert one.fingerprint == made["test"].fingerprint


def test_splits_are_all_or_nothing(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(200)]
    out, fake = tmp_path / "set", ByteTokenizer()
    with pytest.raises(InvalidInputError, match="none of the 200 documents falls to test"):
        tokenize(texts, fake, out, splits={"train": 1 - 1e-9, "test": 1e-9})
    for wrong in ({"train": 0.5}, {"train": 1.5, "test": -0.5}, {"a/b": 1.0}, {"..": 1.0}, {}):
        with pytest.raises(InvalidInputError, match=r"must be|letters|sum"):
            tokenize(texts, fake, out, splits=wrong)
    assert list(tmp_path.iterdir()) == []
    tokenize(texts, fake, out, splits=SIDES)
    with pytest.raises(InvalidInputError, match="already holds a dataset"):
        tokenize(texts, fake, out, splits=SIDES)
    with pytest.raises(InvalidInputError, match="already holds a dataset"):
        tokenize(texts, fake, out)
    assert tokenize(texts, fake, out, overwrite=True).num_documents == 200
    made = tokenize([*texts, "x"], fake, out, splits=SIDES, overwrite=True)
    assert sum(dataset.num_documents for dataset in made.values()) == 201
    (out / "notes").mkdir()
    with pytest.raises(InvalidInputError, match='holds "notes"'):
        tokenize(texts, fake, out, splits=SIDES, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_binary_files_of_a_folder_are_skipped_once(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("good")
    (folder / "b.txt").write_bytes(b"\0")
    (folder / "c.txt").write_bytes(b"\xff")
    dataset = tokenize(folder, ByteTokenizer(), tmp_path / "set", errors="skip")
    assert (texts_of(dataset), dataset.num_skipped) == (["good"], 2)


def test_named_documents_keep_their_names_in_errors(tmp_path: Path) -> None:
    with pytest.raises(EncodingError, match=r"mine has half of a surrogate pair at character 1"):
        tokenize([Document("a\ud800", "mine")], ByteTokenizer(), tmp_path / "set")
