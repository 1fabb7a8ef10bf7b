"""`lexigram ngram train`: counts a corpus and saves a model."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from lexigram.cli.ngram.opening import (
    SMOOTHINGS,
    SOURCE,
    action,
    dataset,
    integers,
    show,
    text_files,
)
from lexigram.cli.sizes import size
from lexigram.cli.terminal import err, progress_bar
from lexigram.errors import InvalidInputError
from lexigram.ngram import NgramModel
from lexigram.outputs import file_to_write


def add_actions(actions: Any) -> None:
    """Adds `train`."""
    train = action(
        actions,
        "train",
        _train,
        "Counts a corpus and saves a model.",
        examples="train shards/train --tokenizer tokenizer.json --order 5 --out kn5.ngram\n"
        "train stdlib --tokenizer tokenizer.json --prune 0,0,1 --quantize 8 --out small.ngram\n"
        "train books.txt --words --kenlm-compatible --out words.ngram --arpa words.arpa",
    )
    add = train.add_argument
    add("source", metavar="SOURCE", nargs="+", help=SOURCE)
    add("--out", type=Path, required=True, metavar="MODEL")
    add("--arpa", type=Path, metavar="FILE", help="write the model as an ARPA file too")
    kind = train.add_mutually_exclusive_group()
    kind.add_argument(
        "--tokenizer",
        type=Path,
        metavar="FILE",
        help="tokenizer.json; needed for text, and saved with the model",
    )
    kind.add_argument(
        "--words",
        action="store_true",
        help="words between white space, a line is a sentence, as KenLM reads text",
    )
    add("--order", type=int, default=5, metavar="N", help="1 to 8 (default 5)")
    add("--smoothing", default="modified_kneser_ney", choices=SMOOTHINGS)
    add(
        "--prune",
        type=integers,
        default=(),
        metavar="0,0,1",
        help="drop n-grams of order 1, 2, 3 … that stand at most so often",
    )
    add(
        "--prune-entropy",
        type=float,
        metavar="X",
        help="then drop n-grams that raise the perplexity by less than a factor of 1 + X each",
    )
    add("--kenlm-compatible", action="store_true", help="with --words: the discounts of lmplz")
    add(
        "--min-count",
        type=int,
        default=1,
        metavar="N",
        help="with --words: rarer words are <unk> (default 1)",
    )
    add(
        "--skip-symbols",
        action="store_true",
        help="with --words: read <s>, </s> and <unk> in the text as white space",
    )
    add("--memory-limit", type=size, metavar="2G", help="count on disk beyond so much memory")
    add("--quantize", type=int, metavar="BITS", help="round probabilities to 2^BITS values")
    add("--threads", type=int, metavar="N", help="default: all cores")


def _train(args: argparse.Namespace) -> int:
    for path in (args.out, args.arpa):
        if path is not None:
            file_to_write(path)
    begun = time.perf_counter()
    model = _words(args) if args.words else _tokens(args)
    if args.prune_entropy is not None:
        model = model.prune(args.prune_entropy)
    # The ARPA file first: a smoothing that has none is refused before anything is written.
    if args.arpa is not None:
        with progress_bar("Writing ARPA", unit="n-grams") as report:
            model.to_arpa(args.arpa, progress=report)
    model.save(args.out, **({} if args.quantize is None else {"quantize": args.quantize}))
    for order in model.discount_fallbacks:
        err.print(f"order {order}: too little data for discounts, 0.5, 1 and 1.5 stand in")
    result = {
        "model": str(args.out),
        "smoothing": model.smoothing,
        "tokens": model.num_tokens,
        "ngrams": list(model.num_ngrams),
        "discounts": [[round(d, 6) for d in order] for order in model.discounts],
        "bytes": args.out.stat().st_size,
        "seconds": round(time.perf_counter() - begun, 2),
    }
    show(result, args.json)
    return 0


def _tokens(args: argparse.Namespace) -> NgramModel:
    if args.kenlm_compatible or args.skip_symbols or args.min_count != 1:
        raise InvalidInputError(
            "--kenlm-compatible, --min-count and --skip-symbols are for words; add --words"
        )
    if len(args.source) > 1:
        raise InvalidInputError(
            f"{len(args.source)} sources are given; make one token dataset of them with "
            "`lexigram data tokenize`, or name the folder that holds them"
        )
    with dataset(args.source[0], args.tokenizer) as found:
        if args.tokenizer is None:
            err.print("the model carries no tokenizer; pass --tokenizer to query it with text")
        with progress_bar("Counting", unit="tokens × passes") as report:
            return NgramModel.train(
                found,
                order=args.order,
                smoothing=args.smoothing,
                prune=args.prune,
                memory_limit=args.memory_limit,
                num_threads=args.threads,
                progress=report,
                tokenizer=args.tokenizer and args.tokenizer.read_text(encoding="utf-8"),
            )


def _words(args: argparse.Namespace) -> NgramModel:
    with text_files(args.source) as files, progress_bar("Counting", unit="steps") as report:
        return NgramModel.train_words(
            files,
            order=args.order,
            smoothing=args.smoothing,
            kenlm_compatible=args.kenlm_compatible,
            prune=args.prune,
            min_count=args.min_count,
            skip_symbols=args.skip_symbols,
            memory_limit=args.memory_limit,
            num_threads=args.threads,
            progress=report,
        )
