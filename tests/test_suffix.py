"""`SuffixIndex` against definitions read off the stream; the ∞-gram as a language model."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lexigram
from lexigram import NgramModel, SuffixIndex, Tokenizer
from lexigram.data import tokenize
from lexigram.errors import (
    FormatError,
    InvalidInputError,
    MissingFileError,
    OutOfRangeError,
    TokenIdError,
)
from lexigram.ngram import fit_weights, interpolate
from lexigram.reference.infinigram import Infinigram
from lm_contract import check_language_model

S = 7  # the separator
STREAM = [0, 1, 2, 0, 1, 3, S, 0, 1, 2, S, S, 2, 0, 1, 2, 0, S]


@pytest.fixture
def index(tmp_path: Path) -> SuffixIndex:
    return SuffixIndex.build(STREAM, tmp_path / "index", document_separator=S, vocab_size=8)


def test_a_corpus_that_can_be_checked_by_eye(index: SuffixIndex) -> None:
    assert (index.num_tokens, index.num_documents, len(index)) == (18, 4, 18)
    assert index.count([0, 1]) == 4
    assert index.count([0, 1, 2]) == 3
    assert index.count([]) == 18
    assert index.count([S]) == 4  # ends of documents
    assert index.count([S, 0]) == 2  # documents that begin with 0, the first one too
    assert index.count([2, S]) == 1
    assert index.count([3, S, 0]) == 0  # goes over an end
    assert index.count([S, S]) == 1  # the empty document
    assert index.find([0, 1, 2], 10) == [(0, 0), (1, 0), (3, 1)]
    assert index.find([S, 2], 10) == [(3, -1)]
    assert index.find([S], 10) == [(0, 6), (1, 3), (2, 0), (3, 5)]
    ids, counts = index.next_counts([0, 1])
    assert (ids.tolist(), counts.tolist()) == ([2, 3], [3, 1])
    assert index.next_counts([3, S])[0].size == 0
    logprobs, order = index.infinigram([3, 0, 1])  # 3 0 1 stands nowhere, 0 1 does
    assert order == 3
    np.testing.assert_allclose(np.exp(logprobs), [0, 0, 0.75, 0.25, 0, 0, 0, 0])
    assert index.probability([3, 0, 1], 2) == (0.75, 3)
    assert index.document(3).tolist() == [2, 0, 1, 2, 0]
    assert index.document(3, 1, 3).tolist() == [0, 1]
    assert index.document(2).tolist() == []
    spans = index.trace([3, 0, 1, 2, 0, 1, 3, 3], 2)
    assert [(s.start, s.end, s.count, s.documents) for s in spans] == [(1, 7, 1, (0,))]
    index.verify()


ids = st.lists(st.integers(0, 3), min_size=1, max_size=40)
streams = st.one_of(
    ids,
    st.builds(
        lambda a, n: a * n, st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(1, 9)
    ),
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    stream=streams,
    separator=st.sampled_from([None, 3]),
    runs=st.lists(ids, min_size=1, max_size=8),
)
def test_equals_the_page_of_python(
    tmp_path_factory: pytest.TempPathFactory,
    stream: list[int],
    separator: int | None,
    runs: list[list[int]],
) -> None:
    folder = tmp_path_factory.mktemp("index") / "index"
    index = SuffixIndex.build(stream, folder, vocab_size=4, document_separator=separator)
    twin = Infinigram(stream, vocab_size=4, document_separator=separator)
    runs = [*runs, *([x] for x in range(4)), stream[:3], stream[-2:]]
    expected = [twin.count(run) for run in runs]
    assert [index.count(run) for run in runs] == expected
    batch = index.count_batch(runs)
    assert batch.dtype == np.int64
    assert batch.tolist() == expected
    for run in runs:
        found, counts = index.next_counts(run)
        dense = np.zeros(4, dtype=int)
        dense[found] = counts
        assert dense.tolist() == twin.next_counts(run)
        logprobs, order = index.infinigram(run)
        probabilities, expected_order = twin.infinigram(run)
        assert order == expected_order
        np.testing.assert_allclose(np.exp(logprobs), probabilities, atol=1e-12)
        scores = index.score(run)
        orders = index.effective_orders(run)
        for i, token in enumerate(run):
            probabilities, expected_order = twin.infinigram(run[:i])
            assert np.exp(scores[i]) == pytest.approx(probabilities[token], abs=1e-12)
            assert orders[i] == expected_order
            assert index.probability(run[:i], token) == (
                pytest.approx(probabilities[token]),
                expected_order,
            )
        spans = [(s.start, s.end, s.count) for s in index.trace(run, 2)]
        assert spans == twin.trace(run, 2)


def test_batches_in_three_forms(index: SuffixIndex) -> None:
    runs = [[0, 1], [1, 2], [2, 0]]
    expected = [index.count(run) for run in runs]
    assert index.count_batch(runs).tolist() == expected
    assert index.count_batch(np.array(runs, dtype=np.uint16)).tolist() == expected
    assert index.count_batch([0, 1, 1, 2, 2, 0], [0, 2, 4, 6]).tolist() == expected
    assert index.count_batch([[0], [], [0, 1, 2]]).tolist() == [5, 18, 3]
    assert index.count_batch([]).tolist() == []
    assert index.count_batch(np.zeros((0, 3), dtype=np.int64)).tolist() == []
    with pytest.raises(InvalidInputError, match="offsets"):
        index.count_batch([0, 1], [0, 3])
    with pytest.raises(InvalidInputError, match="shape"):
        index.count_batch(np.zeros((1, 2, 3), dtype=np.int64))
    with pytest.raises(TokenIdError, match="token id 8"):
        index.count_batch([[0], [8]])


def test_memory_limit_makes_shards_and_no_difference(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stream = (rng.integers(20, size=300_000) * rng.integers(20, size=300_000) // 20).astype(
        np.uint16
    )
    whole = SuffixIndex.build(stream, tmp_path / "whole", vocab_size=20, num_threads=1)
    limited = SuffixIndex.build(
        stream, tmp_path / "limited", vocab_size=20, memory_limit=6_000_000, num_threads=2
    )
    assert whole.num_shards == 1
    assert limited.num_shards > 1
    assert limited.max_match is not None
    runs = [stream[i : i + n].tolist() for i in range(0, 299_000, 37_000) for n in (1, 2, 4, 9)]
    assert whole.count_batch(runs).tolist() == limited.count_batch(runs).tolist()
    np.testing.assert_allclose(whole.score(stream[:5000]), limited.score(stream[:5000]))
    assert limited.document(0, 100_000, 200_000).tolist() == stream[100_000:200_000].tolist()
    with pytest.raises(InvalidInputError, match="larger memory_limit"):
        limited.count(stream[:5000])
    with pytest.raises(InvalidInputError, match=r"memory_limit = 1000: .* takes at least"):
        SuffixIndex.build(stream, tmp_path / "none", vocab_size=20, memory_limit=1000)


@pytest.mark.parametrize("separator", [None, 8])
def test_several_shards_equal_the_page_of_python(tmp_path: Path, separator: int | None) -> None:
    rng = np.random.default_rng(5)
    stream = rng.integers(9, size=13_000) * rng.integers(9, size=13_000) // 8
    options = {"vocab_size": 9, "document_separator": separator}
    index = SuffixIndex.build(stream, tmp_path / "index", shard_tokens=5000, **options)
    assert index.num_shards > 1
    index.verify()
    twin = Infinigram(stream.tolist(), **options)
    # About the cuts, and where nothing is near one.
    runs = [stream[i : i + n].tolist() for i in (0, 4998, 9997, 12_990) for n in (1, 3, 6)]
    runs += [[7, 7, 7, 0], stream[-4:].tolist()]
    assert index.count_batch(runs).tolist() == [twin.count(run) for run in runs]
    for run in runs:
        found, counts = index.next_counts(run)
        dense = np.zeros(9, dtype=int)
        dense[found] = counts
        assert dense.tolist() == twin.next_counts(run)
        logprobs, order = index.infinigram(run)
        probabilities, expected_order = twin.infinigram(run)
        assert order == expected_order
        np.testing.assert_allclose(np.exp(logprobs), probabilities, atol=1e-12)
        spans = [(s.start, s.end, s.count) for s in index.trace(run, 2)]
        assert spans == twin.trace(run, 2)


def test_the_least_shard(tmp_path: Path) -> None:
    stream = np.arange(4098) % 2
    assert SuffixIndex.build(stream[:-1], tmp_path / "one", shard_tokens=1).num_shards == 1
    assert SuffixIndex.build(stream, tmp_path / "two", shard_tokens=1).num_shards == 2


def test_a_dataset_brings_its_own(tmp_path: Path) -> None:
    texts = ["the cat sat on the mat", "the cat ate", ""] * 3
    tokenizer = Tokenizer.train(texts, 270, special_tokens=["<|endoftext|>"])
    dataset = tokenize((t for t in texts if t), tokenizer, tmp_path / "shards")
    reports: list[tuple[int, int]] = []
    index = SuffixIndex.build(
        dataset,
        tmp_path / "index",
        tokenizer=tokenizer,
        progress=lambda done, total: reports.append((done, total)),
    )
    assert reports[-1] == (len(dataset), len(dataset))
    assert index.vocab_size == dataset.vocab_size
    assert index.num_documents == dataset.num_documents
    assert index.count(tokenizer.encode("the cat")) == 6
    loaded = lexigram.load(tmp_path / "index")
    assert loaded.tokenizer.encode("the") == tokenizer.encode("the")
    assert loaded.config["kind"] == "infinigram"
    bare = SuffixIndex.build(dataset, tmp_path / "bare")
    assert bare.tokenizer is None
    with pytest.raises(FormatError, match="carries no tokenizer"):
        lexigram.load(tmp_path / "bare")


def test_what_is_refused(tmp_path: Path, index: SuffixIndex) -> None:
    with pytest.raises(InvalidInputError, match="already holds files"):
        SuffixIndex.build([0], index.directory)
    for stream, error, words in (
        ([], InvalidInputError, "empty"),
        ([0, -1], TokenIdError, "token id -1 at position 1"),
        ([0, 5], TokenIdError, "token id 5 at position 1"),
        ([0.5], InvalidInputError, "give integers"),
        ([[0]], InvalidInputError, "shape"),
    ):
        with pytest.raises(error, match=words):
            SuffixIndex.build(stream, tmp_path / "x", vocab_size=4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index"]
    for call in (index.count, index.infinigram, index.score, index.trace, index.next_counts):
        for wrong in (8, -1, 2**40):
            with pytest.raises(TokenIdError, match=str(wrong)):
                call([0, wrong])
    for wrong in (8, -1, 2**40):
        with pytest.raises(TokenIdError, match=str(wrong)):
            index.probability([0], wrong)
    with pytest.raises(InvalidInputError, match="at least one"):
        index.find([], 3)
    with pytest.raises(InvalidInputError, match="limit = -1"):
        index.find([0], -1)
    with pytest.raises(MissingFileError):
        SuffixIndex.open(tmp_path / "nothing")
    with pytest.raises(FormatError, match="suffix index"):
        SuffixIndex.open(tmp_path)


def test_what_are_no_ids_or_rows(index: SuffixIndex) -> None:
    for call in (index.count, index.find, index.infinigram, index.next_counts, index.trace):
        for wrong in ("ab", [1.5], None, 5, [1, None], [[1]]):
            with pytest.raises(InvalidInputError, match="token ids"):
                call(wrong)
    with pytest.raises(InvalidInputError, match="token ids"):
        index.probability("ab", 1)
    with pytest.raises(InvalidInputError, match="offsets are float64"):
        index.count_batch([1, 2], [0, 0.5, 2])
    for wrong in (5, [5], ["ab"]):
        with pytest.raises(InvalidInputError):
            index.count_batch(wrong)
    model = index.model()
    state = model.start(2)
    for rows in ([5], [-3]):
        with pytest.raises(OutOfRangeError, match=r"rows = .*has the rows 0 to 1"):
            model.reorder(state, rows)
    for rows in ([0.5], "a", [[0]]):
        with pytest.raises(InvalidInputError, match="rows are"):
            model.reorder(state, rows)
    assert len(model.reorder(state, [1, -1, 0])) == 3
    assert len(model.reorder(state, [])) == 0
    for text in ("5", "[]", "no json"):
        with pytest.raises(InvalidInputError, match="tokenizer = "):
            SuffixIndex.build([0], index.directory.parent / "t", tokenizer=text)


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SuffixIndex.build([0, 1] * 100, tmp_path / "index", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_damage_is_found(tmp_path: Path, index: SuffixIndex) -> None:
    file = index.directory / "shard-00000.suffix"
    good = file.read_bytes()
    file.write_bytes(good[:-9])
    with pytest.raises(FormatError, match="damaged"):
        SuffixIndex.open(index.directory)
    bad = bytearray(good)
    bad[-20] ^= 1
    file.write_bytes(bad)
    with pytest.raises(FormatError, match="checksum"):
        SuffixIndex.open(index.directory).verify()
    file.write_bytes(good)
    manifest = index.directory / "index.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"num_tokens": 18', '"num_tokens": 19'))
    with pytest.raises(FormatError):
        SuffixIndex.open(index.directory)
    assert json.loads(text)["format"] == "lexigram suffix index"


@pytest.mark.parametrize("separator", [None, 11])
@pytest.mark.parametrize("shard", [None, 5000])
def test_is_a_language_model(tmp_path: Path, separator: int | None, shard: int | None) -> None:
    rng = np.random.default_rng(1)
    size = 400 if shard is None else 9000
    stream = rng.integers(12, size=size) * rng.integers(12, size=size) // 12
    index = SuffixIndex.build(
        stream,
        tmp_path / "index",
        vocab_size=12,
        document_separator=separator,
        shard_tokens=shard,
    )
    assert (index.num_shards > 1) == (shard is not None)
    ngram = NgramModel.train(stream, order=3, vocab_size=12, document_separator=separator)
    check_language_model(index.model(), rng)
    check_language_model(index.model(support=3), rng)
    check_language_model(interpolate([index.model(), ngram], [0.3, 0.7]), rng)
    weights = rng.random((32, 2))
    check_language_model(interpolate([ngram, index.model()], weights), rng)


def test_interpolation_is_the_sum(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    stream = rng.integers(6, size=500) * rng.integers(6, size=500) // 6
    held_out = rng.integers(6, size=200) * rng.integers(6, size=200) // 6
    index = SuffixIndex.build(stream, tmp_path / "index", vocab_size=6)
    infinigram, ngram = index.model(), NgramModel.train(stream, order=2, vocab_size=6)
    a, b = (np.exp(np.float64(m.score(held_out))) for m in (infinigram, ngram))
    mixed = interpolate([infinigram, ngram], [1, 3]).score(held_out)
    np.testing.assert_allclose(np.exp(mixed), 0.25 * a + 0.75 * b, rtol=1e-6)

    shared = fit_weights([infinigram, ngram], held_out, by_class=False)
    assert shared.sum() == pytest.approx(1)

    def total(weight: float) -> float:
        return float(interpolate([infinigram, ngram], [weight, 1 - weight]).score(held_out).sum())

    best = max(np.linspace(0.001, 0.999, 500), key=total)
    assert shared[0] == pytest.approx(best, abs=0.02)

    table = fit_weights([infinigram, ngram], held_out)
    assert table.shape == (32, 2)
    np.testing.assert_allclose(table.sum(axis=1), 1)
    by_class = interpolate([infinigram, ngram], table)
    assert by_class.score(held_out).sum() >= total(float(shared[0])) - 1e-6
    _, classes = infinigram.score_with_classes(held_out)
    expected = table[classes, 0] * a + table[classes, 1] * b
    np.testing.assert_allclose(np.exp(by_class.score(held_out)), expected, rtol=1e-6)


def test_what_cannot_be_mixed(tmp_path: Path) -> None:
    small = NgramModel.train([0, 1, 2], order=1, vocab_size=3)
    large = NgramModel.train([0, 1, 2], order=1, vocab_size=4)
    backoff = NgramModel.train([0, 1, 2], order=1, vocab_size=3, smoothing="stupid_backoff")
    for models, weights, words in (
        ([small, large], None, "vocabularies"),
        ([small, backoff], None, "stupid_backoff"),
        ([], None, "no models"),
        ([small, small], [1], "shape"),
        ([small, small], [1, -1], "0 or more"),
        ([small, small], [0, 0], "not all 0"),
        ([small, small], [1, float("nan")], "0 or more"),
        ([small, small], [[1], [2, 3]], "as many in each row"),
        ([small, small], [1, "a"], r"weights = \[1, 'a'\]: give numbers"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            interpolate(models, weights)
    with pytest.raises(InvalidInputError, match="empty"):
        fit_weights([small, small], [])
    for prior in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InvalidInputError, match="prior = "):
            fit_weights([small, small], [0, 1], prior=prior)
    index = SuffixIndex.build([0, 1], tmp_path / "i", vocab_size=3)
    with pytest.raises(InvalidInputError, match="no model gives any of the 2 held-out tokens"):
        fit_weights([index.model()], [2, 2])


def test_a_small_prior_gives_numbers(index: SuffixIndex) -> None:
    ngram = NgramModel.train(STREAM, order=2, vocab_size=8, document_separator=S)
    table = fit_weights([ngram, index.model()], STREAM, prior=1e-6)
    np.testing.assert_allclose(table.sum(axis=1), 1)


def test_the_worked_example_of_the_formats(tmp_path: Path) -> None:
    SuffixIndex.build([0, 1, 2, 0, 1, 2], tmp_path / "i", vocab_size=3, document_separator=2)
    data = (tmp_path / "i" / "shard-00000.suffix").read_bytes()
    sections = {}
    for at in range(40, 40 + 5 * 32, 32):
        tag, offset, length = struct.unpack_from("<16sQQ", data, at)
        sections[tag.rstrip(b"\0").decode()] = data[offset : offset + length]
    assert data[8:12] == b"SUFX"
    assert struct.unpack("<6Q", sections["header"]) == (0, 0, 1, 7, 3, 2)
    assert struct.unpack("<7H", sections["tokens"]) == (2, 0, 1, 2, 0, 1, 2)
    assert struct.unpack("<2I", sections["documents"]) == (1, 4)
    assert sections["suffixes"] == bytes.fromhex("4ce501") + bytes(8)
    bits = int.from_bytes(sections["suffixes"][:3], "little")
    assert [bits >> 3 * i & 7 for i in range(7)] == [4, 1, 5, 2, 6, 3, 0]
    assert struct.unpack("<4I", sections["starts"]) == (0, 2, 4, 7)
