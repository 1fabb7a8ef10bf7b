"""What benchmarks/suffix.py and benchmarks/ngram.py make of a text, and what is measured."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexigram import Tokenizer
from lexigram.suffix import SuffixIndex

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
TEXTS = [f"the {n}th text\nof <s> the corpus, naïve {n % 7} times\n\n" for n in range(450)]

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="the benchmarks need Linux"
)


@pytest.fixture
def suffix(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("suffix")


@pytest.fixture
def ngram_corpora(monkeypatch: pytest.MonkeyPatch) -> Any:
    """With `TEXTS` in place of the texts of LEXIGRAM_DATA."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(importlib.import_module("corpora"), "everything", lambda: iter(TEXTS))
    return importlib.import_module("ngram_corpora")


def test_a_corpus_becomes_ids_that_the_suffix_rows_measure(
    suffix: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(TEXTS)
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    ids = suffix.corpus_ids(tmp_path / "text.txt", 300)
    assert ids.dtype == np.uint16
    tokenizer = Tokenizer.train([text], 300)
    assert tokenizer.decode(ids.tolist()) == text

    monkeypatch.setattr(suffix, "RIVALS", {suffix.OURS: suffix.Lexigram})
    monkeypatch.setattr(suffix, "CALLS", dict.fromkeys(suffix.CALLS, 20))
    tables, versions = suffix.measured(ids, builds=1, rounds=1)
    assert versions == {}
    assert [table.row for table in tables] == ["build", *["count"] * 5, "next", "infinigram"]
    for table in tables:
        assert not table.wrong
        assert len(table.seconds[suffix.OURS]) == 1
    assert "bytes a token" in tables[0].remarks[suffix.OURS]


def test_suffix_rows_mark_a_rival_that_counts_otherwise(suffix: Any, tmp_path: Path) -> None:
    ids = np.arange(40, dtype=np.uint16) % 5
    ours = suffix.Lexigram(ids, tmp_path)

    class Wrong:
        def count(self, runs: Any) -> Any:
            return [0 for _ in runs]

    ready = {suffix.OURS: ours, "wrong": Wrong()}
    table = suffix.rows("count", "", ready, ids[:30].reshape(-1, 2), 1)
    assert table.wrong == {"wrong"}
    assert isinstance(ours.index, SuffixIndex)


def test_ids_of_the_ngram_rows(ngram_corpora: Any, tmp_path: Path) -> None:
    corpus = ngram_corpora.ids(tmp_path, None)
    tokenizer = Tokenizer.load(tmp_path / "tokenizer.json")
    held = [n for n in range(len(TEXTS)) if n % 200 == 199]
    assert (corpus.lines, corpus.vocab_size) == (len(TEXTS) - len(held), tokenizer.n_vocab)
    for array, lines, numbers in (
        (corpus.ids, corpus.text, [n for n in range(len(TEXTS)) if n not in held]),
        (corpus.held_out_ids, corpus.held_out, held),
    ):
        ids = np.load(array)
        assert ids.dtype == np.uint16
        assert ids[-1] == corpus.separator
        found = np.split(ids, np.flatnonzero(ids == corpus.separator) + 1)[:-1]
        assert [tokenizer.decode(part[:-1].tolist()) for part in found] == [
            TEXTS[n] for n in numbers
        ]
        assert lines.read_text().splitlines() == [" ".join(map(str, part[:-1])) for part in found]
    assert corpus.units == (np.load(corpus.ids) != corpus.separator).sum()


def test_words_of_the_ngram_rows(ngram_corpora: Any, tmp_path: Path) -> None:
    corpus = ngram_corpora.words(tmp_path, None)
    held = corpus.held_out.read_text(encoding="utf-8").splitlines()
    assert held == [
        *("the 199th text", "of the corpus, naïve 3 times"),
        *("the 399th text", "of the corpus, naïve 0 times"),
    ]
    lines = corpus.text.read_text(encoding="utf-8").splitlines()
    assert (len(lines), sum(len(line.split()) for line in lines)) == (corpus.lines, corpus.units)
    assert corpus.lines == 2 * (len(TEXTS) - 2)

    part = ngram_corpora.words(tmp_path, 1000)
    assert 1000 <= sum(len(text.encode()) for text in TEXTS[: part.lines // 2]) < 1100
