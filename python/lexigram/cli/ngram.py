"""`lexigram ngram`: train a counted model, measure it on held-out text, ask it what comes next."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from lexigram.cli.terminal import err, out, progress_bar
from lexigram.errors import InvalidInputError
from lexigram.ngram import NgramModel

if TYPE_CHECKING:
    from lexigram import Tokenizer
    from lexigram.data import TokenDataset

__all__ = ["add_parser"]

_EXAMPLES = """examples:
  lexigram ngram train shards/train --tokenizer tokenizer.json --order 5 --out kn5.ngram
  lexigram ngram train stdlib --tokenizer tokenizer.json --out kn5.ngram
  lexigram ngram evaluate kn5.ngram shards/validation
  lexigram ngram query kn5.ngram --prompt "def __init__(self" """

_SOURCE = "a token dataset, or text: a file, a directory or the name of a corpus"


def add_parser(subparsers: Any) -> None:
    """Adds the command `ngram`."""
    command = subparsers.add_parser(
        "ngram",
        help="n-gram models: train, evaluate, query",
        description="Trains, measures and queries n-gram models.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    train = _action(actions, "train", _train, "Counts a corpus and saves a model.")
    train.add_argument("source", metavar="SOURCE", help=_SOURCE)
    train.add_argument("--out", type=Path, required=True, metavar="MODEL")
    train.add_argument(
        "--tokenizer",
        type=Path,
        metavar="FILE",
        help="tokenizer.json; needed for text, and saved with the model",
    )
    train.add_argument("--order", type=int, default=5, metavar="N", help="1 to 8 (default 5)")
    train.add_argument(
        "--smoothing",
        default="modified_kneser_ney",
        choices=("modified_kneser_ney", "witten_bell", "additive", "stupid_backoff"),
    )
    train.add_argument(
        "--prune",
        type=_counts,
        default=(),
        metavar="0,0,1",
        help="drop n-grams of order 1, 2, 3 … that stand at most so often",
    )
    train.add_argument("--threads", type=int, metavar="N", help="default: all cores")
    evaluate = _action(actions, "evaluate", _evaluate, "Measures a model on held-out text.")
    evaluate.add_argument("model", type=Path, metavar="MODEL")
    evaluate.add_argument("source", metavar="SOURCE", help=_SOURCE)
    query = _action(actions, "query", _query, "Shows the likeliest next tokens after a prompt.")
    query.add_argument("model", type=Path, metavar="MODEL")
    prompt = query.add_mutually_exclusive_group(required=True)
    prompt.add_argument("--prompt", metavar="TEXT", help="with the tokenizer that MODEL carries")
    prompt.add_argument("--ids", type=_counts, metavar="1,2,3", help="the prompt as token ids")
    query.add_argument("--top", type=int, default=10, metavar="N", help="how many (default 10)")


def _action(actions: Any, name: str, run: Any, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=description[0].lower() + description[1:-1],
        description=description,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _train(args: argparse.Namespace) -> int:
    with _dataset(args.source, args.tokenizer) as dataset:
        begun = time.perf_counter()
        with progress_bar("Counting", unit="tokens × passes") as report:
            model = NgramModel.train(
                dataset,
                order=args.order,
                smoothing=args.smoothing,
                prune=args.prune,
                num_threads=args.threads,
                progress=report,
                tokenizer=args.tokenizer and args.tokenizer.read_text(encoding="utf-8"),
            )
        model.save(args.out)
    if args.tokenizer is None:
        err.print("the model carries no tokenizer; pass --tokenizer to query it with text")
    for order in model.discount_fallbacks:
        err.print(f"order {order}: too little data for discounts, 0.5, 1 and 1.5 stand in")
    _show(
        {
            "model": str(args.out),
            "smoothing": model.smoothing,
            "tokens": model.num_tokens,
            "ngrams": list(model.num_ngrams),
            "discounts": [[round(d, 6) for d in order] for order in model.discounts],
            "bytes": args.out.stat().st_size,
            "seconds": round(time.perf_counter() - begun, 2),
        },
        args.json,
    )
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    model = NgramModel.load(args.model)
    with _tokenizer_file(model) as tokenizer, _dataset(args.source, tokenizer) as dataset:
        tokens = dataset.tokens()
        result = {
            "model": str(args.model),
            "source": args.source,
            "tokens": len(tokens),
            "bytes": dataset.num_bytes,
            "perplexity": model.perplexity(tokens),
            "bits_per_byte": model.bits_per_byte(tokens, dataset.num_bytes),
        }
    _show(result, args.json)
    return 0


def _query(args: argparse.Namespace) -> int:
    if args.top < 1:
        raise InvalidInputError(f"--top {args.top}: show 1 or more")
    model = NgramModel.load(args.model)
    tokenizer = _tokenizer(model)
    if args.ids is not None:
        ids = list(args.ids)
    elif tokenizer is not None:
        ids = tokenizer.encode_ordinary(args.prompt)
    else:
        raise InvalidInputError(f"{args.model} carries no tokenizer; give the prompt as --ids")
    if not ids and model.document_separator is not None:
        ids = [model.document_separator]
    logprobs = model.next_logprobs(ids, dtype=np.float64)
    # The likeliest first, and of equals the lowest id.
    best = np.argsort(-logprobs, kind="stable")[: args.top]
    rows: list[dict[str, Any]] = [{"id": int(i), "logprob": float(logprobs[i])} for i in best]
    if tokenizer is not None:
        for row in rows:
            token = tokenizer.decode_single_token_bytes(row["id"])
            row["token"] = token.decode("utf-8", errors="replace")
    if args.json:
        out.print(json.dumps(rows))
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "probability"):
        table.add_column(heading, justify="right")
    table.add_column("token")
    for row in rows:
        shown = repr(row["token"]) if "token" in row else ""
        table.add_row(str(row["id"]), f"{np.exp(row['logprob']):.4f}", shown)
    out.print(table)
    return 0


@contextmanager
def _dataset(source: str, tokenizer_file: Path | None) -> Iterator[TokenDataset]:
    """The token dataset `source`, or the text `source` as one."""
    from lexigram import Tokenizer
    from lexigram.data import TokenDataset, tokenize

    tokenizer = None if tokenizer_file is None else Tokenizer.load(tokenizer_file)
    if (Path(source) / "manifest.json").is_file():
        dataset = TokenDataset(source)
        if tokenizer is not None and tokenizer.fingerprint != dataset.tokenizer_fingerprint:
            raise InvalidInputError(
                f"{source} was made with another tokenizer ({dataset.tokenizer_fingerprint[:12]}, "
                f"not {tokenizer.fingerprint[:12]}); tokenize its text again"
            )
        yield dataset
    elif tokenizer is None:
        raise InvalidInputError(
            f"{source} is no token dataset, and no tokenizer is given to make one; pass "
            "--tokenizer FILE to train, and evaluate a model that was trained with it"
        )
    else:
        with tempfile.TemporaryDirectory(prefix="lexigram-") as folder:
            with progress_bar("Tokenizing", unit="bytes") as report:
                dataset = tokenize(source, tokenizer, Path(folder) / "shards", progress=report)
            yield dataset


@contextmanager
def _tokenizer_file(model: NgramModel) -> Iterator[Path | None]:
    """The tokenizer that a model carries, as a file for as long as the context lasts."""
    if model.tokenizer is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="lexigram-") as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_text(model.tokenizer, encoding="utf-8")
        yield path


def _tokenizer(model: NgramModel) -> Tokenizer | None:
    with _tokenizer_file(model) as path:
        if path is None:
            return None
        from lexigram import Tokenizer

        return Tokenizer.load(path)


def _show(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        out.print(json.dumps(result))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in result.items():
        shown = f"{value:,}" if isinstance(value, int) else str(value)
        shown = f"{value:.4f}" if isinstance(value, float) else shown
        table.add_row(key.replace("_", " "), shown)
    out.print(table)
