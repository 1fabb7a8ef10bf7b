"""`lexigram corpus`: the corpora that have a name, and what a source holds."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rich.table import Table

from lexigram.cli.terminal import out, visible
from lexigram.data import Corpus, corpora, corpus_path, documents
from lexigram.errors import MissingFileError

__all__ = ["add_parser"]

_EXAMPLES = """examples:
  lexigram corpus list
  lexigram corpus show stdlib --documents 2
  lexigram corpus show my_texts/"""


def add_parser(subparsers: Any) -> None:
    """Adds the command `corpus`."""
    command = subparsers.add_parser(
        "corpus",
        help="named corpora, and a look into any text",
        description="Lists the corpora that have a name, and shows what a source of text holds.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the named corpora", description="The named corpora.")
    listing.set_defaults(run=_list)
    show = actions.add_parser(
        "show", help="the first documents", description="Shows the first documents of a source."
    )
    show.add_argument("source", help="the name of a corpus, a file or a directory")
    show.add_argument("--documents", type=int, default=3, metavar="N", help="how many (default 3)")
    show.add_argument("--chars", type=int, default=400, metavar="N", help="of each (default 400)")
    show.add_argument("--document-delimiter", metavar="TEXT", help="stands between documents")
    show.set_defaults(run=_show)
    for parser in (listing, show):
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.epilog = _EXAMPLES
        parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _place(corpus: Corpus) -> str | None:
    try:
        return str(corpus_path(corpus))
    except MissingFileError:
        return None


def _list(args: argparse.Namespace) -> int:
    found = [(corpus, _place(corpus)) for corpus in corpora().values()]
    if args.json:
        rows = [
            {
                "name": corpus.name,
                "description": corpus.description,
                "licence": corpus.licence,
                "origin": corpus.origin,
                "path": place,
            }
            for corpus, place in found
        ]
        out.print(json.dumps(rows))
        return 0
    table = Table("name", "here", "licence", "description", box=None, pad_edge=False)
    for corpus, place in found:
        table.add_row(corpus.name, "yes" if place else "no", corpus.licence, corpus.description)
    out.print(table)
    return 0


def _show(args: argparse.Namespace) -> int:
    first = documents(
        args.source, document_delimiter=args.document_delimiter, max_documents=args.documents
    )
    for document in first:
        shown = document.text[: args.chars]
        if args.json:
            row = {"name": document.name, "chars": len(document.text), "text": shown}
            out.print(json.dumps(row, ensure_ascii=False))
            continue
        rest = len(document.text) - len(shown)
        out.print(f"── {visible(document.name)} ({len(document.text):,} characters)", style="bold")
        out.print(visible(shown))
        if rest:
            out.print(f"… {rest:,} more", style="dim")
    return 0
