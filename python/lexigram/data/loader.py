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
global batch: the same global batches for every `world_size`, also after a resume.

In a mixture each row of an endless sequence belongs to a source, in exact proportions; each source
has its own epochs, in which each of its rows comes once. What `len` and `epoch` count is as many
batches as the rows of all sources fill.

The proofs stand in the Rust sources `data/order.rs`, `data/pack.rs`, `data/mix.rs` and
`data/loader.rs`.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from lexigram._core import BatchReader, BatchThreads
from lexigram.data.dataset import TokenDataset
from lexigram.data.mixture import Mixture, Weight
from lexigram.errors import InvalidInputError

if TYPE_CHECKING:
    from lexigram.data.torch import TorchDataset

__all__ = ["IGNORED", "Batch", "Dtype", "Packing", "TokenLoader"]

Packing = Literal["contiguous", "best_fit"]
Dtype = Literal["int64", "int32", "uint16"]

IGNORED = -100
"""The target of padding; PyTorch's cross entropy leaves it out by default."""

_VERSIONS = {"contiguous": 1, "best_fit": 2}
"""Of the order: under one version the same state means the same next batch."""

_THREADS = 4  # at most: more than fill memory, enough to wait for a disk


class Batch(NamedTuple):
    """This rank's rows of one global batch: arrays (rows, seq_len) of the loader's dtype, int64
    unless asked otherwise; torch tensors with `tensors=True`. A batch is the caller's: its memory
    is not used again before every view of it is gone."""

    inputs: npt.NDArray[Any]
    """The token before each target; the document separator where there is padding."""
    targets: npt.NDArray[Any]
    """The token to predict; `IGNORED` (−100) where there is padding."""
    document_ids: Any = None
    """The number, within the row, of the document that the target belongs to, from 0; padding
    counts as one more document. A separator is the first input of the document after it, as when
    text is generated; a document's last target is its own separator. None with
    `documents=False`."""
    positions: Any = None
    """The place of the input in its document, counted from 0 at the document's first input in the
    row: always below `seq_len`. None with `documents=False`."""


class TokenLoader:
    """Reads a dataset in batches, in a seeded order, and can stop and go on anywhere.

        loader = TokenLoader(dataset, batch_size=32, seq_len=1024, seed=0)
        for batch in loader:            # to the end of the epoch
            state = loader.state_dict() # small, JSON
        batch = loader.next_batch()     # the next epoch's first; never ends
        TokenLoader({"a": a, "b": b}, weights={"a": 0.7, "b": 0.3}, batch_size=…, …)  # a mixture

    `batch_size` is the global batch: this rank's arrays have `batch_size / world_size` rows (the
    last batch of an epoch of one dataset may have fewer when `drop_last` is false).

    None of the following changes a token of any batch:

    * `prefetch`: so many batches are made by threads before `next_batch` asks for them.
    * `dtype`: "int64", "int32", or "uint16" for vocabularies of at most 65,536 tokens and orders
      without padding (`packing="contiguous"`, `drop_last=True`): less memory to write and to copy.
    * `documents=False`: no document ids and positions, half the memory to write.
    * `tensors=True`: torch tensors, which share memory with what the loader wrote.
    * `pin_memory=True`: tensors in page-locked memory, which `tensor.to("cuda", non_blocking=True)`
      copies while the CPU goes on. Without an accelerator there is a warning, and ordinary tensors.

    May be used by several threads, which then share the batches, after a fork, and when pickled
    (opens the datasets again). Raises `InvalidInputError` for arguments outside their limits and
    for a dataset too small for one batch; `FormatError` at the batch whose bytes are damaged.
    """

    def __init__(
        self,
        dataset: TokenDataset | Mixture | Mapping[str, TokenDataset],
        *,
        batch_size: int,
        seq_len: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        packing: Packing = "contiguous",
        shuffle: bool = True,
        drop_last: bool = True,
        weights: Mapping[str, Weight] | None = None,
        prefetch: int = 0,
        dtype: Dtype = "int64",
        documents: bool = True,
        tensors: bool = False,
        pin_memory: bool = False,
    ) -> None:
        self._arguments = {k: v for k, v in locals().items() if k != "self"}
        if isinstance(dataset, Mapping):
            dataset = Mixture(dataset, weights)
        elif weights is not None:
            raise InvalidInputError("weights belong to a mapping of names to datasets")
        _choice("packing", packing, get_args(Packing))
        _choice("dtype", dtype, get_args(Dtype))
        _limit("batch_size", batch_size, 1, 2**31)
        _limit("seq_len", seq_len, 1, 2**31)
        _limit("seed", seed, 0, 2**64)
        _limit("world_size", world_size, 1, 2**31)
        _limit("rank", rank, 0, world_size)
        _limit("prefetch", prefetch, 0, 1025)
        if not isinstance(dataset, TokenDataset | Mixture):
            raise InvalidInputError(
                f"dataset is a {type(dataset).__name__}: must be a TokenDataset or a Mixture; open "
                "a directory with TokenDataset(directory)"
            )
        mixture = dataset if isinstance(dataset, Mixture) else None
        datasets = [dataset] if isinstance(dataset, TokenDataset) else [*dataset.sources.values()]
        self._reader = BatchReader(
            [one._reader for one in datasets],
            mixture._integers if mixture is not None else None,
            batch_size=batch_size,
            seq_len=seq_len,
            seed=seed,
            rank=rank,
            world_size=world_size,
            best_fit=packing == "best_fit",
            shuffle=bool(shuffle),
            drop_last=bool(drop_last),
            dtype=dtype,
            documents=bool(documents),
        )
        self._order: dict[str, Any] = {
            "dataset": dataset.fingerprint,
            "seed": int(seed),
            "batch_size": int(batch_size),
            "seq_len": int(seq_len),
            "packing": packing,
            "shuffle": bool(shuffle),
            "drop_last": bool(drop_last),
            "version": _VERSIONS[packing],
        }
        self._names = list(mixture.sources) if mixture is not None else []
        self._dtype, self._num_arrays = dtype, 4 if documents else 2
        self._pin = False
        if pin_memory:
            from lexigram.data.torch import can_pin

            self._pin = can_pin()
        self._tensors = tensors or pin_memory
        self._prefetch = int(prefetch)
        self._step = 0
        self._begin_in_this_process()

    def _begin_in_this_process(self) -> None:
        # Neither a lock nor a thread of the process that was forked is of use in the fork.
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._threads: BatchThreads | None = None
        self._lent: dict[int, Any] = {}
        self._in_hand: deque[int] = deque()  # steps that the threads were given, in order

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self._reader.num_batches

    @property
    def num_rows(self) -> int:
        """Rows of an epoch over all ranks, before any are left out to fill batches; of a mixture,
        the rows of all its sources."""
        return self._reader.num_rows

    @property
    def step(self) -> int:
        """Batches read so far, over all epochs."""
        return self._step

    @property
    def epoch(self) -> int:
        """The epoch of the next batch, from 0."""
        return self._step // len(self)

    def source_epochs(self, step: int) -> dict[str, tuple[int, float]]:
        """For each source of a mixture: how many of its rows come before batch `step`, over all
        ranks, and how many epochs of that source these are."""
        _limit("step", step, 0, 2**63 // self._order["batch_size"])
        before, rows = self._reader.rows_before(step), self._reader.source_rows
        found = zip(self._names, before, rows, strict=bool(self._names))
        return {name: (count, count / size) for name, count, size in found}

    def batch(self, step: int) -> Batch:
        """The batch of any step; does not move the loader."""
        _limit("step", step, 0, 2**63)
        if not self._pin:
            return self._batch(self._reader.read(step))
        block = self._page_locked(step)
        self._reader.fill(step, block.numpy())
        return self._batch(block)

    def _page_locked(self, step: int) -> Any:
        from lexigram.data.torch import empty

        shape = (self._num_arrays, self._reader.rows_at(step), self._order["seq_len"])
        return empty(shape, self._dtype)

    def _batch(self, array: Any) -> Batch:
        if not self._tensors:
            return Batch(*array)
        from lexigram.data.torch import tensors

        return Batch(*tensors(array))  # type: ignore[arg-type]

    def next_batch(self) -> Batch:
        """The next batch. Never ends: epoch follows epoch, each in a new order."""
        self._go_on_in_a_fork()
        with self._lock:
            batch = self._fetch(self._step, 1)
            self._step += 1
        return batch

    def _go_on_in_a_fork(self) -> None:
        if self._process != os.getpid():
            self._pin = False  # CUDA cannot be used in a fork, and nobody copies from here to it
            self._begin_in_this_process()

    def _fetch(self, step: int, stride: int) -> Batch:
        """Batch `step`, while threads make `step + stride`, … if asked."""
        self._go_on_in_a_fork()
        if not self._prefetch:
            return self.batch(step)
        with self._lock:
            return self._fetch_ahead(step, stride)

    def _fetch_ahead(self, step: int, stride: int) -> Batch:
        if self._threads is None:
            self._threads = BatchThreads(self._reader, min(self._prefetch, _THREADS))
        threads, in_hand = self._threads, self._in_hand
        wanted = range(step, step + (self._prefetch + 1) * stride, stride)
        try:
            if list(in_hand) != list(wanted[: len(in_hand)]):
                self._forget()  # the loader was moved
            for each in wanted[len(in_hand) :]:
                out = None
                if self._pin:
                    self._lent[each] = self._page_locked(each)
                    out = self._lent[each].numpy()
                threads.submit(each, out)
                in_hand.append(each)
            array = threads.take(step)
        except BaseException:
            self._forget()  # asked again, the batch is made again, or fails again
            raise
        in_hand.popleft()
        return self._batch(self._lent.pop(step) if self._pin else array)

    def _forget(self) -> None:
        if self._threads is not None:
            self._threads.cancel()
        self._in_hand.clear()
        self._lent.clear()

    def __iter__(self) -> Iterator[Batch]:
        """The batches that are left of the current epoch: all of them, unless the loader was
        stopped or resumed in its middle. The next `for` reads the next epoch."""
        end = (self.epoch + 1) * len(self)
        while self._step < end:
            yield self.next_batch()

    def as_torch_dataset(self) -> TorchDataset:
        """An `IterableDataset` of whole batches, for `DataLoader(dataset, batch_size=None,
        num_workers=n)`: the same order for every n. See `lexigram.data.torch.TorchDataset`."""
        from lexigram.data.torch import TorchDataset

        return TorchDataset(self)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, and what its order depends on: plain data of less than 256
        bytes as JSON. Neither rank nor world size is part of it, nor what changes no token."""
        return {**self._order, "step": self._step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes to where `state` was taken: the next batch is the one that would have come then.

        Raises `InvalidInputError`, and stays where it is, if the state was made with another
        dataset or another order.
        """
        step = self._step_of(state)
        with self._lock:
            self._step = step

    def _step_of(self, state: Mapping[str, Any]) -> int:
        if not isinstance(state, Mapping):
            raise InvalidInputError(f"the loader's state is {state!r}: must be a state_dict()")
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
        return step

    def __getstate__(self) -> dict[str, Any]:
        return {"arguments": self._arguments, "state": self.state_dict()}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        self.__init__(**saved["arguments"])  # type: ignore[misc]
        self.load_state_dict(saved["state"])


def _limit(name: str, value: int, low: int, end: int) -> None:
    integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not integer or not low <= value < end:
        raise InvalidInputError(f"{name} = {value!r}: must be an integer, {low} to {end - 1}")


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidInputError(f"{name} = {value!r}: must be one of {', '.join(allowed)}")
