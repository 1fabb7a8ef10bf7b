"""What a step says about a distribution, and the trace as a file."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fake_models import Pieces
from lexigram.decode import Alternative, Strategy, Trace, TraceStep
from lexigram.decode.trace import describe
from lexigram.errors import FormatError

INF = math.inf
logprobs = st.one_of(st.just(-INF), st.floats(-1e4, 0))
counts = st.integers(0, 10**6)
alternatives = st.builds(Alternative, counts, st.none() | st.text(), logprobs)
trace_steps = st.builds(
    TraceStep,
    id=counts,
    token=st.none() | st.binary(),
    logprob=logprobs,
    logprob_after=logprobs,
    entropy=st.floats(0, 20),
    rank=counts,
    kept=counts,
    kept_mass=st.floats(0, 1),
    alternatives=st.lists(alternatives, max_size=3).map(tuple),
)
traces = st.builds(
    Trace,
    strategy=st.text(),
    seed=st.none() | st.integers(0, 2**64 - 1),
    prompt=st.lists(counts).map(tuple),
    vocab_size=counts,
    finish_reason=st.none() | st.text(),
    steps=st.lists(trace_steps, max_size=3).map(tuple),
)


@given(trace=traces)
def test_json_round_trip(trace: Trace) -> None:
    text = trace.to_json()
    again = Trace.from_json(text)
    assert again == trace
    assert again.to_json() == text
    assert again.fingerprint == trace.fingerprint
    assert text.isascii()
    json.loads(text, parse_constant=pytest.fail)  # no NaN and no Infinity: any reader can read it


@given(a=traces, b=traces)
def test_fingerprint_tells_traces_apart(a: Trace, b: Trace) -> None:
    assert (a.fingerprint == b.fingerprint) == (a == b)


@given(
    scores=hnp.arrays(np.float64, 9, elements=st.sampled_from([-INF, -3.0, 0.0, 0.5, 2.0])).filter(
        lambda s: bool(np.isfinite(s).any())
    ),
    token=st.integers(0, 8),
    text=st.sampled_from(["sample", "greedy", "top_k=2", "temperature=0.5,top_p=0.7"]),
)
def test_step_says_what_the_definitions_say(scores: np.ndarray, token: int, text: str) -> None:
    after = Strategy.parse(text)(scores)
    step = describe(scores, after, token, top=4)
    p = np.exp(scores) / np.exp(scores).sum()
    q = np.exp(after - after.max())
    order = sorted(range(9), key=lambda i: (-scores[i], i))
    with np.errstate(divide="ignore"):
        assert step.logprob == pytest.approx(np.log(p[token]))
        assert step.logprob_after == pytest.approx(np.log((q / q.sum())[token]))
    assert step.surprisal == -step.logprob
    assert step.entropy == pytest.approx(-math.fsum(x * math.log(x) for x in p if x > 0))
    assert step.rank == 1 + order.index(token)
    assert step.kept == (after > -INF).sum()
    assert step.kept_mass == pytest.approx(p[after > -INF].sum())
    assert [a.id for a in step.alternatives] == order[:4]
    assert [a.logprob for a in step.alternatives] == [
        describe(scores, after, i).logprob for i in order[:4]
    ]


def test_partial_characters_and_unknown_ids() -> None:
    scores = np.array([2.0, 1.0, 0.0])
    step = describe(scores, scores, 1, tokenizer=Pieces(b"\xe2\x82", b"<b>"), top=3)
    assert step.token == b"<b>"
    assert [(a.id, a.text) for a in step.alternatives] == [(0, r"\xe2\x82"), (1, "<b>"), (2, None)]
    unknown = describe(scores, scores, 2, tokenizer=Pieces(b"a", b"b"))
    assert unknown.token is None
    assert unknown.text is None


EMPTY = Trace(
    strategy="sample", seed=0, prompt=(1,), vocab_size=2, finish_reason="stop", steps=()
).to_dict()
STEP = TraceStep(
    id=0, logprob=-1, logprob_after=-1, entropy=0, rank=1, kept=1, kept_mass=1
).to_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "other"}, '"schema" must be'),
        ({"version": 2}, "version 2 is not supported"),
        ({"version": None}, "version None"),
        ({"seed": "x"}, "'seed' is wrong: 'x' is not an integer"),
        ({"prompt": [True]}, "'prompt' is wrong"),
        ({"prompt": 3}, "is not a list"),
        ({"strategy": None}, "'strategy' is wrong"),
        ({"steps": [3]}, "3 is not a table"),
        ({"steps": [{**STEP, "rank": 1.5}]}, "'rank' is wrong"),
        ({"steps": [{**STEP, "bytes": "zz"}]}, "'bytes' is wrong"),
        ({"steps": [{**STEP, "entropy": None}]}, "'entropy' is wrong"),
        ({"steps": [{**STEP, "alternatives": [{}]}]}, "lacks the key 'id'"),
    ],
)
def test_damaged_traces_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        Trace.from_json(json.dumps({**EMPTY, **change}))


@pytest.mark.parametrize("key", sorted(EMPTY))
def test_missing_keys_are_refused(key: str) -> None:
    with pytest.raises(FormatError, match=key):
        Trace.from_json(json.dumps({k: v for k, v in EMPTY.items() if k != key}))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"trace"', "[" * 10**5])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        Trace.from_json(text)
