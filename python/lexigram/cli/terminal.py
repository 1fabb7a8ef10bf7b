"""What all commands print with: results on `out`, notes and progress on `err`."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["Report", "err", "out", "progress_bar", "visible"]

_JOINERS = "\u200c\u200d"  # ordinary letters of several scripts, and harmless to a terminal

# Text of users and models is printed as it is: no markup, no guessing at highlights.
out = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
err = Console(stderr=True, markup=False, emoji=False, highlight=False)

Report = Callable[[int, int], None]
"""Called with what is done and the total; a total of 0 means that it is not known."""


@contextmanager
def progress_bar(description: str, *, unit: str = "") -> Iterator[Report]:
    """A progress bar on standard error, shown on a terminal and silent elsewhere."""
    columns: list[ProgressColumn] = [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task: TaskID = progress.add_task(description, total=None)

        def report(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total or None)

        yield report


def visible(text: str) -> str:
    """`text` with every character that could steer a terminal, or reorder or hide what it shows,
    written as an escape; line breaks and tabs stay."""
    return "".join(
        c.encode("unicode_escape").decode()
        if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and c not in "\n\t" + _JOINERS
        else c
        for c in text
    )
