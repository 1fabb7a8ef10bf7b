"""`lexigram data mix`: what a mixture reads for a budget of tokens, and its file."""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.table import Table

from lexigram.cli.terminal import err, out
from lexigram.data import Mixture, TokenDataset, TokenLoader
from lexigram.errors import InvalidInputError

__all__ = ["add_mix"]

_EXAMPLES = """examples:
  lexigram data mix web=shards/web books=shards/books --weight web=0.7 --weight books=0.3 \\
      --tokens 10e9 --out mixture.toml
  lexigram data mix mixture.toml --tokens 10e9 --seq-len 2048
  lexigram train config.toml --set data.train= --set data.mixture=mixture.toml"""


def add_mix(actions: Any) -> None:
    """Adds the action `mix` to `lexigram data`."""
    parser = actions.add_parser(
        "mix",
        help="read several datasets in proportion: the schedule, and a mixture file",
        description="Shows how many rows and epochs of each dataset a budget of tokens reads when "
        "datasets are mixed by weight, and writes a mixture file for training.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="NAME=DIR|FILE.toml",
        help="the datasets, each with a name for it, or one mixture file",
    )
    parser.add_argument(
        "--weight",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="the part of the tokens that come from it, such as 0.3 or 1/3; for each source, or "
        "for none: then in proportion to their sizes",
    )
    parser.add_argument(
        "--tokens", type=float, metavar="N", help="the budget; default: one epoch of all rows"
    )
    parser.add_argument("--seq-len", type=int, default=1024, metavar="T", help="tokens of a row")
    parser.add_argument("--packing", choices=("contiguous", "best_fit"), default="contiguous")
    parser.add_argument("--out", type=Path, metavar="FILE.toml", help="write a mixture file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_mix)


def _mix(args: argparse.Namespace) -> int:
    mixture = _mixture(args.sources, args.weight)
    loader = TokenLoader(mixture, batch_size=1, seq_len=args.seq_len, seed=0, packing=args.packing)
    num_rows = loader.num_rows
    if args.tokens is not None:
        if not args.seq_len <= args.tokens < 2**62:
            raise InvalidInputError(
                f"--tokens {args.tokens:g}: must be at least one row of {args.seq_len} tokens"
            )
        num_rows = round(args.tokens) // args.seq_len
    rows = [
        {
            "source": name,
            "weight": str(mixture.weights[name]),
            "tokens": len(mixture.sources[name]),
            "rows": count,
            "tokens_read": count * args.seq_len,
            "epochs": round(epochs, 4),
        }
        for name, (count, epochs) in loader.source_epochs(num_rows).items()
    ]
    if args.out is not None:
        mixture.save(args.out)
        how = f"--set data.train= --set data.mixture={args.out}"
        err.print(f"wrote {args.out}; train with {how}", markup=False)
    if args.json:
        out.print(json.dumps(rows))
        return 0
    table = Table(box=None, pad_edge=False)
    for key in rows[0]:
        table.add_column(key.replace("_", " "), justify="left" if key == "source" else "right")
    for row in rows:
        table.add_row(*(f"{v:,}" if isinstance(v, int | float) else str(v) for v in row.values()))
    out.print(table)
    return 0


def _mixture(sources: list[str], weights: list[str]) -> Mixture:
    if len(sources) == 1 and "=" not in sources[0]:
        if weights:
            raise InvalidInputError(f"--weight: {sources[0]} has weights; change them there")
        return Mixture.load(sources[0])
    opened = {name: TokenDataset(folder) for name, folder in _pairs("source", sources).items()}
    return Mixture(opened, _weights(weights) if weights else None)


def _weights(given: list[str]) -> dict[str, Fraction]:
    found = {}
    for name, text in _pairs("--weight", given).items():
        try:
            found[name] = Fraction(text)
        except (ValueError, ZeroDivisionError):
            raise InvalidInputError(
                f"--weight {name}={text}: must be a number such as 0.3 or 1/3"
            ) from None
    return found


def _pairs(what: str, given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name or not value:
            raise InvalidInputError(f"{what} {pair!r}: must be NAME=VALUE")
        if name in found:
            raise InvalidInputError(f"{what} {name!r} is named twice; give each a name of its own")
        found[name] = value
    return found
