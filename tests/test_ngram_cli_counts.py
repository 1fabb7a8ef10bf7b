"""`lexigram ngram count` and `merge`: parts of a corpus become the model of the whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lexigram import NgramCounts, NgramModel, Tokenizer
from lexigram.data import tokenize
from lexigram.errors import InvalidInputError
from test_ngram_cli import run

PARTS = ["the cat sat on the mat and the dog\n" * 9, "a rat ate the cat\nthe end\n" * 7]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files of text, their shards together, and a tokenizer."""
    tokenizer = Tokenizer.train(PARTS, 280, special_tokens=["<|endoftext|>"])
    tokenizer.save(tmp_path / "tokenizer.json")
    for i, part in enumerate(PARTS):
        (tmp_path / f"{i}.txt").write_text(part)
    tokenize(PARTS, tokenizer, tmp_path / "shards")
    for i in range(2):
        arguments = ["count", tmp_path / f"{i}.txt", "--tokenizer", tmp_path / "tokenizer.json"]
        assert run(*arguments, "--order", 3, "--out", tmp_path / f"{i}.counts") == 0
    return tmp_path


def test_parts_merge_to_the_whole(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [folder / "0.counts", folder / "1.counts"]
    capsys.readouterr()
    assert run("count", folder / "shards", "--order", 3, "--out", folder / "all", "--json") == 0
    counted = json.loads(capsys.readouterr().out)
    assert counted["ngrams"] == list(NgramCounts.load(folder / "all").num_ngrams)
    assert run("merge", *parts, "--counts", folder / "merged", "--memory-limit", "8G") == 0
    assert (folder / "merged").read_bytes() == (folder / "all").read_bytes()
    token = ["--tokenizer", folder / "tokenizer.json"]
    for options in ([], ["--smoothing", "witten_bell", "--prune", "0,0,1"]):
        assert run("merge", *parts, *token, *options, "--out", folder / "m.ngram") == 0
        train = ["train", folder / "shards", *token, *options, "--order", 3]
        assert run(*train, "--out", folder / "t.ngram") == 0
        assert (folder / "m.ngram").read_bytes() == (folder / "t.ngram").read_bytes()
    assert run("merge", *parts, "--quantize", 4, "--out", folder / "q.ngram") == 0
    assert NgramModel.load(folder / "q.ngram").quantized == 4
    assert "carries no tokenizer" in capsys.readouterr().err


def test_what_does_not_go_together(folder: Path) -> None:
    part = folder / "0.counts"
    for arguments in ([], ["--out", "a", "--counts", "b"]):
        with pytest.raises(SystemExit) as caught:
            run("merge", part, *arguments)
        assert caught.value.code == 2
    with pytest.raises(InvalidInputError, match="--smoothing is for a model"):
        run("merge", part, "--counts", folder / "c", "--smoothing", "additive")
    Tokenizer.train(PARTS, 270).save(folder / "other.json")
    with pytest.raises(InvalidInputError, match=r"270 tokens, the counts are of \d+"):
        run("merge", part, "--tokenizer", folder / "other.json", "--out", folder / "m.ngram")
    with pytest.raises(InvalidInputError, match="--tokenizer FILE"):
        run("count", folder / "0.txt", "--out", folder / "c")
    assert not {"c", "m.ngram"} & {path.name for path in folder.iterdir()}
