"""The text form of strategies, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexigram.decode import Strategy, Transform
from lexigram.decode.processors import argmax_only, temperature, top_k, top_p
from lexigram.decode.strategy import TRANSFORMS
from lexigram.errors import ConfigError, InvalidInputError

values = {
    "temperature": st.floats(0, allow_infinity=False, allow_nan=False),
    "top_k": st.integers(1, 10**9),
    "top_p": st.floats(0, 1),
    "min_p": st.floats(0, 1),
}
strategies = st.one_of(
    st.just(Strategy(choice="greedy")),
    st.permutations(sorted(values)).flatmap(
        lambda names: st.integers(0, len(names)).flatmap(
            lambda n: st.tuples(
                *(values[name].map(lambda v, name=name: Transform(name, v)) for name in names[:n])
            ).map(lambda transforms: Strategy(transforms=transforms))
        )
    ),
)


def test_every_transform_has_a_generator_here() -> None:
    assert values.keys() == TRANSFORMS.keys()


@given(strategy=strategies)
def test_text_form_round_trips(strategy: Strategy) -> None:
    assert Strategy.parse(str(strategy)) == strategy
    assert Strategy.parse(strategy) is strategy
    assert hash(Strategy.parse(str(strategy))) == hash(strategy)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("greedy", "greedy"),
        ("sample", "sample"),
        ("ancestral", "sample"),
        (" Greedy ", "greedy"),
        ("top_p=0.95,top_k=40", "top_p=0.95,top_k=40"),
        ("top-k = 40 , temperature=1.0", "top_k=40,temperature=1"),
        ("sample,temperature=.8", "temperature=0.8"),
        ("temperature=0", "temperature=0"),
        ("min_p=5e-2", "min_p=0.05"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    assert str(Strategy.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty item"),
        ("greedy,", "empty item"),
        ("greedy,temperature=2", "greedy and temperature contradict"),
        ("top_k=5,greedy", "greedy and top_k contradict"),
        ("greedy,sample", "says twice how to choose"),
        ("top_k=5,top_k=6", "top_k stands 2 times"),
        ("beam=4", "unknown strategy 'beam'; supported are greedy, sample, temperature, top_k"),
        ("topk=4", "did you mean 'top_k'"),
        ("top_k", "top_k needs a value"),
        ("greedy=1", "greedy takes no value"),
        ("top_k=0", "top_k=0: must be a whole number, at least 1"),
        ("top_k=2.5", "top_k=2.5: must be a whole number"),
        ("top_p=1.5", "top_p=1.5: must be a number from 0 to 1"),
        ("min_p=-0.1", "must be a number from 0 to 1"),
        ("temperature=-1", "must be a number, at least 0"),
        ("temperature=nan", "temperature=nan: must be a number"),
        ("temperature=inf", "temperature=inf: must be a number"),
        ("temperature=hot", "temperature=hot: must be a number"),
    ],
)
def test_bad_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Strategy.parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [None, 3, ["greedy"]])
def test_only_text_is_parsed(wrong: object) -> None:
    with pytest.raises(ConfigError, match="must be a text or a Strategy"):
        Strategy.parse(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [True, "5", None, math.nan])
def test_values_have_their_type(value: object) -> None:
    with pytest.raises(ConfigError, match="top_k="):
        Transform("top_k", value)  # type: ignore[arg-type]


def test_unknown_choice_is_refused() -> None:
    with pytest.raises(ConfigError, match="choice='best'"):
        Strategy(choice="best")  # type: ignore[arg-type]


def test_pipeline_is_applied_in_the_order_of_the_text() -> None:
    scores = np.random.default_rng(1).normal(size=50)
    for text, expected in {
        "temperature=2,top_p=0.5": top_p(temperature(scores, 2), 0.5),
        "top_p=0.5,temperature=2": temperature(top_p(scores, 0.5), 2),
        "top_k=3,top_p=0.5": top_p(top_k(scores, 3), 0.5),
        "greedy": argmax_only(scores),
        "temperature=0": argmax_only(scores),
        "sample": scores,
    }.items():
        np.testing.assert_array_equal(Strategy.parse(text)(scores), expected)


@pytest.mark.parametrize("text", ["sample", "greedy", "top_p=0.5"])
def test_broken_scores_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="NaN"):
        Strategy.parse(text)(np.array([0.0, math.nan]))
    with pytest.raises(InvalidInputError, match="-inf"):
        Strategy.parse(text)(np.array([-math.inf]))
