"""ARPA files: token models written and read, files of other tools, refusals."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexigram import NgramModel
from lexigram.errors import FormatError, InvalidInputError, MissingFileError


def words_of(path: Path) -> set[str]:
    lines = path.read_text(encoding="utf-8").split("\\2-grams:")[0].splitlines()
    return {line.split("\t")[1] for line in lines if "\t" in line}


@settings(max_examples=30, deadline=None)
@given(
    tokens=st.lists(st.integers(0, 5), min_size=1, max_size=60),
    order=st.integers(1, 4),
    separator=st.sampled_from([None, 5]),
)
def test_token_models_are_read_as_written(
    tmp_path_factory: pytest.TempPathFactory, tokens: list[int], order: int, separator: int | None
) -> None:
    path = tmp_path_factory.mktemp("arpa") / "m.arpa"
    model = NgramModel.train(tokens, order=order, vocab_size=6, document_separator=separator)
    model.to_arpa(path)
    read = NgramModel.from_arpa(path)
    assert read.notes == ()
    assert read.words is not None
    ids = [1 if t == separator else read.words.index(str(t).encode()) for t in tokens]
    expected = model.score(tokens, dtype=np.float64)
    np.testing.assert_allclose(read.score(ids, dtype=np.float64), expected, atol=1e-5)


def test_tokens_are_spelled_as_in_the_tokenizer(tmp_path: Path) -> None:
    vocab = {"a": 0, "Ġb": 1, "<s>": 2, "7": 3, "<|end|>": 6}
    added = [{"id": 4, "content": "two words"}, {"id": 5, "content": "a"}]
    tokenizer = json.dumps({"model": {"vocab": vocab}, "added_tokens": added})
    model = NgramModel.train(
        [0, 1, 2, 3, 4, 5, 6], order=2, vocab_size=8, document_separator=6, tokenizer=tokenizer
    )
    model.to_arpa(tmp_path / "m.arpa")
    expected = {"<s>", "</s>", "<unk>", "Ġb", "7"} | {f"<id:{i}>" for i in (0, 2, 4, 5, 7)}
    assert words_of(tmp_path / "m.arpa") == expected
    assert NgramModel.from_arpa(tmp_path / "m.arpa").notes == ()


SRILM = """
made by ngram-count

\\data\\
ngram 1=5
ngram 2=4
ngram 3=2

\\1-grams:
-0.7781513\t</s>
-99\t<s>\t-0.30103
-0.60206\ta\t-0.30103
-0.60206\tb
-0.90309\tc\t-0.1

\\2-grams:
-0.2\tb </s>
-0.3\ta b\t-0.2
-0.4\t<s> a
-0.5\tb c

\\3-grams:
-0.1\ta b c
-0.15\tc a b

\\end\\
"""


def test_a_file_in_srilms_manner(tmp_path: Path) -> None:
    path = tmp_path / "m.arpa.gz"
    path.write_bytes(gzip.compress(SRILM.replace("\n", "\r\n").encode()))
    model = NgramModel.from_arpa(path)
    assert (model.order, model.smoothing) == (3, "arpa")
    assert len(model.notes) == 2
    assert "<unk>" in model.notes[0]
    assert "were added" in model.notes[1]
    log10 = model.score_words("c a b c a x b") / np.log(10)
    # "c a" is not listed as a context: its weight is 1, its value that of backing off.
    expected = [-0.90309 - 0.30103, -0.60206 - 0.1, -0.15, -0.1, -0.60206 - 0.1, -100 - 0.30103]
    np.testing.assert_allclose(log10, [*expected, -0.60206, -0.2], atol=1e-5)
    model.save(tmp_path / "m.ngram")
    loaded = NgramModel.load(tmp_path / "m.ngram")
    assert loaded.smoothing == "arpa"
    np.testing.assert_allclose(loaded.score_words("a b c"), model.score_words("a b c"), atol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "", r"no \\data\\"),
        ("ngram 2=4", "ngram 2=99999999999", "line 22: .*line 6 says 99999999999"),
        ("-0.5\tb c", "nan\tb c", 'line 20: "nan" is no finite number'),
        ("-0.5\tb c", "0.5\tb c", "line 20: log10 p = 0.5 is above 0"),
        ("-0.5\tb c", "-0.5\tb d", 'line 20: the word "d" is not among the unigrams'),
        ("-0.5\tb c", "-0.5\ta b", "line 20: it repeats the n-gram of line 18"),
        ("\\3-grams:", "\\4-grams:", "line 22: .*3-grams: is due"),
        ("\\end\\", "", "truncated"),
    ],
)
def test_faults_have_a_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "m.arpa"
    path.write_text(SRILM.replace(old, new), encoding="utf-8")
    with pytest.raises(FormatError, match=message):
        NgramModel.from_arpa(path)


def test_bad_arguments_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        NgramModel.from_arpa(tmp_path / "m.arpa")
    model = NgramModel.train([0, 1, 0], order=2, vocab_size=2, smoothing="stupid_backoff")
    with pytest.raises(InvalidInputError, match="normalized_stupid_backoff"):
        model.to_arpa(tmp_path / "m.arpa")
    model.normalized().to_arpa(tmp_path / "m.arpa")
    assert NgramModel.from_arpa(tmp_path / "m.arpa").num_ngrams == (3, 2)
