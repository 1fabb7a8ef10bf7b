"""Tokenises in child processes and kills them: a program, so that one import serves many children.

    python data_killer.py FOLDER FIRST_SEED SEEDS      kill -9 at random moments, then resume or not
    python data_killer.py FOLDER limit                 no file may be longer than N bytes

Prints JSON; the checks are made here, and their failure is the exit status.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fake_tokenizer import ByteTokenizer
from lexigram.data import TokenDataset, feed, split_of, tokenize
from lexigram.errors import FileError

SIDES = {"train": 0.8, "validation": 0.2}


def corpus(rng: random.Random, path: Path) -> list[str]:
    """Documents of all kinds, written as JSON Lines."""
    kinds = ["", "\0", "a\r\nb\rc\n", "ü😀", "again", "x" * 3000, '"quoted" \\ text\t']
    texts = [rng.choice(kinds) + str(rng.randrange(400)) * rng.randrange(12) for _ in range(1500)]
    rows = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts))
    packed = path.suffix == ".gz"
    path.write_bytes(gzip.compress(rows.encode()) if packed else rows.encode())
    return texts


def expected(texts: list[str], split: bool, deduplicate: bool) -> list[list[str]]:
    kept = list(dict.fromkeys(texts)) if deduplicate else texts
    if not split:
        return [kept]
    return [[text for text in kept if split_of(text, SIDES) == side] for side in SIDES]


def found(out: Path, split: bool) -> list[TokenDataset] | None:
    """The datasets of `out`, verified; None if there are none."""
    if not out.exists():
        return None
    sets = [TokenDataset(out / side) for side in SIDES] if split else [TokenDataset(out)]
    for dataset in sets:
        dataset.verify()
    return sets


def contents(sets: list[TokenDataset]) -> list[list[str]]:
    return [[bytes(ids.tolist()).decode() for ids in one.documents()] for one in sets]


def in_child(work: Callable[[], Any], seconds: float | None) -> int:
    """Runs work in a forked process, killed after so long; returns the raw exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def kill(folder: Path, seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    feed._BLOCK = 1 << rng.randrange(9, 14)
    source = folder / rng.choice(["a.jsonl", "a.jsonl.gz"])
    texts = corpus(rng, source)
    split, deduplicate, overwrite = (rng.random() < 0.5 for _ in range(3))
    out = folder / "out" / "set"
    options: dict[str, Any] = {
        "splits": SIDES if split else None, "deduplicate": deduplicate,
        "shard_tokens": rng.randrange(2_000, 40_000), "overwrite": overwrite,
    }  # fmt: skip
    whole = expected(texts, split, deduplicate)

    def refer() -> None:
        tokenize(source, ByteTokenizer(), folder / "reference", **{**options, "overwrite": True})

    refer()
    began = time.monotonic()
    assert in_child(refer, None) == 0
    took = time.monotonic() - began
    reference = found(folder / "reference", split)
    assert reference is not None
    assert contents(reference) == whole
    fingerprints = [one.fingerprint for one in reference]
    old = None
    if overwrite:
        tokenize(["old", *(str(i) for i in range(50))], ByteTokenizer(), out, **options)
        old = [one.fingerprint for one in found(out, split) or []]
    kills, resumed = 0, 0
    for _ in range(rng.randrange(1, 4)):
        resume = rng.random() < 0.7

        def work(resume: bool = resume) -> None:
            tokenize(source, ByteTokenizer(), out, resume=resume, **options)

        killed = os.WIFSIGNALED(in_child(work, rng.random() * took))
        kills += killed
        sets = found(out, split)
        state = None if sets is None else [one.fingerprint for one in sets]
        assert state in (old, fingerprints), (seed, state)
        if state == fingerprints and state != old:
            break
    else:
        state = old
    if state != fingerprints:

        def count(documents: int) -> None:
            nonlocal resumed
            resumed = documents

        tokenize(
            source, ByteTokenizer(), out, resume=rng.random() < 0.8, on_resume=count, **options
        )
    sets = found(out, split)
    assert sets is not None
    assert contents(sets) == whole
    assert [one.fingerprint for one in sets] == fingerprints, seed
    # A process that died after its work was in place leaves its folder; the next writer takes it.
    tokenize(["last"], ByteTokenizer(), out, overwrite=True)
    assert [path.name for path in (folder / "out").iterdir()] == ["set"], seed
    shutil.rmtree(folder / "out")
    shutil.rmtree(folder / "reference")
    return {"seed": seed, "killed": kills, "resumed": resumed}


def limit(folder: Path) -> dict[str, Any]:
    """No file may be longer than so many bytes: as a full disk, at each length of each file."""
    texts = [f"text {i}" for i in range(300)]
    out = folder / "out" / "set"
    failures, whole = 0, 0
    for most in [*range(0, 700, 9), *range(700, 6000, 211)]:
        for resume in (False, True):

            def work(resume: bool = resume, most: int = most) -> None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
                try:
                    tokenize(texts, ByteTokenizer(), out, shard_tokens=800, resume=resume)
                except FileError as error:
                    named = "set.partial" in str(error) and "cannot write" in str(error)
                    os._exit(3 if named else 4)

            status = os.waitstatus_to_exitcode(in_child(work, None))
            assert status in (0, 3), (most, status)
            left = sorted(path.name for path in (folder / "out").iterdir())
            if status == 0:
                whole += 1
                assert left == ["set"], left
                dataset = TokenDataset(out)
                dataset.verify()
                assert contents([dataset]) == [texts]
                shutil.rmtree(out)
            else:
                failures += 1
                assert left in ([], ["set.partial"] * resume), (most, left)
                shutil.rmtree(folder / "out" / "set.partial", ignore_errors=True)
    return {"failures": failures, "whole": whole}


def main() -> None:
    folder = Path(sys.argv[1])
    (folder / "out").mkdir(exist_ok=True)
    if sys.argv[2] == "limit":
        print(json.dumps(limit(folder)))
        return
    first, seeds = int(sys.argv[2]), int(sys.argv[3])
    print(json.dumps([kill(folder, seed) for seed in range(first, first + seeds)]))


if __name__ == "__main__":
    main()
