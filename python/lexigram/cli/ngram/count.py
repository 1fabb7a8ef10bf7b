"""`lexigram ngram count`: the counts of one part of a corpus, to be merged with others."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from lexigram.cli.ngram.opening import SOURCE, action, dataset, show
from lexigram.cli.sizes import size
from lexigram.cli.terminal import progress_bar
from lexigram.ngram_counts import NgramCounts
from lexigram.outputs import file_to_write


def add_actions(actions: Any) -> None:
    """Adds `count`."""
    count = action(
        actions,
        "count",
        _count,
        "Counts the n-grams of a part of a corpus, for `merge`.",
        examples="count part1/ --tokenizer tokenizer.json --order 5 --out part1.counts\n"
        "count shards/train --out train.counts --memory-limit 2G",
    )
    add = count.add_argument
    add("source", metavar="SOURCE", help=SOURCE)
    add("--tokenizer", type=Path, metavar="FILE", help="tokenizer.json; needed for text")
    add("--order", type=int, default=5, metavar="N", help="1 to 8 (default 5)")
    add("--out", type=Path, required=True, metavar="FILE.counts")
    add("--memory-limit", type=size, metavar="2G", help="count on disk beyond so much memory")
    add("--threads", type=int, metavar="N", help="default: all cores")


def _count(args: argparse.Namespace) -> int:
    file_to_write(args.out)
    begun = time.perf_counter()
    with (
        dataset(args.source, args.tokenizer) as found,
        progress_bar("Counting", unit="tokens × passes") as report,
    ):
        counts = NgramCounts.count(
            found,
            order=args.order,
            memory_limit=args.memory_limit,
            num_threads=args.threads,
            progress=report,
        )
    counts.save(args.out)
    result = {
        "counts": str(args.out),
        "tokens": counts.num_tokens,
        "ngrams": list(counts.num_ngrams),
        "bytes": args.out.stat().st_size,
        "seconds": round(time.perf_counter() - begun, 2),
    }
    show(result, args.json)
    return 0
