"""`lexigram corpus`: the corpora that have a name, and what a source holds."""

from __future__ import annotations

import argparse
import json
from typing import Any, get_args

from rich.table import Column, Table

from lexigram.cli.terminal import err, out, progress_bar, visible
from lexigram.data import Corpus, corpora, corpus_path, documents, fetch_corpus
from lexigram.data.corpora import corpus_sha256
from lexigram.data.sources import Errors, Format
from lexigram.downloads import RemoteFile, sha256_of
from lexigram.errors import InvalidInputError, LexigramError, MissingFileError

__all__ = ["add_parser"]

_EXAMPLES = """examples:
  lexigram corpus list
  lexigram corpus fetch tinyshakespeare
  lexigram corpus show stdlib --documents 2
  lexigram corpus show my_texts/
  lexigram corpus show 'crawl/*.warc.wet.gz' --chars 80
  lexigram corpus show hf://roneneldan/TinyStories:validation"""


def add_parser(subparsers: Any) -> None:
    """Adds the command `corpus`."""
    command = subparsers.add_parser(
        "corpus",
        help="named corpora, and a look into any text",
        description="Lists and fetches the corpora that have a name, and shows what a source of "
        "text holds.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the named corpora", description="The named corpora.")
    listing.set_defaults(run=_list)
    fetch = actions.add_parser(
        "fetch",
        help="bring corpora to this machine",
        description="Fetches corpora into the cache and checks them; what came before a cut is "
        "kept. A file that is here already is only checked.",
    )
    fetch.add_argument("names", nargs="+", metavar="NAME", help="see lexigram corpus list")
    fetch.set_defaults(run=_fetch)
    show = actions.add_parser(
        "show", help="the first documents", description="Shows the first documents of a source."
    )
    show.add_argument(
        "source",
        help="the name of a corpus, a file, a directory, a pattern, an address, - for standard "
        "input, or hf://OWNER/NAME:SPLIT",
    )
    show.add_argument("--documents", type=int, default=3, metavar="N", help="how many (default 3)")
    show.add_argument("--chars", type=int, default=400, metavar="N", help="of each (default 400)")
    show.add_argument("--document-delimiter", metavar="TEXT", help="stands between documents")
    show.add_argument("--text-field", default="text", metavar="NAME", help="of rows")
    show.add_argument("--format", choices=get_args(Format), help="in place of what the name says")
    show.add_argument(
        "--errors",
        choices=get_args(Errors),
        default="strict",
        help="what to do with documents that cannot be read",
    )
    show.set_defaults(run=_show)
    for parser in (listing, fetch, show):
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.epilog = _EXAMPLES
        parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _place(corpus: Corpus) -> str | None:
    try:
        return str(corpus_path(corpus))
    except MissingFileError:
        return None


def _hash_of(file: RemoteFile) -> str:
    """Where the hash of a file comes from."""
    if file.sha256 is not None:
        return "pinned"
    return "first use" if corpus_sha256(file) is None else "remembered"


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
                "bytes": corpus.num_bytes,
                "files": [
                    {
                        "address": file.address or None,
                        "sha256": corpus_sha256(file),
                        "hash": _hash_of(file),
                    }
                    for file in corpus.files
                ],
            }
            for corpus, place in found
        ]
        out.print(json.dumps(rows))
        return 0
    columns = ("here", "hash", "licence", "description")
    table = Table(Column("name", no_wrap=True), *columns, box=None, pad_edge=False)
    for corpus, place in found:
        here = "yes" if place else "fetch" if all(f.address for f in corpus.files) else "no"
        hashes = ", ".join(dict.fromkeys(_hash_of(file) for file in corpus.files))
        table.add_row(corpus.name, here, hashes or "-", corpus.licence, corpus.description)
    out.print(table)
    out.print(
        "here: fetch means that lexigram corpus fetch NAME brings it. hash: what a file is "
        "compared with: a SHA-256\nthat lexigram knows (pinned), or that of the first file that "
        "comes (first use; then remembered).",
        style="dim",
    )
    return 0


def _fetch(args: argparse.Namespace) -> int:
    known = corpora()
    for name in args.names:
        if name not in known:
            raise MissingFileError(
                f"there is no corpus {name!r}; corpora are {', '.join(known)}; a file or an "
                "address is read without fetching it first"
            )
    for name in args.names:
        corpus = known[name]
        with progress_bar(f"Fetching {name}", unit="bytes") as report:
            paths = fetch_corpus(corpus, progress=report)
        rows = [
            {
                "path": str(path),
                "bytes": path.stat().st_size,
                "sha256": corpus_sha256(file) or sha256_of(path),
                "hash": _hash_of(file),
            }
            for file, path in zip(corpus.files, paths, strict=True)
        ]
        if args.json:
            row = {"name": name, "licence": corpus.licence, "path": str(corpus_path(corpus))}
            out.print(json.dumps({**row, "files": rows}))
            continue
        if not rows:
            out.print(f"{corpus_path(corpus)}: is on every machine")
        for row in rows:
            out.print(f"{row['path']}: {row['bytes']:,} bytes")
            out.print(f"  SHA-256 {row['sha256']} ({row['hash']}), licence {corpus.licence}")
    return 0


def _show(args: argparse.Namespace) -> int:
    skipped: list[LexigramError] = []
    if args.chars < 0:
        raise InvalidInputError(f"--chars {args.chars}: must be 0 or more")
    if args.documents < 1:
        raise InvalidInputError(f"--documents {args.documents}: must be 1 or more")
    first = documents(
        args.source,
        document_delimiter=args.document_delimiter,
        max_documents=args.documents,
        text_field=args.text_field,
        file_format=args.format,
        errors=args.errors,
        on_skip=skipped.append,
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
    for error in skipped:
        err.print(f"skipped: {visible(str(error))}", soft_wrap=True)
    return 0
