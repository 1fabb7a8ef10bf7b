"""`lexigram data inspect`: what a dataset holds, counted, drawn and in numbers."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from lexigram.cli.terminal import err, out, progress_bar, visible
from lexigram.data import TokenDataset
from lexigram.data.statistics import DatasetStatistics, describe
from lexigram.errors import InvalidInputError
from lexigram.figures import draw_dataset, log_bins
from lexigram.outputs import file_to_write

__all__ = ["add_inspect", "summary"]

_EXAMPLES = """examples:
  lexigram data inspect shards/train
  lexigram data inspect shards/train --tokenizer tokenizer.json --plot shards.png
  lexigram data inspect shards/train --summary"""

_BAR = 32
_COLORS = ("#414487", "#2a788e", "#22a884", "#7ad151")  # from few to many, read in grey too
_EIGHTHS = " ▏▎▍▌▋▊▉"
_PLOTS = (".png", ".svg", ".pdf")


def add_inspect(actions: Any) -> None:
    """Adds the action `inspect` to `lexigram data`."""
    parser = actions.add_parser(
        "inspect",
        help="what a dataset holds",
        description="Says what a dataset holds: sizes, lengths of documents, frequencies of tokens "
        "and the slope of Zipf's law. Every token is read once; --summary reads none.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", type=Path, metavar="DIR", help="the dataset's directory")
    parser.add_argument("--summary", action="store_true", help="only what the manifest says")
    parser.add_argument("--tokenizer", metavar="FILE", help="shows tokens as text, not as ids")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="tokens (default 10)")
    parser.add_argument(
        "--longest", type=int, default=5, metavar="N", help="documents to name (default 5)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draws a .png, .svg or .pdf")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_inspect)


def summary(dataset: TokenDataset) -> dict[str, Any]:
    """What the manifest says."""
    text_tokens = len(dataset) - dataset.num_documents
    return {
        "directory": str(dataset.directory),
        "tokens": len(dataset),
        "documents": dataset.num_documents,
        "skipped": dataset.num_skipped,
        "bytes": dataset.num_bytes,
        "bytes_per_token": round(dataset.num_bytes / max(1, text_tokens), 4),
        "tokens_per_document": round(text_tokens / dataset.num_documents, 1),
        "vocab_size": dataset.vocab_size,
        "document_separator": dataset.document_separator,
        "dtype": str(dataset.dtype),
        "shards": dataset.num_shards,
        "tokenizer": dataset.tokenizer_fingerprint,
        "fingerprint": dataset.fingerprint,
    }


def _inspect(args: argparse.Namespace) -> int:
    for name in ("top", "longest"):
        if getattr(args, name) < 0:
            raise InvalidInputError(f"--{name} {getattr(args, name)}: must be 0 or more")
    if args.plot is not None and args.plot.suffix.lower() not in _PLOTS:
        raise InvalidInputError(f"--plot {args.plot}: must end in {', '.join(_PLOTS)}")
    if args.plot is not None:
        file_to_write(args.plot)
    if args.plot is not None and args.summary:
        raise InvalidInputError("--summary reads no token: leave it out to draw a --plot")
    dataset = TokenDataset(args.dataset)
    known = summary(dataset)
    if args.summary:
        _print(known, args.json)
        return 0
    name = _namer(args.tokenizer, dataset)
    with progress_bar("Counting", unit="tokens") as report:
        found = describe(dataset, longest=args.longest, progress=report)
    known |= _numbers(found, args.top, name)
    if args.plot is not None:
        _draw(found, args.plot, f"{args.dataset}: {known['tokens']:,} tokens")
        err.print(f"drawn: {args.plot}", soft_wrap=True)
    if args.json:
        _print(known, True)
        return 0
    tables = {key: known.pop(key) for key in ("zipf", "longest", "top", "lengths")}
    _print(known, False)
    _print_lengths(found, tables["lengths"])
    _print_frequencies(found, tables["zipf"], tables["top"])
    return 0


def _namer(path: str | None, dataset: TokenDataset) -> Any:
    """What gives an id's text; None: nothing does."""
    if path is None:
        return None
    from lexigram import Tokenizer

    tokenizer = Tokenizer.load(path)
    if tokenizer.fingerprint != dataset.tokenizer_fingerprint:
        raise InvalidInputError(
            f"{path} is not the tokenizer of {dataset.directory}: its fingerprint is "
            f"{tokenizer.fingerprint}, not {dataset.tokenizer_fingerprint}"
        )

    def name(token: int) -> str:
        try:
            content = tokenizer.decode_single_token_bytes(token)
        except KeyError:
            return ""
        return content.decode(errors="backslashreplace")

    return name


def _numbers(found: DatasetStatistics, top: int, name: Any) -> dict[str, Any]:
    line = found.zipf
    tokens = max(1, int(found.counts.sum()))
    return {
        "distinct_tokens": found.distinct,
        "entropy_bits_per_token": round(found.entropy, 4),
        "empty_documents": found.empty,
        "lengths": {
            "quantiles": {
                str(part): found.quantile(part) for part in (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
            },
        },
        "longest": [{"document": number, "tokens": length} for number, length in found.longest],
        "zipf": None
        if line is None
        else {
            "slope": round(line.slope, 4),
            "r_squared": round(line.r_squared, 4),
            "first_rank": line.first_rank,
            "last_rank": line.last_rank,
            "method": "least squares of log count on log rank, at ranks even in log rank",
        },
        "top": [
            {
                "id": token,
                "count": count,
                "share": round(count / tokens, 6),
                **({} if name is None else {"text": name(token)}),
            }
            for token, count in found.top(top)
        ],
    }


def _print(known: dict[str, Any], as_json: bool) -> None:
    if as_json:
        out.print(json.dumps(known))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in known.items():
        shown = f"{value:,}" if isinstance(value, int | float) else str(value)
        table.add_row(key.replace("_", " "), shown)
    out.print(table)


def _print_lengths(found: DatasetStatistics, lengths: dict[str, Any]) -> None:
    edges, heights = log_bins(found.lengths.tolist(), found.documents.tolist())
    out.print("\ntokens in a document", style="bold")
    labels = [
        f"{low:,.0f}" if high - low <= 1 else f"{low:,.0f}–{high - 1:,.0f}"
        for low, high in pairwise(edges)
    ]
    _bars(labels, heights)
    part = lengths["quantiles"]
    out.print(
        f"  5 % have at most {part['0.05']:,}, half {part['0.5']:,}, 95 % {part['0.95']:,}; "
        f"the longest: " + ", ".join(f"{n:,} (document {i:,})" for i, n in found.longest)
    )


def _print_frequencies(
    found: DatasetStatistics, line: dict[str, Any] | None, top: list[dict[str, Any]]
) -> None:
    ranked = found.ranked()
    ranks = [10**power for power in range(len(str(len(ranked)))) if 10**power <= len(ranked)]
    out.print("\noccurrences of the token of rank", style="bold")
    counts = [float(ranked[rank - 1]) for rank in ranks]
    _bars([f"{rank:,}" for rank in ranks], counts, logarithmic=True)
    if line is None:
        out.print("  too few frequent tokens for a Zipf slope")
    else:
        out.print(
            f"  Zipf slope {line['slope']:.3f} over ranks {line['first_rank']:,} to "
            f"{line['last_rank']:,} (least squares in log-log, R² {line['r_squared']:.3f})"
        )
    if not top:
        return
    out.print("\nthe most frequent tokens", style="bold")
    table = Table(box=None, pad_edge=False, show_header=False)
    for row in top:
        text = [repr(visible(row["text"]))] if "text" in row else []
        table.add_row(f"  {row['id']}", *text, f"{row['count']:,}", f"{100 * row['share']:.2f} %")
    out.print(table)


def _bars(labels: Sequence[str], values: Sequence[float], *, logarithmic: bool = False) -> None:
    """A bar a line, as long as the value, or as its logarithm. Empty lines at the begin are left
    out."""
    sizes = [math.log10(value + 1) if logarithmic else value for value in values]
    most = max([*sizes, 1e-9])
    width = max(map(len, labels), default=0)
    first = next((i for i, value in enumerate(values) if value), len(values))
    for label, value, size in list(zip(labels, values, sizes, strict=True))[first:]:
        eighths = round(size / most * _BAR * 8)
        if value and not eighths:
            eighths = 1
        full, rest = divmod(eighths, 8)
        bar = "█" * full + (_EIGHTHS[rest] if rest else "")
        color = _COLORS[min(len(_COLORS) - 1, int(size / most * len(_COLORS)))]
        out.print(
            Text.assemble(f"  {label:>{width}} ", (f"{bar:<{_BAR}}", color), f" {value:,.0f}")
        )


def _draw(found: DatasetStatistics, path: Path, title: str) -> None:
    line = found.zipf
    draw_dataset(
        found.lengths.tolist(),
        found.documents.tolist(),
        found.ranked().tolist(),
        path,
        title=title,
        line=None
        if line is None
        else (line.slope, line.intercept, line.first_rank, line.last_rank),
    )
