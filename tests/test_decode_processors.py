"""Transforms of scores against naive twins, tables of ties, properties, and Hugging Face."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lexigram.decode import processors
from lexigram.decode.processors import Scores
from lexigram.decode.strategy import TRANSFORMS, Transform
from lexigram.errors import InvalidInputError

INF = math.inf

# Values from a small grid make ties common; −inf is a token that cannot be chosen.
tied_scores = hnp.arrays(
    np.float64,
    st.integers(1, 12),
    elements=st.sampled_from([-INF, -4.0, -1.0, -0.5, 0.0, 0.5, 2.0]),
).filter(lambda s: bool(np.isfinite(s).any()))
wide_scores = hnp.arrays(
    np.float64, st.integers(1, 40), elements=st.floats(-30, 30, allow_subnormal=False)
)
any_scores = st.one_of(tied_scores, wide_scores)
VALUES = {
    "temperature": st.floats(0, 20),
    "top_k": st.integers(1, 50),
    "top_p": st.floats(0, 1),
    "min_p": st.floats(0, 1),
}
any_transform = st.one_of(
    *(v.map(lambda x, n=n: Transform(n, x)) for n, v in VALUES.items())  # type: ignore[misc]
)


def kept(scores: Scores) -> set[int]:
    return set(np.flatnonzero(scores > -INF).tolist())


def in_order(scores: Scores) -> list[int]:
    """Higher score first, then lower id: the order that all definitions share."""
    return sorted(range(len(scores)), key=lambda i: (-scores[i], i))


def probabilities(scores: Scores) -> list[float]:
    weights = [math.exp(s - max(scores)) for s in scores]
    return [w / math.fsum(weights) for w in weights]


def naive_kept(name: str, value: float, scores: Scores) -> set[int]:
    """What each definition says, word by word."""
    finite = [i for i in in_order(scores) if scores[i] > -INF]
    p = probabilities(scores)
    if name == "top_k":
        return set(finite[: int(value)])
    if name == "min_p":
        return {i for i in finite if p[i] >= value * max(p)}
    assert name == "top_p"
    taken: list[int] = []
    for i in finite:
        if taken and value < 1 and math.fsum(p[j] for j in taken) >= value:
            break
        taken.append(i)
    return set(taken)


def near_a_boundary(name: str, value: float, scores: Scores) -> bool:
    """Whether rounding decides, so that two exact-looking computations may differ."""
    p = probabilities(scores)
    if name == "min_p":
        return any(abs(q - value * max(p)) < 1e-12 for q in p)
    masses = np.cumsum([p[i] for i in in_order(scores)])
    return name == "top_p" and bool((abs(masses - value) < 1e-12).any())


@pytest.mark.parametrize("name", ["top_k", "top_p", "min_p"])
@given(data=st.data(), scores=any_scores)
def test_kept_set_is_the_definition(name: str, data: st.DataObject, scores: Scores) -> None:
    value = data.draw(VALUES[name])
    assume(not near_a_boundary(name, value, scores))
    result = Transform(name, value)(scores)
    expected = naive_kept(name, value, scores)
    assert kept(result) == expected
    for i in expected:
        assert result[i] == scores[i]


@given(scores=any_scores, transform=any_transform)
def test_something_is_kept_and_nothing_comes_back(scores: Scores, transform: Transform) -> None:
    before = scores.copy()
    result = transform(scores)
    assert result.shape == scores.shape
    assert result.dtype == np.float64
    assert kept(result)
    assert kept(result) <= kept(scores)
    assert int(np.argmax(scores)) in kept(result)
    assert result[np.argmax(scores)] == result.max()
    np.testing.assert_array_equal(scores, before)  # its input is left alone


@given(scores=tied_scores, transform=any_transform, constant=st.sampled_from([-8.0, 0.5, 64.0]))
def test_a_constant_means_nothing(scores: Scores, transform: Transform, constant: float) -> None:
    assert kept(transform(scores + constant)) == kept(transform(scores))


@given(
    scores=hnp.arrays(np.float64, 20, elements=st.floats(-9, 9), unique=True),
    transform=any_transform,
    seed=st.integers(0, 99),
)
def test_names_of_tokens_mean_nothing(scores: Scores, transform: Transform, seed: int) -> None:
    assume(not near_a_boundary(transform.name, transform.value, scores))
    order = np.random.default_rng(seed).permutation(len(scores))
    np.testing.assert_array_equal(
        transform(scores[order]) > -INF, (transform(scores) > -INF)[order]
    )


@given(
    rows=hnp.arrays(np.float64, (2, 3, 7), elements=st.sampled_from([-2.0, 0.0, 0.25, 1.0])),
    transform=any_transform,
)
def test_rows_are_independent(rows: Scores, transform: Transform) -> None:
    result = transform(rows)
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(result[index], transform(rows[index]))


@given(scores=any_scores, k=VALUES["top_k"], m=VALUES["min_p"])
def test_top_k_and_min_p_are_idempotent(scores: Scores, k: int, m: float) -> None:
    for transform in (Transform("top_k", k), Transform("min_p", m)):
        once = transform(scores)
        np.testing.assert_array_equal(transform(once), once)


@pytest.mark.parametrize("name", ["top_k", "top_p", "min_p"])
@given(data=st.data(), scores=any_scores)
def test_kept_set_is_monotone(name: str, data: st.DataObject, scores: Scores) -> None:
    low, high = sorted([data.draw(VALUES[name]), data.draw(VALUES[name])])
    if name == "min_p":
        low, high = high, low
    assert kept(Transform(name, low)(scores)) <= kept(Transform(name, high)(scores))


def test_order_of_the_pipeline_matters() -> None:
    scores = 3 * np.random.default_rng(0).normal(size=5000)
    hot_first = processors.top_p(processors.temperature(scores, 2), 0.9)
    cut_first = processors.temperature(processors.top_p(scores, 0.9), 2)
    assert len(kept(hot_first)) > 4 * len(kept(cut_first))


TIES = [
    ("top_k", 3, [0.0] * 10, {0, 1, 2}),
    ("top_k", 2, [1.0, 0.0, 1.0, 1.0], {0, 2}),
    ("top_k", 3, [0.0, 2.0, 0.0, 0.0], {0, 1, 2}),
    ("top_k", 9, [0.0, 1.0], {0, 1}),
    ("top_k", 2, [-INF, 1.0, -INF], {1}),
    ("top_k", 1, [0.5, 2.0, 2.0], {1}),
    ("top_p", 0.5, [0.0] * 10, {0, 1, 2, 3, 4}),
    ("top_p", 0.0, [0.0, 3.0, 3.0], {1}),
    ("top_p", 1.0, [0.0, -700.0, -INF], {0, 1}),
    ("top_p", 0.74, [0.0, 0.0, 0.0, 0.0], {0, 1, 2}),
    ("min_p", 1.0, [3.0, 0.0, 3.0], {0, 2}),
    ("min_p", 0.0, [0.0, -700.0, -INF], {0, 1}),
    ("min_p", 0.5, [0.0] * 4, {0, 1, 2, 3}),
    ("temperature", 0, [1.0, 2.0, 2.0, -INF], {1}),
    ("temperature", 1e-320, [1.0, 2.0, 2.0, -INF], {1, 2}),
    ("temperature", 5e-324, [1.0, 2.0], {1}),
    ("temperature", 1e300, [-9.0, 2.0, -INF], {0, 1}),
]


@pytest.mark.parametrize(("name", "value", "scores", "expected"), TIES)
def test_ties_and_edges(name: str, value: float, scores: list[float], expected: set[int]) -> None:
    assert kept(Transform(name, value)(np.array(scores))) == expected


@given(scores=any_scores, value=st.floats(0.05, 20))
def test_temperature_divides(scores: Scores, value: float) -> None:
    expected = processors.log_softmax(scores / value)
    result = processors.log_softmax(processors.temperature(scores, value))
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-9)


@given(scores=any_scores, count=st.integers(0, 50))
def test_top_ids_are_the_first_in_order(scores: Scores, count: int) -> None:
    assert processors.top_ids(scores, count) == in_order(scores)[:count]


@given(scores=any_scores)
def test_log_softmax_sums_to_one(scores: Scores) -> None:
    logprobs = processors.log_softmax(scores)
    assert math.fsum(np.exp(logprobs)) == pytest.approx(1, abs=1e-14)
    np.testing.assert_allclose(np.exp(logprobs), probabilities(scores), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([0.0, math.nan], "token id 1 is NaN"),
        ([0.0, 1.0, INF], r"token id 2 is \+inf"),
        ([-INF, -INF], "all 2 scores are -inf"),
        ([], "all 0 scores"),
    ],
)
def test_broken_scores_are_refused(scores: list[float], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        processors.check_scores(np.array(scores))
    if scores:
        with pytest.raises(InvalidInputError, match=message):
            processors.check_scores(np.array([[0.5] * len(scores), scores]))


@pytest.mark.torch
def test_torch_arrays_become_float64() -> None:
    torch = pytest.importorskip("torch")
    values = torch.tensor([[1.5, -math.inf]], requires_grad=True)
    for array in (values, values.bfloat16(), values.half(), values.detach().numpy()):
        result = processors.as_float64(array)
        assert result.dtype == np.float64
        np.testing.assert_array_equal(result, [[1.5, -INF]])


@pytest.mark.torch
def test_kept_sets_equal_hugging_face() -> None:
    """On rows without ties, in float64, over values of every parameter."""
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rivals: Any = pytest.importorskip("transformers.generation.logits_process")
    makers = {
        "temperature": rivals.TemperatureLogitsWarper,
        "top_k": rivals.TopKLogitsWarper,
        "top_p": rivals.TopPLogitsWarper,
        "min_p": rivals.MinPLogitsWarper,
    }
    values: dict[str, list[float]] = {
        "temperature": [0.1, 0.7, 1.0, 3.0],
        "top_k": [1, 5, 40, 200, 1000],
        "top_p": [0.01, 0.3, 0.5, 0.9, 0.95, 0.999],
        "min_p": [0.001, 0.05, 0.1, 0.9],
    }
    assert values.keys() == TRANSFORMS.keys()
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(500, 200)) * rng.uniform(0.2, 6, size=(500, 1))
    for name, each in values.items():
        for value in each:
            ours = Transform(name, value)(scores)
            theirs = makers[name](value)(None, torch.tensor(scores)).numpy()
            np.testing.assert_array_equal(np.isneginf(ours), np.isneginf(theirs))
            np.testing.assert_allclose(
                processors.log_softmax(ours), processors.log_softmax(theirs), atol=1e-9
            )
