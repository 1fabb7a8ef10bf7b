"""The Rust core. Users call the classes of `lexigram`; these are the parts they are made of.

Every function releases the GIL while it works and raises exceptions of `lexigram.errors`.
A `progress` argument is called as `progress(done, total)` at most ten times a second, from the
calling thread; an exception that it raises ends the work and nothing is left half-written.
"""

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__version__: str

@final
class NgramModel:
    """A trained n-gram model. `lexigram.NgramModel` checks the arguments first."""

    @staticmethod
    def train(
        tokens: NDArray[np.integer[Any]],
        *,
        order: int,
        vocab_size: int,
        document_separator: int | None,
        smoothing: str,
        pseudocount: float,
        prune: Sequence[int],
        num_threads: int | None,
        progress: Callable[[int, int], object] | None,
        tokenizer: str | None,
    ) -> NgramModel:
        """Counts `tokens` (n,), contiguous uint16 or uint32, and estimates a model."""
    @staticmethod
    def load(path: str) -> NgramModel:
        """Opens a saved model after checking every byte of it."""
    def save(self, path: str) -> None:
        """Writes the model in one step."""
    def score(self, ids: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """ln p (n,) of each of `ids` (n,), contiguous uint16 or uint32."""
    def score_f32(self, ids: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """The same, rounded."""
    def next_logprobs(self, contexts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """ln p (B, V) of every id after each of `contexts` (B, n), contiguous uint32."""
    def next_logprobs_f32(self, contexts: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """The same, rounded."""
    def counts_of_counts(self) -> NDArray[np.uint64]:
        """n₁ … n₄ of each order, (N, 4)."""
    @property
    def order(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def document_separator(self) -> int | None: ...
    @property
    def smoothing(self) -> str: ...
    @property
    def num_tokens(self) -> int: ...
    @property
    def num_ngrams(self) -> list[int]: ...
    @property
    def discounts(self) -> list[tuple[float, float, float]]: ...
    @property
    def discount_fallbacks(self) -> list[int]:
        """The orders whose discounts are the fallback."""
    @property
    def tokenizer(self) -> str | None:
        """The text of the attached tokenizer.json."""
