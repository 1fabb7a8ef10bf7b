"""Compiled vocabularies: loading a second time is quick, and right whatever lies in the cache."""

from __future__ import annotations

import pickle
import random
import struct
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from lexigram import Tokenizer
from lexigram.errors import FormatError

TEXT = "low lower lowest <|end|> newest, wider than é \U0001f44d" + " lowest" * 9_000
SPECIAL = {"<|end|>": 300}

EXAMPLE = [b64encode(token).decode() for token in (*map(bytes, zip(range(256))), b"lo", b"low")]
DOCUMENTED = {
    "key": (320, 16), "bytes": (384, 266), "starts": (704, 1040), "others": (1792, 4),
    "slots": (1856, 8192), "merges": (10048, 24), "pairs": (10112, 8192),
    "byte_pairs": (18304, 262_144),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the cache is, too


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tokenizer = Tokenizer.train(["low lower lowest newer wider, newest of all"] * 9, 299)
    tokenizer.to_tiktoken(tmp_path / "made.tiktoken")
    return tmp_path / "made.tiktoken"


def load(source: Path, *, cache: bool = True) -> Tokenizer:
    return Tokenizer.from_tiktoken(source, "cl100k", SPECIAL, cache=cache)


def kept() -> Path:
    """The one file in the cache."""
    (file,) = Path("cache").rglob("*.*")
    assert file.parent == Path("cache/compiled")
    return file


def assert_right(loaded: Tokenizer, source: Path) -> None:
    right = load(source, cache=False)
    assert loaded == right
    assert loaded.fingerprint == right.fingerprint
    assert loaded.encode(TEXT, allowed_special="all") == right.encode(TEXT, allowed_special="all")
    assert loaded.merges == right.merges
    assert loaded.token_byte_values() == right.token_byte_values()


def test_the_second_load_is_the_same(source: Path) -> None:
    assert_right(load(source), source)
    before = kept().read_bytes(), kept().stat().st_mtime_ns
    loaded = load(source)
    assert (kept().read_bytes(), kept().stat().st_mtime_ns) == before, "not written again"
    assert_right(loaded, source)
    assert loaded.name == "made"
    again = pickle.loads(pickle.dumps(loaded))
    assert again == loaded
    assert again.name == "made"
    loaded.to_tiktoken("again.tiktoken")
    assert Path("again.tiktoken").read_bytes() == source.read_bytes()
    # The pattern is no part of what is kept.
    other = Tokenizer.from_tiktoken(source, None, SPECIAL, cache=True)
    assert other.pattern is None
    assert other == Tokenizer.from_tiktoken(source, None, SPECIAL)
    kept()


def test_nothing_is_kept_unasked(source: Path) -> None:
    load(source, cache=False)
    assert not Path("cache").exists()


def test_another_content_or_special_token_is_another_file(source: Path) -> None:
    load(source)
    moved = Tokenizer.from_tiktoken(source, "cl100k", {"<|end|>": 301}, cache=True)
    assert moved.special_tokens == {"<|end|>": 301}
    shorter = source.read_bytes().splitlines(keepends=True)[:-1]
    source.write_bytes(b"".join(shorter))
    assert_right(load(source), source)
    assert len(list(Path("cache/compiled").iterdir())) == 3


def test_what_is_wrong_with_a_source_is_said_as_before(source: Path) -> None:
    source.write_bytes(source.read_bytes() + b"no line\n")
    with pytest.raises(FormatError, match="is not base64"):
        load(source)
    assert not Path("cache").exists()


@pytest.mark.parametrize("tag", ["header", "key", "bytes", "starts", "others", "slots", "merges",
                                 "pairs", "byte_pairs", "checksums"])  # fmt: skip
def test_damage_in_every_section(source: Path, tag: str) -> None:
    load(source)
    good = kept().read_bytes()
    offset, size = {**sections(good), "header": (8, 300), "checksums": (len(good) - 16, 16)}[tag]
    draw = random.Random(tag)
    for _ in range(5):
        bad = bytearray(good)
        bad[offset + draw.randrange(size)] ^= 1 << draw.randrange(8)
        kept().write_bytes(bad)
        assert_right(load(source), source)


def test_a_cut_or_foreign_file(source: Path) -> None:
    load(source)
    good = kept().read_bytes()
    for bad in (b"", good[:30], good[:1000], good[: len(good) // 2], good[:-1], good + b"x",
                b"text of another program" * 99, bytes(len(good))):  # fmt: skip
        kept().write_bytes(bad)
        assert_right(load(source), source)
        assert kept().read_bytes() == good, "made again"


def sections(raw: bytes) -> dict[str, tuple[int, int]]:
    (number,) = struct.unpack_from("<I", raw, 16)
    entries = struct.iter_unpack("<16sQQ", raw[40 : 40 + 32 * number])
    return {tag.rstrip(b"\0").decode(): (offset, size) for tag, offset, size in entries}


def break_folder(folder: Path) -> None:
    folder.write_text("a file where the folder should be")


def close_folder(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o500)


@pytest.mark.parametrize("spoil", [break_folder, close_folder])
def test_a_cache_that_cannot_be_written(source: Path, spoil: Callable[[Path], None]) -> None:
    spoil(Path("cache"))
    assert_right(load(source), source)
    assert_right(load(source), source)


PROCESS = """
import sys
from lexigram import Tokenizer
for _ in range(20):
    loaded = Tokenizer.from_tiktoken(sys.argv[1], "cl100k", {"<|end|>": 300}, cache=True)
    assert loaded.fingerprint == sys.argv[2], loaded.fingerprint
"""


def test_several_processes_at_once(source: Path) -> None:
    right = load(source, cache=False).fingerprint
    command = [sys.executable, "-c", PROCESS, str(source), right]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    kept()


def test_the_documented_example(tmp_path: Path) -> None:
    """The example of docs/formats.md, decoded with `struct` alone."""
    lines = [f"{encoded} {id}\n" for id, encoded in enumerate(EXAMPLE)]
    Path("example.tiktoken").write_text("".join(lines))
    Tokenizer.from_tiktoken("example.tiktoken", None, {"<|x|>": 258}, cache=True)
    raw = kept().read_bytes()
    assert raw[:16] == b"LEXIGRAMVOCB" + struct.pack("<I", 1)
    found = sections(raw)
    values = {tag: raw[offset : offset + size] for tag, (offset, size) in found.items()}
    assert found == DOCUMENTED
    assert len(raw) == 280_464
    assert values["key"] == bytes.fromhex(kept().stem)[::-1]
    assert values["bytes"] == bytes(range(256)) + b"lo" + b"low" + b"<|x|>"
    starts = struct.unpack("<260I", values["starts"])
    assert starts == (*range(257), 258, 261, 266)
    assert struct.unpack("<I", values["others"]) == (258,)
    slots = [(tag, id ^ 0xFFFFFFFF) for tag, id in struct.iter_unpack("<II", values["slots"])]
    assert sorted(id for _, id in slots if id != 0xFFFFFFFF) == list(range(258))
    assert struct.unpack("<6I", values["merges"]) == (108, 111, 256, 256, 119, 257)
    pairs = [slot ^ (2**64 - 1) for (slot,) in struct.iter_unpack("<Q", values["pairs"])]
    for left, right, rank in ((108, 111, 256), (256, 119, 257)):
        key = left << 20 | right
        first, second = places(key, len(pairs) // 2)
        assert key << 24 | rank in (pairs[first], pairs[second])
    assert sum(slot != 2**64 - 1 for slot in pairs) == 2
    byte_pairs = struct.unpack("<65536I", values["byte_pairs"])
    assert {i: rank for i, rank in enumerate(byte_pairs) if rank != 0xFFFFFFFF} == {
        ord("l") << 8 | ord("o"): 256
    }


def places(key: int, size: int) -> tuple[int, int]:
    """Where a pair may stand in two tables of a power of two."""
    shift = 64 - (size.bit_length() - 1)
    first = key * 0x9E3779B97F4A7C15 % 2**64 >> shift
    second = (key ^ key >> 15) * 0xD6E8FEB86659FD93 % 2**64 >> shift
    return first, size + second
