"""Threads, forks, dtypes and memory: none of them changes a token of any batch."""

from __future__ import annotations

import gc
import multiprocessing
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_tokenizer import ByteTokenizer
from lexigram.data import Batch, TokenDataset, TokenLoader, tokenize
from lexigram.errors import InvalidInputError
from test_data_loader import dataset_of, equal, lengths, packings

OPTIONS: dict[str, Any] = {"batch_size": 4, "seq_len": 7, "seed": 2}


@pytest.fixture
def dataset(tmp_path: Path) -> TokenDataset:
    return tokenize(
        [f"document {i} " * (i % 9) for i in range(200)], ByteTokenizer(), tmp_path / "s"
    )


def num_threads() -> int:
    """Threads of the loader that this process has (Linux)."""
    names = [task / "comm" for task in Path("/proc/self/task").iterdir()]
    return sum(name.read_text().startswith("lexigram-batche") for name in names)


@settings(max_examples=40, deadline=None)
@given(lengths, packings, st.integers(1, 9), st.lists(st.integers(0, 30), max_size=4))
def test_prefetched_batches_are_the_batches(
    sizes: list[int], packing: Any, prefetch: int, jumps: list[int]
) -> None:
    with dataset_of(sizes) as dataset:
        options = {**OPTIONS, "packing": packing, "drop_last": False}
        plain = TokenLoader(dataset, **options)
        ahead = TokenLoader(dataset, **options, prefetch=prefetch)
        for start in [0, *jumps]:
            ahead.load_state_dict({**ahead.state_dict(), "step": start})
            kept = [ahead.next_batch() for _ in range(prefetch + 3)]
            assert all(equal(b, plain.batch(start + i)) for i, b in enumerate(kept))
            assert equal(ahead.batch(3), plain.batch(3))
        ahead.load_state_dict(plain.state_dict())
        assert all(equal(a, b) for a, b in zip(ahead, plain, strict=True))


def test_kept_batches_are_never_written_again(dataset: TokenDataset) -> None:
    """Also when only a view of a view is left."""
    for prefetch in (0, 3):
        loader = TokenLoader(dataset, **OPTIONS, prefetch=prefetch)
        kept = []
        for step in range(60):
            batch = loader.next_batch()
            if step % 3 == 0:
                kept.append((batch.targets[1:, 2:][::2], batch.targets[1:, 2:][::2].copy()))
            batch.inputs[:] = -1  # a batch is the caller's to write in
        assert all(np.array_equal(view, copy) for view, copy in kept)
        assert equal(loader.batch(5), TokenLoader(dataset, **OPTIONS).batch(5))


@given(lengths, st.sampled_from(["int64", "int32", "uint16"]), st.booleans(), st.integers(1, 9))
def test_dtypes_and_documents(sizes: list[int], dtype: Any, documents: bool, seq_len: int) -> None:
    with dataset_of(sizes) as dataset:
        if len(dataset) < seq_len:
            return
        options: dict[str, Any] = {"batch_size": 1, "seq_len": seq_len, "seed": 2}
        loader = TokenLoader(dataset, **options, dtype=dtype, documents=documents)
        for batch, expected in zip(loader, TokenLoader(dataset, **options), strict=True):
            for ours, theirs in zip(batch, expected, strict=True):
                if ours is not None:
                    assert ours.dtype == dtype
                    assert np.array_equal(ours, theirs)
            assert (batch.document_ids is None) == (batch.positions is None) == (not documents)


def test_int32_holds_padding_and_wide_ids(tmp_path: Path) -> None:
    wide = tokenize(["abc", "d" * 29], ByteTokenizer(70_000), tmp_path / "wide")
    options: dict[str, Any] = {**OPTIONS, "packing": "best_fit", "drop_last": False}
    options["batch_size"] = 8
    narrow = TokenLoader(wide, **options, dtype="int32").next_batch()
    assert all(map(np.array_equal, narrow, TokenLoader(wide, **options).next_batch()))
    assert (narrow.targets == -100).any()
    with pytest.raises(InvalidInputError, match="no place for the ids of 70000 tokens"):
        TokenLoader(wide, **OPTIONS, dtype="uint16")


def test_dtypes_that_do_not_fit(dataset: TokenDataset) -> None:
    for change in ({"packing": "best_fit"}, {"drop_last": False}):
        with pytest.raises(InvalidInputError, match='dtype = "uint16": has no place for -100'):
            TokenLoader(dataset, **{**OPTIONS, **change}, dtype="uint16")
    with pytest.raises(InvalidInputError, match="no place for the positions of 70000 tokens"):
        TokenLoader(dataset, batch_size=1, seq_len=70_000, seed=0, dtype="uint16")
    with pytest.raises(InvalidInputError, match="dtype = 'int8': must be one of int64, int32"):
        TokenLoader(dataset, **OPTIONS, dtype="int8")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="prefetch = -1: must be an integer, 0 to 1024"):
        TokenLoader(dataset, **OPTIONS, prefetch=-1)


def test_threads_share_the_batches(dataset: TokenDataset) -> None:
    loader = TokenLoader(dataset, **OPTIONS, prefetch=3)
    found: list[Batch] = []

    def read() -> None:
        for _ in range(25):
            found.append(loader.next_batch())

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    plain = TokenLoader(dataset, **OPTIONS)
    expected = sorted(plain.batch(i).targets.tobytes() for i in range(100))
    assert sorted(batch.targets.tobytes() for batch in found) == expected
    assert loader.step == 100


def test_iterators_of_one_loader_share_its_threads(dataset: TokenDataset) -> None:
    loader = TokenLoader(dataset, **OPTIONS, prefetch=3)
    batches = loader.as_torch_dataset()
    plain = [TokenLoader(dataset, **OPTIONS).batch(i) for i in range(len(loader))]
    wrong: list[int] = []

    def read() -> None:
        for i, batch in enumerate(batches):
            if batch.targets.tobytes() != plain[i].targets.tobytes():
                wrong.append(i)

    readers = [threading.Thread(target=read, daemon=True) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(20):
        loader.next_batch()
    for reader in readers:
        reader.join(60)
        assert not reader.is_alive()
    assert not wrong


def test_dropping_the_loader_ends_its_threads(dataset: TokenDataset) -> None:
    before = num_threads()
    loader = TokenLoader(dataset, **OPTIONS, prefetch=8)
    assert num_threads() == before, "threads start with the first batch"
    batch = loader.next_batch()
    deadline = time.monotonic() + 30  # a thread has its name soon after it was started
    while num_threads() < before + 4:
        assert time.monotonic() < deadline
    expected = batch.targets.copy()
    del loader
    gc.collect()
    assert num_threads() == before
    assert np.array_equal(batch.targets, expected), "a batch outlives its loader"


def _read_in_fork(loader: TokenLoader, out: Any) -> None:
    out.put([loader.next_batch().targets.tobytes() for _ in range(5)])
    out.close()
    out.join_thread()


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_loader_that_was_carried_into_another_process_works(
    dataset: TokenDataset, method: str
) -> None:
    """Its threads are busy when the process forks; in parent and child the batches go on."""
    loader = TokenLoader(dataset, **OPTIONS, prefetch=4)
    plain = TokenLoader(dataset, **OPTIONS)
    context = multiprocessing.get_context(method)
    for at in range(1, 4):
        loader.next_batch()
        out = context.Queue()
        child = context.Process(target=_read_in_fork, args=(loader, out))
        child.start()
        found = out.get(timeout=60)
        child.join(timeout=60)
        assert child.exitcode == 0
        assert found == [plain.batch(at + i).targets.tobytes() for i in range(5)]
        assert equal(loader.batch(at), plain.batch(at))
    assert equal(loader.next_batch(), plain.batch(3))


def test_pickled_loaders_go_on(dataset: TokenDataset, tmp_path: Path) -> None:
    loader = TokenLoader({"a": dataset}, weights={"a": 1}, **OPTIONS, prefetch=1)
    loader.next_batch()
    again = pickle.loads(pickle.dumps(loader))
    assert again.state_dict() == loader.state_dict()
    assert equal(again.next_batch(), loader.next_batch())
    saved = pickle.dumps(loader)
    tokenize(["other text " * 50], ByteTokenizer(), dataset.directory, overwrite=True)
    with pytest.raises(InvalidInputError, match="dataset = "):
        pickle.loads(saved)


SCRIPT = """
import sys
from lexigram.data import TokenDataset, TokenLoader
loader = TokenLoader(TokenDataset(sys.argv[1]), batch_size=4, seq_len=7, seed=0, prefetch=4)
print("reading", flush=True)
while True:
    loader.next_batch()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -2), (signal.SIGKILL, -9)])
def test_a_signal_ends_it_at_once(dataset: TokenDataset, number: int, code: int) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(dataset.directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "reading\n"
    time.sleep(0.2)
    child.send_signal(number)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == code
    assert ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)
    dataset.verify()


def test_memory_is_used_again() -> None:
    """Reading on and on holds no more memory than the first batches did."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = tokenize(["word " * 100_000], ByteTokenizer(), Path(folder, "s"))
        for prefetch in (0, 3):
            loader = TokenLoader(dataset, batch_size=64, seq_len=1024, seed=0, prefetch=prefetch)
            places = set()
            for _ in range(100):
                batch = loader.next_batch()
                places.add(batch.inputs.ctypes.data)
                del batch
            assert len(places) <= prefetch + 2
