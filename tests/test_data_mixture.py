"""Mixtures against a naive twin, and their files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_tokenizer import ByteTokenizer
from lexigram.data import IGNORED, Batch, Mixture, TokenDataset, TokenLoader, tokenize
from lexigram.errors import (
    EncodingError,
    FormatError,
    InvalidInputError,
    LexigramError,
    MissingFileError,
)
from test_data_loader import LetterTokenizer

names = ["a", "b", "c", "d"]
sizes = st.lists(st.integers(20, 200), min_size=1, max_size=4)


@pytest.fixture
def dataset(tmp_path: Path) -> TokenDataset:
    return tokenize(["some text", "and more of it"], ByteTokenizer(), tmp_path / "shards")


@contextmanager
def datasets_of(lengths: list[int]) -> Iterator[dict[str, TokenDataset]]:
    """Datasets in which no letter occurs twice; document lengths rise and fall."""
    letters = iter(range(1, 50_000))
    with tempfile.TemporaryDirectory() as folder:
        made = {}
        for name, length in zip(names, lengths, strict=False):
            documents, left = [], length
            while left > 0:
                now = min(left, 1 + (left * 7 + length) % 23)
                documents.append("".join(chr(next(letters)) for _ in range(now)))
                left -= now
            made[name] = tokenize(documents, LetterTokenizer(), Path(folder, name))
        yield made


def sources_of(batch: Batch, owner: dict[int, str]) -> list[str]:
    rows = []
    for row in batch.targets.tolist():
        found = {owner[token] for token in row if token in owner}
        assert len(found) <= 1, "a row comes from one source"
        rows.append(found.pop() if found else "")
    return rows


@settings(max_examples=60, deadline=None)
@given(
    sizes,
    st.lists(st.integers(1, 30), min_size=4, max_size=4),
    st.integers(1, 6),
    st.sampled_from(["contiguous", "best_fit"]),
    st.booleans(),
    st.booleans(),
)
def test_proportions_epochs_and_rows(
    lengths: list[int], weights: list[int], batch_size: int, packing: Any, shuffle: bool, drop: bool
) -> None:
    with datasets_of(lengths) as sources:
        chosen = dict(zip(sources, weights, strict=False))
        mixture = Mixture(sources, chosen)
        loader = TokenLoader(
            mixture,
            batch_size=batch_size,
            seq_len=8,
            seed=5,
            packing=packing,
            shuffle=shuffle,
            drop_last=drop,
        )
        owner = {int(t): n for n, d in sources.items() for t in d.tokens() if t != 60_000}
        rows = {
            name: TokenLoader(
                dataset, batch_size=1, seq_len=8, seed=0, packing=packing, drop_last=drop
            ).num_rows
            for name, dataset in sources.items()
        }
        assert loader.num_rows == sum(rows.values())
        count = loader.num_rows
        assert len(loader) == max(1, count // batch_size if drop else -(-count // batch_size))
        read: dict[str, list[tuple[int, ...]]] = {name: [] for name in sources}
        total, clear = sum(chosen.values()), True
        for step in range(2 * len(loader) + 3):
            n = step * batch_size
            due = {name: n * weight / total for name, weight in chosen.items()}
            before = loader.source_epochs(step)
            batch = loader.next_batch()
            assert batch.targets.shape == (batch_size, 8), "every batch of a mixture is full"
            for name in sources:
                assert abs(before[name][0] - due[name]) < 1.68
                assert before[name][1] == before[name][0] / rows[name]
            found = sources_of(batch, owner)
            if "" not in found:  # a row of separators alone says not whose it is
                for name in sources:
                    after = loader.source_epochs(step + 1)[name][0]
                    assert found.count(name) == after - before[name][0]
            for name, row in zip(found, batch.targets.tolist(), strict=True):
                clear = clear and bool(name)
                read[name or next(iter(sources))].append(tuple(row))
        # Every token once in each epoch of a source: with padded rows nothing is left out. (A
        # shuffled batch in which a source's epoch ends mixes rows of both.)
        if clear and not drop and (batch_size == 1 or not shuffle):
            for name, dataset in sources.items():
                epoch = read[name][: rows[name]]
                if len(epoch) == rows[name]:
                    letters = [t for row in epoch for t in row if t not in (60_000, IGNORED)]
                    expected = [t for t in dataset.tokens().tolist() if t != 60_000]
                    assert sorted(letters) == sorted(expected)


@settings(max_examples=30, deadline=None)
@given(sizes, st.integers(0, 40), st.sampled_from([1, 2, 4]), st.booleans())
def test_same_global_batches_for_every_world_size_and_after_a_resume(
    lengths: list[int], stop: int, world_size: int, best_fit: bool
) -> None:
    with datasets_of(lengths) as sources:
        weights = {name: i + 0.5 for i, name in enumerate(sources)}
        options: dict[str, Any] = {
            "batch_size": 4,
            "seq_len": 6,
            "seed": 9,
            "packing": "best_fit" if best_fit else "contiguous",
        }
        whole = TokenLoader(sources, weights=weights, **options)
        for _ in range(stop):
            whole.next_batch()
        saved = json.dumps(whole.state_dict())
        assert len(saved) <= 256
        backwards = dict(reversed(sources.items()))
        for rank in range(world_size):
            loader = TokenLoader(
                backwards, weights=weights, **options, rank=rank, world_size=world_size, prefetch=2
            )
            loader.load_state_dict(json.loads(saved))
            for step in range(stop, stop + 5):
                batch, part = whole.batch(step), loader.next_batch()
                for ours, theirs in zip(batch, part, strict=True):
                    assert np.array_equal(ours[rank::world_size], theirs)


def test_a_source_that_is_named_twice_has_two_orders() -> None:
    with datasets_of([200]) as sources:
        twice = {"x": sources["a"], "y": sources["a"]}
        loader = TokenLoader(twice, batch_size=2, seq_len=8, seed=0, weights={"x": 1, "y": 1})
        rows = [tuple(row) for _ in range(8) for row in loader.next_batch().targets.tolist()]
        assert len(set(rows)) > len(rows) // 2


def test_another_mixture_is_another_order() -> None:
    with datasets_of([100, 100]) as sources:
        options: dict[str, Any] = {"batch_size": 2, "seq_len": 4, "seed": 0}
        state = TokenLoader(sources, weights={"a": 0.5, "b": 0.5}, **options).state_dict()
        TokenLoader(sources, weights={"a": 3, "b": Fraction(3)}, **options).load_state_dict(state)
        for weights in ({"a": 0.51, "b": 0.49}, None):
            other = TokenLoader(sources, weights=weights, **options)
            if other.state_dict() != state:
                with pytest.raises(InvalidInputError, match="dataset = "):
                    other.load_state_dict(state)
        with pytest.raises(InvalidInputError, match="weights belong to a mapping"):
            TokenLoader(sources["a"], weights={"a": 1}, **options)


def test_weights_are_exact() -> None:
    with datasets_of([50, 60, 70]) as sources:
        mixture = Mixture(sources, {"a": 0.1, "b": np.float64(0.2), "c": 0.7})
        assert list(mixture.weights.values()) == [Fraction(1, 10), Fraction(1, 5), Fraction(7, 10)]
        sizes = Mixture(sources).weights
        assert sizes["a"] == Fraction(len(sources["a"]), sum(map(len, sources.values())))
        assert "a: 0.1, b: 0.2, c: 0.7" in repr(mixture)
        for bad in (0, -1, float("nan"), float("inf"), "x", True, None):
            with pytest.raises(InvalidInputError, match="weight of source 'b' is"):
                Mixture(sources, {"a": 1, "b": bad, "c": 1})  # type: ignore[dict-item]
        with pytest.raises(InvalidInputError, match="'c' of the mixture has a dataset but no"):
            Mixture(sources, {"a": 1, "b": 1})
        with pytest.raises(InvalidInputError, match="'x' of the mixture has a weight but no"):
            Mixture(sources, {"a": 1, "b": 1, "c": 1, "x": 1})
        with pytest.raises(InvalidInputError, match="no common denominator below"):
            Mixture(sources, {"a": Fraction(1, 2**61 - 1), "b": Fraction(1, 10**9 + 7), "c": 1})
        with pytest.raises(InvalidInputError, match="names no dataset"):
            Mixture({})
        with pytest.raises(InvalidInputError, match="tokens of one source of the mixture fill no"):
            TokenLoader(mixture, batch_size=1, seq_len=75, seed=0)


def test_one_vocabulary(tmp_path: Path) -> None:
    a = tokenize(["abc"], ByteTokenizer(), tmp_path / "a")
    b = tokenize(["abc"], ByteTokenizer(300), tmp_path / "b")
    with pytest.raises(InvalidInputError, match="have vocab_size = 257 and 300; tokenize all"):
        Mixture({"a": a, "b": b})


def test_files(tmp_path: Path) -> None:
    for name in ("plain", 'it"s'):
        tokenize([name * 9], ByteTokenizer(), tmp_path / "sets" / name)
    sources = {name: TokenDataset(tmp_path / "sets" / name) for name in ("plain", 'it"s')}
    mixture = Mixture(sources, {"plain": 1, 'it"s': 2})
    file = tmp_path / "m.toml"
    mixture.save(file)
    again = Mixture.load(file)
    assert (again.weights, again.fingerprint) == (mixture.weights, mixture.fingerprint)
    assert str(tmp_path) not in file.read_text(), "directories below the file's are relative"
    reports: list[tuple[int, int]] = []
    again.verify(progress=lambda done, total: reports.append((done, total)))
    assert reports[-1] == (len(again), len(again))
    with pytest.raises(MissingFileError, match="there is no mixture file"):
        Mixture.load(tmp_path / "none.toml")
    for text, message in [
        ("x = [", "is not TOML"),
        ("x = 1", r"no table \[sources.NAME\]"),
        ("[sources.a]\ndataset = 'a'", "must have the keys dataset and weight"),
        ("[sources.a]\ndataset = 3\nweight = 1", "must be a directory's name"),
    ]:
        file.write_text(text)
        with pytest.raises(FormatError, match=message):
            Mixture.load(file)
    file.write_text("[sources.a]\ndataset = 'sets/plain'\nweight = '1/0'")
    with pytest.raises(LexigramError, match="weight of source 'a'"):
        Mixture.load(file)


@pytest.mark.parametrize("weight", ["1e5000", "1e30000000", "0", "-1", "x", True])
def test_weights_that_are_none(dataset: TokenDataset, weight: Any) -> None:
    with pytest.raises(InvalidInputError, match="must be a positive number"):
        Mixture({"a": dataset}, {"a": weight})


def test_what_is_no_dataset_is_named(dataset: TokenDataset) -> None:
    with pytest.raises(InvalidInputError, match="open a directory with TokenDataset"):
        Mixture({"a": "shards"})  # type: ignore[dict-item]
    with pytest.raises(InvalidInputError, match="open a directory with TokenDataset"):
        TokenLoader("shards", batch_size=1, seq_len=1, seed=0)  # type: ignore[arg-type]


def test_a_name_that_is_not_utf8_leaves_no_file(dataset: TokenDataset, tmp_path: Path) -> None:
    with pytest.raises(EncodingError, match="is not UTF-8"):
        Mixture({"a\udcff": dataset}).save(tmp_path / "m.toml")
    assert not list(tmp_path.glob(".m.toml*"))


def test_a_batch_beyond_memory_is_an_error(dataset: TokenDataset) -> None:
    mixture = Mixture({"a": dataset})
    with pytest.raises(InvalidInputError, match="more memory than can be addressed"):
        TokenLoader(mixture, batch_size=2**31 - 1, seq_len=2**31 - 1, seed=0, drop_last=False)
    loader = TokenLoader(mixture, batch_size=2**30, seq_len=2**20, seed=0, drop_last=False)
    with pytest.raises(InvalidInputError, match="no memory for it; lower batch_size"):
        loader.next_batch()
