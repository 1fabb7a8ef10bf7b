"""Bits per byte against closed forms and a naive twin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_models import BYTES, Batching, Bigram, Pieces, Remembering
from lexigram import evaluate
from lexigram.errors import EncodingError, InvalidInputError, TokenIdError
from lexigram.evaluate import Score, Uniform, bits_per_byte, score_documents
from lexigram.evaluate import windows as windows_module
from lexigram.evaluate.windows import windows
from lm_contract import check_language_model

texts = st.lists(st.text(max_size=20), min_size=1, max_size=4).filter(any)
separators = st.none() | st.integers(0, 4)
documents = st.lists(st.lists(st.integers(0, 4), max_size=20), min_size=1, max_size=4).filter(any)


class Dataset:
    """The part of `lexigram.data.TokenDataset` that evaluation uses."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.num_bytes = sum(len(t.encode()) for t in texts)

    def documents(self) -> Any:
        return (np.array(BYTES.encode_ordinary(t), dtype=np.uint16) for t in self.texts)


def test_uniform_keeps_the_contract() -> None:
    for size in (1, 5, 70_000):
        check_language_model(Uniform(size, document_separator=0), np.random.default_rng(0))
    with pytest.raises(InvalidInputError, match="vocab_size=0"):
        Uniform(0)


@given(texts=texts, size=st.integers(259, 5000), separator=st.none() | st.just(3))
def test_uniform_costs_log_v_a_token(texts: list[str], size: int, separator: int | None) -> None:
    tokenizer = Pieces(*(bytes([b]) for b in range(256)), b"aa", "é".encode(), b"0a0")
    tokens = sum(len(tokenizer.encode_ordinary(t)) for t in texts)
    num_bytes = sum(len(t.encode()) for t in texts)
    value = bits_per_byte(Uniform(size, separator), tokenizer, iter(texts))
    assert value == pytest.approx(math.log2(size) * tokens / num_bytes, rel=1e-12)


@given(texts=texts, separator=separators)
def test_bigram_closed_form(texts: list[str], separator: int | None) -> None:
    lm = Bigram.random(256, document_separator=separator)
    nats = 0.0
    for text in texts:
        last = 256 if separator is None else separator
        for byte in text.encode():
            nats -= lm.table[last, byte]
            last = byte
    num_bytes = sum(len(t.encode()) for t in texts)
    score = evaluate.score_texts(lm, BYTES, texts)
    assert score.bits == pytest.approx(nats / math.log(2), rel=1e-12)
    assert (score.bytes, score.tokens) == (num_bytes, num_bytes)
    assert score.bits_per_byte == pytest.approx(nats / math.log(2) / num_bytes)
    assert score.nats_per_token == pytest.approx(nats / num_bytes)
    assert score.perplexity == pytest.approx(math.exp(nats / num_bytes))


@given(length=st.integers(0, 40), context_length=st.none() | st.integers(1, 12), data=st.data())
def test_windows_score_each_token_once(
    length: int, context_length: int | None, data: st.DataObject
) -> None:
    stride = None
    if context_length is not None:
        stride = data.draw(st.none() | st.integers(1, context_length))
    scored: list[int] = []
    for begin, first, end in windows(length, context_length, stride):
        assert begin <= first < end
        scored += range(first, end)
        if context_length is not None:
            assert end - begin <= context_length
            used = max(1, context_length // 2) if stride is None else stride
            for token in range(first, end):
                assert token - begin >= min(token, context_length - used)
            if begin:
                assert end - begin == context_length
    assert scored == list(range(length))


def naive_bits(
    lm: Remembering, documents: list[list[int]], context_length: int | None, stride: int | None
) -> float:
    """Token by token: where its window begins, and what the model says then."""
    nats = 0.0
    prefix = [] if lm.document_separator is None else [lm.document_separator]
    for document in documents:
        ids = prefix + document
        for i in range(len(prefix), len(ids)):
            begin = 0
            if context_length is not None and i >= context_length:
                step = max(1, context_length // 2) if stride is None else stride
                end = context_length + step * math.ceil((i + 1 - context_length) / step)
                begin = min(end, len(ids)) - context_length
            nats -= lm.logprobs(ids[begin:i])[ids[i]]
    return nats / math.log(2)


@pytest.mark.parametrize("kind", [Remembering, Batching])
@given(
    documents=documents,
    separator=separators,
    own=st.none() | st.integers(2, 9),
    data=st.data(),
)
def test_long_documents_equal_the_naive_twin(
    kind: Any, documents: list[list[int]], separator: int | None, own: int | None, data: Any
) -> None:
    lm = kind(5, own, separator)
    context_length = data.draw(st.none() | st.integers(1, own or 9))
    used = own if context_length is None else context_length
    stride = None if used is None else data.draw(st.none() | st.integers(1, used))
    score = score_documents(lm, documents, 10, context_length=context_length, stride=stride)
    assert score.bits == pytest.approx(naive_bits(lm, documents, used, stride), rel=1e-9)
    assert score.tokens == sum(map(len, documents))


@given(document=st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_windows_change_nothing_where_the_text_fits(document: list[int]) -> None:
    whole = score_documents(Remembering(5), [document], 1)
    for stride in (1, 4, 9):
        part = score_documents(Remembering(5, 9), [document], 1, stride=stride)
        assert part == whole


def test_batches_stay_below_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_module, "_SCORES_AT_ONCE", 5 * 40)
    rng = np.random.default_rng(0)
    documents = [rng.integers(5, size=n).tolist() for n in rng.integers(1, 90, size=40)]
    batched, alone = Batching(5, 16), Remembering(5, 16)
    assert score_documents(batched, documents, 1) == score_documents(alone, documents, 1)
    assert all(rows * length <= 40 for rows, length in batched.shapes)
    assert max(rows for rows, _ in batched.shapes) > 1
    tokens = sum(rows * length for rows, length in batched.shapes)
    read = sum(e - b for d in documents for b, _, e in windows(len(d), 16))
    assert tokens < 1.2 * read  # little is filled up


def test_a_row_beyond_the_limit_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_module, "_SCORES_AT_ONCE", 5)
    lm = Batching(5)
    score_documents(lm, [[1, 2, 3], [1, 2, 3, 4]], 7)
    assert lm.shapes == [(1, 3), (1, 4)]


def test_impossible_text_costs_infinitely_much() -> None:
    table = np.zeros((4, 3))
    table[:, 2] = -math.inf
    score = score_documents(Bigram(table), [[0, 2]], 2)
    assert score.bits_per_byte == math.inf
    assert score.perplexity == math.inf


def test_perplexity_beyond_floats_is_infinite() -> None:
    assert Score(bits=1e6, bytes=1, tokens=1).perplexity == math.inf


@pytest.mark.parametrize("kind", [Remembering, Batching])
def test_progress_counts_every_token(kind: Any) -> None:
    seen: list[tuple[int, int]] = []
    documents = [[1] * 9, [2]]
    score_documents(
        kind(5, 4), documents, 10, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (10, 10)
    assert seen == sorted(set(seen))


def test_progress_can_interrupt() -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_documents(Uniform(5), [[1], [2]], 2, progress=interrupt)


@given(texts=texts, limit=st.none() | st.integers(1, 50))
def test_dataset_equals_texts(texts: list[str], limit: int | None) -> None:
    lm = Bigram.random(256, document_separator=7)
    dataset = Dataset(*texts)
    value = evaluate.bits_per_byte_of_dataset(lm, dataset, max_tokens=limit, tokenizer=BYTES)
    if limit is None or limit >= dataset.num_bytes:
        assert value == bits_per_byte(lm, BYTES, texts)
        assert value == evaluate.bits_per_byte_of_dataset(lm, dataset, max_tokens=10**9)
        return
    cut: list[list[int]] = []
    for text in texts:
        cut.append(list(text.encode())[: limit - sum(map(len, cut))])
    assert value == pytest.approx(score_documents(lm, cut, limit).bits_per_byte, rel=1e-12)


def test_a_part_of_a_dataset_needs_its_tokenizer() -> None:
    with pytest.raises(InvalidInputError, match=r"max_tokens=1 .* pass tokenizer="):
        evaluate.score_dataset(Uniform(256), Dataset("ab"), max_tokens=1)
    with pytest.raises(InvalidInputError, match="max_tokens=0"):
        evaluate.score_dataset(Uniform(256), Dataset("ab"), max_tokens=0)


@pytest.mark.parametrize("nothing", [[], [""], ["", ""]])
def test_no_text_is_refused(nothing: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="no text to score"):
        bits_per_byte(Uniform(256), BYTES, nothing)


def test_bad_texts_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="one string"):
        bits_per_byte(Uniform(256), BYTES, "text")
    with pytest.raises(EncodingError, match="text 1 has a lone surrogate at character 2"):
        bits_per_byte(Uniform(256), BYTES, ["a", "bc\ud800"])
    with pytest.raises(TokenIdError, match="100"):
        bits_per_byte(Uniform(100), BYTES, ["d"])


@pytest.mark.parametrize(
    ("own", "arguments", "message"),
    [
        (8, {"context_length": 9}, "context_length=9 is beyond the model's, which is 8"),
        (8, {"context_length": 0}, "context_length=0: must be at least 1"),
        (8, {"stride": 0}, "stride=0: must be from 1 to the context length, 8"),
        (8, {"stride": 9}, "stride=9"),
        (8, {"context_length": 4, "stride": 5}, "from 1 to the context length, 4"),
        (None, {"stride": 5}, "stride=5 needs a context_length"),
    ],
)
def test_bad_windows_are_refused(own: int | None, arguments: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        score_documents(Remembering(5, own), [[1]], 1, **arguments)


def test_nan_is_refused() -> None:
    class Failing(Uniform):
        def score(self, ids: Any) -> Any:
            return super().score(ids) * math.nan

    with pytest.raises(InvalidInputError, match="token id 3 is NaN"):
        score_documents(Failing(5), [[3]], 1)
