"""The options of training a tokenizer, checked for what the core's unsigned numbers cannot hold;
its own limits are narrower."""

from __future__ import annotations

from collections.abc import Iterable

from lexigram import _core
from lexigram.errors import InvalidInputError

__all__ = ["train_options"]


def train_options(
    vocab_size: int,
    *,
    pattern: str | None,
    special_tokens: Iterable[str],
    num_threads: int | None,
    min_frequency: int,
    max_token_length: int | None,
    memory_limit: int | None,
    base: _core.Tokenizer | None,
    errors: str,
) -> _core._TrainOptions:
    """The arguments of `Tokenizer.train` as the core takes them."""
    if base is not None and not isinstance(base, _core.Tokenizer):
        raise TypeError(f"base must be a lexigram.Tokenizer, not {type(base).__name__}: {base!r}")
    for name, value, limit in (
        ("vocab_size", vocab_size, 2**32),
        ("num_threads", num_threads, 2**32),
        ("min_frequency", min_frequency, 2**32),
        ("max_token_length", max_token_length, 2**32),
        ("memory_limit", memory_limit, 2**63),
    ):
        if value is not None and not 0 <= value < limit:
            shown = f"2**{limit.bit_length() - 1}"
            raise InvalidInputError(f"{name} = {value}: must be at least 1 and below {shown}")
    return {
        "vocab_size": vocab_size,
        "pattern": pattern,
        "special_tokens": list(special_tokens),
        "num_threads": num_threads,
        "min_frequency": min_frequency,
        "max_token_length": max_token_length,
        "memory_limit": memory_limit,
        "base": base,
        "errors": errors,
    }
