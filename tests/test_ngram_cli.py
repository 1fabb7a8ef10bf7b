"""`lexigram ngram`: the whole way from text to the next token."""

from __future__ import annotations

import argparse
import io
import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexigram import NgramModel, Tokenizer
from lexigram.cli import ngram, sizes
from lexigram.cli.ngram.vocabulary import WordText
from lexigram.data import tokenize
from lexigram.errors import FormatError, InvalidInputError, MissingFileError

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
    (tmp_path / "text.txt").write_text(TEXT)
    tokenizer = Tokenizer.train([TEXT], 270, special_tokens=["<|endoftext|>"])
    tokenizer.save(tmp_path / "tokenizer.json")
    tokenize(tmp_path / "text.txt", tokenizer, tmp_path / "shards")
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

    assert run("query", model, "--prompt", "the cat ate the", "--json") == 0
    best = json.loads(capsys.readouterr().out)[0]
    assert " rat".startswith(best["token"])
    assert run("query", model, "--prompt", "the cat ate the") == 0
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


def json_of(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


SENTENCES = "a cat sat\nthe cat sat on the mat\n\nthe mat sat\n" * 5


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A model of words, order 3."""
    (tmp_path / "train.txt").write_text(SENTENCES)
    arguments = ["train", tmp_path / "train.txt", "--words", "--order", 3]
    assert run(*arguments, "--out", tmp_path / "w.ngram", "--arpa", tmp_path / "w.arpa") == 0
    return tmp_path


@pytest.fixture
def tokens(folder: Path) -> Path:
    """The folder with a model of tokens, order 4, in it."""
    paths = ["train", folder / "shards", "--tokenizer", folder / "tokenizer.json"]
    assert run(*paths, "--out", folder / "t.ngram", "--order", 4) == 0
    return folder


HELD_OUT = "the cat sat on a mat\nthe dog sat\n\n"


def test_words_are_measured_as_query_does(words: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (words / "test.txt").write_text(HELD_OUT)
    capsys.readouterr()
    assert run("evaluate", words / "w.ngram", words / "test.txt", "--json") == 0
    measured = json_of(capsys)
    model = NgramModel.load(words / "w.ngram")
    expected = model.perplexity_words(words / "test.txt")
    assert measured["tokens"] == expected.num_tokens == 12
    assert measured["perplexity"] == pytest.approx(expected.including_oov)
    assert measured["perplexity_excluding_oov"] == pytest.approx(expected.excluding_oov)
    assert measured["oov"] == 1
    assert measured["oov_rate"] == pytest.approx(1 / 12)
    assert measured["bytes"] == len(HELD_OUT)
    bits = -expected.logprob / math.log(2)
    assert measured["bits_per_byte"] == pytest.approx(bits / len(HELD_OUT))
    assert sum(measured["order_used"].values()) == pytest.approx(1)
    assert run("evaluate", words / "w.ngram", words / "test.txt") == 0
    said = capsys.readouterr()
    assert "order used" in said.out
    assert "1 words are unknown" in said.err


def naive_orders(model: NgramModel, ids: list[int], seen: Counter[tuple[int, ...]]) -> list[int]:
    """The length of the longest n-gram of the training text that ends at each id."""
    orders = []
    for place in range(1, len(ids)):
        begin = max(n for n in range(place) if ids[n] == model.document_separator)
        longest = min(model.order, place - begin + 1)
        grams = (tuple(ids[place - n + 1 : place + 1]) for n in range(longest, 0, -1))
        orders.append(next((len(gram) for gram in grams if gram in seen), 1))
    return orders


def test_the_orders_used_are_the_longest_that_were_seen(
    words: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = NgramModel.load(words / "w.ngram")
    assert model.words is not None
    vocabulary = WordText(model.words, model.document_separator)
    seen: Counter[tuple[int, ...]] = Counter()
    for line in SENTENCES.splitlines(keepends=True):
        ids = vocabulary.encode(line.encode(), whole=True).tolist()
        for n in (1, 2, 3):
            seen.update(tuple(ids[i : i + n]) for i in range(len(ids) - n + 1))
    ids = vocabulary.encode(HELD_OUT.encode(), whole=True).tolist()
    expected = naive_orders(model, ids, seen)
    (words / "test.txt").write_text(HELD_OUT)
    capsys.readouterr()
    assert run("evaluate", words / "w.ngram", words / "test.txt", "--json") == 0
    shares = json_of(capsys)["order_used"]
    assert shares == {
        str(order): pytest.approx(number / len(expected))
        for order, number in sorted(Counter(expected).items())
    }
    assert run("query", words / "w.ngram", "the dog sat", "--json") == 0
    ids = vocabulary.encode(b"the dog sat\n", whole=True).tolist()
    assert [row["order"] for row in json_of(capsys)["rows"]] == naive_orders(model, ids, seen)
    assert naive_orders(model, ids, seen) == [2, 1, 1, 2]


def test_query_shows_each_word(
    words: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = NgramModel.load(words / "w.ngram")
    capsys.readouterr()
    assert run("query", words / "w.ngram", "the cat dog", "--top", 2, "--json") == 0
    said = json_of(capsys)
    scores = model.score_words("the cat dog")
    assert [row["token"] for row in said["rows"]] == ["the", "cat", "<unk>", "</s>"]
    np.testing.assert_allclose([row["log10"] for row in said["rows"]], scores / math.log(10))
    np.testing.assert_allclose([row["bits"] for row in said["rows"]], -scores / math.log(2))
    assert said["oov"] == 1
    assert said["perplexity"] == pytest.approx(math.exp(-scores.mean()))
    logprobs = model.next_logprobs([1], dtype=np.float64)  # after the beginning of a sentence
    assert said["rows"][0]["entropy"] == pytest.approx(
        -float(np.exp(logprobs) @ logprobs) / math.log(2)
    )
    best = said["rows"][0]["alternatives"]
    assert best[0]["token"] == "the"
    assert best[0]["probability"] == pytest.approx(math.exp(logprobs.max()))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"the cat\nthe mat\n")))
    assert run("query", words / "w.ngram") == 0
    out = capsys.readouterr().out
    assert out.count("</s>") == 2
    assert f"{(scores / math.log(10))[0]:.4f}" in out


def test_query_shows_each_token(tokens: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = NgramModel.load(tokens / "t.ngram")
    tokenizer = Tokenizer.load(tokens / "tokenizer.json")
    capsys.readouterr()
    assert run("query", tokens / "t.ngram", "the cat ate", "--json") == 0
    rows = json_of(capsys)["rows"]
    ids = [model.document_separator, *tokenizer.encode_ordinary("the cat ate")]
    assert [row["id"] for row in rows] == ids[1:]
    scores = model.score(ids, dtype=np.float64)[1:]
    np.testing.assert_allclose([row["log10"] for row in rows], scores / math.log(10))
    assert "alternatives" not in rows[0]


def test_stupid_backoff_is_normalised_to_be_measured(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = ["train", folder / "shards", "--tokenizer", folder / "tokenizer.json"]
    assert run(*paths, "--smoothing", "stupid_backoff", "--out", folder / "s.ngram") == 0
    capsys.readouterr()
    assert run("evaluate", folder / "s.ngram", folder / "text.txt", "--json") == 0
    told = capsys.readouterr()
    assert "normalised" in told.err
    model = NgramModel.load(folder / "s.ngram").normalized()
    text = (folder / "text.txt").read_text()
    ids = Tokenizer.load(folder / "tokenizer.json").encode_ordinary(text)
    assert json.loads(told.out)["bits_per_byte"] == pytest.approx(
        model.bits_per_byte(ids, len(text))
    )


def test_tokens_that_training_never_saw(tokens: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tokens / "other.txt").write_text("the cat%%")
    capsys.readouterr()
    assert run("evaluate", tokens / "t.ngram", tokens / "other.txt", "--json") == 0
    measured = json_of(capsys)
    assert measured["oov"] == 2
    assert measured["perplexity_excluding_oov"] < measured["perplexity"]


def test_generate_continues(tokens: Path, words: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    ask = ["generate", words / "w.ngram", "--prompt", "the cat sat on", "--strategy", "greedy"]
    assert run(*ask) == 0
    assert capsys.readouterr().out == "the mat sat\n"
    assert run(*ask, "--json") == 0
    said = json_of(capsys)
    assert said["text"] == "the mat sat"
    assert said["finish_reason"] == "stop"
    draw = ["generate", tokens / "t.ngram", "--seed", 3, "--max-new-tokens", 20]
    texts = []
    for _ in range(2):
        assert run(*draw) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert run(*draw, "--prompt", "the cat ate", "--stop", "rat", "--strategy", "greedy") == 0
    assert capsys.readouterr().out == " the \n"
    NgramModel.train([0, 1, 2, 0, 1], order=2, vocab_size=3).save(tokens / "bare.ngram")
    with pytest.raises(InvalidInputError, match="carries no tokenizer"):
        run("generate", tokens / "bare.ngram")


def test_there_and_back_through_arpa(words: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = NgramModel.load(words / "w.ngram")
    assert run("convert", words / "w.ngram", words / "again.arpa") == 0
    assert (words / "again.arpa").read_bytes() == (words / "w.arpa").read_bytes()
    assert run("convert", words / "again.arpa", words / "back.ngram") == 0
    back = NgramModel.load(words / "back.ngram")
    for sentence in HELD_OUT.splitlines():
        expected = model.score_words(sentence)
        np.testing.assert_allclose(back.score_words(sentence), expected, rtol=1e-5)
    capsys.readouterr()
    assert run("convert", words / "w.ngram", words / "q.ngram", "--quantize", 4, "--json") == 0
    assert json_of(capsys)["ngrams"] == list(model.num_ngrams)
    assert NgramModel.load(words / "q.ngram").quantized == 4
    with pytest.raises(InvalidInputError, match="decimal numbers"):
        run("convert", words / "w.ngram", words / "q.arpa", "--quantize", 4)
    with pytest.raises(InvalidInputError, match=r"name it \.arpa"):
        run("convert", words / "w.ngram", words / "w.arpa.gz")
    with pytest.raises(MissingFileError, match="neither a model nor an ARPA file"):
        run("convert", words / "none", words / "q.ngram")
    (words / "bad.arpa").write_text("no n-grams here")
    with pytest.raises(FormatError):
        run("convert", words / "bad.arpa", words / "bad.ngram")
    assert not (words / "bad.ngram").exists()


def test_a_damaged_model_is_refused(words: Path) -> None:
    content = bytearray((words / "w.ngram").read_bytes())
    content[len(content) // 2] ^= 1
    (words / "w.ngram").write_bytes(content)
    (words / "test.txt").write_text(HELD_OUT)
    with pytest.raises(FormatError):
        run("evaluate", words / "w.ngram", words / "test.txt")
    with pytest.raises(FormatError):
        run("convert", words / "w.ngram", words / "out.arpa")
    assert not (words / "out.arpa").exists()


def test_prune_drops_ngrams(words: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    prune = ["prune", words / "w.ngram", "--out", words / "p.ngram"]
    assert run(*prune, "--threshold", 0.05, "--json") == 0
    said = json_of(capsys)
    pruned = NgramModel.load(words / "w.ngram").prune(0.05)
    assert said["ngrams"] == list(pruned.num_ngrams)
    assert sum(said["ngrams"]) < sum(said["ngrams_before"])
    assert said["kept"] == sum(said["ngrams"]) / sum(said["ngrams_before"])
    assert NgramModel.load(words / "p.ngram").num_ngrams == pruned.num_ngrams


def test_train_takes_every_option(words: Path) -> None:
    (words / "more.txt").write_text("a cat <unk> mat\n")
    both = ["train", words / "train.txt", words / "more.txt", "--words", "--order", 2]
    options = ["--skip-symbols", "--min-count", 2, "--kenlm-compatible", "--threads", 1]
    assert run(*both, *options, "--quantize", 8, "--out", words / "x.ngram") == 0
    expected = NgramModel.train_words(
        [words / "train.txt", words / "more.txt"],
        order=2,
        skip_symbols=True,
        min_count=2,
        kenlm_compatible=True,
    )
    trained = NgramModel.load(words / "x.ngram")
    assert trained.num_ngrams == expected.num_ngrams
    assert trained.quantized == 8
    assert run(*both, "--skip-symbols", "--prune-entropy", 0.1, "--out", words / "y.ngram") == 0
    assert sum(NgramModel.load(words / "y.ngram").num_ngrams) < sum(expected.num_ngrams)


def test_words_of_other_sources_are_read_as_lines(words: Path) -> None:
    rows = [json.dumps({"text": text}) for text in ("a cat sat", "the mat\nsat\n")]
    (words / "rows.jsonl").write_text("\n".join(rows) + "\n")
    (words / "rows.txt").write_text("a cat sat\nthe mat\nsat\n")
    models = []
    for name in ("rows.jsonl", "rows.txt"):
        out = words / f"{name}.ngram"
        assert run("train", words / name, "--words", "--order", 2, "--out", out) == 0
        models.append(out.read_bytes())
    assert models[0] == models[1]


def test_options_that_do_not_fit_are_told(words: Path, folder: Path) -> None:
    out = ["--out", words / "x.ngram"]
    token = ["--tokenizer", folder / "tokenizer.json"]
    with pytest.raises(InvalidInputError, match="add --words"):
        run("train", folder / "shards", "--kenlm-compatible", *token, *out)
    with pytest.raises(InvalidInputError, match="one token dataset"):
        run("train", folder / "shards", folder / "text.txt", *token, *out)
    for wrong in (["--memory-limit", "much"], ["--words", *token]):
        with pytest.raises(SystemExit) as caught:
            run("train", folder / "shards", *out, *wrong)
        assert caught.value.code == 2
    assert not (words / "x.ngram").exists()


@pytest.mark.parametrize(
    ("text", "size"), [("512M", 512 << 20), ("2G", 2 << 30), ("1.5k", 1536), ("7", 7)]
)
def test_sizes(text: str, size: int) -> None:
    assert sizes.size(text) == size


def test_memory_limit_gives_the_same_model(folder: Path) -> None:
    paths = ["train", folder / "shards", "--tokenizer", folder / "tokenizer.json"]
    assert run(*paths, "--out", folder / "a.ngram") == 0
    assert run(*paths, "--out", folder / "b.ngram", "--memory-limit", "64M") == 0
    assert (folder / "a.ngram").read_bytes() == (folder / "b.ngram").read_bytes()


@pytest.mark.parametrize(
    "action",
    ["train", "count", "merge", "evaluate", "query", "generate", "convert", "prune", "curve"],
)
def test_help_shows_an_example(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(action, "--help")
    assert caught.value.code == 0
    assert f"lexigram ngram {action} " in capsys.readouterr().out.split("examples:")[1]
