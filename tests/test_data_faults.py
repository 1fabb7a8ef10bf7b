"""Processes that are killed, disks that are full, files that cannot be read: nothing is lost,
nothing is doubled, nothing is left half-written."""

from __future__ import annotations

import ctypes
import json
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_tokenizer import ByteTokenizer
from lexigram.data import TokenDataset, tokenize
from lexigram.errors import FileError, FormatError, InvalidInputError, LexigramError

linux = pytest.mark.skipif(sys.platform != "linux", reason="forks, limits and mounts as on Linux")


def program(folder: Path, *arguments: object) -> Any:
    script = Path(__file__).with_name("data_killer.py")
    done = subprocess.run(
        [sys.executable, str(script), str(folder), *map(str, arguments)],
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def killed(folder: Path, first: int, seeds: int) -> None:
    rows = program(folder, first, seeds)
    assert sum(row["killed"] for row in rows) > seeds / 4, "most ended before they were killed"
    assert sum(row["resumed"] for row in rows) > 0, "none was resumed"


@linux
def test_kill_9_at_any_moment(tmp_path: Path) -> None:
    killed(tmp_path, 0, 12)


@linux
@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 2000, 100))
def test_kill_9_at_many_moments(tmp_path: Path, first: int) -> None:
    killed(tmp_path, first, 100)


@linux
def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    row = program(tmp_path, "limit")
    assert row["failures"] > 100
    assert row["whole"] > 4


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 256 KiB; where none may be mounted, none."""
    libc = ctypes.CDLL(None, use_errno=True)
    path = str(folder).encode()
    if libc.mount(b"none", path, b"tmpfs", 0, b"size=256k"):
        yield folder / "not mounted"
        return
    try:
        yield folder
    finally:
        libc.umount2(path, 2)


@linux
def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    """Where nothing may be mounted, the test of limits stands for this one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    texts = [f"text {i} " * 20 for i in range(3000)]
    with small_disk(disk) as folder:
        if not folder.exists():
            return
        for resume in (False, True):
            with pytest.raises(FileError, match=r"cannot write .*shard-.*No space left"):
                tokenize(texts, ByteTokenizer(), disk / "set", shard_tokens=9000, resume=resume)
            left = sorted(str(path.relative_to(disk)) for path in disk.rglob("*.*s"))
            assert bool(left) == resume, left
            assert all(re.fullmatch(r"set\.partial/set/shard-\d+\.tokens", name) for name in left)
        # With more room, what was kept is of use.
        shown: list[int] = []
        short = texts[:300]
        with pytest.raises(InvalidInputError, match="does not begin with the documents"):
            tokenize(short, ByteTokenizer(), disk / "set", shard_tokens=9000, resume=True)
        dataset = tokenize(short, ByteTokenizer(), disk / "set", shard_tokens=9000)
        assert dataset.num_documents == 300
        assert [path.name for path in disk.iterdir()] == ["set"]
        assert shown == []


def test_an_exception_with_resume_keeps_full_shards(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(1000)]
    out, fake = tmp_path / "set", ByteTokenizer()
    options: dict[str, Any] = {"shard_tokens": 700}

    def broken() -> Iterator[str]:
        yield from texts[:700]
        yield "x" * (5 << 20)  # ends a batch
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokenize(broken(), fake, out, resume=True, **options)
    assert not out.exists()
    with pytest.raises(InvalidInputError, match="does not begin with the documents"):
        tokenize(texts, fake, out, resume=True, **options)
    with pytest.raises(InvalidInputError, match="the interrupted run was another one"):
        tokenize(texts, fake, out, resume=True, shard_tokens=701)
    shown: list[int] = []
    again = [*texts[:700], "x" * (5 << 20), *texts[700:]]
    dataset = tokenize(again, fake, out, resume=True, on_resume=shown.append, **options)
    assert shown == [701], "the long document filled its shard"
    clean = tokenize(again, fake, tmp_path / "clean", **options)
    assert dataset.fingerprint == clean.fingerprint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clean", "set"]
    with pytest.raises(KeyboardInterrupt):
        tokenize(broken(), fake, tmp_path / "b", **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clean", "set"]


def test_of_two_writers_the_second_is_told(tmp_path: Path) -> None:
    inside, leave = threading.Event(), threading.Event()
    made: list[TokenDataset] = []

    def source() -> Iterator[str]:
        yield "first"
        inside.set()
        assert leave.wait(timeout=60)

    def write() -> None:
        made.append(tokenize(source(), ByteTokenizer(), tmp_path / "set"))

    first = threading.Thread(target=write)
    first.start()
    assert inside.wait(timeout=60)
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(InvalidInputError, match=rf"set: process {os.getpid()} is writing it"):
            tokenize(["second"], ByteTokenizer(), tmp_path / "set", **options)
    leave.set()
    first.join()
    assert made[0].document(0).tolist() == list(b"first")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_many_writers_at_once(tmp_path: Path) -> None:
    """Whoever wins, the dataset is whole and nothing is left."""
    texts = [f"text {i}" for i in range(50)]
    told: list[str] = []

    def write(number: int) -> None:
        for _ in range(8):
            try:
                tokenize([*texts, str(number)], ByteTokenizer(), tmp_path / "set", overwrite=True)
            except LexigramError as error:
                told.append(str(error))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert all("is writing it" in line for line in told), told
    dataset = TokenDataset(tmp_path / "set")
    dataset.verify()
    assert dataset.num_documents == 51
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_damage_is_named_by_its_block(tmp_path: Path) -> None:
    rng = random.Random(5)
    dataset = tokenize(["text " * 320_000], ByteTokenizer(), tmp_path / "set")
    path = dataset.directory / "shard-00000.tokens"
    good = path.read_bytes()
    assert len(good) > 3 << 20
    end = int.from_bytes(good[24:32], "little")
    places = [*(rng.randrange(192, end) for _ in range(12)), end - 1, end - 100, 192]
    for at in places:
        bad = bytearray(good)
        bad[at] ^= 1 << rng.randrange(8)
        path.write_bytes(bad)
        with pytest.raises(FormatError, match=path.name) as raised:
            TokenDataset(tmp_path / "set").verify()
        (start,) = re.findall(r"damaged at byte (\d+)", str(raised.value))
        assert int(start) <= at < int(start) + (1 << 20), str(raised.value)


@linux
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("good")
    (folder / "b.jsonl").symlink_to("/proc/self/mem")
    with pytest.raises(FileError, match=r"cannot read .*b\.jsonl"):
        tokenize(folder, ByteTokenizer(), tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["texts"]


def one_long_document(folder: Path, num_bytes: int) -> None:
    text = folder / "long.txt"
    part = b"A line of text, and another one with a number: %d\r\n\0"
    with text.open("wb") as file:
        number = 0
        while file.tell() < num_bytes:
            file.write(b"".join(part % (number + i) for i in range(20_000)))
            number += 20_000
    dataset = tokenize(text, ByteTokenizer(), folder / "set", shard_tokens=1000)
    assert (dataset.num_documents, dataset.num_shards) == (1, 1)
    assert dataset.num_bytes == text.stat().st_size
    dataset.verify()
    with text.open("rb") as file:
        for start in range(0, dataset.num_bytes, 1 << 24):
            stop = min(start + (1 << 24), dataset.num_bytes)
            assert dataset[start:stop].astype(np.uint8).tobytes() == file.read(1 << 24)


def test_one_document_of_50_megabytes(tmp_path: Path) -> None:
    one_long_document(tmp_path, 50_000_000)


@pytest.mark.slow
def test_one_document_of_a_gigabyte(tmp_path: Path) -> None:
    one_long_document(tmp_path, 1_000_000_000)


def test_ten_thousand_tiny_documents_of_all_kinds(tmp_path: Path) -> None:
    kinds = ["", "\0", "\n", "\r\n", "a\rb", "é", "\ufeff", "x"]
    texts = [kinds[i * 7 % 8] + str(i % 3) * (i % 2) for i in range(10_000)]
    for name, write in {
        "a.jsonl": lambda t: "".join(json.dumps({"text": x}) + "\r\n" for x in t),
        "a.txt": "<|doc|>".join,
    }.items():
        path = tmp_path / name
        path.write_bytes(write(texts).encode())
        expected = texts if name == "a.jsonl" else [text for text in texts if text]
        dataset = tokenize(
            path, ByteTokenizer(), tmp_path / "set", overwrite=True, shard_tokens=300,
            document_delimiter="<|doc|>",
        )  # fmt: skip
        assert [bytes(ids.tolist()).decode() for ids in dataset.documents()] == expected
