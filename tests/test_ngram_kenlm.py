"""The models against what KenLM's lmplz and query say of the same text.

An end of sentence is a document separator, and one id that never occurs stands for `<unk>`: then
the vocabulary, and with it every probability, is KenLM's. lmplz takes the raw counts of the last
n-gram's suffixes into its counts of counts; the textbook form here does not, which shows in the
fifth digit of these discounts (and wholly in a corpus of 60 characters, so none is compared).
"""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexigram import NgramModel

pytestmark = pytest.mark.corpus

END, UNKNOWN = 0, 1


def read(folder: Path, name: str) -> bytes:
    path = folder / "ngram" / "kenlm_reference" / name
    if path.exists():
        return path.read_bytes()
    return gzip.decompress(Path(f"{path}.gz").read_bytes())


def reference(folder: Path, corpus: str) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(read(folder, "reference.json"))[corpus]
    return entry


def vocabulary(text: bytes) -> dict[bytes, int]:
    words = {b"</s>": END, b"<s>": END, b"<unk>": UNKNOWN}
    for word in text.split():
        words.setdefault(word, len(words) - 1)
    return words


def encode(text: bytes, words: dict[bytes, int]) -> np.ndarray:
    ids: list[int] = []
    for line in text.splitlines():
        ids.extend(words.get(word, UNKNOWN) for word in line.split())
        ids.append(END)
    return np.array(ids, dtype=np.uint32)


def train(folder: Path, corpus: str, order: int) -> tuple[NgramModel, dict[bytes, int]]:
    text = read(folder, reference(folder, corpus)["train"])
    words = vocabulary(text)
    model = NgramModel.train(
        encode(text, words), order=order, vocab_size=len(words) - 1, document_separator=END
    )
    return model, words


@pytest.mark.parametrize(
    ("corpus", "order"),
    [("wt2", 2), ("wt2", 3), ("wt2", 4), ("wt2", 5), ("tiny", 2), ("tiny", 3)],
)
def test_counts_discounts_and_perplexity(lexigram_data: Path, corpus: str, order: int) -> None:
    model, words = train(lexigram_data, corpus, order)
    entry = reference(lexigram_data, corpus)
    expected = entry["orders"][str(order)]
    stats = [expected["stats"][str(k)] for k in range(1, order + 1)]
    # KenLM lists <s> and <unk> among the unigrams.
    assert [model.num_ngrams[0] + 2, *model.num_ngrams[1:]] == [s["ngrams"] for s in stats]
    # Printed with six digits; lmplz counts a few suffixes of one n-gram differently.
    np.testing.assert_allclose(model.discounts, [s["D"] for s in stats], rtol=2e-5)
    ids = np.concatenate([[END], encode(read(lexigram_data, entry["test"]), words)])
    scores = model.score(ids, dtype=np.float64)[1:]
    assert len(scores) == expected["tokens"]
    assert math.exp(-scores.mean()) == pytest.approx(expected["ppl_incl_oov"], rel=1e-5)
    known = scores[ids[1:] != UNKNOWN]
    assert len(scores) - len(known) == expected["oov"]
    assert math.exp(-known.mean()) == pytest.approx(expected["ppl_excl_oov"], rel=1e-5)


@pytest.mark.parametrize(("corpus", "order"), [("wt2", 2), ("wt2", 3), ("tiny", 2), ("tiny", 3)])
def test_every_probability(lexigram_data: Path, corpus: str, order: int) -> None:
    model, words = train(lexigram_data, corpus, order)
    ids: list[int] = []
    last: list[int] = []
    log10: list[float] = []
    for line in read(lexigram_data, f"{corpus}.o{order}.arpa").splitlines():
        fields = line.split(b"\t")
        if len(fields) < 2 or fields[1] == b"<s>":
            continue
        # The unknown id in front was never seen, so that no longer context is read.
        ids += [UNKNOWN, *(words[word] for word in fields[1].split(b" "))]
        last.append(len(ids) - 1)
        log10.append(float(fields[0]))
    assert len(last) == sum(model.num_ngrams) + 1
    scores = model.score(np.array(ids), dtype=np.float64)[last] / math.log(10)
    np.testing.assert_allclose(scores, log10, rtol=0, atol=1e-5)
