"""`lexigram runs`: what runs there are, and what one of them came to."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from rich.table import Table

from lexigram import runs
from lexigram.cli.terminal import err, out
from lexigram.errors import MissingFileError

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


def run_list(args: argparse.Namespace) -> int:
    summaries = [runs.summarize(run) for run in runs.list_runs()]
    if args.json:
        out.print(json.dumps([dataclasses.asdict(s) for s in summaries]))
        return 0
    if not summaries:
        err.print(f"there are no runs in {runs.runs_root()}; make one with: lexigram quickstart")
        return 0
    table = Table("run", "started", box=None, pad_edge=False)
    for title in ("step", "tokens", "seconds", "val. loss", "bits/byte"):
        table.add_column(title, justify="right")
    for s in summaries:
        table.add_row(
            s.name,
            (s.started or "")[:16].replace("T", " "),
            f"{s.step}/{s.steps}",
            f"{s.tokens:,}",
            f"{s.seconds:.0f}",
            _number(s.validation_loss),
            _number(s.validation_bits_per_byte),
        )
    out.print(table)
    return 0


def run_show(args: argparse.Namespace) -> int:
    run = _find(args.name)
    shown = {
        "run": str(run),
        "summary": dataclasses.asdict(runs.summarize(run)),
        "checkpoints": [path.name for path in runs.checkpoints(run)],
        "config": runs.read_config(run),
        "environment": runs.read_json(run / "environment.json"),
    }
    out.print(json.dumps(shown, indent=None if args.json else 2, ensure_ascii=False))
    return 0


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
