"""Cross-entropy against its definition in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lexigram.errors import InvalidInputError
from lexigram.objectives import cross_entropy

pytestmark = pytest.mark.torch


@given(
    st.lists(st.integers(1, 4), max_size=3),
    st.integers(1, 9),
    st.sampled_from([-100, 0]),
    st.sampled_from([torch.float32, torch.bfloat16]),
    st.integers(0, 2**32 - 1),
)
def test_it_is_the_definition(
    shape: list[int], vocab: int, ignored: int, dtype: torch.dtype, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(*shape, vocab)) * 30).to(dtype)
    targets = torch.from_numpy(np.asarray(rng.integers(vocab, size=shape)))
    targets[torch.from_numpy(np.asarray(rng.random(shape) < 0.3))] = ignored

    exact, counted = [], 0
    for row, target in zip(
        logits.double().reshape(-1, vocab).tolist(), targets.reshape(-1).tolist(), strict=True
    ):
        if target == ignored:
            exact.append(0.0)
            continue
        peak = max(row)
        exact.append(peak + math.log(sum(math.exp(z - peak) for z in row)) - row[target])
        counted += 1

    per_target = cross_entropy(logits, targets, ignore_index=ignored, reduction="none")
    assert per_target.dtype == torch.float32
    np.testing.assert_allclose(per_target.numpy(), np.reshape(exact, shape), atol=1e-4)
    total = cross_entropy(logits, targets, ignore_index=ignored, reduction="sum")
    assert total.item() == pytest.approx(sum(exact), abs=1e-3)
    mean = cross_entropy(logits, targets, ignore_index=ignored)
    if counted:
        assert mean.item() == pytest.approx(sum(exact) / counted, abs=1e-4)
    else:
        assert math.isnan(mean.item())


@given(st.integers(1, 6), st.integers(2, 7), st.integers(0, 2**32 - 1))
def test_its_gradient_is_softmax_minus_one_hot(rows: int, vocab: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(rows, vocab))).float().requires_grad_()
    targets = torch.from_numpy(rng.integers(vocab, size=rows))
    cross_entropy(logits, targets).backward()
    expected = (logits.softmax(-1) - torch.nn.functional.one_hot(targets, vocab)) / rows
    torch.testing.assert_close(logits.grad, expected.detach())


def test_wrong_shapes_and_reductions_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"\(2, 3\) and targets \(3,\)"):
        cross_entropy(torch.zeros(2, 3), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(InvalidInputError, match="reduction"):
        cross_entropy(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), reduction="avg")  # type: ignore[arg-type]
