"""The one protocol that every language model meets, counted or trained.

A language model over a vocabulary of V token ids gives, after any prefix, a score for each next
token. Decoding, evaluation, the experiments, the command line and the browser demo are written
against this protocol and never ask which kind of model it is.

Invariants, which `tests/lm_contract.py` checks on every model:

* `step(start(B), ids)` in one call, or in any split of `ids` along n, gives the same scores;
* `log_softmax(step(start(1), ids[None])[0][0])[next]` is what `score` says of `next` after `ids`;
* rows of a batch do not influence each other; a state is never changed by `step`, so that one
  state can be continued in several ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Ids", "LanguageModel", "TokenIds"]

Array = Any
"""A NumPy or torch array on the model's device."""

Ids = npt.NDArray[np.integer[Any]]
"""An array of token ids, of any integer type."""

TokenIds = Sequence[int] | Ids
"""Token ids as users give them."""


@runtime_checkable
class LanguageModel(Protocol):
    """What a language model offers; see the module's text for the invariants.

    Optional attributes, read with `getattr(model, name, None)`:

    * `document_separator: int | None`: the id that stands for both ends of a document; it is the
      prefix that a generation without a prompt begins with;
    * `context_length: int | None`: the most tokens a state can hold; None: no limit;
    * `reorder(state, rows)`: the state of the given rows, for beams;
    * `hidden`: the last hidden states, for contrastive search.
    """

    @property
    def vocab_size(self) -> int:
        """V, the number of token ids; ids are 0 … V − 1."""
        ...

    def start(self, batch_size: int = 1) -> Any:
        """The state of `batch_size` empty prefixes."""
        ...

    def step(self, state: Any, ids: Any) -> tuple[Array, Any]:
        """Reads `ids` (B, n), n ≥ 0, and returns the scores (B, V) of the token after the last
        one (log-probabilities up to a constant per row) and the new state.

        Raises `TokenIdError` for an id outside the vocabulary, `InvalidInputError` when the
        state would outgrow `context_length`.
        """
        ...

    def score(self, ids: Any) -> Array:
        """The natural log-probability (n,) of each of `ids` (n,) given those before it; the first
        is given an empty context."""
        ...
