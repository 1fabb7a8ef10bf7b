"""`lexigram index`: where runs of tokens stand in a corpus, and which of a text are from it."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from lexigram.cli.arguments import argument_text
from lexigram.cli.sizes import size
from lexigram.cli.terminal import err, out, progress_bar, visible
from lexigram.errors import EncodingError, FileError, InvalidInputError
from lexigram.outputs import folder_to_write
from lexigram.suffix import Span, SuffixIndex

if TYPE_CHECKING:
    from lexigram import Tokenizer

__all__ = ["add_parser"]

_EXAMPLES = """examples:
  lexigram index build shards/train --tokenizer tokenizer.json --out index
  lexigram index count index --text "the cat sat"
  lexigram index find index --text "the cat sat" --limit 3
  lexigram generate --model RUN --prompt The | lexigram index trace index --min-length 8"""

_SOURCE = "a token dataset, or text: a file, a directory or the name of a corpus"


def add_parser(subparsers: Any) -> None:
    """Adds the command `index`."""
    command = subparsers.add_parser(
        "index",
        help="suffix index: build, count, find, trace",
        description="Finds any run of tokens in a corpus, and traces text back to it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = _action(actions, "build", _build, "Sorts the suffixes of a corpus.")
    build.add_argument("source", metavar="SOURCE", help=_SOURCE)
    build.add_argument("--out", type=Path, required=True, metavar="DIR")
    build.add_argument(
        "--tokenizer",
        type=Path,
        metavar="FILE",
        help="tokenizer.json; needed for text, and kept with the index",
    )
    build.add_argument(
        "--memory-limit", type=size, metavar="SIZE", help="such as 2G; more shards where less"
    )
    build.add_argument("--threads", type=int, metavar="N", help="default: all cores")
    for name, run, description in (
        ("count", _count, "Counts the places of a run."),
        ("find", _find, "Shows where a run stands, and the text around it."),
    ):
        query = _action(actions, name, run, description)
        query.add_argument("index", type=Path, metavar="DIR")
        what = query.add_mutually_exclusive_group(required=True)
        what.add_argument("--text", metavar="TEXT", help="with the tokenizer of the index")
        what.add_argument("--ids", type=_ids, metavar="1,2,3", help="the run as token ids")
        if name == "find":
            query.add_argument("--limit", type=int, default=10, metavar="N", help="default 10")
            query.add_argument(
                "--around", type=int, default=12, metavar="N", help="tokens of text (default 12)"
            )
    trace = _action(actions, "trace", _trace, "Marks what stands verbatim in the corpus.")
    trace.add_argument("index", type=Path, metavar="DIR")
    trace.add_argument("--file", metavar="FILE", help="the text to trace (default: standard input)")
    trace.add_argument("--min-length", type=int, default=10, metavar="N", help="tokens; default 10")
    trace.add_argument("--documents", type=int, default=3, metavar="N", help="named a span")


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


def _ids(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _build(args: argparse.Namespace) -> int:
    from lexigram import Tokenizer
    from lexigram.data import TokenDataset, tokenize

    folder_to_write(args.out)
    tokenizer = None if args.tokenizer is None else Tokenizer.load(args.tokenizer)
    with ExitStack() as stack:
        if (Path(args.source) / "manifest.json").is_file():
            dataset = TokenDataset(args.source)
            if tokenizer is not None and tokenizer.fingerprint != dataset.tokenizer_fingerprint:
                raise InvalidInputError(
                    f"{args.source} was made with another tokenizer "
                    f"({dataset.tokenizer_fingerprint[:12]}, not {tokenizer.fingerprint[:12]}); "
                    "tokenize its text again"
                )
        elif tokenizer is None:
            raise InvalidInputError(
                f"{args.source} is no token dataset, and no tokenizer is given to make one; pass "
                "--tokenizer FILE"
            )
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lexigram-"))
            with progress_bar("Tokenizing", unit="bytes") as report:
                dataset = tokenize(args.source, tokenizer, Path(folder) / "shards", progress=report)
        begun = time.perf_counter()
        with progress_bar("Sorting suffixes", unit="tokens") as report:
            index = SuffixIndex.build(
                dataset,
                args.out,
                memory_limit=args.memory_limit,
                num_threads=args.threads,
                progress=report,
                tokenizer=tokenizer,
            )
    if tokenizer is None:
        err.print("the index carries no tokenizer; pass --tokenizer to query it with text")
    table, ids = index.num_bytes
    _show(
        {
            "index": str(args.out),
            "tokens": index.num_tokens,
            "documents": index.num_documents,
            "shards": index.num_shards,
            "bytes": table + ids,
            "bytes_per_token": round((table + ids) / index.num_tokens, 2),
            "seconds": round(time.perf_counter() - begun, 2),
        },
        args.json,
    )
    return 0


def _count(args: argparse.Namespace) -> int:
    index = SuffixIndex.open(args.index)
    ids = _run_of(args, index)
    count = index.count(ids)
    if args.json:
        out.print(json.dumps({"ids": ids, "count": count}))
    else:
        out.print(f"{count:,}")
    return 0


def _find(args: argparse.Namespace) -> int:
    for name, value in (("--limit", args.limit), ("--around", args.around)):
        if value < 0:
            raise InvalidInputError(f"{name} {value}: use 0 or more")
    index = SuffixIndex.open(args.index)
    tokenizer = _tokenizer(index)
    ids = _run_of(args, index)
    rows: list[dict[str, Any]] = []
    for place in index.find(ids, args.limit):
        row: dict[str, Any] = {"document": place.document, "position": place.position}
        if tokenizer is not None:
            end = place.position + len(ids)
            before = index.document(
                place.document, max(0, place.position - args.around), max(0, place.position)
            )
            after = index.document(place.document, end, end + args.around)
            row |= {
                "before": tokenizer.decode(before.tolist()),
                "text": tokenizer.decode(ids),
                "after": tokenizer.decode(after.tolist()),
            }
        rows.append(row)
    if args.json:
        out.print(json.dumps({"ids": ids, "count": index.count(ids), "places": rows}))
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("document", "position"):
        table.add_column(heading, justify="right")
    if tokenizer is not None:
        table.add_column("text")
    for row in rows:
        cells = [f"{row['document']:,}", f"{row['position']:,}"]
        if tokenizer is not None:
            cells.append(_line(f"{row['before']}⟦{row['text']}⟧{row['after']}"))
        table.add_row(*cells)
    out.print(table)
    err.print(f"{len(rows):,} of {index.count(ids):,} places")
    return 0


def _trace(args: argparse.Namespace) -> int:
    index = SuffixIndex.open(args.index)
    tokenizer = _tokenizer(index)
    if tokenizer is None:
        raise InvalidInputError(
            f"{args.index} carries no tokenizer, which text needs; build it with --tokenizer FILE"
        )
    text = _read(args.file)
    ids = tokenizer.encode_ordinary(text)
    spans = index.trace(ids, args.min_length, max_documents=args.documents)
    covered = len({i for span in spans for i in range(span.start, span.end)})
    if args.json:
        found = [
            {
                "start": span.start,
                "end": span.end,
                "count": span.count,
                "documents": span.documents,
                "text": tokenizer.decode(ids[span.start : span.end]),
            }
            for span in spans
        ]
        out.print(json.dumps({"tokens": len(ids), "covered": covered, "spans": found}))
        return 0
    _mark(tokenizer, ids, spans)
    table = Table(box=None, pad_edge=False)
    for heading in ("tokens", "length", "count"):
        table.add_column(heading, justify="right")
    table.add_column("documents")
    for span in spans:
        named = ", ".join(map(str, span.documents)) + (
            ", …" if span.count > len(span.documents) >= args.documents else ""
        )
        table.add_row(f"{span.start}–{span.end}", str(len(span)), f"{span.count:,}", named)
    if spans:
        out.print(table)
    err.print(f"{covered:,} of {len(ids):,} tokens stand in runs of {args.min_length} or more")
    return 0


def _mark(tokenizer: Tokenizer, ids: list[int], spans: list[Span]) -> None:
    """The text, what is covered by spans between brackets, and in reverse on a terminal."""
    covered = [False] * len(ids)
    for span in spans:
        covered[span.start : span.end] = [True] * len(span)
    start = 0
    while start < len(ids):
        end = start
        while end < len(ids) and covered[end] == covered[start]:
            end += 1
        text = visible(tokenizer.decode(ids[start:end]))
        if covered[start]:
            out.print(f"⟦{text}⟧", style="reverse", end="")
        else:
            out.print(text, end="")
        start = end
    out.print()


def _read(path: str | None) -> str:
    name = path or "standard input"
    try:
        content = sys.stdin.buffer.read() if path in (None, "-") else Path(str(path)).read_bytes()
        return content.decode("utf-8")
    except OSError as error:
        raise FileError(f"cannot read {name}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise EncodingError(f"{name} is not UTF-8 at byte {error.start}; convert it") from None


def _run_of(args: argparse.Namespace, index: SuffixIndex) -> list[int]:
    """The run that is asked for, as ids."""
    if args.ids is not None:
        return list(args.ids)
    tokenizer = _tokenizer(index)
    if tokenizer is None:
        raise InvalidInputError(f"{args.index} carries no tokenizer; give the run as --ids")
    ids = tokenizer.encode_ordinary(argument_text("--text", args.text))
    if not ids:
        raise InvalidInputError("--text is empty; give at least one character")
    return list(ids)


def _tokenizer(index: SuffixIndex) -> Tokenizer | None:
    text = index.tokenizer
    if text is None:
        return None
    from lexigram import Tokenizer

    with tempfile.TemporaryDirectory(prefix="lexigram-") as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_text(text, encoding="utf-8")
        return Tokenizer.load(path)


def _line(text: str) -> str:
    """On one line of a table."""
    return visible(text).replace("\n", "⏎").replace("\t", " ")


def _show(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        out.print(json.dumps(result))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in result.items():
        table.add_row(key.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value))
    out.print(table)
