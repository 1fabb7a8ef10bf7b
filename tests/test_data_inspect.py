"""`lexigram data inspect`: the fast counts are those of a naive count, and what is shown."""

from __future__ import annotations

import json
from collections import Counter
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_tokenizer import ByteTokenizer
from lexigram.cli import main
from lexigram.data import TokenDataset, statistics, tokenize
from lexigram.data.statistics import describe, zipf
from lexigram.figures import log_bins


def dataset(path: Path, texts: list[str]) -> TokenDataset:
    return tokenize(texts, ByteTokenizer(), path)


@given(
    st.lists(st.text("abc", max_size=12), max_size=20).filter(any),
    st.integers(1, 9),
    st.integers(0, 5),
    st.integers(1, 10),
)
def test_one_pass_counts_what_a_naive_count_finds(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    size: int,
    longest: int,
    exact: int,
) -> None:
    found = dataset(tmp_path_factory.mktemp("set") / "d", texts)
    kept = statistics._SLICE, statistics._EXACT
    statistics._SLICE, statistics._EXACT = size, exact
    try:
        told: list[tuple[int, int]] = []
        got = describe(found, longest=longest, progress=lambda *a: told.append(a))
    finally:
        statistics._SLICE, statistics._EXACT = kept
    documents = [ids.tolist() for ids in found.documents()]
    counts = Counter(i for ids in documents for i in ids)
    assert {i: int(n) for i, n in enumerate(got.counts) if n} == counts
    lengths = Counter(map(len, documents))
    assert dict(zip(got.lengths.tolist(), got.documents.tolist(), strict=True)) == lengths
    assert got.lengths.tolist() == sorted(lengths)
    order = sorted(range(len(documents)), key=lambda i: (-len(documents[i]), i))[:longest]
    assert got.longest == [(i, len(documents[i])) for i in order]
    assert told[-1] == (len(found), len(found))
    total = sum(counts.values())
    entropy = -sum(n / total * log2(n / total) for n in counts.values()) if total else 0.0
    assert got.entropy == pytest.approx(entropy, abs=1e-12)
    assert got.distinct == len(counts)
    assert got.empty == lengths[0]
    assert got.top(2) == sorted(counts.items(), key=lambda x: (-x[1], x[0]))[:2]
    assert got.ranked().tolist() == sorted(counts.values(), reverse=True)
    for part in (0.0, 0.3, 0.5, 1.0):
        at = got.quantile(part)
        assert sum(n for length, n in lengths.items() if length <= at) >= part * len(documents)
        assert sum(n for length, n in lengths.items() if length < at) < max(
            part * len(documents), 1e-9
        )


@pytest.mark.parametrize("slope", [-0.8, -1.0, -1.3])
def test_the_slope_of_a_law_is_found(slope: float) -> None:
    ranks = np.arange(1, 5001)
    line = zipf(np.rint(1e9 * ranks**slope).astype(np.int64))
    assert line is not None
    assert line.slope == pytest.approx(slope, abs=1e-3)
    assert line.r_squared > 0.9999
    assert line.first_rank == 10
    rounded = np.rint(20_000 * ranks**-1.0).astype(np.int64)
    cut = zipf(rounded)
    assert cut is not None
    assert rounded[cut.last_rank - 1] >= 10 > rounded[cut.last_rank]
    assert zipf(np.full(12, 100)) is None


def test_bins_are_powers_of_two() -> None:
    assert log_bins([0, 1, 2, 3, 4, 7, 8], [1, 2, 3, 4, 5, 6, 7]) == (
        [0, 1, 2, 4, 8, 16],
        [1, 2, 7, 11, 7],
    )
    assert log_bins([], []) == ([0, 1], [0])


def run(*argv: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(a) for a in argv])
    return int(caught.value.code or 0)


def test_what_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stdlib_text: str
) -> None:
    texts = [stdlib_text[i : i + 1000 + i % 777] for i in range(0, 100_000, 1000)]
    found = dataset(tmp_path / "set", [*texts, ""])
    assert run("data", "inspect", tmp_path / "set") == 0
    shown = capsys.readouterr().out
    for word in ("distinct tokens", "█", "Zipf slope -", "least squares", "1,024–2,047"):
        assert word in shown
    assert run("data", "inspect", tmp_path / "set", "--json", "--top", 3) == 0
    row: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert row["bytes_per_token"] == 1
    assert row["empty_documents"] == 1
    assert row["top"][0]["id"] == ord(" ")
    assert len(row["top"]) == 3
    assert row["lengths"]["quantiles"]["1"] == row["longest"][0]["tokens"]
    longest = row["longest"][0]
    assert len(found.document(longest["document"])) == longest["tokens"]
    assert run("data", "inspect", tmp_path / "set", "--summary", "--json") == 0
    assert "zipf" not in json.loads(capsys.readouterr().out)


def test_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset(tmp_path / "set", ["some text", "", "more"])
    plot = tmp_path / "a.png"
    assert run("data", "inspect", tmp_path / "set", "--plot", plot) == 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "too few frequent tokens" in capsys.readouterr().out
    for options, message in (
        (("--plot", "a.txt"), "--plot a.txt: must end in .png, .svg, .pdf"),
        (("--plot", "a.png", "--summary"), "--summary reads no token"),
        (("--top", -1), "--top -1: must be 0 or more"),
    ):
        assert run("data", "inspect", tmp_path / "set", *options) == 1
        assert message in capsys.readouterr().err


def test_tokens_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stdlib_text: str
) -> None:
    from lexigram import Tokenizer

    files = []
    for size in (300, 310):
        tokenizer = Tokenizer.train([stdlib_text], size, special_tokens=["<|endoftext|>"])
        files.append(tmp_path / f"{size}.json")
        tokenizer.save(files[-1])
    tokenize([stdlib_text], Tokenizer.load(files[0]), tmp_path / "set")
    argv = ("data", "inspect", tmp_path / "set", "--tokenizer")
    assert run(*argv, files[0]) == 0
    assert "' '" in capsys.readouterr().out
    assert run(*argv, files[1]) == 1
    assert "310.json is not the tokenizer of" in capsys.readouterr().err
