"""The suffix index against its rivals: building, counting, what follows, the ∞-gram.

    python benchmarks/suffix.py --ids IDS.npy [--rounds 5] [--quick] [--record]

IDS.npy: one array of uint16 token ids, 20 million or more for figures to quote; the sources
of Python's standard library are made into one where none is given. Needs the rivals from the
package index; those that are missing or refuse are named and left out:

    pip install tokengrams infini-gram

The rows are
  build      from an array to an index on the disk; seconds of the processor
  count      runs of 1 to 5 tokens of the corpus, in one batch (ours) and a call each (rivals)
  next       next-token counts after two tokens
  infinigram the probability of one token after four

Figures are medians of the rounds in microseconds of the processor for each call; rivals take turns
in a round.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from lexigram import SuffixIndex
from measure import OURS, Table, interleave, machine, pin, show

RECORDS = Path(__file__).parent / "records"
CALLS = {"count": 5_000, "next": 1_000, "infinigram": 5_000}


class Lexigram:
    def __init__(self, ids: Any, folder: Path) -> None:
        self.index = SuffixIndex.build(ids, folder / OURS, vocab_size=1 << 16, num_threads=1)

    def count(self, runs: Any) -> Any:
        return self.index.count_batch(runs)

    def count_each(self, runs: Any) -> Any:
        return [self.index.count(run) for run in runs.tolist()]

    def next(self, runs: Any) -> Any:
        return [self.index.next_counts(run) for run in runs.tolist()]

    def infinigram(self, runs: Any) -> Any:
        return [self.index.probability(run[:4], run[4]) for run in runs.tolist()]


class Tokengrams:
    def __init__(self, ids: Any, folder: Path) -> None:
        from tokengrams import MemmapIndex

        path = folder / "tokengrams.bin"
        ids.tofile(path)
        self.index = MemmapIndex.build(
            str(path), str(folder / "tokengrams.idx"), int(ids.max()) + 1
        )

    def count(self, runs: Any) -> Any:
        return [self.index.count(run) for run in runs.tolist()]

    def next(self, runs: Any) -> Any:
        return [self.index.count_next(run) for run in runs.tolist()]


class InfiniGram:
    """Its indexing program is given the ids in place of the text that it would tokenize."""

    def __init__(self, ids: Any, folder: Path) -> None:
        from infini_gram.engine import InfiniGramEngine

        home = folder / "index"
        (folder / "text").mkdir()
        home.mkdir()
        with (home / "tokenized.0").open("wb") as file:
            file.write(b"\xff\xff" + ids.tobytes())  # a document begins with its separator
        np.zeros(1, np.uint64).tofile(home / "offset.0")
        command = [sys.executable, "-m", "infini_gram.indexing", "--data_dir", str(folder / "text")]
        command += ["--save_dir", str(home), "--cpus", "1", "--mem", "8", "--ulimit", "1024"]
        subprocess.run(command, check=True, capture_output=True)
        self.index = InfiniGramEngine(str(home), 0xFFFF, version=4, token_dtype="u16")

    def count(self, runs: Any) -> Any:
        return [self.index.count(run)["count"] for run in runs.tolist()]

    def infinigram(self, runs: Any) -> Any:
        return [self.index.infgram_prob(run[:4], run[4]) for run in runs.tolist()]


RIVALS: dict[str, Callable[[Any, Path], Any]] = {
    OURS: Lexigram,
    "tokengrams": Tokengrams,
    "infini-gram": InfiniGram,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ids", type=Path, help="an .npy file of uint16 ids")
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 3")
    parser.add_argument("--quick", action="store_true", help="4 million ids, fewer rounds")
    parser.add_argument("--record", action="store_true", help="write the figures to records/")
    args = parser.parse_args()
    pin()
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    rounds = args.rounds or (3 if args.quick else 5)
    before = machine()
    ids = np.load(args.ids) if args.ids else corpus_ids()
    ids = np.array(ids[: 4_000_000 if args.quick else None], dtype=np.uint16)
    tables, versions = measured(ids, 1 if args.quick else min(rounds, 3), rounds)
    record = {
        "command": " ".join(["python", "benchmarks/suffix.py", *sys.argv[1:]]),
        "date": date.today().isoformat(),
        **before,
        "tokens": len(ids),
        "versions": versions,
        "tables": [table.as_json() for table in tables],
    }
    for table in tables:
        show(table)
    if args.record:
        path = RECORDS / f"suffix-{record['date']}.json"
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(f"recorded in {path}", file=sys.stderr)


def measured(ids: Any, builds: int, rounds: int) -> tuple[list[Table], dict[str, str]]:
    left_out: dict[str, str] = {}
    versions: dict[str, str] = {}
    for name in (name for name in RIVALS if name != OURS):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            left_out[name] = "not installed"
    names = [name for name in RIVALS if name not in left_out or name == OURS]
    build = Table("build", f"{len(ids) / 1e6:.1f} M ids", "s", {}, left_out=left_out)
    ready: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="lexigram-benchmark-") as folder:
        for turn in range(builds):
            names = [name for name in names if name not in left_out]
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                ready.pop(name, None)
                home = Path(folder) / name
                shutil.rmtree(home, ignore_errors=True)
                home.mkdir()
                began = processor()
                try:
                    ready[name] = RIVALS[name](ids, home)
                except Exception as error:
                    left_out[name] = f"{type(error).__name__}: {error}"[:100]
                    continue
                build.seconds.setdefault(name, []).append(processor() - began)
        ours = ready[OURS].index
        table, stored = (part / len(ids) for part in ours.num_bytes)
        build.remarks[OURS] = f"{table:.2f} bytes a token and {stored:.2f} for the ids"
        build.against(None, 2, 4)
        tables = [build]
        rng = np.random.default_rng(0)

        def runs(number: int, length: int) -> Any:
            return ids[rng.integers(len(ids) - length, size=number)[:, None] + np.arange(length)]

        for length in range(1, 6):
            row = rows("count", f"{length} tokens", ready, runs(CALLS["count"], length), rounds)
            row.limit(3, 1, smaller=True)
            tables.append(row)
        row = rows("next", "after 2 tokens", ready, runs(CALLS["next"], 2), rounds)
        row.limit(400, 100, smaller=True)
        tables.append(row)
        row = rows("infinigram", "context 4", ready, runs(CALLS["infinigram"], 5), rounds)
        row.limit(15, 4, smaller=True)
        tables.append(row)
    return tables, versions


def processor() -> float:
    """Seconds of the processor, those of programs that were run included."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def rows(what: str, title: str, ready: dict[str, Any], runs: Any, rounds: int) -> Table:
    """One table; a rival that counts otherwise is marked wrong."""
    works: dict[str, Callable[[], Any]] = {}
    for name, rival in ready.items():
        for ability in (what, f"{what}_each"):
            call = getattr(rival, ability, None)
            if call is not None:
                label = name if ability == what else f"{name}-each"
                works[label] = lambda call=call: call(runs)
    wrong: set[str] = set()
    if what == "count":
        truth = np.asarray(works[OURS]())
        wrong = {n for n, work in works.items() if not np.array_equal(np.asarray(work()), truth)}
    seconds = interleave(works, rounds)
    return Table(what, title, "µs", seconds, scale=1e6 / len(runs), wrong=wrong)


def corpus_ids(source: str | Path = "stdlib", vocab_size: int = 16_384) -> Any:
    """Ids (n,) uint16 of a corpus, given by its name or path, by a vocabulary of its own."""
    from lexigram import Tokenizer
    from lexigram.data import documents

    texts = [document.text for document in documents(source)]
    tokenizer = Tokenizer.train(texts, vocab_size)
    return np.concatenate([tokenizer.encode_to_numpy(text) for text in texts]).astype(np.uint16)


if __name__ == "__main__":
    main()
