"""`lexigram tokenizer`: train a vocabulary, use it, look at it, turn it into another format."""

from __future__ import annotations

import argparse

from lexigram.cli.tokenizer import codec, convert, inspect, train, view

EXAMPLE = """\
examples:
  lexigram tokenizer train corpus/*.txt --vocab-size 8192 --out tokenizer.json
  lexigram tokenizer encode tokenizer.json --text "hello world"
  lexigram tokenizer view tokenizer.json --text "hello world"
  lexigram tokenizer compare tokenizer.json o200k_base --text corpus/a.txt
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `tokenizer` and its commands."""
    parser = subparsers.add_parser(
        "tokenizer",
        help="train, use, inspect, compare and convert tokenizers",
        description="Byte-level BPE tokenizers.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (train, codec, view, inspect, convert):
        module.add_commands(commands)
