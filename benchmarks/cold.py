"""Rows of benchmarks/tokenizer.py that need fresh processes: the first pass over much text,
threads, training, loading. A job runs in such a process; its row starts it, rivals taking turns.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import corpora
import training
from measure import (
    CORES,
    OURS,
    FreshFailure,
    Table,
    digest,
    fresh,
    interleave,
    reset_peak,
    resident,
    timed,
)
from rivals import RIVALS, Bench, load
from warm import TIKTOKEN, compare

SLOW = 5.0
"""CPU seconds from which on a job is not repeated."""


def _texts(bench: Bench, name: str, make: Callable[[], list[str]]) -> str:
    """A file that holds texts for jobs."""
    path = bench.folder / f"{name}.pickle"
    if not path.exists():
        path.write_bytes(pickle.dumps(make()))
    return str(path)


def take_turns(
    job: str,
    arguments: dict[str, dict[str, Any]],
    rounds: int,
    left_out: dict[str, str],
    threads: int = 1,
) -> dict[str, list[dict[str, Any]]]:
    """What a job returned in each round, for each name. A job that fails is left out."""
    found: dict[str, list[dict[str, Any]]] = {}
    for turn in range(rounds):
        for name in arguments:
            if name in left_out or (turn and found[name][0]["cpu"] > SLOW):
                continue
            try:
                found.setdefault(name, []).append(fresh(job, arguments[name], threads=threads))
            except FreshFailure as failure:
                left_out[name] = str(failure)
                found.pop(name, None)
    return found


def column(found: dict[str, list[dict[str, Any]]], key: str) -> dict[str, list[float]]:
    return {name: [result[key] for result in results] for name, results in found.items()}


# --- the first pass over much text


def stream_job(name: str, vocabulary: str, folder: str, texts: str) -> dict[str, Any]:
    documents = pickle.loads(Path(texts).read_bytes())
    rival = load(name, corpora.vocabulary(vocabulary, Path(folder)))
    before = reset_peak()
    began = time.perf_counter(), time.process_time()
    result = rival.flat(documents)
    cpu, wall = time.process_time() - began[1], time.perf_counter() - began[0]
    peak = resident("VmHWM") - before
    stands_for = digest(rival.ids(result))
    del result
    return {"cpu": cpu, "wall": wall, "peak": peak, "digest": stands_for}


def stream_rows(bench: Bench) -> list[Table]:
    """The first pass over at least 50 MB of English, and the memory it takes."""
    texts = corpora.english(5_000_000 if bench.quick else None)
    megabytes = corpora.num_bytes(texts) / 1e6
    path = _texts(bench, "stream", lambda: texts)
    left_out = {"tokenizers": "its objects take gigabytes for this"}
    arguments = {
        name: {"name": name, "vocabulary": "cl100k", "folder": str(bench.folder), "texts": path}
        for name in bench.names
    }
    found = take_turns("stream", arguments, bench.rounds, left_out)
    title = f"first pass over {megabytes:.1f} MB of English, cl100k, one core, fresh processes"
    speed = Table("stream", title, "MB a CPU second", column(found, "cpu"), megabytes)
    speed.left_out = left_out
    compare(speed, {name: results[0]["digest"] for name, results in found.items()})
    speed.against("gigatoken", 1.0, 2.0)
    speed.against(None, 1.0, 2.0)
    speed.against("tiktoken", TIKTOKEN, TIKTOKEN)
    title = "the same: peak memory above text and tokenizer, ids included"
    memory = Table("stream", title, "MB", column(found, "peak"), left_out=left_out)
    return [speed, memory]


# --- threads


def threads_job(name: str, vocabulary: str, folder: str, texts: str, rounds: int) -> dict[str, Any]:
    """Wall and CPU seconds with one thread and with two, taking turns in one process where the
    call chooses, with ids compared."""
    documents = pickle.loads(Path(texts).read_bytes())
    rival = load(name, corpora.vocabulary(vocabulary, Path(folder)))
    counts = (1, 2) if rival.sets_threads else (2,)
    works = {str(n): lambda n=n: rival.flat(documents, n) for n in counts}
    digests = {key: digest(rival.ids(work())) for key, work in works.items()}

    def clocks() -> Any:
        return np.array([time.perf_counter(), time.process_time()])

    seconds = {
        key: np.array(pairs).T.tolist() for key, pairs in interleave(works, rounds, clocks).items()
    }
    return {"cpu": 0.0, "seconds": seconds, "digests": digests}


def threads_rows(bench: Bench) -> list[Table]:
    """Two threads against one: a batch of documents, and a single huge one."""
    if len(CORES) < 2:
        return []
    documents = corpora.english(4_000_000 if bench.quick else 16_000_000)
    megabytes = corpora.num_bytes(documents) / 1e6
    tables = []
    for kind, texts in (
        ("a batch of 8 KB documents", documents),
        ("one text", ["".join(documents)]),
    ):
        path = _texts(bench, f"threads-{len(texts)}", lambda texts=texts: texts)
        seconds: dict[str, list[float]] = {}
        remarks, digests, left_out = {}, {}, {}
        for name in bench.names:
            if name in ("tokenizers", "gigatoken-each"):
                continue
            arguments = {
                "name": name,
                "vocabulary": "cl100k",
                "folder": str(bench.folder),
                "texts": path,
                "rounds": bench.rounds,
            }
            try:
                found = fresh("threads", arguments, threads=2)
            except FreshFailure as failure:
                left_out[name] = str(failure)
                continue
            for count, (wall, cpu) in found["seconds"].items():
                label = f"{name}, {count} thread{'s' * (count != '1')}"
                seconds[label] = wall
                remarks[label] = f"{statistics.median(cpu):.4f} CPU s"
                digests[label] = found["digests"][count]
        title = f"two threads and one: {kind}, English, {megabytes:.1f} MB, cl100k, warm"
        table = Table("threads", title, "MB a wall second", seconds, megabytes, left_out=left_out)
        table.ours, table.remarks = f"{OURS}, 2 threads", remarks
        compare(table, digests, "tiktoken, 1 thread")
        table.against(f"{OURS}, 1 thread", 1.7, 1.9)
        table.against(None, 1.0, 2.0)
        tables.append(table)
    return tables


# --- training


def train_job(name: str, path: str, vocab_size: int, merges: str) -> dict[str, Any]:
    train = training.TRAINERS[name](Path(path), vocab_size)
    before = reset_peak()
    began = time.perf_counter(), time.process_time()
    result = train()
    cpu, wall = time.process_time() - began[1], time.perf_counter() - began[0]
    peak = resident("VmHWM") - before
    pairs = [(left.hex(), right.hex()) for left, right in training.MERGES[name](result)]
    Path(merges).write_text(json.dumps(pairs))
    return {"cpu": cpu, "wall": wall, "peak": peak, "merges": len(pairs)}


def train_rows(bench: Bench) -> list[Table]:
    """Training on all text of LEXIGRAM_DATA joined, one core."""
    path = bench.folder / "everything.txt"
    limit, vocab_size = (20_000_000, 8_000) if bench.quick else (10**12, 32_000)
    with path.open("w", encoding="utf-8", newline="") as file:
        for text in corpora.everything():
            if file.tell() > limit:
                break
            file.write(text + "\n")
    megabytes = path.stat().st_size / 1e6
    names = [name for name in training.TRAINERS if not (bench.quick and name in training.SLOW)]
    files = {name: bench.folder / f"merges of {name}.json" for name in names}
    arguments = {
        name: {"name": name, "path": str(path), "vocab_size": vocab_size, "merges": str(file)}
        for name, file in files.items()
    }
    left_out: dict[str, str] = {}
    found = take_turns("train", arguments, bench.rounds, left_out)
    by_lines = found.pop(training.BY_LINES, None)
    left_out.pop(training.BY_LINES, None)
    title = f"training, {megabytes:.1f} MB -> {vocab_size:,}, gpt2, one core, fresh processes"
    speed = Table("train", title, "CPU s", column(found, "cpu"), left_out=left_out)
    merges = {name: json.loads(files[name].read_text()) for name in found}
    if by_lines is not None:
        merges[training.BY_LINES] = json.loads(files[training.BY_LINES].read_text())
    speed.remarks = training.remarks(merges)
    speed.against("gigabpe", 1.0, 4.0)
    wall = Table("train", f"{title}: wall", "wall s", column(found, "wall"), left_out=left_out)
    title = "the same: peak memory above that before the call"
    memory = Table("train", title, "MB", column(found, "peak"), left_out=left_out)
    memory.limit(120, 40, smaller=True)
    return [speed, wall, memory]


# --- loading


def load_job(name: str, vocabulary: str, folder: str, cache: str | None) -> dict[str, Any]:
    """A tokenizer from its files, and one short text, since some load when first used. The import
    is not counted. `cache`: where ours keeps what it computed; "": in a new folder; None: it keeps
    nothing, as it does unless it is asked."""
    if name == OURS:
        RIVALS[OURS].keeps = cache is not None
    for module in RIVALS[name].modules:
        importlib.import_module(module)
    files = corpora.vocabulary(vocabulary, Path(folder))
    rivals: list[Any] = []

    def work() -> None:
        rivals.append(load(name, files))
        rivals[0].flat(["Hello, world"])

    with tempfile.TemporaryDirectory() as empty:
        os.environ["LEXIGRAM_CACHE"] = cache or empty
        before = resident()
        began = time.process_time()
        wall = timed(work, time.perf_counter)
        cpu = time.process_time() - began
        return {"cpu": cpu, "wall": wall, "resident": resident() - before}


def load_rows(bench: Bench) -> list[Table]:
    """Loading o200k: the time that a user waits."""
    left_out: dict[str, str] = {}
    bench.vocabulary("o200k")
    arguments: dict[str, dict[str, Any]] = {}
    shared = {"vocabulary": "o200k", "folder": str(bench.folder)}
    for name in bench.names:
        if name != "gigatoken-each":
            arguments[name] = {"name": name, "cache": None, **shared}
    if OURS in bench.names:
        arguments[f"{OURS}, to keep"] = {"name": OURS, "cache": "", **shared}
        again = {"name": OURS, "cache": str(bench.folder / "cache"), **shared}
        fresh("load", again, threads=2)  # fills the cache
        arguments[f"{OURS}, again"] = again
    # So short a time needs more rounds than others.
    found = take_turns("load", arguments, bench.rounds * 3, left_out, threads=2)
    title = "loading o200k and one short text, fresh processes on two cores"
    speed = Table("load", title, "wall ms", column(found, "wall"), scale=1e3, left_out=left_out)
    speed.limit(60, 10, smaller=True)
    speed.limit(60, 10, smaller=True, ours=f"{OURS}, again")
    busy = Table("load", "the same: processor time", "CPU ms", column(found, "cpu"), scale=1e3)
    memory = Table("load", "the same: memory added", "MB", column(found, "resident"))
    busy.left_out = memory.left_out = left_out
    memory.limit(40, 20, smaller=True)
    return [speed, busy, memory]
