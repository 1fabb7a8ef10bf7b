"""Counts by `NgramCounts` against a Counter, and parts of a corpus against the whole."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lexigram
from lexigram import NgramCounts, NgramModel
from lexigram.errors import FormatError, InvalidInputError, MissingFileError, TokenIdError


@given(
    tokens=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    order=st.integers(1, 4),
    limited=st.booleans(),
)
def test_counts_are_those_of_a_counter(tokens: list[int], order: int, limited: bool) -> None:
    counts = NgramCounts.count(
        tokens, order=order, vocab_size=5, memory_limit=1 << 24 if limited else None
    )
    for length in range(1, order + 1):
        windows = (tuple(tokens[i : i + length]) for i in range(len(tokens) - length + 1))
        expected = Counter(windows)
        ids, times = counts.ngrams(length)
        assert {tuple(map(int, g)): int(n) for g, n in zip(ids, times, strict=True)} == expected
        assert counts.num_ngrams[length - 1] == len(expected)
        assert all(counts[gram] == times for gram, times in expected.items())
    assert counts.num_tokens == len(tokens)
    assert counts[[4] * 9] == counts[[7]] == 0


def test_counts_of_parts_merge_to_those_of_the_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    # Frequencies of words: by rank.
    tokens = np.minimum(rng.zipf(1.3, 60_000), 900).astype(np.uint16)
    tokens[::31] = 0
    parts = np.split(tokens, [31 * 400 + 1, 31 * 1100 + 1])
    options = {"order": 4, "vocab_size": 901, "document_separator": 0}
    for i, part in enumerate(parts):
        NgramCounts.count(part, **options).save(tmp_path / f"{i}.counts")
    files = [tmp_path / f"{i}.counts" for i in range(len(parts))]
    seen: list[tuple[int, int]] = []
    merged = NgramCounts.merge(files, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (901, 901)
    whole = NgramCounts.count(tokens, **options)
    for length in range(1, 5):
        for ours, theirs in zip(merged.ngrams(length), whole.ngrams(length), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    merged.save(tmp_path / "merged.counts")
    NgramCounts.merge(files, memory_limit=1 << 20).save(tmp_path / "limited.counts")
    whole.save(tmp_path / "whole.counts")
    contents = {
        (tmp_path / f"{name}.counts").read_bytes() for name in ("merged", "limited", "whole")
    }
    assert len(contents) == 1
    model = NgramModel.train(tokens, **options)
    # A count makes as many models as are asked for.
    for _ in range(2):
        np.testing.assert_array_equal(merged.model().score(tokens), model.score(tokens))
    backoff = merged.model(smoothing="witten_bell", prune=[0, 1])
    expected = NgramModel.train(tokens, smoothing="witten_bell", prune=[0, 1], **options)
    np.testing.assert_array_equal(backoff.score(tokens), expected.score(tokens))


def test_what_cannot_be_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenIdError, match="token id 9 at position 1"):
        NgramCounts.count([0, 9], vocab_size=3)
    with pytest.raises(InvalidInputError, match="vocab_size"):
        NgramCounts.count([0, 1])
    words = r"^memory_limit = 1000: with these options and 2 tokens at least \d+ MiB are needed; "
    with pytest.raises(InvalidInputError, match=words):
        NgramCounts.count([0, 1], vocab_size=3, memory_limit=1000)
    for limit in (0, -1, 2**63, 1.5):
        with pytest.raises(InvalidInputError, match="memory_limit = "):
            NgramCounts.count([0, 1], vocab_size=3, memory_limit=limit)
        with pytest.raises(InvalidInputError, match="memory_limit = "):
            NgramCounts.merge([NgramCounts.count([0, 1], vocab_size=3)], memory_limit=limit)
    with pytest.raises(InvalidInputError, match="give at least one"):
        NgramCounts.merge([])
    one = NgramCounts.count([0, 1], order=2, vocab_size=3)
    other = NgramCounts.count([0, 1], order=3, vocab_size=3)
    with pytest.raises(InvalidInputError, match="all parts must have those of the first"):
        NgramCounts.merge([one, other])
    with pytest.raises(MissingFileError):
        NgramCounts.load(tmp_path / "none.counts")
    path = tmp_path / "a.counts"
    one.save(path)
    with pytest.raises(FormatError):
        NgramModel.load(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FormatError):
        NgramCounts.load(path)
    with pytest.raises(InvalidInputError, match="order = 3: use 1 to 2"):
        one.ngrams(3)


_LIMITED = """
import sys, numpy as np, lexigram
ids = np.random.default_rng(0).integers(0, 5000, 3_000_000, dtype=np.uint16)
limit = int(sys.argv[1]) or None
counts = lexigram.NgramCounts.count(ids, order=3, vocab_size=5000, memory_limit=limit)
own = [int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")]
print(own[0] * 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_memory_limit_keeps_counts_out_of_memory() -> None:
    def held(limit: int) -> int:
        command = [sys.executable, "-c", _LIMITED, str(limit)]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    # Three million distinct trigrams and as many bigrams: about 60 MB of counts.
    assert held(0) - held(32 << 20) > 30 << 20


def test_a_limit_of_8_gib() -> None:
    counts = NgramCounts.count([0, 1, 0, 1], order=2, vocab_size=2, memory_limit=8 << 30)
    assert NgramCounts.merge([counts, counts], memory_limit=8 << 30)[[0, 1]] == 4


def test_ids_of_every_integer_type() -> None:
    counts = NgramCounts.count([0, 3, 3, 1], order=2, vocab_size=4)
    assert counts[np.int64(3)] == counts[np.uint16(3)] == counts[3] == 2
    assert counts[np.array([3, 1])] == counts[(3, 1)] == 1
    assert counts[np.int64(-1)] == 0
    for wrong in ("ab", [1.5], None, 1.5):
        with pytest.raises(InvalidInputError, match=r"ngram = .*give an id"):
            counts[wrong]


def test_the_worked_example_of_the_formats(tmp_path: Path) -> None:
    counts = NgramCounts.count([0, 1, 2, 0, 1, 2], order=2, vocab_size=3, document_separator=2)
    counts.save(tmp_path / "e.counts")
    data = (tmp_path / "e.counts").read_bytes()
    sections = {}
    for at in range(40, 40 + 5 * 32, 32):
        tag, offset, length = struct.unpack_from("<16sQQ", data, at)
        sections[tag.rstrip(b"\0").decode()] = (offset, data[offset : offset + length])
    assert (data[8:16], len(data)) == (b"NGRC\1\0\0\0", 528)
    assert {name: (at, len(part)) for name, (at, part) in sections.items()} == {
        "header": (256, 48),
        "words": (320, 12),
        "counts": (384, 24),
        "children": (448, 16),
        "heads": (512, 0),
    }
    assert struct.unpack("<6Q", sections["header"][1]) == (2, 3, 2, 6, 0, 3)
    assert struct.unpack("<3I", sections["words"][1]) == (1, 2, 0)
    assert struct.unpack("<6I", sections["counts"][1]) == (2, 2, 2, 2, 2, 2)
    assert struct.unpack("<4I", sections["children"][1]) == (0, 1, 2, 3)


def test_the_class_is_public() -> None:
    assert lexigram.NgramCounts is NgramCounts
    assert "num_tokens=2" in repr(NgramCounts.count([0, 1], order=2, vocab_size=3))
