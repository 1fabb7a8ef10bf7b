"""`lexigram ngram` on texts and numbers that are not usual: other bytes, gzip, extremes."""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lexigram
from lexigram import NgramModel, Tokenizer
from lexigram.cli.ngram.evaluate import _never_seen
from lexigram.cli.ngram.query import _entropy
from lexigram.data import tokenize
from lexigram.errors import EncodingError, FormatError, InvalidInputError
from test_ngram_cli import run

LATIN = "caf\u00e9 noir\nun caf\u00e9\n".encode("latin-1")


def json_of(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A word model of bytes that are not UTF-8."""
    (tmp_path / "latin.txt").write_bytes(LATIN * 3)
    NgramModel.train_words(tmp_path / "latin.txt", order=2).save(tmp_path / "w.ngram")
    return tmp_path


def test_words_of_any_bytes_and_gzip(words: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (words / "latin.txt.gz").write_bytes(gzip.compress(LATIN * 3))
    (words / "hidden.txt").write_bytes(gzip.compress(LATIN * 3))
    measured = []
    for name in ("latin.txt", "latin.txt.gz", "hidden.txt"):
        assert run("evaluate", words / "w.ngram", words / name, "--json") == 0
        measured.append(json_of(capsys))
        del measured[-1]["source"]
    assert measured[0] == measured[1] == measured[2]
    assert (measured[0]["oov"], measured[0]["bytes"]) == (0, 3 * len(LATIN))
    expected = NgramModel.load(words / "w.ngram").perplexity_words(words / "latin.txt.gz")
    assert measured[0]["perplexity"] == pytest.approx(expected.including_oov)
    for damaged in (gzip.compress(LATIN)[:-5], b"\x1f\x8bno gzip"):
        (words / "cut.txt.gz").write_bytes(damaged)
        with pytest.raises(FormatError, match=r"cut\.txt\.gz begins as gzip does, but"):
            run("evaluate", words / "w.ngram", words / "cut.txt.gz")


def test_words_of_any_bytes_are_asked_for(
    words: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    argument = os.fsdecode(b"un caf\xe9")
    assert run("query", words / "w.ngram", argument, "--json") == 0
    assert json_of(capsys)["oov"] == 0
    assert run("query", words / "w.ngram", "--prompt", argument, "--json") == 0
    assert json_of(capsys)[0]["token"] in ("</s>", "noir")
    assert run("generate", words / "w.ngram", "--prompt", argument) == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LATIN), encoding="utf-8"))
    capsys.readouterr()
    assert run("query", words / "w.ngram", "--json") == 0
    assert (json_of(capsys)["oov"], len(LATIN)) == (0, 18)


def test_tokens_need_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = Tokenizer.train(["ab"] * 3, 257, special_tokens=["<|endoftext|>"])
    model = NgramModel.train([0, 1], order=1, vocab_size=tokenizer.n_vocab, tokenizer=tokenizer)
    model.save(tmp_path / "t.ngram")
    argument = os.fsdecode(b"ab\xff")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ab\xff")))
    for asked in (
        ("query", tmp_path / "t.ngram", argument),
        ("query", tmp_path / "t.ngram", "--prompt", argument),
        ("query", tmp_path / "t.ngram"),
        ("generate", tmp_path / "t.ngram", "--prompt", argument),
    ):
        with pytest.raises(EncodingError, match="not UTF-8 at byte 2"):
            run(*asked)


def test_half_a_surrogate_pair(words: Path) -> None:
    with pytest.raises(EncodingError, match="half a surrogate pair at character 3"):
        NgramModel.load(words / "w.ngram").score_words("un \ud800")


def test_a_dataset_of_another_vocabulary(tmp_path: Path) -> None:
    tokenizer = Tokenizer.train(["ab"] * 3, 257, special_tokens=["<|endoftext|>"])
    found = tokenize(["ab", "ba"], tokenizer, tmp_path / "shards")
    size, separator = found.vocab_size, found.document_separator
    assert separator is not None
    for name, options in (
        ("vocab_size", {"vocab_size": size + 1, "document_separator": separator}),
        ("vocab_size", {"vocab_size": 3, "document_separator": 2}),
        ("document_separator", {"vocab_size": size, "document_separator": separator ^ 1}),
        ("document_separator", {"vocab_size": size}),
    ):
        NgramModel.train([0, 1, 2], order=2, **options).save(tmp_path / "m.ngram")
        with pytest.raises(InvalidInputError, match=rf"{name} = \d+, the model"):
            run("evaluate", tmp_path / "m.ngram", tmp_path / "shards")


@given(
    tokens=st.lists(st.integers(0, 9), min_size=1, max_size=60),
    order=st.integers(1, 3),
    smoothing=st.sampled_from(
        [
            "modified_kneser_ney",
            "witten_bell",
            "additive",
            "stupid_backoff",
            "normalized_stupid_backoff",
        ]
    ),
    separator=st.sampled_from([None, 9]),
)
def test_ids_never_seen_are_known_or_not_told(
    tokens: list[int], order: int, smoothing: str, separator: int | None
) -> None:
    model = NgramModel.train(
        tokens, order=order, vocab_size=10, smoothing=smoothing, document_separator=separator
    )
    told = _never_seen(model)
    if told is not None:
        assert told.tolist() == [id not in tokens for id in range(10)]
    else:
        assert smoothing in ("modified_kneser_ney", "normalized_stupid_backoff")


def test_ids_never_seen_that_are_not_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = Tokenizer.train(["ab"] * 3, 257, special_tokens=["<|endoftext|>"])
    (tmp_path / "t.txt").write_text("abba")
    tokenize(tmp_path / "t.txt", tokenizer, tmp_path / "shards")
    tokenizer.save(tmp_path / "tokenizer.json")
    paths = ["train", tmp_path / "shards", "--tokenizer", tmp_path / "tokenizer.json"]
    options = ["--smoothing", "normalized_stupid_backoff", "--out", tmp_path / "m.ngram"]
    assert run(*paths, *options) == 0
    capsys.readouterr()
    assert run("evaluate", tmp_path / "m.ngram", tmp_path / "t.txt", "--json") == 0
    told = capsys.readouterr()
    measured = json.loads(told.out)
    assert measured["oov"] is measured["oov_rate"] is measured["perplexity_excluding_oov"] is None
    assert "does not tell" in told.err
    assert run("evaluate", tmp_path / "m.ngram", tmp_path / "t.txt") == 0
    assert "not known" in capsys.readouterr().out


EXTREME = "\\data\\\nngram 1=4\n\n\\1-grams:\n-1000 <unk>\n0 <s>\n-1000 </s>\n-1000 a\n\n\\end\\\n"


@pytest.mark.filterwarnings("error")
def test_extreme_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.arpa").write_text(EXTREME)
    model = NgramModel.from_arpa(tmp_path / "x.arpa")
    assert model.perplexity([2, 2, 1]) == math.inf
    model.save(tmp_path / "x.ngram")
    assert run("query", tmp_path / "x.ngram", "a a", "--top", 2, "--json") == 0
    said = json_of(capsys)
    assert said["perplexity"] is None
    assert said["rows"][0]["entropy"] == pytest.approx(math.log2(3))
    assert run("query", tmp_path / "x.ngram", "a a") == 0
    assert run("query", tmp_path / "x.ngram", "--prompt", "a") == 0


@pytest.mark.filterwarnings("error")
def test_entropy() -> None:
    shares = np.array([0.5, 0.25, 0.25])
    for scale in (0.0, -2000.0, 2000.0):
        logprobs = np.append(np.log(shares) + scale, -np.inf)
        assert _entropy(logprobs) == pytest.approx(1.5)
    assert _entropy(np.zeros(1)) == 0
    assert math.isnan(_entropy(np.full(3, -np.inf)))


def test_load_says_what_works_instead(words: Path) -> None:
    with pytest.raises(FormatError, match=r"model of words.*lexigram ngram generate.*NgramModel"):
        lexigram.load(words / "w.ngram")
    NgramModel.load(words / "w.ngram").to_arpa(words / "w.arpa")
    with pytest.raises(FormatError, match=r"NgramModel\.from_arpa or `lexigram ngram convert`"):
        lexigram.load(words / "w.arpa")


def test_a_tokenizer_is_an_object() -> None:
    for text in ("5", "[1]", "null", "{"):
        with pytest.raises(InvalidInputError, match="tokenizer = "):
            NgramModel.train([0, 1], order=1, vocab_size=2, tokenizer=text)
