"""The word models against what KenLM's lmplz and query say of the same text.

`LEXIGRAM_DATA/ngram/kenlm_reference` has the texts, the ARPA files and the perplexities.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexigram import NgramModel

pytestmark = pytest.mark.corpus

Listed = dict[bytes, tuple[float, float | None]]
ALL = [("wt2", 2), ("wt2", 3), ("wt2", 4), ("wt2", 5), ("chars", 4), ("tiny", 2), ("tiny", 3)]
ALL.append(("quirk", 3))
# lmplz's ARPA files of wt2's higher orders are not kept.
WITH_ARPA = [case for case in ALL if case not in {("wt2", 4), ("wt2", 5)}]


def found(folder: Path, name: str) -> Path:
    path = folder / "ngram" / "kenlm_reference" / name
    return path if path.exists() else path.with_name(f"{name}.gz")


def reference(folder: Path, corpus: str, order: int) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(found(folder, "reference.json").read_bytes())[corpus]
    texts = {name: found(folder, entry[name]) for name in ("train", "test")}
    return {**entry["orders"][str(order)], **texts}


def lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        yield from file


def listed(path: Path) -> Listed:
    fields = (line.rstrip(b"\n").split(b"\t") for line in lines(path))
    return {f[1]: (float(f[0]), float(f[2]) if len(f) > 2 else None) for f in fields if len(f) >= 2}


def check_perplexity(model: NgramModel, expected: dict[str, Any]) -> None:
    measured = model.perplexity_words(expected["test"])
    assert (measured.num_tokens, measured.num_oov) == (expected["tokens"], expected["oov"])
    assert measured.including_oov == pytest.approx(expected["ppl_incl_oov"], rel=1e-6)
    assert measured.excluding_oov == pytest.approx(expected["ppl_excl_oov"], rel=1e-6)


def check_listed(ours_path: Path, kenlm_path: Path, tolerance: float) -> None:
    ours, kenlm = listed(ours_path), listed(kenlm_path)
    assert ours.keys() == kenlm.keys()
    for column in (0, 1):
        pairs = [(ours[g][column], kenlm[g][column]) for g in kenlm]
        assert all((one is None) == (other is None) for one, other in pairs)
        numbers = np.array([pair for pair in pairs if pair[1] is not None])
        np.testing.assert_allclose(numbers[:, 0], numbers[:, 1], rtol=0, atol=tolerance)


@pytest.mark.parametrize(("corpus", "order"), ALL)
def test_training_equals_lmplz(
    lexigram_data: Path, tmp_path: Path, corpus: str, order: int
) -> None:
    expected = reference(lexigram_data, corpus, order)
    model = NgramModel.train_words(expected["train"], order=order, kenlm_compatible=True)
    stats = [expected["stats"][str(k)] for k in range(1, order + 1)]
    # KenLM lists <s> and <unk> among the unigrams.
    assert [model.num_ngrams[0] + 2, *model.num_ngrams[1:]] == [s["ngrams"] for s in stats]
    # lmplz prints six digits.
    printed = [[float(f"{d:.6g}") for d in row] for row in model.discounts]
    np.testing.assert_allclose(printed, [s["D"] for s in stats], rtol=1e-6)
    check_perplexity(model, expected)
    if (corpus, order) not in WITH_ARPA:
        return
    model.to_arpa(tmp_path / "m.arpa")
    check_listed(tmp_path / "m.arpa", found(lexigram_data, f"{corpus}.o{order}.arpa"), 1e-5)


@pytest.mark.parametrize(("corpus", "order"), WITH_ARPA)
def test_reading_equals_query(lexigram_data: Path, tmp_path: Path, corpus: str, order: int) -> None:
    expected = reference(lexigram_data, corpus, order)
    read = NgramModel.from_arpa(found(lexigram_data, f"{corpus}.o{order}.arpa"))
    assert read.notes == ()
    check_perplexity(read, expected)
    trained = NgramModel.train_words(expected["train"], order=order, kenlm_compatible=True)
    assert read.num_ngrams == trained.num_ngrams
    for line in list(lines(expected["test"]))[:300]:
        np.testing.assert_allclose(read.score_words(line), trained.score_words(line), atol=1e-5)
    # What was read is written as it was, but for the last bit of natural logarithms in float32.
    read.to_arpa(tmp_path / "m.arpa")
    check_listed(tmp_path / "m.arpa", found(lexigram_data, f"{corpus}.o{order}.arpa"), 2e-6)


def test_the_quirk_is_small_and_only_on_request(lexigram_data: Path) -> None:
    expected = reference(lexigram_data, "quirk", 3)
    model = NgramModel.train_words(expected["train"], order=3)
    assert f"{model.discounts[0][0]:.6f}" == "0.614876"
    like = NgramModel.train_words(expected["train"], order=3, kenlm_compatible=True)
    assert f"{like.discounts[0][0]:.6f}" == "0.614754"
    assert model.counts_of_counts()[2].tolist() == like.counts_of_counts()[2].tolist()


@pytest.mark.parametrize("order", [2, 3])
def test_stupid_backoff(lexigram_data: Path, order: int) -> None:
    path = found(lexigram_data, "sb_inf_ref.json")
    expected = json.loads(path.read_bytes())[f"stupid_backoff.tiny.o{order}"]
    texts = reference(lexigram_data, "tiny", 2)
    model = NgramModel.train_words(texts["train"], order=order, smoothing="stupid_backoff")
    assert model.num_tokens == expected["N_tokens"]
    scores = np.concatenate([model.score_words(line) for line in lines(texts["test"])])
    np.testing.assert_allclose(np.exp(scores), expected["first8"], atol=1e-9)
    scored = scores[np.isfinite(scores)]
    assert (len(scored), len(scores) - len(scored)) == (
        expected["scored"],
        expected["zeros_unseen_unigram"],
    )
    assert scored.sum() / math.log(10) == pytest.approx(expected["sum_log10"])


# log10 p by KenLM's Python module 0.3.0, full_scores. test.arpa lacks contexts' suffixes, has
# <unk> inside n-grams, and a weight above 1.
KENLM_SCORES = {
    "test.arpa": {
        "looking on a little more loin": [
            -0.484652, -0.348837, -0.015527, -0.003061, -0.001814, -0.043256, -0.670838,
        ],
        "also would consider higher looking": [
            -2.102845, -2.0, -3.0, -4.0, -5.0, -1.506614,
        ],
        "foo bar foo bar baz": [-3.556565, -6.0, -0.141592, -6.0, -3.535897, -1.029493],
        "nothing to look a": [-2.410608, -21.687872, -0.29221, -7.0, -1.728463],
        "watch this however what": [-2.102845, -2.296665, -4.0, -2.988902, -1.330523],
        "however , is it": [-2.102845, -0.283433, -0.752209, -2.296665, -21.029493],
        "": [-1.444466],
        "this is <unk> a": [-2.410608, -21.687872, -2.296665, -21.28594, -1.728463],
    },
    "test_nounk.arpa": {
        "nothing to look a": [-100.41497, -1.687872, -0.29221, -7.0, -1.728463],
        "however , is it": [-2.102845, -0.283433, -0.752209, -100.301033, -1.029493],
    },
    "toy0.arpa": {
        "nothing to look a": [-1.20412, -0.90309, -0.90309, -0.469434, -0.58682],
        "": [-0.873127],
    },
    "toy1.arpa": {
        "nothing to look a": [-1.30103, -1.0, -1.0, -0.614649, -0.915679],
        "": [-0.915679],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(KENLM_SCORES))
def test_files_of_other_shapes(lexigram_data: Path, name: str) -> None:
    model = NgramModel.from_arpa(lexigram_data / "ngram" / name)
    for sentence, expected in KENLM_SCORES[name].items():
        scores = model.score_words(sentence) / math.log(10)
        np.testing.assert_allclose(scores, expected, rtol=1e-7, atol=4e-6, err_msg=sentence)
    assert any("<unk>" in note for note in model.notes) == (name == "test_nounk.arpa")
