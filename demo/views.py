"""Views: one generation as plain data for the page, growing while tokens come.

The numbers are those of `lexigram.decode`'s trace; this file turns nats into bits and tokens into
visible pieces, and holds the limits. It knows nothing of Gradio.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from typing import Any

import tokens
from lexigram import decode
from lexigram.decode import Strategy, TraceStep
from lexigram.errors import InvalidInputError, LexigramError
from models import Model, Shelf

__all__ = ["MAX_PROMPT", "MAX_SEED", "MAX_TOKENS", "View", "generate"]

MAX_PROMPT, MAX_STRATEGY, MAX_TOKENS, MAX_SEED = 4_000, 200, 512, 2**32 - 1
ALTERNATIVES = 10
SECONDS_BETWEEN_VIEWS = 0.05
"""A view holds all tokens so far; sending one for each token would cost time quadratic in them."""

View = dict[str, Any]
"""`state` is running, done or error; `run` numbers the generations; `status` is one line; the
rest is as `_step` writes it, in bits. A view in state error holds nothing else."""

_runs = itertools.count(1)


def generate(
    shelf: Shelf, model: str, prompt: str, strategy: str, seed: int, count: int
) -> Iterator[View]:
    """The views of one generation as it grows. What is wrong comes as a view in state error:
    one line, because a page's user can correct an input but not read a traceback."""
    run = next(_runs)
    try:
        _check(prompt, strategy, seed, count)
        parsed = Strategy.parse(strategy)
        yield from _views(run, shelf.open(model), prompt, parsed, int(seed), int(count))
    except (LexigramError, OSError) as error:
        yield {"state": "error", "run": run, "status": " ".join(str(error).split())}


def _check(prompt: object, strategy: object, seed: object, count: object) -> None:
    """The limits, held on this side: a page's own limits bind only those who use the page."""
    if not isinstance(prompt, str) or len(prompt) > MAX_PROMPT:
        raise InvalidInputError(f"the prompt must be a text of at most {MAX_PROMPT:,} characters")
    if not isinstance(strategy, str) or len(strategy) > MAX_STRATEGY:
        raise InvalidInputError("the strategy must be a text such as temperature=0.8,top_p=0.95")
    for name, value, low, high in (("seed", seed, 0, MAX_SEED), ("tokens", count, 1, MAX_TOKENS)):
        whole = isinstance(value, int | float) and value == value // 1
        if not whole or not low <= value <= high:  # type: ignore[operator]
            raise InvalidInputError(f"{name} must be a whole number from {low} to {high:,}")


def _views(
    run: int, model: Model, prompt: str, strategy: Strategy, seed: int, count: int
) -> Iterator[View]:
    ids = model.tokenizer.encode_ordinary(prompt)
    steps = decode.stream(
        model.lm,
        ids,
        strategy=strategy,
        max_new_tokens=count,
        seed=seed,
        tokenizer=model.tokenizer,
        top=ALTERNATIVES,
    )
    view: View = {
        "state": "running",
        "run": run,
        "status": "Generating",
        "vocabulary": model.lm.vocab_size,
        "prompt": [tokens.of_token(model.tokenizer, i) for i in ids],
        "steps": [],
    }
    painted = -math.inf
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            reason = str(end.value)
            break
        view["steps"].append(_step(model, step))
        if time.monotonic() - painted > SECONDS_BETWEEN_VIEWS:
            yield {**view, "steps": list(view["steps"])}
            painted = time.monotonic()
    yield {**view, "state": "done", "status": _ending(reason, len(view["steps"]), count)}


def _ending(reason: str, generated: int, count: int) -> str:
    tokens_ = f"{generated} token{'s' * (generated != 1)}"
    if reason == "stop":
        return f"{tokens_}; the model ended the document"
    return tokens_ if generated == count else f"{tokens_}; the model's context is full"


def _step(model: Model, step: TraceStep) -> View:
    """One token as plain data: `entropy` and `surprisal` in bits (None: infinite), `p` the model's
    own probabilities, `p_after` the chosen token's after the pipeline."""
    alternatives = [
        {"id": a.id, "pieces": tokens.of_token(model.tokenizer, a.id), "p": _p(a.logprob)}
        for a in step.alternatives
    ]
    return {
        "id": step.id,
        "pieces": tokens.of_token(model.tokenizer, step.id),
        "entropy": _bits(step.entropy),
        "surprisal": _bits(step.surprisal),
        "p": _p(step.logprob),
        "p_after": _p(step.logprob_after),
        "rank": step.rank,
        "kept": step.kept,
        "kept_mass": step.kept_mass,
        "cut": _cut(step),
        "alternatives": alternatives,
    }


def _cut(step: TraceStep) -> int | None:
    """After how many of the alternatives the strategy's cut-off lies; None where it cannot be
    drawn: the kept set is larger than the list, or is not its head (their masses differ)."""
    head = step.alternatives[: step.kept]
    mass = math.fsum(math.exp(a.logprob) for a in head)
    shown = len(head) == step.kept and math.isclose(mass, step.kept_mass, rel_tol=1e-6)
    return step.kept if shown else None


def _bits(nats: float) -> float | None:
    return round(nats / math.log(2), 5) if math.isfinite(nats) else None


def _p(logprob: float) -> float:
    return float(f"{math.exp(logprob):.6g}")
