"""The ∞-gram as a language model: the distribution after any prefix, from a suffix index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lexigram import _core
from lexigram.arguments import integer
from lexigram.errors import InvalidInputError, OutOfRangeError
from lexigram.suffix.runs import wide

if TYPE_CHECKING:
    from lexigram.suffix.index import SuffixIndex

__all__ = ["InfinigramModel"]

Logprobs: TypeAlias = npt.NDArray[np.float64]


class InfinigramModel:
    """The ∞-gram of an index; satisfies `lexigram.lm.LanguageModel`.

    A state keeps, for each row, the longest suffix that was found and where it stands, so that a
    step goes on from there.

    For `lexigram.ngram.interpolate` it says how much its numbers are worth: class 2 n + s, with n
    the effective order − 1, at most 15, and s = 1 where only one id ever followed (the "sparse"
    case of Liu et al. 2024, section 5).
    """

    num_classes = 32

    def __init__(self, index: SuffixIndex, *, support: int = 1) -> None:
        self.index = index
        self.support = integer("support", support, least=1)

    @property
    def vocab_size(self) -> int:
        """V, the number of token ids."""
        return self.index.vocab_size

    @property
    def document_separator(self) -> int | None:
        """The id at both ends of a document."""
        return self.index.document_separator

    def start(self, batch_size: int = 1) -> _core.SuffixWindows:
        """The state of `batch_size` empty prefixes."""
        return self.index._core.start(integer("batch_size", batch_size, least=1), self.support)

    def step(self, state: _core.SuffixWindows, ids: Any) -> tuple[Logprobs, _core.SuffixWindows]:
        """Reads `ids` (B, n), n ≥ 0; returns ln p (B, V) float64 of the next token and the new
        state. Raises `TokenIdError` for an id outside the vocabulary."""
        logprobs, _, state = self.step_with_classes(state, ids)
        return logprobs, state

    def step_with_classes(
        self, state: _core.SuffixWindows, ids: Any
    ) -> tuple[Logprobs, npt.NDArray[np.intp], _core.SuffixWindows]:
        """`step`, and between its results the class (B,) of each row."""
        array = np.asarray(ids)
        if array.ndim != 2:
            raise InvalidInputError(f"ids have the shape {array.shape}: give (batch, n)")
        rows = wide(array.reshape(-1), self.vocab_size).reshape(array.shape)
        state = state.read(rows)
        logprobs, orders, sparse = state.distributions()
        return logprobs, _classes(orders, sparse), state

    def score(self, ids: Any) -> Logprobs:
        """ln p (n,) float64 of each of `ids` (n,) given those before it."""
        return self.index.score(ids, support=self.support)

    def score_with_classes(self, ids: Any) -> tuple[Logprobs, npt.NDArray[np.intp]]:
        """`score`, and the class (n,) of each."""
        logprobs, orders, sparse = self.index._scored(ids, self.support, True)
        return logprobs, _classes(orders, sparse)

    def reorder(self, state: _core.SuffixWindows, rows: Any) -> _core.SuffixWindows:
        """The state of the given rows, in their order; of a mask, of those that it marks. Raises
        `OutOfRangeError` for a row that the state has not."""
        array = np.asarray(rows)
        if array.ndim == 1 and array.size == 0:
            return state.reorder([])
        if array.ndim != 1 or array.dtype.kind not in "iub":
            raise InvalidInputError(
                f"rows are {array.dtype} of the shape {array.shape}: give integers in one dimension"
            )
        try:
            kept = np.arange(len(state))[array].tolist()
        except IndexError:
            raise OutOfRangeError(
                f"rows = {array.tolist()}: the state has the rows 0 to {len(state) - 1}"
            ) from None
        return state.reorder(kept)

    def __repr__(self) -> str:
        return f"InfinigramModel({self.index!r}, support={self.support})"


def _classes(orders: npt.NDArray[np.uint32], sparse: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    return (2 * np.minimum(orders.astype(np.intp) - 1, 15) + sparse).astype(np.intp)
