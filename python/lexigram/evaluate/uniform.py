"""The uniform distribution over the vocabulary: the baseline that has seen nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lexigram.decode.processors import Scores
from lexigram.errors import InvalidInputError, TokenIdError

__all__ = ["Uniform"]


@dataclass(frozen=True)
class Uniform:
    """A `LanguageModel` that gives each of V ids the probability 1/V after any prefix, so that a
    text costs log2 V bits for each token. Its state is the number of rows."""

    vocab_size: int
    document_separator: int | None = None

    def __post_init__(self) -> None:
        if self.vocab_size < 1:
            raise InvalidInputError(f"vocab_size={self.vocab_size}: must be at least 1")

    def start(self, batch_size: int = 1) -> int:
        """The state of `batch_size` empty prefixes."""
        return batch_size

    def step(self, state: int, ids: Any) -> tuple[Scores, int]:
        """Zeros (B, V): equal scores."""
        self._checked(ids)
        return np.zeros((state, self.vocab_size)), state

    def score(self, ids: Any) -> Scores:
        """−ln V for each of `ids` (n,)."""
        return np.full(len(self._checked(ids)), -math.log(self.vocab_size))

    def _checked(self, ids: Any) -> Any:
        array = np.asarray(ids)
        outside = array[(array < 0) | (array >= self.vocab_size)]
        if outside.size:
            raise TokenIdError(
                f"token id {outside[0]} is outside the vocabulary of 0 to {self.vocab_size - 1}"
            )
        return array
