"""What all commands print with: results on `out`, notes and progress on `err`."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

__all__ = ["Report", "err", "out", "progress_bar", "visible"]

_JOINERS = "\u200c\u200d"  # ordinary letters of several scripts, and harmless to a terminal

# Text of users and models is printed as it is: no markup, no guessing at highlights.
out = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
err = Console(stderr=True, markup=False, emoji=False, highlight=False)

Report = Callable[[int, int], None]
"""Called with what is done and the total; a total of 0 means that it is not known."""


class _AmountColumn(ProgressColumn):
    """What is done of how much: bytes with their prefix, anything else as it is counted."""

    def __init__(self) -> None:
        super().__init__()
        self._counted = MofNCompleteColumn()
        self._bytes = DownloadColumn()

    def render(self, task: Task) -> Text:
        if task.fields["unit"] == "bytes":
            return self._bytes.render(task)
        return Text.assemble(self._counted.render(task), " ", task.fields["unit"])


class _RateColumn(ProgressColumn):
    """How much a second, over the last half minute."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        unit = task.fields["unit"]
        for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
            if speed >= size:
                return Text(f"{speed / size:.1f} {prefix}{'B' if unit == 'bytes' else ''}/s")
        return Text(f"{speed:.1f} {'B' if unit == 'bytes' else ''}/s")


_open: list[Progress] = []  # a terminal shows one display at a time; more bars are lines of it


@contextmanager
def progress_bar(description: str, *, unit: str = "") -> Iterator[Report]:
    """A progress bar on standard error, shown on a terminal and silent elsewhere: how much is done,
    the rate, the time so far and the time left. The unit "bytes" is shown as kB, MB or GB. Inside
    another bar's `with`, a second line below it."""
    if _open:
        progress = _open[0]
        task = progress.add_task(description, total=None, unit=unit)
        try:
            yield lambda done, total: progress.update(task, completed=done, total=total or None)
        finally:
            progress.remove_task(task)
        return
    columns: list[ProgressColumn] = [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        _AmountColumn(),
        _RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(description, total=None, unit=unit)
        _open.append(progress)
        try:
            yield lambda done, total: progress.update(task, completed=done, total=total or None)
        finally:
            _open.pop()


def visible(text: str) -> str:
    """`text` with every character that could steer a terminal, or reorder or hide what it shows,
    written as an escape; line breaks and tabs stay."""
    return "".join(
        c.encode("unicode_escape").decode()
        if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and c not in "\n\t" + _JOINERS
        else c
        for c in text
    )
