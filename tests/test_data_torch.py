"""The loader under torch's DataLoader, and torchdata's StatefulDataLoader."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_tokenizer import ByteTokenizer
from lexigram.data import TokenDataset, TokenLoader, tokenize
from lexigram.errors import InvalidInputError

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),
]

OPTIONS: dict[str, Any] = {"batch_size": 3, "seq_len": 16, "seed": 4}


@pytest.fixture
def dataset(tmp_path: Path) -> TokenDataset:
    texts = [f"document number {i}, " * (1 + i % 7) for i in range(40)]
    return tokenize(texts, ByteTokenizer(), tmp_path / "s")


def same(tensors: Any, arrays: Any) -> bool:
    return all(
        isinstance(t, torch.Tensor) and np.array_equal(t.numpy(), a)
        for t, a in zip(tensors, arrays, strict=True)
    )


@pytest.mark.parametrize("prefetch", [0, 2])
def test_tensors_share_memory(dataset: TokenDataset, prefetch: int) -> None:
    loader = TokenLoader(dataset, **OPTIONS, tensors=True, prefetch=prefetch)
    plain = TokenLoader(dataset, **OPTIONS)
    kept = [loader.next_batch() for _ in range(20)]
    assert all(same(batch, plain.batch(i)) for i, batch in enumerate(kept))
    whole = kept[0].inputs.untyped_storage()
    assert all(t.untyped_storage().data_ptr() == whole.data_ptr() for t in kept[0])
    assert kept[0].inputs.dtype == torch.int64
    for dtype in ("int32", "uint16"):
        small = TokenLoader(dataset, **OPTIONS, tensors=True, dtype=dtype, documents=False)
        batch = small.next_batch()
        assert batch.targets.dtype == getattr(torch, dtype)
        assert np.array_equal(batch.targets.numpy(), plain.batch(0).targets)
        assert batch.positions is None


def test_without_an_accelerator_pinning_warns_and_gives_tensors(
    dataset: TokenDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.warns(UserWarning, match="pin_memory=True, but torch finds no accelerator"):
        loader = TokenLoader(dataset, **OPTIONS, pin_memory=True)
    assert same(loader.next_batch(), TokenLoader(dataset, **OPTIONS).batch(0))


@pytest.mark.parametrize("prefetch", [0, 3])
def test_pinned_memory_is_torch_s_and_filled_in_place(
    dataset: TokenDataset, monkeypatch: pytest.MonkeyPatch, prefetch: int
) -> None:
    """With torch's pinned allocator replaced by its ordinary one, which this machine has."""
    from lexigram.data import torch as ours

    asked: list[Any] = []

    def empty(shape: Any, dtype: str) -> Any:
        asked.append(torch.empty(shape, dtype=ours._DTYPES[dtype]))
        return asked[-1]

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(ours, "empty", empty)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader = TokenLoader(dataset, **OPTIONS, pin_memory=True, prefetch=prefetch)
    plain = TokenLoader(dataset, **OPTIONS)
    for step in range(8):
        batch = loader.next_batch()
        assert same(batch, plain.batch(step))
        assert batch.inputs.data_ptr() in {block.data_ptr() for block in asked}
    loader.load_state_dict({**loader.state_dict(), "step": 1})
    assert same(loader.next_batch(), plain.batch(1))
    assert same(loader.batch(5), plain.batch(5))


@pytest.mark.gpu
def test_pinned_memory_on_a_device(dataset: TokenDataset) -> None:
    plain = TokenLoader(dataset, **OPTIONS)
    for prefetch in (0, 3):
        loader = TokenLoader(dataset, **OPTIONS, pin_memory=True, prefetch=prefetch)
        for step in range(50):
            batch = loader.next_batch()
            assert all(tensor.is_pinned() for tensor in batch)
            moved = [tensor.to("cuda", non_blocking=True) for tensor in batch]
            del batch
            assert same([tensor.cpu() for tensor in moved], plain.batch(step))


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_the_same_order_for_every_number_of_workers(dataset: TokenDataset, workers: int) -> None:
    from torch.utils.data import DataLoader

    loader = TokenLoader(dataset, **OPTIONS)
    plain = TokenLoader(dataset, **OPTIONS)
    for _ in range(5):  # in the middle of an epoch
        loader.next_batch()
    batches = loader.as_torch_dataset()
    torch_loader = DataLoader(
        batches, batch_size=None, num_workers=workers, persistent_workers=workers > 0
    )
    found = list(torch_loader)
    assert len(found) == len(plain) - 5
    assert all(same(batch, plain.batch(5 + i)) for i, batch in enumerate(found))
    for epoch in (1, 3):
        batches.set_epoch(epoch)
        found = list(torch_loader)
        assert len(found) == len(plain)
        first = epoch * len(plain)
        assert all(same(batch, plain.batch(first + i)) for i, batch in enumerate(found))
    assert loader.step == 5, "the loader itself is not moved"
    with pytest.raises(InvalidInputError, match="epoch = -1"):
        batches.set_epoch(-1)


def test_workers_with_a_mixture_and_threads(dataset: TokenDataset, tmp_path: Path) -> None:
    from torch.utils.data import DataLoader

    other = tokenize(["other words " * 60], ByteTokenizer(), tmp_path / "o")
    mixture: dict[str, Any] = {"weights": {"a": 0.3, "b": 0.7}, "prefetch": 2, **OPTIONS}
    loader = TokenLoader({"a": dataset, "b": other}, **mixture)
    found = list(DataLoader(loader.as_torch_dataset(), batch_size=None, num_workers=2))
    plain = TokenLoader({"a": dataset, "b": other}, **mixture)
    assert len(found) == len(plain)
    assert all(same(batch, plain.batch(i)) for i, batch in enumerate(found))


@pytest.mark.parametrize("stride", [1, 3])
def test_iterators_resume_by_their_own_state(dataset: TokenDataset, stride: int) -> None:
    """torchdata's protocol, as its workers call it: an iterator's state into a fresh iterator."""
    from lexigram.data.torch import _Batches

    loader = TokenLoader(dataset, **OPTIONS)
    end = len(loader)
    whole = [batch.targets for batch in _Batches(loader, 1, stride, end)]
    for stop in range(len(whole) + 1):
        begun = _Batches(loader, 1, stride, end)
        for _ in range(stop):
            next(begun)
        again = _Batches(loader, 1, stride, end)
        again.load_state_dict(begun.state_dict())
        rest = [batch.targets for batch in again]
        assert len(rest) == len(whole) - stop
        assert all(map(np.array_equal, rest, whole[stop:]))
    batches = loader.as_torch_dataset()
    loader.next_batch()
    batches.load_state_dict(loader.state_dict())
    assert batches.state_dict() == loader.state_dict()
    assert np.array_equal(next(iter(batches)).targets, loader.next_batch().targets)
    with pytest.raises(InvalidInputError, match="the loader's state has seed"):
        batches.load_state_dict({**batches.state_dict(), "seed": 1})


@pytest.mark.parametrize("workers", [0, 2])
def test_stateful_data_loader(dataset: TokenDataset, workers: int) -> None:
    torchdata = pytest.importorskip("torchdata.stateful_dataloader")
    plain = TokenLoader(dataset, **OPTIONS)

    def make() -> Any:
        batches = TokenLoader(dataset, **OPTIONS).as_torch_dataset()
        return torchdata.StatefulDataLoader(batches, batch_size=None, num_workers=workers)

    for stop in (1, 4, len(plain) - 1):
        reader = make()
        found = []
        for batch in reader:
            found.append(batch)
            if len(found) == stop:
                state = reader.state_dict()
                break
        again = make()
        again.load_state_dict(state)
        found += list(again)
        assert len(found) == len(plain)
        assert all(same(batch, plain.batch(i)) for i, batch in enumerate(found))
