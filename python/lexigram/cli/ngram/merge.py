"""`lexigram ngram merge`: counts of parts become the counts, or the model, of the whole."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from lexigram import Tokenizer
from lexigram.cli.ngram.opening import SMOOTHINGS, action, integers, show
from lexigram.cli.sizes import size
from lexigram.cli.terminal import err, progress_bar
from lexigram.errors import InvalidInputError
from lexigram.ngram_counts import NgramCounts
from lexigram.outputs import file_to_write


def add_actions(actions: Any) -> None:
    """Adds `merge`."""
    merge = action(
        actions,
        "merge",
        _merge,
        "Merges counts of parts of a corpus to counts or to a model.",
        examples="merge part1.counts part2.counts --tokenizer tokenizer.json --out kn5.ngram\n"
        "merge part1.counts part2.counts --counts whole.counts",
    )
    add = merge.add_argument
    add("parts", type=Path, nargs="+", metavar="FILE.counts", help="what `count` wrote")
    what = merge.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, metavar="MODEL", help="write a model")
    what.add_argument("--counts", type=Path, metavar="FILE", help="write counts")
    add("--tokenizer", type=Path, metavar="FILE", help="with --out: saved with the model")
    add("--smoothing", choices=SMOOTHINGS, help="with --out (default modified_kneser_ney)")
    add(
        "--prune",
        type=integers,
        metavar="0,0,1",
        help="with --out: drop n-grams of order 1, 2, 3 … that stand at most so often",
    )
    add("--quantize", type=int, metavar="BITS", help="with --out: round to 2^BITS values")
    add("--memory-limit", type=size, metavar="2G", help="of any size: keep the result on disk")
    add("--threads", type=int, metavar="N", help="with --out: default all cores")


def _merge(args: argparse.Namespace) -> int:
    file_to_write(args.out or args.counts)
    begun = time.perf_counter()
    if args.counts is not None:
        for name in ("tokenizer", "smoothing", "prune", "quantize", "threads"):
            if getattr(args, name) is not None:
                raise InvalidInputError(f"--{name} is for a model; use --out, not --counts")
    tokenizer = None if args.tokenizer is None else Tokenizer.load(args.tokenizer)
    with progress_bar("Merging", unit="ids") as report:
        counts = NgramCounts.merge(args.parts, memory_limit=args.memory_limit, progress=report)
    if args.counts is not None:
        counts.save(args.counts)
        written, ngrams, kind = args.counts, counts.num_ngrams, "counts"
    else:
        if tokenizer is None:
            err.print("the model carries no tokenizer; pass --tokenizer to query it with text")
        elif tokenizer.n_vocab != counts.vocab_size:
            raise InvalidInputError(
                f"{args.tokenizer} has {tokenizer.n_vocab} tokens, the counts are of "
                f"{counts.vocab_size}; pass the tokenizer that they were made with"
            )
        with progress_bar("Estimating", unit="steps") as report:
            model = counts.model(
                smoothing=args.smoothing or "modified_kneser_ney",
                prune=args.prune or (),
                num_threads=args.threads,
                progress=report,
                tokenizer=tokenizer,
            )
        model.save(args.out, args.quantize)
        for order in model.discount_fallbacks:
            err.print(f"order {order}: too little data for discounts, 0.5, 1 and 1.5 stand in")
        written, ngrams, kind = args.out, model.num_ngrams, "model"
    result = {
        kind: str(written),
        "parts": len(args.parts),
        "tokens": counts.num_tokens,
        "ngrams": list(ngrams),
        "bytes": written.stat().st_size,
        "seconds": round(time.perf_counter() - begun, 2),
    }
    show(result, args.json)
    return 0
