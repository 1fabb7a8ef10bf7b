"""The loader under PyTorch: pinned memory, and a dataset for its DataLoader.

The only file of this package that imports torch; it is imported when it is needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from lexigram.errors import InvalidInputError

if TYPE_CHECKING:
    from lexigram.data.loader import Batch, TokenLoader

__all__ = ["TorchDataset", "can_pin", "empty", "tensors"]

_DTYPES = {"int64": torch.int64, "int32": torch.int32, "uint16": torch.uint16}


def can_pin() -> bool:
    """Whether memory can be page-locked here; warns, as torch's DataLoader does, if it cannot."""
    if torch.accelerator.is_available():
        return True
    warnings.warn(
        "pin_memory=True, but torch finds no accelerator: batches are ordinary tensors",
        UserWarning,
        stacklevel=3,
    )
    return False


def empty(shape: tuple[int, int, int], dtype: str) -> torch.Tensor:
    """A page-locked tensor. torch's allocator hands the memory out again when nobody holds it and
    no copy to the device is under way."""
    return torch.empty(shape, dtype=_DTYPES[dtype], pin_memory=True)


def tensors(array: Any) -> tuple[torch.Tensor, ...]:
    """The arrays that lie in one NumPy array or tensor, as tensors that share its memory."""
    whole = array if isinstance(array, torch.Tensor) else torch.from_numpy(array)
    return whole.unbind(0)


class TorchDataset(IterableDataset):  # type: ignore[type-arg]
    """The batches of an epoch of a `TokenLoader`, for `DataLoader(dataset, batch_size=None)`.

    Worker w of n makes batches w, w + n, …, so that the DataLoader, which asks its workers in turn,
    gives the same batches in the same order for every number of workers. It reads the epoch that
    the loader stood in, from the loader's place on; before each further epoch call `set_epoch`, as
    with torch's DistributedSampler (persistent workers hear of it too). The loader itself is
    not moved.

    Iterators, and the dataset, have `state_dict` and `load_state_dict`: torchdata's
    StatefulDataLoader resumes in the middle of an epoch, with as many workers as before.
    """

    def __init__(self, loader: TokenLoader) -> None:
        super().__init__()
        self._loader = loader
        # Shared with workers, however they are started.
        self._start = torch.tensor([loader.step], dtype=torch.int64)
        self._start.share_memory_()  # type: ignore[no-untyped-call]

    def set_epoch(self, epoch: int) -> None:
        """The next iterators read this epoch from its first batch. Raises `InvalidInputError`."""
        if not isinstance(epoch, int) or not 0 <= epoch < 2**62 // len(self._loader):
            raise InvalidInputError(
                f"epoch = {epoch!r}: must be an integer, 0 or more, and below 2^62 batches"
            )
        self._start[0] = epoch * len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        start = int(self._start[0])
        end = (start // len(self._loader) + 1) * len(self._loader)
        worker = get_worker_info()
        index, count = (0, 1) if worker is None else (worker.id, worker.num_workers)
        return _Batches(self._loader, start + index, count, end)

    def state_dict(self) -> dict[str, Any]:
        """Where the next iterator begins."""
        return {**self._loader.state_dict(), "step": int(self._start[0])}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The next iterator begins where `state` says, which may be a loader's own state.
        Raises `InvalidInputError` for the state of another order."""
        self._start[0] = self._loader._step_of(state)


class _Batches(Iterator["Batch"]):
    """Batches `step`, `step + stride`, … before `end`."""

    def __init__(self, loader: TokenLoader, step: int, stride: int, end: int) -> None:
        self._loader, self._step, self._stride, self._end = loader, step, stride, end

    def __next__(self) -> Batch:
        if self._step >= self._end:
            raise StopIteration
        batch = self._loader._fetch(self._step, self._stride)
        self._step += self._stride
        return batch

    def state_dict(self) -> dict[str, Any]:
        return {**self._loader.state_dict(), "step": self._step, "end": self._end}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._step, self._end = self._loader._step_of(state), int(state["end"])
