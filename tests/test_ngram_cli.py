"""`lexigram ngram`: the whole way from text to the next token."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from lexigram import NgramModel
from lexigram.cli import ngram
from lexigram.errors import InvalidInputError

TEXT = "the cat sat on the mat\nthe cat ate the rat\n" * 20


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    ngram.add_parser(parser.add_subparsers(dest="command"))
    args = parser.parse_args(["ngram", *map(str, arguments)])
    status: int = args.run(args)
    return status


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Text, a tokenizer and the shards that it makes of the text."""
    tokenizers = pytest.importorskip("lexigram.tokenizer")
    data = pytest.importorskip("lexigram.data")
    (tmp_path / "text.txt").write_text(TEXT)
    tokenizer = tokenizers.Tokenizer.train([TEXT], 270, special_tokens=["<|endoftext|>"])
    tokenizer.save(tmp_path / "tokenizer.json")
    data.tokenize(tmp_path / "text.txt", tokenizer, tmp_path / "shards")
    return tmp_path


@pytest.mark.parametrize("source", ["shards", "text.txt"])
def test_from_text_to_the_next_token(
    folder: Path, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model, tokenizer = folder / "m.ngram", folder / "tokenizer.json"
    paths = ["train", folder / source, "--tokenizer", tokenizer, "--out", model, "--order", 4]
    assert run(*paths, "--json") == 0
    trained = json.loads(capsys.readouterr().out)
    loaded = NgramModel.load(model)
    assert trained["ngrams"] == list(loaded.num_ngrams)
    assert loaded.tokenizer == tokenizer.read_text(encoding="utf-8")

    assert run("evaluate", model, folder / source, "--json") == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["bytes"] == len(TEXT)
    assert 0 < measured["bits_per_byte"] < 1
    assert measured["perplexity"] > 1

    assert run("query", model, "--prompt", "the c", "--json") == 0
    best = json.loads(capsys.readouterr().out)[0]
    assert best["token"].startswith("at")
    assert run("query", model, "--prompt", "the c") == 0
    assert repr(best["token"]) in capsys.readouterr().out


def test_text_needs_a_tokenizer(folder: Path) -> None:
    with pytest.raises(InvalidInputError, match="--tokenizer FILE"):
        run("train", folder / "text.txt", "--out", folder / "m.ngram")
    assert not (folder / "m.ngram").exists()


def test_query_by_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = NgramModel.train([0, 1, 2, 0, 1, 3, 0, 1], order=2, vocab_size=4)
    model.save(tmp_path / "m.ngram")
    assert run("query", tmp_path / "m.ngram", "--ids", "2,0", "--top", 2, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    logprobs = model.next_logprobs([2, 0], dtype=np.float64)
    assert [row["id"] for row in rows] == np.argsort(-logprobs, kind="stable")[:2].tolist()
    assert [row["logprob"] for row in rows] == sorted(logprobs, reverse=True)[:2]
    assert run("query", tmp_path / "m.ngram", "--ids", "0", "--top", 1) == 0
    assert f"{np.exp(logprobs[1]):.4f}" in capsys.readouterr().out
    with pytest.raises(InvalidInputError, match="give the prompt as --ids"):
        run("query", tmp_path / "m.ngram", "--prompt", "text")
    with pytest.raises(InvalidInputError, match="--top 0"):
        run("query", tmp_path / "m.ngram", "--ids", "0", "--top", 0)


@pytest.mark.parametrize("arguments", [["--ids", "a"], [], ["--ids", "1", "--prompt", "x"]])
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("query", "m.ngram", *arguments)
    assert caught.value.code == 2
