"""The Rust core. Users call the classes of `lexigram`; these are the parts they are made of.

Every function releases the GIL while it works and raises exceptions of `lexigram.errors`.
A `progress` argument is called as `progress(done, total)` at most ten times a second, from the
calling thread; an exception that it raises ends the work and nothing is left half-written.
"""

from collections.abc import Callable
from os import PathLike
from typing import Any, final

import numpy as np
import numpy.typing as npt

__all__ = ["BatchReader", "ShardReader", "ShardWriter", "__version__"]

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
        ids: npt.NDArray[np.uint32],
        offsets: npt.NDArray[np.int64],
        num_bytes: npt.NDArray[np.int64],
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
    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
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

    def rows_at(self, step: int) -> int:
        """How many rows of batch `step` are this rank's."""

    def fill(self, step: int, out: npt.NDArray[np.int64]) -> None:
        """Writes batch `step` into `out` (4, rows, seq_len), C-contiguous: inputs, targets,
        document ids, positions."""
