"""The loop, on models whose probabilities are known."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lexigram
from fake_models import BYTES, Batching, Bigram, Pieces, Remembering, TorchBigram
from lexigram.decode import Trace, generate, score_text, stream, trace_of
from lexigram.decode.sample import choose
from lexigram.errors import ConfigError, EncodingError, InvalidInputError, TokenIdError
from lm_contract import check_language_model

STRATEGIES = ["greedy", "sample", "temperature=0.5,top_k=3", "top_p=0.7", "min_p=0.1"]


def cycle(vocab_size: int, **kwargs: Any) -> Bigram:
    """A model that says 0, 1, 2 … V − 1, 0 … and hardly anything else."""
    table = np.full((vocab_size + 1, vocab_size), -60.0)
    table[np.arange(vocab_size + 1), np.arange(1, vocab_size + 2) % vocab_size] = 0
    table[vocab_size] = np.roll(table[vocab_size], -1)  # after nothing comes 0
    return Bigram(table, **kwargs)


class Spelling(Remembering):
    """A model that surely says `text` in single bytes."""

    def __init__(self, text: bytes) -> None:
        super().__init__(256)
        self.text = text

    def logprobs(self, ids: Any) -> np.ndarray:
        scores = np.full(256, -math.inf)
        scores[self.text[len(ids) % len(self.text)]] = 0
        return scores


def test_fake_models_keep_the_contract() -> None:
    rng = np.random.default_rng(0)
    check_language_model(Bigram.random(7, document_separator=3), rng)
    check_language_model(Bigram.random(1), rng)
    check_language_model(Remembering(5), rng)
    for context_length in (1, 2, 9):
        check_language_model(Remembering(5, context_length), rng)
    check_language_model(Batching(6), rng, context_length=4)


@pytest.mark.torch
def test_torch_model_keeps_the_contract() -> None:
    pytest.importorskip("torch")
    check_language_model(TorchBigram.random(7), np.random.default_rng(0))


class Broken(Remembering):
    """Breaks one invariant of the protocol."""

    def __init__(self, how: str) -> None:
        super().__init__(5, context_length=6)
        self.how = how

    def step(self, state: Any, ids: Any) -> Any:
        if self.how == "errors":
            ids = np.clip(ids, 0, 4)
        if self.how == "limit":
            state = state[:, -2:]
        if self.how == "types" and np.asarray(ids).dtype == np.uint32:
            ids = 4 - np.asarray(ids)
        if self.how == "split" and np.shape(ids)[1] > 1:
            ids = ids[:, ::-1]
        scores, new = super().step(state, ids)
        if self.how == "rows" and len(scores) > 1:
            scores = scores + scores[:1] / 100
        if self.how == "mutates" and state.size:
            state[:, -1] = (state[:, -1] + 1) % 5
        return scores, new

    def score(self, ids: Any) -> Any:
        return super().score(ids) + (1e-3 if self.how == "score" else 0)


@pytest.mark.parametrize("how", ["split", "score", "rows", "mutates", "errors", "limit", "types"])
def test_contract_notices_a_broken_model(how: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_language_model(Broken(how), np.random.default_rng(0))


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(prompt=st.lists(st.integers(0, 8), max_size=4), seed=st.integers(0, 2**64 - 1))
def test_generation_is_the_definition(strategy: str, prompt: list[int], seed: int) -> None:
    """Step by step with the parts: scores, pipeline, draw."""
    lm = Remembering(9, document_separator=8)
    result = generate(lm, prompt, strategy=strategy, max_new_tokens=6, seed=seed)
    pipeline = lexigram.decode.Strategy.parse(strategy)
    context, expected = list(prompt) or [8], []
    for step in range(6):
        expected.append(choose(pipeline(lm.logprobs(context)), seed=seed, step=step))
        context.append(expected[-1])
        if expected[-1] == 8:
            break
    assert result.ids == expected
    assert result.finish_reason == ("stop" if expected[-1] == 8 else "length")
    assert result.text is None
    assert [s.id for s in result.trace.steps] == expected
    assert result == generate(
        lm, np.array(prompt, dtype=np.uint16), strategy=strategy, max_new_tokens=6, seed=seed
    )


@pytest.mark.torch
def test_torch_scores_give_the_same_ids() -> None:
    pytest.importorskip("torch")
    for seed in range(20):
        ids = [
            generate(kind.random(30), [1], seed=seed, max_new_tokens=20).ids
            for kind in (Bigram, TorchBigram)
        ]
        assert ids[0] == ids[1]


def test_greedy_and_temperature_zero_and_top_k_one_agree() -> None:
    lm = Bigram(np.round(Bigram.random(12).table))  # rounded, so that there are ties
    texts = ("greedy", "temperature=0", "top_k=1", "top_p=0")
    ids = {tuple(generate(lm, [2], strategy=text, seed=i).ids) for i, text in enumerate(texts)}
    assert len(ids) == 1


def test_two_strategies_part_only_where_they_differ() -> None:
    """With the same dice, a cut changes nothing until it removes the token that was drawn."""
    lm = Bigram.random(40)
    parted = 0
    for seed in range(50):
        plain = generate(lm, [0], seed=seed, max_new_tokens=12)
        cut = generate(lm, [0], seed=seed, max_new_tokens=12, strategy="top_p=0.9")
        judged = trace_of(lm, plain.ids, prompt_ids=[0], strategy="top_p=0.9")
        removed = [i for i, s in enumerate(judged.steps) if s.logprob_after == -math.inf]
        first = removed[0] if removed else 12
        assert cut.ids[:first] == plain.ids[:first]
        assert cut.ids[first : first + 1] != plain.ids[first : first + 1] or first == 12
        parted += first < 12
    assert 0 < parted < 50


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_trace_of_reads_what_generate_wrote(strategy: str) -> None:
    lm = Remembering(9, document_separator=0)
    for prompt in ([], [3, 4]):
        written = generate(lm, prompt, strategy=strategy, tokenizer=BYTES, seed=5)
        read = trace_of(lm, written.ids, BYTES, prompt_ids=prompt, strategy=strategy)
        assert read.steps == written.trace.steps
        assert read.seed is None
        assert read.finish_reason is None
        assert Trace.from_json(written.trace.to_json()) == written.trace


def test_score_text_begins_like_a_document() -> None:
    lm = Bigram.random(256, document_separator=0)
    trace = score_text(lm, "ab", BYTES)
    table = lm.table
    a, b = ord("a"), ord("b")
    assert [s.logprob for s in trace.steps] == pytest.approx([table[0, a], table[a, b]])
    assert [s.text for s in trace.steps] == ["a", "b"]
    assert [s.kept for s in trace.steps] == [256, 256]
    after = score_text(lm, "b", BYTES, prompt="a")
    assert after.steps == trace.steps[1:]
    assert after.prompt == (a,)


def test_impossible_text_has_infinite_surprisal() -> None:
    trace = score_text(Spelling(b"ab"), "ac", BYTES)
    assert [s.surprisal for s in trace.steps] == [0, math.inf]
    assert Trace.from_json(trace.to_json()) == trace


def test_stop_ids() -> None:
    lm = cycle(6)
    assert generate(lm, [0], stop=4).ids == [1, 2, 3, 4]
    assert generate(lm, [0], stop=[np.int64(3), 5]).ids == [1, 2, 3]
    assert generate(lm, [0], stop=4).finish_reason == "stop"
    assert generate(lm, [0], max_new_tokens=3).ids == [1, 2, 3]
    assert generate(lm, [0], max_new_tokens=3).finish_reason == "length"


def test_document_separator_stops_unless_asked_not_to() -> None:
    lm = cycle(6, document_separator=4)
    tokenizer = Pieces(b"a", b"b", b"c", b"d", b"<end>", b"f")
    result = generate(lm, [0], tokenizer=tokenizer)
    assert (result.ids, result.text, result.finish_reason) == ([1, 2, 3, 4], "bcd", "stop")
    assert generate(lm, [0], stop=2).ids == [1, 2]
    assert generate(lm, [3], stop=2).ids == [4]
    on = generate(lm, [2], stop=(), max_new_tokens=4, tokenizer=tokenizer)
    assert (on.ids, on.text, on.finish_reason) == ([3, 4, 5, 0], "d<end>fa", "length")
    assert generate(lm, [], max_new_tokens=1).ids == [5]  # after the separator
    assert generate(cycle(6), [], max_new_tokens=2).ids == [0, 1]  # after nothing


def test_stop_strings_across_tokens() -> None:
    lm = Spelling("x€y\n\nz".encode())
    result = generate(lm, [], stop="y\n\n", tokenizer=BYTES)
    assert (result.text, result.finish_reason) == ("x€", "stop")
    assert bytes(result.ids) == "x€y\n\n".encode()
    cut = generate(lm, [], max_new_tokens=3, stop="y", tokenizer=BYTES)
    assert (cut.text, cut.finish_reason) == ("x�", "length")
    held = generate(lm, [], max_new_tokens=6, stop="y\n\n", tokenizer=BYTES)
    assert (held.text, held.finish_reason) == ("x€y\n", "length")


def test_stop_strings_that_are_not_utf_8() -> None:
    lm = Spelling(b"ab\xe9cd")
    result = generate(lm, [], stop="\udce9", tokenizer=BYTES)  # how an argument \xe9 is given
    assert (result.text, result.finish_reason) == ("ab", "stop")
    with pytest.raises(EncodingError, match="half a surrogate pair at character 1"):
        generate(lm, [], stop="a\ud800", tokenizer=BYTES)


def test_callback_gets_the_text_as_it_becomes_certain() -> None:
    seen: list[tuple[int, str]] = []
    result = generate(
        Spelling("a€b".encode()),
        [],
        max_new_tokens=5,
        tokenizer=BYTES,
        on_token=lambda step, text: seen.append((step.id, text)),
    )
    assert [text for _, text in seen] == ["a", "", "", "€", "b"]
    assert [i for i, _ in seen] == result.ids


def test_unknown_ids_are_shown_as_unknown() -> None:
    assert generate(cycle(3), [0], max_new_tokens=2, tokenizer=Pieces(b"a", b"b")).text == "b�"


def test_stream_gives_the_steps_and_the_reason() -> None:
    lm = Remembering(9, document_separator=0)
    whole = generate(lm, [2], seed=3, tokenizer=BYTES)
    run = stream(lm, [2], seed=3, tokenizer=BYTES)
    assert tuple(next(run) for _ in whole.ids) == whole.trace.steps
    with pytest.raises(StopIteration) as end:
        next(run)
    assert end.value.value == whole.finish_reason


def test_stream_is_lazy_but_checks_at_once() -> None:
    with pytest.raises(ConfigError):
        stream(cycle(3), [0], strategy="beam=4")
    read: list[int] = []

    class Counting(Remembering):
        def step(self, state: Any, ids: Any) -> Any:
            read.append(np.shape(ids)[1])
            return super().step(state, ids)

    run = stream(Counting(4), [1, 2])
    assert read == []
    next(run)
    assert read == [2]
    next(run)
    assert read == [2, 1]


def test_zero_tokens() -> None:
    result = generate(cycle(3), [0], max_new_tokens=0, tokenizer=BYTES)
    assert (result.ids, result.text, result.finish_reason) == ([], "", "length")


@given(context_length=st.integers(1, 7), prompt=st.integers(1, 7), new=st.integers(0, 12))
def test_a_full_context_ends_the_generation(context_length: int, prompt: int, new: int) -> None:
    lm = Remembering(5, context_length)
    if prompt > context_length:
        message = f"context of {prompt} tokens, but the model's context_length is {context_length}"
        with pytest.raises(InvalidInputError, match=message):
            generate(lm, [1] * prompt, max_new_tokens=new)
        return
    result = generate(lm, [1] * prompt, max_new_tokens=new, seed=1)
    assert len(result.ids) == min(new, context_length - prompt + 1)
    assert result.finish_reason == "length"
    unlimited = generate(Remembering(5), [1] * prompt, max_new_tokens=new, seed=1)
    assert result.ids == unlimited.ids[: len(result.ids)]


@given(context_length=st.integers(1, 7), prompt=st.integers(0, 20))
def test_sliding_context(context_length: int, prompt: int) -> None:
    """Whenever more would be held than fits, the model goes on from the last half."""
    lm = Remembering(5, context_length)
    given_ids = np.random.default_rng(prompt).integers(5, size=prompt).tolist()
    result = generate(lm, given_ids, max_new_tokens=20, seed=2, sliding=True)
    held = list(given_ids)
    for i, token in enumerate(result.ids):
        if len(held) > context_length:
            held = held[-max(1, context_length // 2) :]
        assert token == choose(lm.logprobs(held), seed=2, step=i)
        held.append(token)
    assert len(result.ids) == 20
    read = trace_of(lm, result.ids, prompt_ids=given_ids, sliding=True)
    assert read.steps == result.trace.steps


def test_text_beyond_the_context_is_refused() -> None:
    lm = Remembering(5, 4)
    assert len(trace_of(lm, [1, 2, 3, 4, 0])) == 5  # the last one need not be read
    with pytest.raises(InvalidInputError, match="context of 5 tokens"):
        trace_of(lm, [1, 2, 3, 4, 0, 1])
    with pytest.raises(InvalidInputError, match="context of 5 tokens"):
        trace_of(Remembering(5, 4, document_separator=0), [1, 2, 3, 4, 0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"prompt_ids": [1, 5]}, TokenIdError, r"prompt_ids\[1\] is 5: .* ids 0 to 4"),
        ({"prompt_ids": [-1]}, TokenIdError, r"prompt_ids\[0\] is -1"),
        ({"prompt_ids": "text"}, InvalidInputError, "tokenizer.encode"),
        ({"prompt_ids": [0.5]}, InvalidInputError, "flat sequence of integers"),
        ({"prompt_ids": [[1, 2]]}, InvalidInputError, "flat sequence of integers"),
        ({"prompt_ids": [True]}, InvalidInputError, "flat sequence of integers"),
        ({"max_new_tokens": -1}, InvalidInputError, "max_new_tokens=-1"),
        ({"max_new_tokens": 1.5}, InvalidInputError, "max_new_tokens=1.5"),
        ({"top": -1}, InvalidInputError, "top=-1"),
        ({"seed": -1}, InvalidInputError, "seed=-1"),
        ({"stop": "x"}, InvalidInputError, "'x' needs a tokenizer"),
        ({"stop": [""], "tokenizer": BYTES}, InvalidInputError, "stop string is empty"),
        ({"stop": 9}, TokenIdError, r"stop\[0\] is 9"),
        ({"stop": [1.5]}, InvalidInputError, "stop has shape"),
        ({"strategy": "greedy,top_k=3"}, ConfigError, "contradict"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"prompt_ids": [1], **arguments}
    for function in (generate, stream):
        with pytest.raises(error, match=message) as caught:
            function(Remembering(5), **arguments)
        assert "\n" not in str(caught.value)


def test_bad_text_to_trace() -> None:
    with pytest.raises(InvalidInputError, match="no ids to trace"):
        trace_of(Remembering(5), [])
    with pytest.raises(TokenIdError, match=r"ids\[0\] is 5"):
        trace_of(Remembering(5), [5])


def test_broken_model_is_named() -> None:
    class Failing(Remembering):
        def logprobs(self, ids: Any) -> np.ndarray:
            return np.full(self.vocab_size, math.nan if len(ids) > 1 else 0.0)

    with pytest.raises(InvalidInputError, match="NaN"):
        generate(Failing(4), [1])


def test_decoding_and_evaluation_do_not_load_torch() -> None:
    code = (
        "import sys, lexigram; lexigram.decode.generate; lexigram.evaluate.bits_per_byte; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
