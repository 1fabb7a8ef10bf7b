"""`lexigram data`: text to token shards, and a look at them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.table import Table

from lexigram.cli.data_inspect import add_inspect, summary
from lexigram.cli.data_mix import add_mix
from lexigram.cli.terminal import err, out, progress_bar
from lexigram.data import TokenDataset, tokenize
from lexigram.errors import InvalidInputError

__all__ = ["add_parser"]

_EXAMPLES = """examples:
  lexigram data tokenize books/ --tokenizer tokenizer.json --out shards
  lexigram data tokenize stdlib --tokenizer tokenizer.json --out shards --validation 0.05
  lexigram data tokenize big.jsonl.zst --tokenizer tokenizer.json --out shards --resume
  lexigram data inspect shards/train --tokenizer tokenizer.json --plot shards.png
  lexigram data verify shards/train"""


def add_parser(subparsers: Any) -> None:
    """Adds the command `data`."""
    command = subparsers.add_parser(
        "data",
        help="text to token shards: tokenize, mix, inspect, verify",
        description="Turns text into token shards, and looks at them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_tokenize(actions)
    add_inspect(actions)
    add_mix(actions)
    parser = actions.add_parser(
        "verify",
        help="read every byte and compare the checksums",
        description="Reads every byte and compares the checksums.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", type=Path, metavar="DIR", help="the dataset's directory")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_verify)


def _add_tokenize(actions: Any) -> None:
    parser = actions.add_parser(
        "tokenize",
        help="encode documents and write them as shards",
        description="Encodes documents and writes them as shards: all of them, or nothing.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source",
        help="a file, a directory, a pattern, an address, - for standard input, or the name of a "
        "corpus (lexigram corpus list)",
    )
    parser.add_argument("--tokenizer", type=Path, required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    for name in ("validation", "test"):
        parser.add_argument(
            f"--{name}",
            type=float,
            metavar="FRACTION",
            help=f"hold out this part of the documents: writes DIR/train and DIR/{name}",
        )
    parser.add_argument("--seed", type=int, default=0, help="chooses what is held out")
    parser.add_argument(
        "--deduplicate", action="store_true", help="write only the first of equal documents"
    )
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
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on after an interruption, and keep full shards for the next one",
    )
    parser.add_argument("--num-threads", type=int, metavar="N", help="default: all cores")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_tokenize)


def _tokenize(args: argparse.Namespace) -> int:
    from lexigram import Tokenizer

    tokenizer = Tokenizer.load(args.tokenizer)
    with progress_bar("Tokenizing", unit="bytes") as report:
        made = tokenize(
            args.source,
            tokenizer,
            args.out,
            splits=_sides(args),
            seed=args.seed,
            deduplicate=args.deduplicate,
            errors=args.errors,
            document_delimiter=args.document_delimiter,
            text_field=args.text_field,
            max_chars=args.max_chars,
            max_documents=args.max_documents,
            shard_tokens=args.shard_tokens,
            overwrite=args.overwrite,
            resume=args.resume,
            num_threads=args.num_threads,
            progress=report,
            on_resume=_say_resumed,
        )
    datasets = list(made.values()) if isinstance(made, dict) else [made]
    if datasets[0].num_skipped:
        err.print(f"{datasets[0].num_skipped} documents could not be read and were skipped")
    duplicates = sum(dataset.num_duplicates or 0 for dataset in datasets)
    if duplicates:
        err.print(f"{duplicates:,} documents were equal to an earlier one and were left out")
    _show([summary(dataset) for dataset in datasets], args.json)
    return 0


def _say_resumed(documents: int) -> None:
    err.print(f"going on after {documents:,} documents of the interrupted run")


def _sides(args: argparse.Namespace) -> dict[str, float] | None:
    """The splits that were asked for, if any."""
    held_out = {}
    for name in ("validation", "test"):
        fraction = getattr(args, name)
        if fraction is not None:
            if not 0 < fraction < 1:
                raise InvalidInputError(f"--{name} {fraction}: must be above 0 and below 1")
            held_out[name] = fraction
    rest = 1 - sum(held_out.values())
    if held_out and rest <= 0:
        raise InvalidInputError("--validation and --test leave nothing to train on: lower them")
    return {"train": rest, **held_out} if held_out else None


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
