"""Batches in an order that is a function of the seed and the step, and of nothing else.

The stream of tokens is read as a circle, so that a separator stands before every document. Each
target's input is the token before it. What an epoch covers:

* `packing="contiguous"`: the circle is cut every `seq_len` tokens, in each epoch from another
  place. With `drop_last`, ⌊N / T⌋ rows of T different targets; the N mod T targets left over lie
  elsewhere in each epoch. Without it they make one more row, padded, and every token is a target
  exactly once an epoch.
* `packing="best_fit"`: whole documents, as many as fit a row; only a document longer than a row is
  cut. Every token stands in exactly one row; what rows lack is padding.

Rows are then permuted in constant time and memory; with `drop_last`, up to `batch_size` − 1 rows
that fill no batch are left out, others in each epoch. Rank r of w takes rows r, r + w, … of each
global batch: the same global batches for every `world_size`, also after a resume. The proofs stand
in the Rust sources `data/order.rs`, `data/pack.rs` and `data/loader.rs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from lexigram._core import BatchReader
from lexigram.data.dataset import TokenDataset
from lexigram.errors import InvalidInputError

__all__ = ["IGNORED", "Batch", "Packing", "TokenLoader"]

Packing = Literal["contiguous", "best_fit"]

IGNORED = -100
"""The target of padding; PyTorch's cross entropy leaves it out by default."""

_VERSION = 1


class Batch(NamedTuple):
    """This rank's rows of one global batch: four arrays (rows, seq_len), int64."""

    inputs: npt.NDArray[np.int64]
    """The token before each target; the document separator where there is padding."""
    targets: npt.NDArray[np.int64]
    """The token to predict; `IGNORED` (−100) where there is padding."""
    document_ids: npt.NDArray[np.int64]
    """The number, within the row, of the document that the target belongs to, from 0; padding
    counts as one more document. A separator is the first input of the document after it, as when
    text is generated; a document's last target is its own separator."""
    positions: npt.NDArray[np.int64]
    """The place of the input in its document, counted from 0 at the document's first input in the
    row: always below `seq_len`."""


class TokenLoader:
    """Reads a dataset in batches, in a seeded order, and can stop and go on anywhere.

        loader = TokenLoader(dataset, batch_size=32, seq_len=1024, seed=0)
        for batch in loader:            # to the end of the epoch
            state = loader.state_dict() # small, JSON
        batch = loader.next_batch()     # the next epoch's first; never ends

    `batch_size` is the global batch: this rank's arrays have `batch_size / world_size` rows (the
    last batch of an epoch may have fewer when `drop_last` is false). Raises `InvalidInputError` for
    arguments outside their limits and for a dataset too small for one batch.
    """

    def __init__(
        self,
        dataset: TokenDataset,
        *,
        batch_size: int,
        seq_len: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        packing: Packing = "contiguous",
        shuffle: bool = True,
        drop_last: bool = True,
    ) -> None:
        if packing not in get_args(Packing):
            raise InvalidInputError(
                f"packing = {packing!r}: must be one of {', '.join(get_args(Packing))}"
            )
        _limit("batch_size", batch_size, 1, 2**31)
        _limit("seq_len", seq_len, 1, 2**31)
        _limit("seed", seed, 0, 2**64)
        _limit("world_size", world_size, 1, 2**31)
        _limit("rank", rank, 0, world_size)
        self._reader = BatchReader(
            dataset._reader,
            batch_size=batch_size,
            seq_len=seq_len,
            seed=seed,
            rank=rank,
            world_size=world_size,
            best_fit=packing == "best_fit",
            shuffle=bool(shuffle),
            drop_last=bool(drop_last),
        )
        self._order: dict[str, Any] = {
            "version": _VERSION,
            "dataset": dataset.fingerprint,
            "seed": int(seed),
            "batch_size": int(batch_size),
            "seq_len": int(seq_len),
            "packing": packing,
            "shuffle": bool(shuffle),
            "drop_last": bool(drop_last),
        }
        self._step = 0

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self._reader.num_batches

    @property
    def num_rows(self) -> int:
        """Rows of an epoch over all ranks, before any are left out to fill batches."""
        return self._reader.num_rows

    @property
    def step(self) -> int:
        """Batches read so far, over all epochs."""
        return self._step

    @property
    def epoch(self) -> int:
        """The epoch of the next batch, from 0."""
        return self._step // len(self)

    def batch(self, step: int) -> Batch:
        """The batch of any step; does not move the loader."""
        _limit("step", step, 0, 2**63)
        # One block of memory for all four arrays: the allocator can hand it out again and again.
        shape = (4, self._reader.rows_at(step), self._order["seq_len"])
        arrays = np.empty(shape, dtype=np.int64)
        self._reader.fill(step, arrays)
        return Batch(*arrays)

    def next_batch(self) -> Batch:
        """The next batch. Never ends: epoch follows epoch, each in a new order."""
        batch = self.batch(self._step)
        self._step += 1
        return batch

    def __iter__(self) -> Iterator[Batch]:
        """The batches that are left of the current epoch: all of them, unless the loader was
        stopped or resumed in its middle. The next `for` reads the next epoch."""
        end = (self.epoch + 1) * len(self)
        while self._step < end:
            yield self.next_batch()

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, and what its order depends on: plain data of less than 256
        bytes as JSON. Neither rank nor world size is part of it."""
        return {**self._order, "step": self._step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes to where `state` was taken: the next batch is the one that would have come then.

        Raises `InvalidInputError`, and stays where it is, if the state was made with another
        dataset or another order.
        """
        for key, ours in self._order.items():
            theirs = state.get(key)
            if theirs != ours or type(theirs) is not type(ours):
                raise InvalidInputError(
                    f"the loader's state has {key} = {theirs!r}, this loader has {ours!r}; "
                    "resume with the dataset and the arguments that it was saved with"
                )
        step = state.get("step")
        if not isinstance(step, int) or isinstance(step, bool):
            raise InvalidInputError(f"the loader's state has step = {step!r}: must be an integer")
        _limit("step", step, 0, 2**63)
        self._step = step


def _limit(name: str, value: int, low: int, end: int) -> None:
    integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not integer or not low <= value < end:
        raise InvalidInputError(f"{name} = {value!r}: must be an integer, {low} to {end - 1}")
