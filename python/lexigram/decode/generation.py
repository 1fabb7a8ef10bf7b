"""The loop: read the prompt, then choose, record and read one token at a time.

Rules, for every model:

* An empty prompt begins with the model's `document_separator`, or with an empty context if it has
  none; a prompt that is not empty is read as it is.
* Generation ends with `"stop"` at a stop id, or when the text contains a stop string, and with
  `"length"` after `max_new_tokens`, or when the model's context is full. The model's document
  separator is always a stop id, whatever else is; `stop=()` ends at nothing.
* A full context holds `context_length` ids, so that the last token that can be chosen is the one
  after them. With `sliding=True` it does not end there: whenever more would be held than fits,
  the model starts again from the last `context_length // 2` ids (at least one).
* A stop id is part of the ids, a stop string's tokens too. The text is cut before a stop string,
  and a separator that ended the generation has no text.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lexigram.decode.processors import Scores, as_float64
from lexigram.decode.sample import check_seed, choose
from lexigram.decode.strategy import Strategy
from lexigram.decode.text import StreamedText, TextTokenizer, TokenBytes, token_bytes
from lexigram.decode.trace import Trace, TraceStep, describe
from lexigram.errors import EncodingError, InvalidInputError, TokenIdError
from lexigram.lm import LanguageModel, TokenIds

__all__ = [
    "Generation",
    "Stop",
    "check_ids",
    "document_beginning",
    "generate",
    "score_text",
    "stream",
    "trace_of",
]

Stop = int | str | Sequence[int | str]
"""Token ids and strings that end a generation."""

_UNKNOWN = "\N{REPLACEMENT CHARACTER}".encode()


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What was generated; new tokens only."""

    ids: list[int]
    text: str | None
    """The ids' text, unfinished characters as U+FFFD; None without a tokenizer."""
    finish_reason: str
    """`"stop"` or `"length"`."""
    trace: Trace


def generate(
    lm: LanguageModel,
    prompt_ids: TokenIds,
    *,
    strategy: str | Strategy = "sample",
    max_new_tokens: int = 128,
    seed: int = 0,
    stop: Stop | None = None,
    tokenizer: TokenBytes | None = None,
    top: int = 10,
    sliding: bool = False,
    on_token: Callable[[TraceStep, str], object] | None = None,
) -> Generation:
    """Continues `prompt_ids`; the same arguments give the same result.

    `strategy` is a `Strategy` or its text; `stop` holds ids, or strings with a `tokenizer`, and
    adds to the model's document separator; `top` is the number of alternatives in each step of the
    trace; `on_token(step, text)` is called after each token with the text that became certain by
    it (the last of the text may come only with the result).

    Raises `TokenIdError` for an id outside the vocabulary, `InvalidInputError` for a prompt
    longer than the model's context and for arguments outside their limits, `ConfigError` for a
    strategy that cannot be read.
    """
    run = _Run(
        lm, prompt_ids, strategy, max_new_tokens, seed, stop, tokenizer, top=top, sliding=sliding
    )
    steps: list[TraceStep] = []
    pieces: list[str] = []
    for step, text in run.steps():
        steps.append(step)
        pieces.append(text)
        if on_token is not None:
            on_token(step, text)
    pieces.append(run.text.close())
    trace = Trace(
        strategy=str(run.strategy),
        seed=run.seed,
        prompt=tuple(run.prompt),
        vocab_size=lm.vocab_size,
        finish_reason=run.finish_reason,
        steps=tuple(steps),
    )
    return Generation(
        ids=[step.id for step in steps],
        text=None if tokenizer is None else "".join(pieces),
        finish_reason=run.finish_reason,
        trace=trace,
    )


def stream(
    lm: LanguageModel,
    prompt_ids: TokenIds,
    *,
    strategy: str | Strategy = "sample",
    max_new_tokens: int = 128,
    seed: int = 0,
    stop: Stop | None = None,
    tokenizer: TokenBytes | None = None,
    top: int = 10,
    sliding: bool = False,
) -> Generator[TraceStep, None, str]:
    """The steps of `generate` as they come; the generator returns the finish reason.

    The arguments are checked by this call, before the first step is asked for.
    """
    run = _Run(
        lm, prompt_ids, strategy, max_new_tokens, seed, stop, tokenizer, top=top, sliding=sliding
    )

    def steps() -> Generator[TraceStep, None, str]:
        for step, _ in run.steps():
            yield step
        return run.finish_reason

    return steps()


def trace_of(
    lm: LanguageModel,
    ids: TokenIds,
    tokenizer: TokenBytes | None = None,
    *,
    prompt_ids: TokenIds = (),
    strategy: str | Strategy = "sample",
    top: int = 10,
    sliding: bool = False,
) -> Trace:
    """The trace of a text that is there already: what the model made of each of `ids` when it
    read them after `prompt_ids`, and whether `strategy` would have kept it.

    `trace_of(lm, generation.ids, prompt_ids=prompt, strategy=strategy)` has the steps of
    `generation.trace`. Raises as `generate` does; `InvalidInputError` for no ids.
    """
    size = lm.vocab_size
    given = check_ids(ids, size, "ids")
    if not given:
        raise InvalidInputError("there are no ids to trace; give at least one")
    pipeline = Strategy.parse(strategy)
    prompt = check_ids(prompt_ids, size, "prompt_ids")
    reader = _Reader(lm, sliding=sliding)
    beginning = prompt or document_beginning(lm)
    reader.check_room(len(beginning) + len(given) - 1, "the text with its prompt")
    steps = []
    scores = reader.read(beginning)
    for i, token in enumerate(given):
        steps.append(describe(scores, pipeline(scores), token, tokenizer=tokenizer, top=top))
        if i + 1 < len(given):
            scores = reader.read([token])
    return Trace(
        strategy=str(pipeline),
        seed=None,
        prompt=tuple(prompt),
        vocab_size=size,
        finish_reason=None,
        steps=tuple(steps),
    )


def score_text(
    lm: LanguageModel,
    text: str,
    tokenizer: TextTokenizer,
    *,
    prompt: str = "",
    strategy: str | Strategy = "sample",
    top: int = 10,
    sliding: bool = False,
) -> Trace:
    """`trace_of` of a text; no special token is read out of it."""
    return trace_of(
        lm,
        tokenizer.encode_ordinary(text),
        tokenizer,
        prompt_ids=tokenizer.encode_ordinary(prompt),
        strategy=strategy,
        top=top,
        sliding=sliding,
    )


def check_ids(ids: TokenIds, vocab_size: int, name: str) -> list[int]:
    """`ids` as a list of int.

    Raises `InvalidInputError` unless they are a flat sequence of integers, `TokenIdError` for
    one outside 0 … `vocab_size` − 1; `name` is what messages call them.
    """
    if isinstance(ids, str | bytes):
        raise InvalidInputError(f"{name} is text; give token ids, as tokenizer.encode makes them")
    array = np.asarray(ids)
    if array.size == 0:
        return []
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidInputError(
            f"{name} has shape {array.shape} and type {array.dtype}: "
            "must be a flat sequence of integers"
        )
    outside = (array < 0) | (array >= vocab_size)
    if outside.any():
        at = int(np.argmax(outside))
        raise TokenIdError(
            f"{name}[{at}] is {array[at]}: the vocabulary has ids 0 to {vocab_size - 1}"
        )
    return [int(i) for i in array]


class _Reader:
    """One sequence as the model reads it, within its context."""

    def __init__(self, lm: LanguageModel, *, sliding: bool) -> None:
        self._lm = lm
        self._limit: int | None = getattr(lm, "context_length", None)
        self._sliding = sliding
        self._state = lm.start(1)
        self._held: list[int] = []

    @property
    def full(self) -> bool:
        """Whether no further id can be read."""
        return not self._sliding and self._limit is not None and len(self._held) >= self._limit

    def check_room(self, count: int, what: str) -> None:
        """Raises `InvalidInputError` if `count` ids cannot be read."""
        if self._limit is not None and count > self._limit and not self._sliding:
            raise InvalidInputError(
                f"{what} needs a context of {count} tokens, but the model's context_length is "
                f"{self._limit}; shorten it, or pass sliding=True (--sliding)"
            )

    def read(self, ids: list[int]) -> Scores:
        """The scores (V,) in float64 of the token after `ids`."""
        self._held += ids
        if self._limit is not None and len(self._held) > self._limit:
            self._held = ids = self._held[-max(1, self._limit // 2) :]
            self._state = self._lm.start(1)
        batch = np.asarray(ids, dtype=np.int64).reshape(1, len(ids))
        scores, self._state = self._lm.step(self._state, batch)
        return np.asarray(as_float64(scores)[0])


class _Run:
    """The checked arguments of one generation, and what becomes of it."""

    def __init__(
        self,
        lm: LanguageModel,
        prompt_ids: TokenIds,
        strategy: str | Strategy,
        max_new_tokens: int,
        seed: int,
        stop: Stop | None,
        tokenizer: TokenBytes | None,
        *,
        top: int,
        sliding: bool,
    ) -> None:
        self.strategy = Strategy.parse(strategy)
        self.seed = check_seed(seed)
        self.prompt = check_ids(prompt_ids, lm.vocab_size, "prompt_ids")
        self.finish_reason = "length"
        self._separator: int | None = getattr(lm, "document_separator", None)
        self._stop_ids, strings = _stops(stop, self._separator, lm.vocab_size)
        if strings and tokenizer is None:
            raise InvalidInputError(f"stop string {strings[0]!r} needs a tokenizer; pass one")
        self.text = StreamedText(tuple(map(_bytes_of, strings)))
        self._tokenizer = tokenizer
        self._max_new_tokens = _check_count("max_new_tokens", max_new_tokens)
        self._top = _check_count("top", top)
        self._beginning = self.prompt or document_beginning(lm)
        self._reader = _Reader(lm, sliding=sliding)
        self._reader.check_room(len(self._beginning), "the prompt")

    def steps(self) -> Generator[tuple[TraceStep, str], None, None]:
        """Each step with the text that became certain by it; sets `finish_reason`."""
        unread = self._beginning
        for i in range(self._max_new_tokens):
            if self._reader.full:
                return
            scores = self._reader.read(unread)
            after = self.strategy(scores)
            token = choose(after, seed=self.seed, step=i)
            step = describe(scores, after, token, tokenizer=self._tokenizer, top=self._top)
            stopped = token in self._stop_ids
            text = "" if stopped and token == self._separator else self._text_of(token)
            if stopped or self.text.stopped:
                self.finish_reason = "stop"
            yield step, text
            if self.finish_reason == "stop":
                return
            unread = [token]

    def _text_of(self, token: int) -> str:
        if self._tokenizer is None:
            return ""
        piece = token_bytes(self._tokenizer, token)
        return self.text.push(_UNKNOWN if piece is None else piece)


def document_beginning(lm: LanguageModel) -> list[int]:
    """The ids that a document begins with: the model's `document_separator`, or none."""
    separator: int | None = getattr(lm, "document_separator", None)
    return [] if separator is None else [separator]


def _stops(
    stop: Stop | None, separator: int | None, vocab_size: int
) -> tuple[frozenset[int], list[str]]:
    """The stop ids and the stop strings."""
    items: Sequence[Any] = (
        () if stop is None else [stop] if isinstance(stop, str | int | np.integer) else stop
    )
    strings = [s for s in items if isinstance(s, str)]
    if "" in strings:
        raise InvalidInputError("a stop string is empty: it would stop before the first token")
    ids = check_ids([i for i in items if not isinstance(i, str)], vocab_size, "stop")
    if separator is not None and (stop is None or len(items) > 0):
        ids.append(separator)
    return frozenset(ids), strings


def _bytes_of(stop: str) -> bytes:
    """A stop string's bytes; those of an argument that are not UTF-8 as they were given."""
    try:
        return stop.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise EncodingError(
            f"stop string {stop!r} has half a surrogate pair at character {error.start}, which has "
            "no UTF-8"
        ) from None


def _check_count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise InvalidInputError(f"{name}={value!r}: must be a whole number, at least 0")
    return int(value)
