"""Word models: text files in, scores of sentences out."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from lexigram import NgramModel
from lexigram.errors import FormatError, InvalidInputError, MissingFileError

TEXT = "a b a c\na b\n\nb a b\n"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_ids_are_first_appearances(text: Path) -> None:
    model = NgramModel.train_words(text, order=2)
    assert model.words == (b"<unk>", b"</s>", b"a", b"b", b"c")
    assert (model.vocab_size, model.document_separator, model.num_tokens) == (5, 1, 13)
    ids = [2, 3, 2, 4, 1, 2, 3, 1, 1, 3, 2, 3, 1]
    same = NgramModel.train(ids, order=2, vocab_size=5, document_separator=1)
    assert model.discounts == same.discounts
    for sentence, context in [("a b", [1, 2, 3, 1]), ("", [1, 1]), ("b  z\tc", [1, 3, 0, 4, 1])]:
        scores = model.score_words(sentence)
        assert scores.dtype == np.float64
        np.testing.assert_array_equal(scores, same.score(context, dtype=np.float64)[1:])
    assert model.score_words(b"a \xff").shape == (3,)


def test_several_files_and_gzip(tmp_path: Path, text: Path) -> None:
    packed = tmp_path / "text.gz"
    packed.write_bytes(gzip.compress(TEXT.encode()))
    twice = tmp_path / "twice.txt"
    twice.write_text(TEXT + TEXT, encoding="utf-8")
    expected = NgramModel.train_words(twice, order=3)
    for paths in ([text, packed], [str(packed), text]):
        model = NgramModel.train_words(paths, order=3, num_threads=1)
        np.testing.assert_array_equal(model.score_words("a b c"), expected.score_words("a b c"))


def test_rare_words_are_unknown(text: Path) -> None:
    model = NgramModel.train_words(text, order=2, min_count=2)
    assert model.words == (b"<unk>", b"</s>", b"a", b"b")
    assert model.score_words("c")[0] == model.score_words("never")[0]
    assert NgramModel.train_words(text, order=2, min_count=99).words == (b"<unk>", b"</s>")


def test_symbols_in_the_text(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a b\na <s> c\n", encoding="utf-8")
    with pytest.raises(FormatError, match=r"line 2 has the word <s>.*skip_symbols"):
        NgramModel.train_words(path, order=2)
    model = NgramModel.train_words(path, order=2, skip_symbols=True)
    assert model.words == (b"<unk>", b"</s>", b"a", b"b", b"c")


def test_a_saved_model_has_its_words(tmp_path: Path, text: Path) -> None:
    model = NgramModel.train_words(text, order=3, kenlm_compatible=True)
    model.save(tmp_path / "m.ngram")
    loaded = NgramModel.load(tmp_path / "m.ngram")
    assert loaded.words == model.words
    np.testing.assert_allclose(loaded.score_words("a z b"), model.score_words("a z b"), atol=1e-6)
    for path in ("m.arpa", "n.arpa"):
        (model if path == "m.arpa" else loaded).to_arpa(tmp_path / path)
    assert (tmp_path / "m.arpa").read_bytes() == (tmp_path / "n.arpa").read_bytes()


def test_perplexity_counts_as_query(tmp_path: Path, text: Path) -> None:
    model = NgramModel.train_words(text, order=2)
    test = tmp_path / "test.txt"
    test.write_text("a b\n\na z c\n", encoding="utf-8")
    measured = model.perplexity_words(test)
    scores = np.concatenate([model.score_words(line) for line in ("a b", "", "a z c")])
    assert (measured.num_tokens, measured.num_oov, measured.num_sentences) == (8, 1, 3)
    assert measured.logprob == pytest.approx(scores.sum())
    assert measured.including_oov == pytest.approx(math.exp(-scores.mean()))
    known = np.delete(scores, 5)
    assert measured.excluding_oov == pytest.approx(math.exp(-known.mean()))
    test.write_bytes(b"")
    with pytest.raises(InvalidInputError, match="the text is empty"):
        model.perplexity_words(test)


def test_normalized_stupid_backoff_is_a_distribution(text: Path) -> None:
    raw = NgramModel.train_words(text, order=3, smoothing="stupid_backoff")
    with pytest.raises(InvalidInputError, match="no perplexity"):
        raw.perplexity_words(text)
    model = raw.normalized()
    assert model.smoothing == "normalized_stupid_backoff"
    same = NgramModel.train_words(text, order=3, smoothing="normalized_stupid_backoff")
    for context in ([], [1], [1, 2], [2, 0], [3, 2]):
        logprobs = model.next_logprobs(context, dtype=np.float64)
        np.testing.assert_array_equal(logprobs, same.next_logprobs(context, dtype=np.float64))
        assert np.exp(logprobs).sum() == pytest.approx(1, abs=1e-6)
    assert math.isfinite(model.perplexity_words(text).including_oov)
    # By hand: after <s> come a, b and </s> with 2/4, 1/4, 1/4; c and <unk> back off to
    # 0.4 · 1/13 and 0.4 · 0.4/5.
    seen = np.array([0.4 * 0.4 / 5, 1 / 4, 2 / 4, 1 / 4, 0.4 / 13])
    first = np.exp(model.next_logprobs([1], dtype=np.float64))
    np.testing.assert_allclose(first, seen / seen.sum(), rtol=1e-6)
    with pytest.raises(InvalidInputError, match="probabilities already"):
        model.normalized()


def test_entropy_pruning(tmp_path: Path, text: Path) -> None:
    model = NgramModel.train_words(text, order=3)
    assert model.prune(0).num_ngrams == model.num_ngrams
    sizes = [sum(model.prune(threshold).num_ngrams) for threshold in (0, 1e-3, 1e-2, 1e-1, 10)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) >= 3
    pruned = NgramModel.train_words(text, order=3, prune_entropy=1e-2)
    assert pruned.num_ngrams == model.prune(1e-2).num_ngrams != model.num_ngrams
    assert pruned.words == model.words
    for context in ([], [1], [1, 2], [2, 3], [4, 0]):
        assert np.exp(pruned.next_logprobs(context)).sum() == pytest.approx(1, abs=1e-5)
    pruned.to_arpa(tmp_path / "m.arpa")
    assert NgramModel.from_arpa(tmp_path / "m.arpa").notes == ()
    with pytest.raises(InvalidInputError, match="threshold = -1"):
        model.prune(-1)


def test_bad_arguments_are_named(tmp_path: Path, text: Path) -> None:
    with pytest.raises(MissingFileError, match="no-file"):
        NgramModel.train_words(tmp_path / "no-file", order=2)
    with pytest.raises(InvalidInputError, match="order = 9"):
        NgramModel.train_words(text, order=9)
    with pytest.raises(InvalidInputError, match="prune"):
        NgramModel.train_words(text, prune=(1,))
    with pytest.raises(InvalidInputError, match="smoothing"):
        NgramModel.train_words(text, smoothing="arpa")  # type: ignore[arg-type]
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(InvalidInputError, match="empty"):
        NgramModel.train_words(tmp_path / "empty")
    with pytest.raises(InvalidInputError, match="empty"):
        NgramModel.train_words([])
    tokens = NgramModel.train([0, 1, 0], order=2, vocab_size=2)
    assert tokens.words is None
    with pytest.raises(InvalidInputError, match="knows no words"):
        tokens.score_words("a")


def test_progress_may_interrupt(tmp_path: Path, text: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        NgramModel.train_words(text, progress=stop)
    model = NgramModel.train_words(text, order=2)
    with pytest.raises(Stop):
        model.to_arpa(tmp_path / "m.arpa", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]
    model.to_arpa(tmp_path / "m.arpa")
    with pytest.raises(Stop):
        NgramModel.from_arpa(tmp_path / "m.arpa", progress=stop)
