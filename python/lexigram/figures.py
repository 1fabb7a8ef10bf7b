"""Pictures of results, written to files with matplotlib, which only drawing loads.

Lines are named where they end, not in a legend. What two smoothings share is colour (the order);
what tells them apart is the stroke, so that the picture also reads without colour.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lexigram.errors import FileError, MissingDependencyError

__all__ = ["Line", "draw_dataset", "draw_lines", "log_bins"]

# From dark to light: ordered, and told apart by colour-blind readers and in grey.
_RAMP = ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#d8b40f", "#e07b00", "#b0243c")
_STROKES = ("solid", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 1, 1, 1)))


class Line(NamedTuple):
    """One line of a picture."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    color: int
    """Lines with the same number have the same colour."""
    stroke: int
    """Lines with the same number have the same stroke."""


def _figure(size: tuple[float, float]) -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependencyError(
            "matplotlib is not installed; a picture needs: pip install 'lexigram[plot]'"
        ) from None
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw_lines(
    lines: Sequence[Line],
    path: Path,
    *,
    title: str,
    x_label: str,
    y_label: str,
    strokes: Sequence[str],
) -> None:
    """Draws lines over a logarithmic x axis into a file whose suffix (.png, .svg, .pdf) says how.
    `strokes` names what each stroke stands for.

    Raises `MissingDependencyError` without matplotlib.
    """
    figure = _figure((9, 5.6))
    axes = figure.subplots()
    for line in lines:
        color = _RAMP[line.color % len(_RAMP)]
        stroke = _STROKES[line.stroke % len(_STROKES)]
        axes.plot(line.x, line.y, color=color, linestyle=stroke, marker="o", markersize=3.5)
    axes.set_xscale("log")
    low, high = axes.get_ylim()
    ends = sorted((line.y[-1], number) for number, line in enumerate(lines))
    places = _spread([y for y, _ in ends], (high - low) * 0.037)
    for (end, number), place in zip(ends, places, strict=True):
        line, color = lines[number], _RAMP[lines[number].color % len(_RAMP)]
        axes.annotate(
            line.label,
            xy=(line.x[-1], end),
            xytext=(1.02, (place - low) / (high - low)),
            textcoords=axes.transAxes,
            color=color,
            fontsize=9,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": color, "lw": 0.5, "shrinkA": 0, "shrinkB": 3},
        )
    for number, name in enumerate(strokes):
        axes.plot([], [], color="#444444", linestyle=_STROKES[number], label=name)
    if len(strokes) > 1:
        axes.legend(frameon=False, loc="upper right", handlelength=3.2)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.set_title(title, loc="left", parse_math=False)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    """All of the picture, or what was there before."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        figure.savefig(temporary, dpi=150)
        temporary.replace(path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _spread(values: Sequence[float], least: float) -> list[float]:
    """Ascending `values`, moved as little as makes neighbours `least` apart: those that are too
    close stand evenly about their mean."""
    groups: list[list[float]] = []  # (sum of the values, how many): a group's mean and size
    for value in values:
        groups.append([value, 1.0])
        while len(groups) > 1 and _touch(groups[-2], groups[-1], least):
            total, count = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += count
    return [
        total / count + (place - (count - 1) / 2) * least
        for total, count in groups
        for place in range(int(count))
    ]


def _touch(lower: list[float], upper: list[float], least: float) -> bool:
    distance = upper[0] / upper[1] - lower[0] / lower[1]
    return distance < least * (lower[1] + upper[1]) / 2


def draw_dataset(
    lengths: Sequence[float],
    documents: Sequence[float],
    ranked: Sequence[float],
    path: Path,
    *,
    title: str,
    line: tuple[float, float, int, int] | None = None,
) -> None:
    """Two pictures side by side: how many of the `documents` have which of the `lengths`, in bins
    of equal width in the logarithm, and the counts of tokens against their rank, `ranked`
    descending. `line` is (slope, intercept, first rank, last rank) of a straight line in log₁₀.

    Raises `MissingDependencyError` without matplotlib.
    """
    figure = _figure((11, 4.6))
    left, right = figure.subplots(1, 2)
    edges, heights = log_bins(lengths, documents)
    left.stairs(heights, edges, fill=True, color=_RAMP[2])
    left.set_xscale("symlog", linthresh=1)
    left.set(xlabel="tokens in a document", ylabel="documents")
    left.set_xlim(0, edges[-1])
    right.plot(range(1, len(ranked) + 1), ranked, color=_RAMP[2], lw=1.5)
    if line is not None:
        slope, intercept, first, last = line
        right.plot(
            [first, last],
            [10**intercept * rank**slope for rank in (first, last)],
            color=_RAMP[7],
            linestyle=_STROKES[1],
        )
        right.annotate(
            f"slope {slope:.2f} (ranks {first:,}–{last:,})",
            xy=(0.97, 0.95),
            xycoords="axes fraction",
            ha="right",
            va="top",
            color=_RAMP[7],
        )
    right.set(xscale="log", yscale="log", xlabel="rank of a token", ylabel="occurrences")
    for axes in (left, right):
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    _save(figure, path)


def log_bins(values: Sequence[float], weights: Sequence[float]) -> tuple[list[float], list[float]]:
    """Edges and heights of a histogram of whole numbers: 0 alone, then 1, 2–3, 4–7, …, by powers of
    two. An edge is the first number of its bin."""
    top = max(values, default=0)
    edges: list[float] = [0, 1]
    while edges[-1] <= top:
        edges.append(edges[-1] * 2)
    heights = [0.0] * (len(edges) - 1)
    for value, weight in zip(values, weights, strict=True):
        heights[int(value).bit_length()] += weight
    return edges, heights
