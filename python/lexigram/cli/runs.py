"""`lexigram runs`: what runs there are, and what one of them came to."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from lexigram import runs
from lexigram.cli.terminal import err, out, visible
from lexigram.errors import LexigramError, MissingFileError

__all__ = ["add_parser"]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "runs",
        help="list and show training runs",
        description="List and show the runs in LEXIGRAM_RUNS or ./runs.",
        epilog="examples:\n  lexigram runs list\n  lexigram runs show stdlib-cpu-20260102-030405",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="one line for each run, the newest first")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=run_list)
    showing = actions.add_parser("show", help="config, environment and results of one run")
    showing.add_argument(
        "name", nargs="?", metavar="RUN", help="a run folder or its name; default: the newest"
    )
    showing.add_argument("--json", action="store_true", help="print JSON")
    showing.set_defaults(run=run_show)
    for action in (listing, showing):
        action.epilog = parser.epilog
        action.formatter_class = argparse.RawDescriptionHelpFormatter


def run_list(args: argparse.Namespace) -> int:
    summaries = _summaries()
    if args.json:
        out.print(json.dumps([dataclasses.asdict(s) for s in summaries]))
        return 0
    if not summaries:
        err.print(f"there are no runs in {runs.runs_root()}; make one with: lexigram quickstart")
        return 0
    rows = [("run", "started (UTC)", "step", "tokens", "seconds", "val. loss", "bits/byte")]
    rows += [
        (
            s.name,
            (s.started or "")[:16].replace("T", " "),
            f"{s.step}/{s.steps}",
            f"{s.tokens:,}",
            f"{s.seconds:.0f}",
            _number(s.validation_loss),
            _number(s.validation_bits_per_byte),
        )
        for s in summaries
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers in rows:  # not a rich table, which would cut the names to the terminal
        cells = [f"{cell:>{width}}" for cell, width in zip(numbers, widths[1:], strict=True)]
        out.print("  ".join([f"{name:<{widths[0]}}", *cells]))
    return 0


def run_show(args: argparse.Namespace) -> int:
    run = _find(args.name)
    shown = {
        "run": str(run),
        "summary": dataclasses.asdict(runs.summarize(run)),
        "checkpoints": [path.name for path in runs.checkpoints(run)],
        "config": runs.read_config(run),
        "environment": _environment(run),
    }
    out.print(json.dumps(shown, indent=None if args.json else 2, ensure_ascii=False))
    return 0


def _environment(run: Path) -> object:
    path = run / "environment.json"
    return runs.read_json(path) if path.is_file() else None


def _summaries() -> list[runs.RunSummary]:
    """Of every run that can be read; one that cannot is named and does not hide the others."""
    found = []
    for run in runs.list_runs():
        try:
            found.append(runs.summarize(run))
        except LexigramError as error:
            err.print(visible(f"{run.name} cannot be read: {error}"))
    return found


def _find(name: str | None) -> Path:
    if name is None:
        found = runs.list_runs()
        if not found:
            raise MissingFileError(f"there are no runs in {runs.runs_root()}")
        return found[0]
    inside = runs.runs_root() / name
    return Path(name) if Path(name).is_dir() or not inside.is_dir() else inside


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
