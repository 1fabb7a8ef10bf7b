"""The loader against a naive twin: a Python list, read as a circle."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_tokenizer import ByteTokenizer
from lexigram.data import IGNORED, Batch, TokenDataset, TokenLoader, tokenize
from lexigram.errors import InvalidInputError

SEPARATOR = 60_000


class LetterTokenizer(ByteTokenizer):
    """A character is a token, so that every token of a test can be a different one."""

    eot_token = SEPARATOR

    def __init__(self) -> None:
        super().__init__(SEPARATOR + 1)

    def encode_ordinary_batch_to_numpy(self, texts: list[str]) -> Any:
        ids = np.array([ord(c) for text in texts for c in text], dtype=np.uint32)
        return ids, np.cumsum([0, *map(len, texts)], dtype=np.int64)


lengths = st.lists(st.integers(0, 30), min_size=1, max_size=20).filter(any)
packings = st.sampled_from(["contiguous", "best_fit"])


@contextmanager
def dataset_of(lengths: list[int], shard_tokens: int = 50) -> Iterator[TokenDataset]:
    """Documents of these lengths; no token but the separator occurs twice."""
    letters = iter(range(1, 20_000))
    documents = ["".join(chr(next(letters)) for _ in range(length)) for length in lengths]
    with tempfile.TemporaryDirectory() as folder:
        yield tokenize(documents, LetterTokenizer(), Path(folder, "s"), shard_tokens=shard_tokens)


def stack(batches: list[Batch]) -> Batch:
    return Batch(*(np.concatenate(arrays) for arrays in zip(*batches, strict=True)))


def equal(a: Batch, b: Batch) -> bool:
    return all(
        x.dtype == y.dtype == np.int64 and np.array_equal(x, y) for x, y in zip(a, b, strict=True)
    )


def places(dataset: TokenDataset, epoch: Batch) -> list[int]:
    """Where in the stream each target stands. A separator is known by the token before it, and
    runs of separators by their order, which no row changes."""
    stream = dataset.tokens().tolist()
    before = {stream[i]: i for i in range(len(stream)) if stream[i] != SEPARATOR}
    pairs: dict[tuple[int, int], list[int]] = {}
    for i, target in enumerate(stream):
        pairs.setdefault((stream[i - 1], target), []).append(i)
    assert len(before) == sum(1 for token in stream if token != SEPARATOR)
    used: dict[tuple[int, int], int] = {}
    found = []
    for pair in zip(epoch.inputs.ravel().tolist(), epoch.targets.ravel().tolist(), strict=True):
        if pair[1] == IGNORED:
            assert pair[0] == SEPARATOR
            continue
        nth = used.get(pair, 0)
        used[pair] = nth + 1
        found.append(pairs[pair][nth])  # fails for a pair that is not in the stream, or too often
    return found


@given(lengths, st.integers(1, 40), st.integers(1, 5), packings, st.booleans(), st.booleans())
def test_every_token_is_a_target_exactly_once(
    sizes: list[int], seq_len: int, batch_size: int, packing: Any, shuffle: bool, drop_last: bool
) -> None:
    with dataset_of(sizes) as dataset:
        options: dict[str, Any] = {"packing": packing, "shuffle": shuffle, "drop_last": drop_last}
        n = len(dataset)
        options |= {"batch_size": batch_size, "seq_len": seq_len, "seed": 3}
        rows = n // seq_len if drop_last else -(-n // seq_len)
        if packing == "best_fit":
            rows = TokenLoader(dataset, **{**options, "batch_size": 1}).num_rows
        if drop_last and rows < batch_size:
            with pytest.raises(InvalidInputError, match="less than one batch"):
                TokenLoader(dataset, **options)
            return
        loader = TokenLoader(dataset, **options)
        assert loader.num_rows == rows
        for _ in range(2):
            batches = list(loader)
            assert len(batches) == len(loader)
            assert all(b.inputs.shape == (batch_size, seq_len) for b in batches[:-1])
            epoch = stack(batches)
            found = places(dataset, epoch)
            assert len(set(found)) == len(found)
            if not drop_last:
                assert sorted(found) == list(range(n))
                assert len(epoch.inputs) == rows
            else:
                assert len(epoch.inputs) == rows // batch_size * batch_size
            if packing == "contiguous":
                if drop_last:
                    assert len(found) == rows // batch_size * batch_size * seq_len
                if not shuffle:
                    assert found == list(range(len(found)))


@given(lengths, st.integers(1, 40), packings)
def test_document_ids_and_positions_against_a_naive_twin(
    sizes: list[int], seq_len: int, packing: Any
) -> None:
    with dataset_of(sizes) as dataset:
        loader = TokenLoader(
            dataset, batch_size=2, seq_len=seq_len, seed=1, packing=packing, drop_last=False
        )
        for batch in loader:
            for inputs, targets, ids, positions in zip(*(a.tolist() for a in batch), strict=True):
                number = place = 0
                padding = False
                for i in range(seq_len):
                    # A document begins after a separator; a row of best_fit also holds pieces of
                    # documents longer than a row, which begin where the run of tokens breaks.
                    breaks = i > 0 and (inputs[i] != targets[i - 1] or inputs[i] == SEPARATOR)
                    if breaks and not padding:
                        number, place = number + 1, 0
                    padding = padding or targets[i] == IGNORED
                    assert (ids[i], positions[i]) == (number, place)
                    place += 1


@given(lengths, st.integers(1, 40))
def test_best_fit_cuts_only_what_is_longer_than_a_row(sizes: list[int], seq_len: int) -> None:
    with dataset_of(sizes) as dataset:
        loader = TokenLoader(
            dataset, batch_size=1, seq_len=seq_len, seed=1, packing="best_fit", drop_last=False
        )
        rows = [batch.targets[0].tolist() for batch in loader]
        padding = sum(row.count(IGNORED) for row in rows)
        assert padding == len(rows) * seq_len - len(dataset)
        for document in dataset.documents():
            whole = [*document.tolist(), SEPARATOR]
            for at in range(0, len(whole), seq_len):
                piece = whole[at : at + seq_len]
                holds = [
                    row
                    for row in rows
                    if any(row[i : i + len(piece)] == piece for i in range(seq_len))
                ]
                assert holds, f"{piece} stands in no row"
        # Best-fit decreasing never leaves two rows that would fit one.
        filled = sorted(seq_len - row.count(IGNORED) for row in rows)
        if len(filled) > 1:
            assert filled[0] + filled[1] > seq_len


@given(lengths, st.integers(1, 9), st.integers(0, 2**64 - 1), packings, st.booleans())
def test_order_is_the_same_for_every_world_size(
    sizes: list[int], seq_len: int, seed: int, packing: Any, drop_last: bool
) -> None:
    with dataset_of(sizes) as dataset:
        options: dict[str, Any] = {
            "batch_size": 6,
            "seq_len": seq_len,
            "seed": seed,
            "packing": packing,
            "drop_last": drop_last,
        }
        try:
            alone = TokenLoader(dataset, **options)
        except InvalidInputError:
            return
        steps = range(len(alone) * 2 + 1)
        batches = [alone.next_batch() for _ in steps]
        for world_size in (2, 3, 6):
            ranks = [
                TokenLoader(dataset, **options, rank=rank, world_size=world_size)
                for rank in range(world_size)
            ]
            for step in steps:
                for rank, loader in enumerate(ranks):
                    ours = Batch(*(array[rank::world_size] for array in batches[step]))
                    assert equal(loader.next_batch(), ours)


@settings(max_examples=50)
@given(lengths, st.integers(1, 9), packings, st.integers(0, 60), st.sampled_from([1, 2, 4]))
def test_resume_equals_uninterrupted(
    sizes: list[int], seq_len: int, packing: Any, stop: int, world_size: int
) -> None:
    with dataset_of(sizes) as dataset:
        options: dict[str, Any] = {
            "batch_size": 4,
            "seq_len": seq_len,
            "seed": 11,
            "packing": packing,
            "drop_last": False,
        }
        whole = TokenLoader(dataset, **options)
        for _ in range(stop):
            whole.next_batch()
        saved = json.dumps(whole.state_dict())
        assert len(saved) <= 256
        resumed = [
            TokenLoader(dataset, **options, rank=rank, world_size=world_size)
            for rank in range(world_size)
        ]
        for loader in resumed:
            loader.load_state_dict(json.loads(saved))
            assert (loader.step, loader.epoch) == (whole.step, whole.epoch)
        for _ in range(len(whole) + 2):
            batch = whole.next_batch()
            for rank, loader in enumerate(resumed):
                ours = Batch(*(array[rank::world_size] for array in batch))
                assert equal(loader.next_batch(), ours)
        rest = list(resumed[0])
        assert len(rest) == len(whole) - whole.step % len(whole)
        assert equal(whole.batch(3), TokenLoader(dataset, **options).batch(3))


def test_epochs_and_seeds_differ() -> None:
    with dataset_of([30] * 20) as dataset:
        options: dict[str, Any] = {"batch_size": 4, "seq_len": 5}
        loader = TokenLoader(dataset, **options, seed=0)
        epochs = [stack(list(loader)) for _ in range(3)]
        other = stack(list(TokenLoader(dataset, **options, seed=1)))
        again = stack(list(TokenLoader(dataset, **options, seed=0)))
        assert equal(epochs[0], again)
        for a, b in [(epochs[0], epochs[1]), (epochs[1], epochs[2]), (epochs[0], other)]:
            assert not np.array_equal(a.targets, b.targets)
        # Not only the order of the rows: they are cut at other places.
        assert {tuple(r) for r in epochs[0].targets} != {tuple(r) for r in epochs[1].targets}
        still = TokenLoader(dataset, **options, seed=0, shuffle=False)
        assert equal(stack(list(still)), stack(list(still)))


def test_stopping_a_for_keeps_the_place() -> None:
    with dataset_of([30] * 20) as dataset:
        loader = TokenLoader(dataset, batch_size=4, seq_len=5, seed=0)
        batches = []
        for batch in loader:
            batches.append(batch)
            if len(batches) == 7:
                break
        batches += list(loader)
        assert len(batches) == len(loader) == loader.step
        assert loader.epoch == 1
        assert equal(
            stack(batches), stack(list(TokenLoader(dataset, batch_size=4, seq_len=5, seed=0)))
        )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 0}, "batch_size = 0: must be an integer, 1 to"),
        ({"batch_size": 2.0}, "batch_size = 2.0"),
        ({"batch_size": True}, "batch_size = True"),
        ({"seq_len": 0}, "seq_len = 0: must be an integer, 1 to"),
        ({"seq_len": 1000}, "fill 0 rows of seq_len = 1000, less than one batch"),
        ({"batch_size": 1000}, "batch_size = 1000: the dataset's 36 tokens fill 9 rows"),
        ({"seed": -1}, "seed = -1: must be an integer, 0 to"),
        ({"seed": 2**64}, "seed = 18446744073709551616"),
        ({"rank": 1}, "rank = 1: must be an integer, 0 to 0"),
        ({"world_size": 0}, "world_size = 0"),
        ({"world_size": 4}, "batch_size = 2: must be a positive multiple of world_size = 4"),
        ({"packing": "first_fit"}, "packing = 'first_fit': must be one of contiguous, best_fit"),
    ],
)
def test_bad_arguments(changed: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"batch_size": 2, "seq_len": 4, "seed": 0, **changed}
    with dataset_of([5] * 6) as dataset, pytest.raises(InvalidInputError) as caught:
        TokenLoader(dataset, **options)
    assert message in str(caught.value)


def test_a_state_of_another_order_is_refused() -> None:
    options: dict[str, Any] = {"batch_size": 2, "seq_len": 4, "seed": 0}
    with dataset_of([5] * 6) as dataset, dataset_of([5] * 7) as longer:
        loader = TokenLoader(dataset, **options)
        state = loader.state_dict()
        changes: list[dict[str, Any]] = [
            {"seed": 1},
            {"batch_size": 1},
            {"seq_len": 3},
            {"packing": "best_fit"},
            {"shuffle": False},
            {"drop_last": False},
        ]
        for change in changes:
            ((key, value),) = change.items()
            other = TokenLoader(dataset, **{**options, **change})
            with pytest.raises(InvalidInputError, match=f"{key} = .*, this loader has {value!r}"):
                other.load_state_dict(state)
        with pytest.raises(InvalidInputError, match="dataset = "):
            TokenLoader(longer, **options).load_state_dict(state)
        for bad in ({}, {**state, "version": 2}, {**state, "step": -1}, {**state, "step": "1"}):
            with pytest.raises(InvalidInputError, match=r"the loader's state has|step = -1"):
                loader.load_state_dict(bad)
        assert loader.step == 0
        with pytest.raises(InvalidInputError, match="step = -1"):
            loader.batch(-1)
