"""One tokenizer and many threads and processes: right, free of the GIL, no more than asked for."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lexigram import Tokenizer, _core
from tokenizer_twins import CORPUS, EOT


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([CORPUS], 600, special_tokens=[EOT])


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEXIGRAM_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_batches_keep_their_order(tokenizer: Tokenizer) -> None:
    # Of very different length, so that later ones are done first.
    texts = [CORPUS[: 200_000 // (i % 7 + 1) ** 3] for i in range(40)]
    wanted = [tokenizer.encode_ordinary(text) for text in texts]
    for num_threads in (None, 1, 2, 7, 1000):
        assert tokenizer.encode_ordinary_batch(texts, num_threads=num_threads) == wanted
        assert tokenizer.encode_batch(texts, num_threads=num_threads) == wanted
        assert tokenizer.decode_batch(wanted, num_threads=num_threads) == texts


def test_python_runs_while_rust_works(tokenizer: Tokenizer) -> None:
    """A long call with the GIL held would stop the other thread for all of its time."""
    text = CORPUS * 60
    ids = tokenizer.encode_to_numpy(text)
    calls = {
        "encode": lambda: tokenizer.encode_to_numpy(text),
        "batch": lambda: tokenizer.encode_ordinary_batch_to_numpy([text] * 2, num_threads=2),
        "stream": lambda: tokenizer.stream_encoder().push(text),
        "decode": lambda: [tokenizer.decode_bytes(ids) for _ in range(20)],
        "unstable": lambda: tokenizer.encode_with_unstable("x " * 10 + "a" * 60),
    }
    for name, call in calls.items():
        ticks: list[float] = []
        done = threading.Event()

        def tick(ticks: list[float] = ticks, done: threading.Event = done) -> None:
            while not done.wait(0.001):
                ticks.append(time.perf_counter())

        other = threading.Thread(target=tick)
        other.start()
        start = time.perf_counter()
        while time.perf_counter() - start < 0.2:
            call()
        end = time.perf_counter()
        done.set()
        other.join()
        inside = sum(start < at < end for at in ticks)
        assert inside >= 10, f"{name}: {inside} ticks in {end - start:.2f} s"


def test_many_threads_share_one_tokenizer(tokenizer: Tokenizer) -> None:
    texts = [CORPUS[i : i + 3000] + EOT for i in range(0, 60_000, 3000)]
    wanted = [tokenizer.encode(text, allowed_special="all") for text in texts]
    encoder = tokenizer.stream_encoder()

    def work(i: int) -> bool:
        text, ids = texts[i % len(texts)], wanted[i % len(texts)]
        encoder.push("shared ")  # whatever the order, no error and no deadlock
        return (
            tokenizer.encode(text, allowed_special="all") == ids
            and tokenizer.decode(ids) == text
            and tokenizer.encode_batch([text, text], allowed_special="all") == [ids, ids]
            and tokenizer.encode_with_offsets(text, allowed_special="all")[0] == ids
            and tokenizer.decode_with_offsets(ids)[0] == text
        )

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(200)))
    assert [*encoder.finish()] == tokenizer.encode("shared " * 200)


def test_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert 1 <= _core.default_threads() <= (cores or 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert _core.default_threads() == 3
    monkeypatch.setenv("LEXIGRAM_NUM_THREADS", "5")
    assert _core.default_threads() == 5


@pytest.mark.parametrize("value", ["0", "-1", "many", ""])
def test_a_bad_number_of_threads(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("LEXIGRAM_NUM_THREADS", value)
    with pytest.raises(ValueError, match=f"LEXIGRAM_NUM_THREADS = {value}: .* at least 1"):
        tokenizer.encode_batch(["a"])
    assert tokenizer.encode_batch(["a"], num_threads=1)


def _in_worker(queue: Any, tokenizer: Tokenizer) -> None:
    texts = [CORPUS[i : i + 20_000] for i in range(0, 200_000, 20_000)]
    batch = tokenizer.encode_ordinary_batch(texts)
    more = tokenizer.encode_ordinary_batch(texts, num_threads=3)
    queue.put((_core.default_threads(), batch == more, tokenizer.decode_batch(batch) == texts))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_multiprocessing(tokenizer: Tokenizer, method: str) -> None:
    """After the parent has used threads itself."""
    tokenizer.encode_ordinary_batch([CORPUS[:100_000]] * 8, num_threads=4)
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    worker = context.Process(target=_in_worker, args=(queue, tokenizer))
    worker.start()
    assert queue.get(timeout=120) == (1, True, True)
    worker.join(60)
    assert worker.exitcode == 0
    assert _core.default_threads() >= 1


def test_a_plain_fork_after_use(tmp_path: Path) -> None:
    script = """
import os, sys
from lexigram import Tokenizer, _core
tokenizer = Tokenizer.train(["some text to fork with"] * 3, 270)
texts = ["some text " * 9000] * 8
wanted = tokenizer.encode_ordinary_batch(texts, num_threads=4)
child = os.fork()
if child == 0:
    ok = tokenizer.encode_ordinary_batch(texts, num_threads=4) == wanted
    os._exit(0 if ok and _core.default_threads() == 1 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], timeout=120, env=environment, check=False
    )
    assert done.returncode == 0


def test_a_fork_while_a_table_is_built() -> None:
    # The first long piece builds tables of the whole vocabulary. A child that is forked meanwhile
    # has nobody who would finish them, and must not wait for that.
    script = """
import os, random, signal, sys, threading, time
from lexigram import Tokenizer
draw = random.Random(1)
words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(3, 12))) for _ in range(40000)]
content = Tokenizer.train([" ".join(words)], 40000).to_json()
long = "".join(words[:12000])
for delay in (0.0, 0.002, 0.004, 0.008):
    tokenizer = Tokenizer.from_json(content)
    thread = threading.Thread(target=tokenizer.encode_ordinary, args=(long,))
    thread.start()
    time.sleep(delay)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        tokenizer.encode_ordinary(long)
        os._exit(0)
    thread.join()
    if os.waitpid(child, 0)[1] != 0:
        sys.exit(f"the child forked after {delay} s did not finish")
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        timeout=200,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.torch
def test_workers_of_a_data_loader(tokenizer: Tokenizer) -> None:
    from torch.utils.data import DataLoader, Dataset

    class Texts(Dataset[Any]):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, i: int) -> tuple[int, int]:
            return _core.default_threads(), len(tokenizer.encode_ordinary_batch(["a text"] * i))

    loader = DataLoader(Texts(), batch_size=None, num_workers=2)
    assert [tuple(map(int, item)) for item in loader] == [(1, 0), (1, 1), (1, 2), (1, 3)]
