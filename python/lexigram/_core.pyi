"""The Rust core. Users call the classes of `lexigram`; these are the parts they are made of.

Every function releases the GIL while it works and raises exceptions of `lexigram.errors`.
A `progress` argument is called as `progress(done, total)` at most ten times a second, from the
calling thread; an exception that it raises ends the work and nothing is left half-written.
"""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__version__: str

@final
class ShardWriter:
    """Takes tokenised documents and makes a dataset: a directory of shards and a manifest, in one
    step at `finish`. An abandoned writer leaves nothing behind."""

    def __new__(
        cls,
        out_dir: str | PathLike[str],
        *,
        vocab_size: int,
        document_separator: int,
        tokenizer: str,
        shard_tokens: int,
        overwrite: bool,
    ) -> ShardWriter:
        """Begins the dataset `out_dir`; `InvalidInputError` where there is one already."""

    def append(
        self,
        ids: NDArray[np.uint32],
        offsets: NDArray[np.int64],
        num_bytes: NDArray[np.int64],
    ) -> None:
        """Appends documents: the i-th is `ids[offsets[i]:offsets[i + 1]]`, without a separator,
        from a text of `num_bytes[i]` UTF-8 bytes."""

    def finish(self, num_skipped: int) -> None:
        """Writes the manifest and puts the directory in its place."""

    def abort(self) -> None:
        """Removes what was written so far."""

@final
class ShardReader:
    """A dataset, opened for reading."""

    def __new__(cls, directory: str | PathLike[str]) -> ShardReader:
        """Opens a finished dataset; reads its manifest and its shards' headers."""

    @property
    def num_tokens(self) -> int: ...
    @property
    def num_documents(self) -> int: ...
    @property
    def num_bytes(self) -> int: ...
    @property
    def num_skipped(self) -> int: ...
    @property
    def num_shards(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def document_separator(self) -> int: ...
    @property
    def tokenizer(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    def read(self, start: int, stop: int) -> NDArray[Any]:
        """A copy of tokens `start` to `stop`, uint16 or uint32."""

    def document_range(self, index: int) -> tuple[int, int]:
        """Where document `index` begins and ends in the stream, its separator left out."""

    def verify(self, progress: Callable[[int, int], object] | None = None) -> None:
        """Reads every byte again; `FormatError` names the file and the place of any damage."""

@final
class BatchReader:
    """The batch of any step, as a function of the step alone."""

    def __new__(
        cls,
        reader: ShardReader,
        *,
        batch_size: int,
        seq_len: int,
        seed: int,
        rank: int,
        world_size: int,
        best_fit: bool,
        shuffle: bool,
        drop_last: bool,
    ) -> BatchReader:
        """Checks the arguments and plans the rows."""

    @property
    def num_rows(self) -> int:
        """Rows of an epoch, over all batches and ranks."""

    @property
    def num_batches(self) -> int:
        """Batches of an epoch."""

    def batch(
        self, step: int
    ) -> tuple[
        NDArray[np.int64],
        NDArray[np.int64],
        NDArray[np.int64],
        NDArray[np.int64],
    ]:
        """This rank's rows of batch `step`: inputs, targets, document ids, positions."""

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
