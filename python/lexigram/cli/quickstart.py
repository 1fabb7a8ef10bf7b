"""`lexigram quickstart`: the whole path once, and one table."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from lexigram.cli.terminal import Report, err, out, progress_bar, visible

if TYPE_CHECKING:
    from lexigram.quickstart import Quickstart, Row
    from lexigram.train import StepReport

__all__ = ["add_parser"]


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Adds the command to the command line."""
    parser = subparsers.add_parser(
        "quickstart",
        help="corpus to tokenizer to n-grams to transformer, measured in one table",
        description="Runs the whole path on a corpus and prints one table in bits per byte on "
        "held-out text, a sample, and what to type next.",
        epilog="example:  lexigram quickstart --corpus my_texts/ --minutes 10",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--corpus",
        default="stdlib",
        metavar="NAME|PATH",
        help="a name (`lexigram corpus list`), a file or a folder; default: the sources of "
        "Python's standard library",
    )
    parser.add_argument(
        "--minutes", type=float, default=3.0, help="training time of the transformer (default: 3)"
    )
    parser.add_argument("--vocab-size", type=int, help="default: by the corpus, at most 4096")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", metavar="DIR", help="run folder (default: runs/NAME-TIME)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from lexigram.quickstart import quickstart

    result = quickstart(
        args.corpus,
        minutes=args.minutes,
        out=args.out,
        vocab_size=args.vocab_size,
        seed=args.seed,
        observer=_Terminal(),
    )
    if args.json:
        print(json.dumps({**result.as_dict(), "run": str(result.run)}, indent=1))
    else:
        _print(result)
    return 130 if result.interrupted else 0


class _Terminal:
    """Paints the quickstart's progress on standard error."""

    def stage(self, description: str, unit: str) -> AbstractContextManager[Report]:
        return progress_bar(description, unit=unit)

    def note(self, text: str) -> None:
        err.print(text)

    @contextmanager
    def training(self) -> Iterator[Callable[[StepReport], None]]:
        from lexigram.cli.train import training_bar

        with training_bar() as report:
            yield report


def _print(result: Quickstart) -> None:
    table = Table(title=f"{result.corpus}: bits per byte on held-out text", title_justify="left")
    table.add_column("model")
    for name in ("bits/byte", "parameters", "train tokens", "seconds"):
        table.add_column(name, justify="right")
    best = min(row.bits_per_byte for row in result.rows)
    for row in result.rows:
        table.add_row(*_cells(row), style="bold" if row.bits_per_byte == best else None)
    out.print(table)
    out.print(f"Measured on {result.held_out_tokens:,} tokens ({result.held_out_bytes:,} bytes).")
    out.print(_standing(result.rows))
    out.print()
    out.rule(f"a sample of the transformer, after {result.prompt!r}", align="left")
    out.print(visible(f"{result.prompt}{result.sample.text}"))
    out.rule()
    run = shlex.quote(str(result.run))
    prompt = visible(shlex.quote(result.prompt))
    command, python = _on_path("lexigram", sys.argv[0]), _on_path("python", sys.executable)
    out.print("What to type next:")
    out.print(f"  {command} generate --model {run} --prompt {prompt} --color entropy")
    out.print(f"  {python} demo/app.py --model {run}")
    if result.interrupted:
        out.print(f"  {command} train --resume {run}    # training was ended early")
    else:
        out.print(f"  {command} quickstart --minutes 15    # where does the transformer go?")


def _on_path(name: str, running: str) -> str:
    """How to call what runs now: by its name if the shell finds that, else by its place."""
    found = shutil.which(name)
    if found and Path(found).absolute().parent == Path(running).absolute().parent:
        return name
    return shlex.quote(os.path.relpath(running)) if Path(running).is_file() else name


def _cells(row: Row) -> tuple[str, ...]:
    if row.model == "uniform":
        return row.model, f"{row.bits_per_byte:.3f}", "–", "–", "–"
    return (
        row.model,
        f"{row.bits_per_byte:.3f}",
        f"{row.parameters:,}",
        f"{row.train_tokens:,}",
        f"{row.seconds:.1f}",
    )


def _standing(rows: tuple[Row, ...]) -> str:
    """One honest sentence on where the transformer stands against the 5-gram."""
    by_name = {row.model: row.bits_per_byte for row in rows}
    transformer, counted = by_name["transformer"], by_name["5-gram Kneser-Ney"]
    if transformer < counted:
        return f"The transformer beats the 5-gram by {counted - transformer:.3f} bits per byte."
    return (
        f"The 5-gram beats the transformer by {transformer - counted:.3f} bits per byte: "
        "give the transformer more --minutes."
    )
