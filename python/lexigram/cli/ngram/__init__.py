"""`lexigram ngram`: train counted models, measure them, ask them what comes next."""

from __future__ import annotations

import argparse
from typing import Any

from lexigram.cli.ngram import convert, count, curve, evaluate, generate, merge, query, train

__all__ = ["add_parser"]

_EXAMPLES = """examples:
  lexigram ngram train stdlib --tokenizer tokenizer.json --order 5 --out kn5.ngram
  lexigram ngram evaluate kn5.ngram notes.txt
  lexigram ngram query kn5.ngram "def __init__(self"
  lexigram ngram curve stdlib --tokenizer tokenizer.json --out curve
"""


def add_parser(subparsers: Any) -> None:
    """Adds the command `ngram`."""
    command = subparsers.add_parser(
        "ngram",
        help="n-gram models: train, count, merge, evaluate, query, generate, convert, prune, curve",
        description="Trains, measures, queries and converts n-gram models.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    for module in (train, count, merge, evaluate, query, generate, convert, curve):
        module.add_actions(actions)
