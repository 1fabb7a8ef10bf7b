"""The n-gram models against the readable twin, worked examples, and their own invariants."""

from __future__ import annotations

import itertools
import math
import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lexigram
from fake_tokenizer import ByteTokenizer
from lexigram import NgramModel
from lexigram.data import tokenize
from lexigram.errors import FormatError, InvalidInputError, MissingFileError, TokenIdError
from lexigram.evaluate import bits_per_byte_of_dataset
from lexigram.lm import LanguageModel
from lexigram.reference.kneser_ney import KneserNey
from lm_contract import check_language_model

PROPER = ["modified_kneser_ney", "witten_bell", "additive"]


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[int], int]:
    """Ids and the size of their vocabulary, in which the last id is never used."""
    vocab_size = draw(st.integers(1, 6))
    ids = st.integers(0, vocab_size - 1)
    if draw(st.booleans()):
        return draw(st.lists(ids, min_size=1, max_size=120)), vocab_size + 1
    unit = draw(st.lists(ids, min_size=1, max_size=5))
    return unit * draw(st.integers(1, 25)), vocab_size + 1


ROUNDING = 2.0**-24  # half the distance of neighbouring float32 numbers from 1 on


def assert_rounded(logprobs: np.ndarray, expected: npt.ArrayLike) -> None:
    """A log-probability is a sum of numbers of one sign, each rounded to float32."""
    probabilities = np.asarray(expected)
    assert np.array_equal(np.isneginf(logprobs), probabilities == 0)
    logprobs, exact = logprobs[probabilities > 0], np.log(probabilities[probabilities > 0])
    assert (np.abs(logprobs - exact) <= ROUNDING * np.abs(exact) + 1e-9).all(), (logprobs, exact)


separators = st.sampled_from([None, 0])
orders = st.integers(1, 5)


@given(streams(), orders, separators, st.lists(st.integers(0, 6), max_size=10))
def test_equals_the_twin(
    stream: tuple[list[int], int], order: int, separator: int | None, query: list[int]
) -> None:
    tokens, vocab_size = stream
    query = [token % vocab_size for token in query]
    twin = KneserNey(tokens, order, vocab_size, separator)
    model = NgramModel.train(
        tokens, order=order, vocab_size=vocab_size, document_separator=separator
    )
    assert model.counts_of_counts().tolist() == [list(n) for n in twin.counts_of_counts]
    np.testing.assert_allclose(model.discounts, twin.discounts, rtol=0, atol=1e-12)
    for ids in (tokens[:40], query, tokens[-10:] + query):
        assert_rounded(model.score(ids, dtype=np.float64), twin.score(ids))
        assert_rounded(model.next_logprobs(ids, dtype=np.float64), twin.distribution(ids))


@given(
    streams(), orders, separators, st.sampled_from(PROPER), st.lists(st.integers(0, 6), max_size=8)
)
def test_sums_to_one_after_any_context(
    stream: tuple[list[int], int], order: int, separator: int | None, smoothing: str, query: list
) -> None:
    tokens, vocab_size = stream
    model = NgramModel.train(
        tokens,
        order=order,
        vocab_size=vocab_size,
        document_separator=separator,
        smoothing=smoothing,
        prune=[0, 1][:order],
    )
    query = [token % vocab_size for token in query]
    for context in ([], query, tokens, tokens[:3] + query):
        distribution = model.next_logprobs(context, dtype=np.float64)
        # Each logarithm is off by at most its share, so the sum by the entropy's.
        entropy = -math.fsum(np.exp(distribution) * distribution)
        bound = ROUNDING * 1.000001 * entropy + 1e-12
        assert math.fsum(np.exp(distribution)) == pytest.approx(1, abs=bound)
        each = [model.score([*context, word], dtype=np.float64)[-1] for word in range(vocab_size)]
        assert distribution.tolist() == each


# Three sentences, `a b a c`, `a b` and `b a b`, as ids a b c, end, unknown: with the unknown id
# the vocabulary is KenLM's, and the values are those of `lmplz -o 2 --discount_fallback`.
A, B, C, END, UNKNOWN = range(5)
TINY = [A, B, A, C, END, A, B, END, B, A, B, END]


def tiny(**options: object) -> NgramModel:
    options = {"order": 2, "vocab_size": 5, "document_separator": END} | options
    return NgramModel.train(TINY, **options)


def test_worked_example() -> None:
    model = tiny()
    assert model.counts_of_counts().tolist() == [[1, 3, 0, 0], [3, 3, 1, 0]]
    assert model.num_ngrams == (4, 7)
    assert model.discount_fallbacks == (1,)
    np.testing.assert_allclose(model.discounts, [(0.5, 1, 1.5), (1 / 3, 5 / 3, 3)], rtol=1e-15)
    log10 = model.next_logprobs([], dtype=np.float64) / math.log(10)
    # γ(ε) = 3.5 / 7; p(a) = (2 − 1) / 7 + 0.5 / 5.
    np.testing.assert_allclose(
        log10, [-0.6146491, -0.6146491, -0.7659168, -0.6146491, -1.0], atol=5e-8
    )

    def conditional(word: int, *context: int) -> float:
        return model.next_logprobs(context, dtype=np.float64)[word] / math.log(10)

    assert conditional(B, A) == pytest.approx(-0.6938304, abs=5e-8)
    assert conditional(A, END) == pytest.approx(-0.563812, abs=5e-7)  # END begins a document
    backoff = conditional(UNKNOWN, A) - conditional(UNKNOWN)
    assert backoff == pytest.approx(-0.0791813, abs=1e-7)
    # The test text `a b` / `a z c` of the same example.
    scores = model.score([END, A, B, END, A, UNKNOWN, C, END], dtype=np.float64)[1:]
    assert math.exp(-scores.mean()) == pytest.approx(4.164499980, rel=1e-6)
    known = np.delete(scores, 4)
    assert math.exp(-known.mean()) == pytest.approx(3.491080067, rel=1e-6)


def test_stupid_backoff_by_hand() -> None:
    model = tiny(smoothing="stupid_backoff")
    scores = model.score([END, A, B, END, A, UNKNOWN, C, END], dtype=np.float64)[1:]
    assert_rounded(scores, [2 / 3, 3 / 4, 1 / 2, 2 / 3, 0, 0.4 / 12, 1])
    for figure in (lambda: model.perplexity(TINY), lambda: model.bits_per_byte(TINY, 9)):
        with pytest.raises(InvalidInputError, match="no probabilities"):
            figure()


def test_witten_bell_and_additive_by_hand() -> None:
    model = tiny(smoothing="witten_bell")
    # a is followed by b 3 times and c once: t(a) = 2; 12 tokens of 4 kinds.
    unigram = (4 + 4 / 5) / (12 + 4)
    assert model.next_logprobs([], float)[B] == pytest.approx(math.log(unigram))
    assert model.next_logprobs([A], float)[B] == pytest.approx(math.log((3 + 2 * unigram) / 6))
    model = tiny(smoothing="additive", pseudocount=0.5)
    assert model.next_logprobs([A], float)[B] == pytest.approx(math.log(3.5 / 6.5))
    assert model.next_logprobs([UNKNOWN], float)[B] == pytest.approx(math.log(1 / 5))


def test_pruned_mass_goes_to_the_shorter_context() -> None:
    model, pruned = tiny(), tiny(prune=[0, 1])
    assert pruned.num_ngrams == (4, 4)  # a c, c end and b a stood once
    # γ(a) takes D of `a b`, and all of the 1 that `a c` had.
    lower = math.exp(model.next_logprobs([], float)[C])
    assert pruned.next_logprobs([A], float)[C] == pytest.approx(math.log((3 + 1) / 4 * lower))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(1, 4))
def test_a_separator_bounds_the_context(tokens: list[int], order: int) -> None:
    model = NgramModel.train(tokens, order=order, vocab_size=6, document_separator=2)
    alone = model.next_logprobs([2], dtype=np.float64)
    assert np.array_equal(model.next_logprobs([0, 1, 2], dtype=np.float64), alone)
    # The order of the documents says nothing.
    documents = [[*document, 2] for document in split(tokens)]
    shuffled = list(itertools.chain.from_iterable(documents[::-1]))
    other = NgramModel.train(shuffled, order=order, vocab_size=6, document_separator=2)
    whole = NgramModel.train([*tokens, 2], order=order, vocab_size=6, document_separator=2)
    assert whole.num_ngrams == other.num_ngrams
    query = [0, 1, 2, 3, 2, 5, 5]
    assert np.array_equal(whole.score(query, dtype=np.float64), other.score(query, np.float64))


def split(tokens: list[int]) -> list[list[int]]:
    documents: list[list[int]] = [[]]
    for token in tokens:
        if token == 2:
            documents.append([])
        else:
            documents[-1].append(token)
    return documents


def test_perplexity_and_bits_per_byte_are_their_formulas() -> None:
    model = tiny()
    scores = model.score(TINY, dtype=np.float64)
    assert model.perplexity(TINY) == pytest.approx(math.exp(-scores.mean()))
    text = [A, B, END, C]
    scores = model.score([END, *text], dtype=np.float64)
    bits = -(scores[1] + scores[2] + scores[4]) / math.log(2)
    assert model.bits_per_byte(text, 7) == pytest.approx(bits / 7)
    model = tiny(document_separator=None)
    bits = -model.score(text, dtype=np.float64).sum() / math.log(2)
    assert model.bits_per_byte(text, 7) == pytest.approx(bits / 7)
    unigram = NgramModel.train([0, 0, 1], order=1, vocab_size=4, smoothing="additive")
    assert unigram.perplexity([0]) == pytest.approx(7 / 3)


def test_a_dataset_brings_its_vocabulary_and_separator(tmp_path: Path) -> None:
    texts = ["a rose is a rose", "is a rose é"]
    dataset = tokenize(texts, ByteTokenizer(300), tmp_path / "shards")
    model = NgramModel.train(dataset, order=3)
    assert (model.vocab_size, model.document_separator) == (300, 256)
    ids = [*texts[0].encode(), 256, *texts[1].encode(), 256]
    same = NgramModel.train(ids, order=3, vocab_size=300, document_separator=256)
    assert model.perplexity(dataset) == same.perplexity(ids)
    assert np.array_equal(model.score(dataset), same.score(ids))
    # The evaluation room scores document by document what the model scores in one stream.
    bits = model.bits_per_byte(dataset, dataset.num_bytes)
    score = bits_per_byte_of_dataset(model, dataset)
    assert bits == pytest.approx(score, rel=1e-6)


def test_carries_a_tokenizer() -> None:
    class Saves:
        def save(self, path: Path) -> None:
            path.write_text('{"version": "é"}', encoding="utf-8")

    for tokenizer in (Saves(), '{"version": "é"}'):
        assert tiny(tokenizer=tokenizer).tokenizer == '{"version": "é"}'
    assert tiny().tokenizer is None
    for wrong in ("", "runs/tokenizer.json", Path("tokenizer.json")):
        with pytest.raises(InvalidInputError, match="the text of a tokenizer"):
            tiny(tokenizer=wrong)


@pytest.mark.parametrize(
    "ids",
    [
        TINY,
        tuple(TINY),
        *(np.array(TINY, dtype=t) for t in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", ">u2")),
        np.repeat(np.array(TINY, dtype=np.uint16), 2)[::2],
    ],
)
def test_ids_of_any_integer_type(ids: object) -> None:
    model = NgramModel.train(ids, order=2, vocab_size=5, document_separator=END)
    assert np.array_equal(model.score(ids), tiny().score(TINY))
    assert np.array_equal(model.next_logprobs(ids), tiny().next_logprobs(TINY))


@pytest.mark.parametrize("smoothing", PROPER)
@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize("separator", [None, 0])
def test_meets_the_protocol(smoothing: str, order: int, separator: int | None) -> None:
    rng = np.random.default_rng(order)
    model = NgramModel.train(
        rng.integers(0, 7, 500),
        order=order,
        smoothing=smoothing,
        vocab_size=9,
        document_separator=separator,
    )
    check_language_model(model, rng)


def test_states_and_rows() -> None:
    model = NgramModel.train(TINY, order=3, vocab_size=5, document_separator=END)
    assert isinstance(model, LanguageModel)
    start = model.start(2)
    ids = np.array([[A, B, A], [END, B, END]])
    scores, state = model.step(start, ids)
    assert scores.shape == (2, 5)
    assert start.shape == (2, 0)
    for row, context in zip(scores, ids, strict=True):
        assert np.array_equal(row, model.next_logprobs(context))
        assert row[C] == model.score([*context, C])[-1]
    # The same in other cuts, and two continuations of one state.
    pieces = start
    for column in ids.T:
        again, pieces = model.step(pieces, column[:, None])
    assert np.array_equal(again, scores)
    same, _ = model.step(state, np.zeros((2, 0), dtype=np.int64))
    assert np.array_equal(same, scores)
    other, _ = model.step(model.reorder(state, [1, 0]), np.array([[C], [A]]))
    assert np.array_equal(other[0], model.next_logprobs([END, B, END, C]))
    assert np.array_equal(model.step(state, np.zeros((2, 0), int))[0], scores)
    with pytest.raises(ValueError, match="read-only"):
        state[0, 0] = 1
    with pytest.raises(InvalidInputError, match="one row for each"):
        model.step(state, np.zeros((3, 1), int))
    with pytest.raises(InvalidInputError, match="batch_size = 0"):
        model.start(0)


@given(
    streams(),
    orders,
    separators,
    st.sampled_from([*PROPER, "stupid_backoff"]),
    st.lists(st.lists(st.integers(0, 6), max_size=9), max_size=5),
)
def test_a_batch_is_its_sequences(
    stream: tuple[list[int], int],
    order: int,
    separator: int | None,
    smoothing: str,
    sequences: list[list[int]],
) -> None:
    tokens, vocab_size = stream
    model = NgramModel.train(
        tokens,
        order=order,
        vocab_size=vocab_size,
        document_separator=separator,
        smoothing=smoothing,
    )
    sequences = [[token % vocab_size for token in sequence] for sequence in sequences]
    each = [model.score(sequence) for sequence in sequences]
    batch = model.score_batch(sequences, num_threads=2)
    assert len(batch) == len(each)
    assert all(map(np.array_equal, batch, each))
    flat = [token for sequence in sequences for token in sequence]
    offsets = [0, *itertools.accumulate(map(len, sequences))]
    scores = model.score_batch(flat, offsets, np.float64)
    assert np.array_equal(scores.astype(np.float32), np.concatenate([*each, np.zeros(0, "f4")]))
    rows = model.next_logprobs_batch(sequences)
    assert rows.shape == (len(sequences), vocab_size)
    for row, sequence in zip(rows, sequences, strict=True):
        assert np.array_equal(row, model.next_logprobs(sequence))
    assert np.array_equal(model.next_logprobs_batch(flat, offsets, num_threads=2), rows)
    square = np.array([tokens[:2]] * 3)
    expected = np.stack([model.next_logprobs(tokens[:2])] * 3)
    assert np.array_equal(model.next_logprobs_batch(square), expected)


def test_offsets_must_cut_the_ids() -> None:
    model = tiny()
    for offsets in ([], [0], [0, 4], [1, 3], [0, 2, 1, 3], [0, 5, 3]):
        for batch in (model.score_batch, model.next_logprobs_batch):
            with pytest.raises(InvalidInputError, match="offsets"):
                batch([A, B, C], offsets)
    with pytest.raises(InvalidInputError, match="offsets"):
        model.score_batch([A, B, C], [0.0, 3.0])
    with pytest.raises(InvalidInputError, match="num_threads = 0"):
        model.score(TINY * 10_000, num_threads=0)


def test_orders_used() -> None:
    ids = [END, A, B, END, A, UNKNOWN, C, END]
    assert tiny().order_used(ids).tolist() == [1, 2, 2, 2, 2, 1, 1, 2]
    additive = tiny(smoothing="additive").order_used(ids)
    assert additive.tolist() == [1, 2, 2, 2, 2, 0, 0, 2]
    assert additive.dtype == np.uint8


@pytest.mark.parametrize("bits", [2, 5, 8, 9, 16])
def test_a_quantised_model_is_nearly_the_model(tmp_path: Path, bits: int) -> None:
    rng = np.random.default_rng(bits)
    tokens = (rng.zipf(1.3, 50_000) % 700).astype(np.uint16)
    model = NgramModel.train(tokens, order=4, vocab_size=700)
    model.save(tmp_path / "exact.ngram")
    model.save(tmp_path / "q.ngram", quantize=bits)
    coarse = NgramModel.load(tmp_path / "q.ngram", verify=True)
    assert (model.quantized, coarse.quantized) == (None, bits)
    assert coarse.num_ngrams == model.num_ngrams
    exact, scores = model.score(tokens, np.float64), coarse.score(tokens, np.float64)
    # The values of an order lie within 12 nats; a table of 2^bits of them is no coarser than even
    # steps would be, and a score has at most 4 terms.
    error = math.sqrt(((exact - scores) ** 2).mean())
    assert error < 4 * 12 / 2 ** min(bits, 8)
    if bits < 16:
        assert (tmp_path / "q.ngram").stat().st_size < (tmp_path / "exact.ngram").stat().st_size
    for context in ([], tokens[:1], tokens[:5]):
        row = coarse.next_logprobs(context, np.float64, normalize=True)
        assert math.fsum(np.exp(row)) == pytest.approx(1, abs=1e-12)
        difference = row - coarse.next_logprobs(context, np.float64)
        assert np.ptp(difference) < 1e-12
    with pytest.raises(InvalidInputError, match="quantize = 17"):
        model.save(tmp_path / "q.ngram", quantize=17)
    with pytest.raises(InvalidInputError, match="quantize = 1:"):
        model.save(tmp_path / "q.ngram", quantize=1)


def test_a_damaged_model_opens_and_answers(tmp_path: Path) -> None:
    path = tmp_path / "m.ngram"
    tiny().save(path)
    good = path.read_bytes()
    at = good.index(np.float32(math.log(0.1)).tobytes())
    path.write_bytes(good[:at] + b"\xff\xff\xff\xff" + good[at + 4 :])
    model = NgramModel.load(path)
    assert math.isnan(model.next_logprobs([])[UNKNOWN])
    with pytest.raises(FormatError, match="checksum"):
        model.verify()
    tiny().verify()


def test_types_of_scores() -> None:
    model = tiny()
    assert model.score(TINY).dtype == np.float32
    assert model.score([]).shape == (0,)
    wide = model.score(TINY, dtype=np.float64)
    assert wide.dtype == np.float64
    assert np.array_equal(wide.astype(np.float32), model.score(TINY))
    assert model.next_logprobs([]).dtype == np.float32
    with pytest.raises(InvalidInputError, match="dtype = float16"):
        model.score(TINY, dtype=np.float16)


def test_threads_change_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    tokens = (rng.zipf(1.3, 200_000) % 3000).astype(np.uint16)
    saved = []
    for num_threads in (1, 2, 5):
        model = NgramModel.train(
            tokens, order=4, vocab_size=3000, document_separator=0, num_threads=num_threads
        )
        model.save(tmp_path / "m.ngram")
        saved.append((tmp_path / "m.ngram").read_bytes())
    assert saved[0] == saved[1] == saved[2]
    results = []
    threads = [threading.Thread(target=lambda: results.append(model.score(tokens))) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(*results)


@given(streams(), orders, separators, st.sampled_from([*PROPER, "stupid_backoff"]))
@settings(max_examples=30)
def test_a_loaded_model_is_the_saved_one(
    tmp_path_factory: pytest.TempPathFactory,
    stream: tuple[list[int], int],
    order: int,
    separator: int | None,
    smoothing: str,
) -> None:
    path = tmp_path_factory.mktemp("model") / "m.ngram"
    tokens, vocab_size = stream
    model = NgramModel.train(
        tokens,
        order=order,
        vocab_size=vocab_size,
        document_separator=separator,
        smoothing=smoothing,
        tokenizer='{"model": "é"}',
    )
    model.save(path)
    loaded = NgramModel.load(str(path))
    assert repr(loaded) == repr(model)
    for name in (
        "document_separator",
        "discounts",
        "discount_fallbacks",
        "tokenizer",
        "num_tokens",
    ):
        assert getattr(loaded, name) == getattr(model, name)
    assert np.array_equal(loaded.counts_of_counts(), model.counts_of_counts())
    assert np.array_equal(loaded.score(tokens, np.float64), model.score(tokens, np.float64))
    context = tokens[-4:]
    assert np.array_equal(loaded.next_logprobs(context), model.next_logprobs(context))
    loaded.save(path)  # over the file that is mapped
    assert np.array_equal(NgramModel.load(path).score(tokens), model.score(tokens))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.ngram"
    tiny().save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.ngram"]
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ (1 << at % 8)]) + good[at + 1 :])
        with pytest.raises(FormatError):
            NgramModel.load(path, verify=True)
        path.write_bytes(good[:at])
        with pytest.raises(FormatError):
            NgramModel.load(path)
    path.write_text("no model at all, but some text that is long enough for a header")
    with pytest.raises(FormatError, match="no model"):
        NgramModel.load(path)
    with pytest.raises(MissingFileError, match=r"none\.ngram"):
        NgramModel.load(tmp_path / "none.ngram")
    with pytest.raises(OSError, match="cannot create"):
        tiny().save(tmp_path / "no" / "m.ngram")


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int64])
def test_ids_outside_the_vocabulary(dtype: type) -> None:
    bad = np.array([0, 5, 1], dtype=dtype)
    model = tiny()
    for use in (
        lambda: NgramModel.train(bad, vocab_size=5),
        lambda: model.score(bad),
        lambda: model.next_logprobs(bad),
        lambda: model.step(model.start(), bad[None]),
    ):
        with pytest.raises(TokenIdError, match="token id 5 at position"):
            use()
    with pytest.raises(TokenIdError, match="token id -1 at position 0"):
        model.score([-1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokens": []}, "empty"),
        ({"tokens": np.zeros(3)}, "float64"),
        ({"tokens": np.zeros((2, 2), int)}, r"\(2, 2\)"),
        ({"vocab_size": None}, "n_vocab"),
        ({"vocab_size": 0}, "vocab_size = 0"),
        ({"vocab_size": 2**40}, "vocab_size = 1099511627776"),
        ({"order": 0}, "order = 0"),
        ({"order": 9}, "use 1 to 8"),
        ({"order": -1}, "order = -1"),
        ({"order": 2.5}, "order = 2.5"),
        ({"document_separator": 3}, "document_separator = 3"),
        ({"smoothing": "good_turing"}, 'use "modified_kneser_ney"'),
        ({"smoothing": "additive", "pseudocount": 0}, "pseudocount = 0"),
        ({"prune": [1]}, "the first 0"),
        ({"prune": [0, 2, 1]}, "none below"),
        ({"num_threads": 0}, "num_threads = 0"),
        ({"memory_limit": 0}, "memory_limit = 0"),
    ],
)
def test_bad_arguments_name_value_and_remedy(options: dict, message: str) -> None:
    options = {"tokens": [0, 1, 2], "order": 3, "vocab_size": 3} | options
    with pytest.raises(InvalidInputError, match=message) as caught:
        NgramModel.train(options.pop("tokens"), **options)
    assert "\n" not in str(caught.value)


def test_figures_of_nothing() -> None:
    with pytest.raises(InvalidInputError, match="empty"):
        tiny().perplexity([])
    with pytest.raises(InvalidInputError, match="num_bytes = 0"):
        tiny().bits_per_byte(TINY, 0)


def test_progress_is_reported_and_can_interrupt() -> None:
    tokens = np.random.default_rng(0).integers(0, 1000, 300_000)
    seen: list[tuple[int, int]] = []
    NgramModel.train(tokens, order=3, vocab_size=1000, progress=lambda *report: seen.append(report))
    assert seen == sorted(seen)
    assert seen[-1] == (7 * len(tokens), 7 * len(tokens))

    def stop(done: int, total: int) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        NgramModel.train(tokens, order=3, vocab_size=1000, progress=stop)


def test_exported() -> None:
    assert lexigram.NgramModel is NgramModel
