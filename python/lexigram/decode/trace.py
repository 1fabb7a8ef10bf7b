"""What happened at each token: a record that is data, so that it can be saved, shown and compared.

Definitions, for the model's own distribution p before the pipeline and a token v, in nats:
logprob ln p(v); surprisal −ln p(v); entropy H = −Σ p ln p; rank 1 + the number of tokens before v
in the order "higher probability first, then lower id". `logprob_after` is ln of the probability
after the whole pipeline; `kept` counts the tokens that the pipeline left; `kept_mass` is what p
gives them.

JSON has no infinities: a log-probability of −inf (probability zero) is written as null.
Invariant: `Trace.from_json(trace.to_json()) == trace`, with the same fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from lexigram.decode.processors import Scores, log_softmax, top_ids
from lexigram.decode.text import TokenBytes, display, token_bytes
from lexigram.errors import FormatError

__all__ = ["SCHEMA", "VERSION", "Alternative", "Trace", "TraceStep", "describe"]

SCHEMA = "lexigram.trace"
VERSION = 1

T = TypeVar("T")


class Alternative(NamedTuple):
    """One of the most probable tokens at a step."""

    id: int
    text: str | None
    """As `TraceStep.text`."""
    logprob: float
    """Natural log-probability, the model's own."""


@dataclass(frozen=True, kw_only=True)
class TraceStep:
    """One token: what was chosen or read, and what the model and the pipeline made of it."""

    id: int
    token: bytes | None = None
    """The token's bytes; None without a tokenizer, or for an id that it does not have."""
    logprob: float
    logprob_after: float
    entropy: float
    rank: int
    kept: int
    kept_mass: float
    alternatives: tuple[Alternative, ...] = ()

    @property
    def text(self) -> str | None:
        """The token as text; bytes that are no whole character as `\\xNN`."""
        return None if self.token is None else display(self.token)

    @property
    def surprisal(self) -> float:
        """−ln p of the token, in nats."""
        return 0.0 - self.logprob  # not -0.0 for a token that was certain

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as in the JSON form; `text` and `surprisal` are there for other readers."""
        return {
            "id": self.id,
            "bytes": None if self.token is None else self.token.hex(),
            "text": self.text,
            "logprob": _finite(self.logprob),
            "logprob_after": _finite(self.logprob_after),
            "surprisal": _finite(self.surprisal),
            "entropy": self.entropy,
            "rank": self.rank,
            "kept": self.kept,
            "kept_mass": self.kept_mass,
            "alternatives": [
                {"id": a.id, "text": a.text, "logprob": _finite(a.logprob)}
                for a in self.alternatives
            ],
        }


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The steps of one generation, or of a text that was read, and what reproduces them."""

    strategy: str
    """The pipeline, in the text form of `Strategy`."""
    seed: int | None
    """None where nothing was drawn."""
    prompt: tuple[int, ...]
    """The prompt's ids as they were given; an empty prompt begins as `generate` says."""
    vocab_size: int
    finish_reason: str | None
    """`"stop"`, `"length"`, or None for a text that was read."""
    steps: tuple[TraceStep, ...]

    def __len__(self) -> int:
        return len(self.steps)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: dictionaries, lists, numbers, texts and None."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "strategy": self.strategy,
            "seed": self.seed,
            "prompt": list(self.prompt),
            "vocab_size": self.vocab_size,
            "finish_reason": self.finish_reason,
            "steps": [step.to_dict() for step in self.steps],
        }

    def to_json(self) -> str:
        """The canonical form: keys sorted, no spaces, ASCII, numbers in their shortest exact
        form. Equal traces give equal text."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode("ascii")).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> Trace:
        """Reads what `to_json` wrote.

        Raises `FormatError` for text that is not JSON, not a trace, of another version, or that
        lacks a key or holds a value of another type.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"the trace is not JSON: {error}") from None
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise FormatError(f'this is not a trace: "schema" must be "{SCHEMA}"')
        if data.get("version") != VERSION:
            raise FormatError(
                f"trace version {data.get('version')!r} is not supported; this reads {VERSION}"
            )
        return cls(
            strategy=_read(data, "strategy", _text),
            seed=_read(data, "seed", _optional(_int)),
            prompt=tuple(_read(data, "prompt", _list_of(_int))),
            vocab_size=_read(data, "vocab_size", _int),
            finish_reason=_read(data, "finish_reason", _optional(_text)),
            steps=tuple(_read(data, "steps", _list_of(_step))),
        )


def describe(
    scores: Scores,
    after: Scores,
    token: int,
    *,
    tokenizer: TokenBytes | None = None,
    top: int = 10,
) -> TraceStep:
    """The step in which `token` followed, from the model's scores (V,) and those after the
    pipeline (V,); `top` says how many alternatives are listed."""
    logprobs = log_softmax(scores)
    probabilities = np.exp(logprobs)
    own, kept = logprobs[token], after > -np.inf
    return TraceStep(
        id=token,
        token=None if tokenizer is None else token_bytes(tokenizer, token),
        logprob=float(own),
        logprob_after=float(log_softmax(after)[token]),
        # 0 · ln 0 = 0, the limit. max: rounding must not make the entropy of one token negative.
        entropy=max(0.0, -float(probabilities @ np.where(probabilities > 0, logprobs, 0.0))),
        rank=1 + int((logprobs > own).sum() + (logprobs[:token] == own).sum()),
        kept=int(kept.sum()),
        kept_mass=min(1.0, float(probabilities[kept].sum())),
        alternatives=tuple(
            Alternative(i, _display(tokenizer, i), float(logprobs[i]))
            for i in top_ids(logprobs, top)
        ),
    )


def _display(tokenizer: TokenBytes | None, token: int) -> str | None:
    piece = None if tokenizer is None else token_bytes(tokenizer, token)
    return None if piece is None else display(piece)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


# Readers of plain data: each returns the value as its type or raises TypeError or ValueError.


def _read(data: dict[str, Any], key: str, convert: Callable[[Any], T]) -> T:
    if key not in data:
        raise FormatError(f"the trace lacks the key {key!r}")
    try:
        return convert(data[key])
    except (TypeError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"the trace's {key!r} is wrong: {error}") from None


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not an integer")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _logprob(value: Any) -> float:
    return -math.inf if value is None else _number(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _optional(convert: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda value: None if value is None else convert(value)


def _list_of(convert: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    def read(value: Any) -> list[T]:
        if not isinstance(value, list):
            raise TypeError(f"{value!r} is not a list")
        return [convert(v) for v in value]

    return read


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not a table")
    return value


def _step(value: Any) -> TraceStep:
    data = _table(value)
    return TraceStep(
        id=_read(data, "id", _int),
        token=_read(data, "bytes", _optional(lambda v: bytes.fromhex(_text(v)))),
        logprob=_read(data, "logprob", _logprob),
        logprob_after=_read(data, "logprob_after", _logprob),
        entropy=_read(data, "entropy", _number),
        rank=_read(data, "rank", _int),
        kept=_read(data, "kept", _int),
        kept_mass=_read(data, "kept_mass", _number),
        alternatives=tuple(_read(data, "alternatives", _list_of(_alternative))),
    )


def _alternative(value: Any) -> Alternative:
    data = _table(value)
    return Alternative(
        id=_read(data, "id", _int),
        text=_read(data, "text", _optional(_text)),
        logprob=_read(data, "logprob", _logprob),
    )
