"""The tokenizer against its rivals: encoding, decoding, training, loading, memory.

    python benchmarks/tokenizer.py [--only encode,stream] [--rounds 5] [--quick] [--record]

Needs LEXIGRAM_DATA, Linux, and the rivals from the package index; those that are missing or
refuse are named and left out:

    pip install zstandard tiktoken tokenizers gigatoken snaptokens fastokens toktok-rs splintr-rs \\
        tuetoken rs-bpe gigabpe rustbpe bpe-openai

The rows are
  stream     a first pass over 50 MB of English to a flat array, in fresh processes; peak memory
  encode     warm passes to a flat array: prose, code, 44 languages; cl100k, o200k, gpt2
  single     the same with a call for each 8 KB
  lists      to Python lists
  calls      single calls with 30 bytes and with 1 KB
  pieces     single pieces of 1 MB: runs, random letters, punctuation, bytes
  linearity  our time per byte of a 10 MB piece over that of a 1 MB piece
  threads    two threads and one: a batch, and one huge text
  train      on all text joined, in fresh processes; peak memory
  decode     from an array and from a list
  load       o200k, in fresh processes; memory

One-core rows are in seconds of the processor, thread rows in wall seconds. A figure is the median
of the rounds, "2.00x" the median of the rounds' ratios: how many times as fast we are. A rival
whose output is wrong is shown but is no rival. `--record` writes everything to
benchmarks/records/tokenizer-DATE.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import cold
import warm
from corpora import data_folder
from measure import Table, machine, pin, show
from rivals import RIVALS, Bench, installed

RECORDS = Path(__file__).parent / "records"

ROWS: dict[str, Callable[[Bench], list[Table]]] = {
    "stream": cold.stream_rows,
    "encode": warm.encode_rows,
    "single": warm.single_rows,
    "lists": warm.list_rows,
    "calls": warm.call_rows,
    "pieces": warm.piece_rows,
    "linearity": warm.linearity_rows,
    "threads": cold.threads_rows,
    "train": cold.train_rows,
    "decode": warm.decode_rows,
    "load": cold.load_rows,
}
JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    "stream": cold.stream_job,
    "probe": warm.probe_job,
    "threads": cold.threads_job,
    "train": cold.train_job,
    "load": cold.load_job,
}


def names(allowed: Any) -> Callable[[str], tuple[str, ...]]:
    """Reads names with commas between them."""

    def read(value: str) -> tuple[str, ...]:
        chosen = tuple(value.split(","))
        for name in chosen:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"no {name!r}; there are {', '.join(allowed)}")
        return chosen

    return read


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=names(ROWS), default=tuple(ROWS), metavar="ROW[,ROW]")
    parser.add_argument("--rivals", type=names(RIVALS), default=tuple(RIVALS), metavar="NAME,...")
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 3")
    parser.add_argument("--quick", action="store_true", help="less text, fewer rounds")
    parser.add_argument("--record", action="store_true", help="write the figures to records/")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:  # in a process that `measure.fresh` started
        print(json.dumps(JOBS[args.job[0]](**json.loads(args.job[1]))))
        return
    pin()
    data_folder()
    before = machine()
    tables: list[Table] = []
    with tempfile.TemporaryDirectory(prefix="lexigram-benchmark-") as folder:
        os.environ["TIKTOKEN_CACHE_DIR"] = folder
        rounds = args.rounds or (3 if args.quick else 5)
        chosen = dict.fromkeys(("lexigram", *args.rivals))
        bench = Bench(Path(folder), rounds, args.quick, tuple(chosen))
        for row in args.only:
            for table in ROWS[row](bench):
                tables.append(table)
                if not args.json:
                    show(table)
    record = {
        "command": " ".join(["python", "benchmarks/tokenizer.py", *sys.argv[1:]]),
        "date": date.today().isoformat(),
        **before,
        "versions": installed(),
        "tables": [table.as_json() for table in tables],
    }
    if args.json:
        print(json.dumps(record, indent=1))
    if args.record:
        path = RECORDS / f"tokenizer-{record['date']}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(f"recorded in {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
