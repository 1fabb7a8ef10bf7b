"""`lexigram data`: text to token shards, and a look at them."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.table import Table

from lexigram.cli.data_inspect import add_inspect, summary
from lexigram.cli.terminal import err, out, progress_bar
from lexigram.data import Document, TokenDataset, documents, split_of, tokenize
from lexigram.errors import InvalidInputError

__all__ = ["add_parser"]

_EXAMPLES = """examples:
  lexigram data tokenize books/ --tokenizer tokenizer.json --out shards
  lexigram data tokenize stdlib --tokenizer tokenizer.json --out shards --validation 0.05
  lexigram data inspect shards/train --tokenizer tokenizer.json --plot shards.png
  lexigram data verify shards/train"""


def add_parser(subparsers: Any) -> None:
    """Adds the command `data`."""
    command = subparsers.add_parser(
        "data",
        help="text to token shards: tokenize, inspect, verify",
        description="Turns text into token shards, and looks at them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_tokenize(actions)
    add_inspect(actions)
    for action, run, text in (("verify", _verify, "read every byte and compare the checksums"),):
        parser = actions.add_parser(
            action,
            help=text,
            description=f"Says {text}.",
            epilog=_EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("dataset", type=Path, metavar="DIR", help="the dataset's directory")
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.set_defaults(run=run)
    actions.choices["verify"].description = "Reads every byte and compares the checksums."


def _add_tokenize(actions: Any) -> None:
    parser = actions.add_parser(
        "tokenize",
        help="encode documents and write them as shards",
        description="Encodes documents and writes them as shards: all of them, or nothing.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source", help="a file, a directory or the name of a corpus (lexigram corpus list)"
    )
    parser.add_argument("--tokenizer", type=Path, required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--validation",
        type=float,
        metavar="FRACTION",
        help="hold out this part of the documents: writes DIR/train and DIR/validation",
    )
    parser.add_argument("--seed", type=int, default=0, help="chooses what is held out")
    parser.add_argument(
        "--errors",
        choices=("strict", "replace", "skip"),
        default="strict",
        help="what to do with documents that cannot be read",
    )
    parser.add_argument("--document-delimiter", metavar="TEXT", help="stands between documents")
    parser.add_argument("--text-field", default="text", metavar="NAME", help="of JSON lines")
    parser.add_argument("--max-chars", type=int, metavar="N", help="cut longer documents at a line")
    parser.add_argument("--max-documents", type=int, metavar="N")
    parser.add_argument("--shard-tokens", type=int, default=2**27, metavar="N")
    parser.add_argument("--overwrite", action="store_true", help="replace a dataset in DIR")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_tokenize)


def _tokenize(args: argparse.Namespace) -> int:
    from lexigram import Tokenizer

    tokenizer = Tokenizer.load(args.tokenizer)
    reading: dict[str, Any] = {
        "errors": args.errors,
        "document_delimiter": args.document_delimiter,
        "text_field": args.text_field,
        "max_chars": args.max_chars,
    }
    writing = {"shard_tokens": args.shard_tokens, "overwrite": args.overwrite}
    sides: dict[str, float] = {"": 1.0}
    if args.validation is not None:
        sides = {"train": 1 - args.validation, "validation": args.validation}
        _check_sides(args, reading, sides)
        for side in sides:  # before the first of them is written
            if (args.out / side).exists() and not args.overwrite:
                raise InvalidInputError(
                    f"{args.out / side} is there already; pass --overwrite or name another --out"
                )
    results = []
    for side in sides:
        with progress_bar(f"Tokenizing {side}".rstrip(), unit="bytes") as report:
            dataset = tokenize(
                args.source,
                tokenizer,
                args.out / side,
                **reading,
                **writing,
                keep=_falls_to(side, sides, args.seed),
                max_documents=args.max_documents,
                progress=report,
            )
        if dataset.num_skipped:
            err.print(f"{dataset.num_skipped} documents could not be read and were skipped")
        results.append(summary(dataset))
    _show(results, args.json)
    return 0


def _falls_to(side: str, sides: dict[str, float], seed: int) -> Callable[[Document], bool]:
    return lambda document: split_of(document.text, sides, seed=seed) == side


def _check_sides(
    args: argparse.Namespace, reading: dict[str, Any], sides: dict[str, float]
) -> None:
    """Fails before anything is written if a side would be empty."""
    if not 0 < args.validation < 1:
        raise InvalidInputError(f"--validation {args.validation}: must be above 0 and below 1")
    found = documents(args.source, **reading)
    counts = Counter(split_of(d.text, sides, seed=args.seed) for d in found if d.text)
    for side in sides:
        if not counts[side]:
            raise InvalidInputError(
                f"none of the {counts.total()} documents falls to {side}; cut long documents with "
                "--max-chars, or give more text, a larger --validation or another --seed"
            )


def _verify(args: argparse.Namespace) -> int:
    dataset = TokenDataset(args.dataset)
    with progress_bar("Verifying", unit="tokens") as report:
        dataset.verify(progress=report)
    if args.json:
        out.print(json.dumps({"directory": str(args.dataset), "tokens": len(dataset), "ok": True}))
    else:
        out.print(f"{args.dataset}: {len(dataset):,} tokens, every checksum holds")
    return 0


def _show(summaries: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        out.print(json.dumps(summaries[0] if len(summaries) == 1 else summaries))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key in summaries[0]:
        values = [summary[key] for summary in summaries]
        shown = [f"{v:,}" if isinstance(v, int | float) else v for v in values]
        table.add_row(key.replace("_", " "), *shown)
    out.print(table)
