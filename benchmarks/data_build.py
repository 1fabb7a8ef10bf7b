"""Tokenising to shards against the encoder alone; opening a set of a billion tokens.

    python benchmarks/data_build.py [--rounds 5] [--quick] [--record]

Needs LEXIGRAM_DATA and Linux; `.zst` needs the package zstandard. The rows are
  rate     50 MB of English in documents of 8 KB, on one core, in seconds of the processor:
           "encoder" is `encode_ordinary_batch_to_numpy` on a list of the texts, everything else is
           `tokenize` of them to shards, with reading, checksums and writing: from a list, a text
           file with delimiters, and JSON Lines, plain or packed; with splits and without duplicates
  threads  the same in wall seconds on all cores
  verify   every byte of the set, from the page cache
  open     a set of a billion tokens in fresh processes: time, and memory that it adds

The word cache of the tokenizer is warm, which favours the encoder. Figures are medians of the
rounds; names take turns in a round. `--record` writes benchmarks/records/data_build-DATE.json.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import lexigram
from corpora import data_folder, english, vocabulary
from lexigram._core import ShardWriter
from lexigram.data import TokenDataset, tokenize
from measure import CORES, OURS, Table, interleave, machine, pin, show

RECORDS = Path(__file__).parent / "records"
DELIMITER = "\n<|document|>\n"
SPLITS = {"train": 0.95, "validation": 0.04, "test": 0.01}
ENCODER = "encoder"

_OPEN = """
import json, sys, time
from pathlib import Path
from lexigram.data import TokenDataset
def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
before = resident()
began = time.perf_counter()
dataset = TokenDataset(sys.argv[1])
seconds = time.perf_counter() - began
print(json.dumps([seconds, resident() - before, len(dataset)]))
"""


def sources(texts: list[str], folder: Path) -> dict[str, Any]:
    """The same texts as everything that is measured takes them."""
    rows = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts))
    found: dict[str, Any] = {"list": texts}
    packers: dict[str, Callable[[bytes], bytes]] = {
        ".jsonl": bytes, ".jsonl.gz": lambda b: gzip.compress(b, 6), ".jsonl.bz2": bz2.compress,
    }  # fmt: skip
    try:
        import zstandard

        packers[".jsonl.zst"] = zstandard.ZstdCompressor(level=3).compress
    except ImportError:
        print("left out: .jsonl.zst (no package zstandard)", file=sys.stderr)
    for suffix, pack in packers.items():
        path = folder / f"texts{suffix}"
        path.write_bytes(pack(rows.encode()))
        found[suffix] = path
    path = folder / "texts.txt"
    path.write_text(DELIMITER.join(texts), encoding="utf-8", newline="")
    found[".txt"] = path
    return found


def works(
    texts: list[str], found: dict[str, Any], tokenizer: Any, folder: Path, threads: int
) -> dict[str, Callable[[], Any]]:
    def shards(source: Any, **options: Any) -> Any:
        out = folder / "shards"
        shutil.rmtree(out, ignore_errors=True)
        return tokenize(
            source, tokenizer, out, num_threads=threads, document_delimiter=DELIMITER, **options
        )

    def encode() -> Any:
        return tokenizer.encode_ordinary_batch_to_numpy(texts, num_threads=threads)

    ids, offsets = encode()
    for name, source in found.items():  # a rate is worth something only if the shards are right
        dataset = shards(source)
        assert dataset.num_documents == len(texts), name
        assert dataset.num_bytes == sum(len(text.encode()) for text in texts), name
        stored = dataset.tokens()
        assert np.array_equal(stored[stored != dataset.document_separator], ids), name
        assert len(stored) == len(ids) + len(offsets) - 1, name
    plain = {f"{OURS} {name}": lambda s=source: shards(s) for name, source in found.items()}
    jsonl = found[".jsonl"]
    return {
        ENCODER: encode,
        **plain,
        f"{OURS} .jsonl splits": lambda: shards(jsonl, splits=SPLITS),
        f"{OURS} .jsonl deduplicate": lambda: shards(jsonl, deduplicate=True),
    }


def rate_table(bench: dict[str, Callable[[], Any]], rounds: int, mb: float, threads: int) -> Table:
    pin(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    seconds = interleave(bench, rounds, clock)
    pin()
    title = "one core, CPU" if threads == 1 else f"{threads} cores, wall"
    row = "rate" if threads == 1 else "threads"
    return Table(row, f"tokenising to shards, {title}", "MB/s", seconds, mb, ours=ENCODER)


def goals(table: Table) -> None:
    """The part of the encoder's rate that is reached."""
    for name, required, aimed in (
        (f"{OURS} list", 0.8, 0.95), (f"{OURS} .txt", 0.8, 0.95), (f"{OURS} .jsonl", 0.5, 0.8),
    ):  # fmt: skip
        table.ours = name
        table.against(ENCODER, required, aimed)
        table.goals[-1].name = f"of the encoder's rate, {name}"


def billion(folder: Path, num_tokens: int) -> Path:
    """A set of random ids in documents of 700 tokens."""
    out = folder / "billion"
    writer = ShardWriter(
        out, vocab_size=50_257, document_separator=50_256, tokenizer="random",
        shard_tokens=1 << 27, overwrite=False,
    )  # fmt: skip
    draw = np.random.default_rng(0)
    documents = 10_000
    offsets = np.arange(documents + 1, dtype=np.int64) * 699
    sizes = np.full(documents, 2800, np.int64)
    for _ in range(num_tokens // (700 * documents)):
        ids = draw.integers(0, 50_000, 699 * documents, dtype=np.uint32)
        writer.append(ids, offsets, sizes)
    writer.finish(0)
    return out


def open_tables(out: Path, rounds: int) -> list[Table]:
    rows = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", _OPEN, str(out)], capture_output=True, text=True, check=True
        )
        rows.append(json.loads(done.stdout))
    tokens = rows[0][2]
    times = {OURS: [seconds for seconds, _, _ in rows]}
    memory = {OURS: [max(added, 1) / 1e6 for _, added, _ in rows]}
    opening = Table("open", f"opening {tokens:,} tokens", "ms", times, scale=1e3)
    opening.limit(50, 5, smaller=True)
    added = Table("memory", f"private memory that opening {tokens:,} tokens adds", "MB", memory)
    added.limit(4, 1, smaller=True)
    return [opening, added]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 3")
    parser.add_argument("--quick", action="store_true", help="less text, a set of 50 M tokens")
    parser.add_argument("--folder", type=Path, help="for temporary files (3 GB)")
    parser.add_argument("--note", help="what is to be said of the machine, for the record")
    parser.add_argument("--record", action="store_true", help="write the figures to records/")
    args = parser.parse_args()
    data_folder()
    rounds = args.rounds or (3 if args.quick else 5)
    before = machine()
    tables: list[Table] = []
    with tempfile.TemporaryDirectory(prefix="lexigram-benchmark-", dir=args.folder) as name:
        folder = Path(name)
        ranks = vocabulary("gpt2", folder).ranks
        tokenizer = lexigram.Tokenizer.from_tiktoken(ranks, "gpt2", {"<|endoftext|>": 50_256})
        texts = english(10_000_000 if args.quick else None)
        mb = sum(len(text.encode()) for text in texts) / 1e6
        found = sources(texts, folder)
        for threads in sorted({1, len(CORES)}):
            pin(threads)
            bench = works(texts, found, tokenizer, folder, threads)
            table = rate_table(bench, rounds, mb, threads)
            goals(table)
            table.ours = ENCODER
            tables.append(table)
            show(table)
        dataset = tokenize(texts, tokenizer, folder / "verified")
        seconds = interleave({OURS: dataset.verify}, rounds)
        stored = len(dataset) * 2 / 1e6
        tables.append(Table("verify", "every byte of a set", "MB/s", seconds, stored))
        show(tables[-1])
        out = billion(folder, 50_000_000 if args.quick else 1_000_000_000)
        for table in open_tables(out, max(rounds, 5)):
            tables.append(table)
            show(table)
        assert len(TokenDataset(out)) > 0
    record = {
        "command": " ".join(["python", "benchmarks/data_build.py", *sys.argv[1:]]),
        "date": date.today().isoformat(),
        **before,
        "note": args.note,
        "megabytes": mb,
        "documents": len(texts),
        "seconds": {t.row: {n: statistics.median(s) for n, s in t.seconds.items()} for t in tables},
        "versions": {"lexigram": lexigram.__version__, "numpy": version("numpy")},
        "tables": [table.as_json() for table in tables],
    }
    if args.record:
        path = RECORDS / f"data_build-{record['date']}.json"
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(f"recorded in {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
