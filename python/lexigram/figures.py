"""Pictures of results, written to files with matplotlib, which only drawing loads.

Lines are named where they end, not in a legend. What two smoothings share is colour (the order);
what tells them apart is the stroke, so that the picture also reads without colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lexigram.errors import MissingDependencyError

__all__ = ["Line", "draw_lines"]

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
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependencyError(
            "matplotlib is not installed; a picture needs: pip install 'lexigram[plot]'"
        ) from None
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
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
    axes.set_title(title, loc="left")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


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
