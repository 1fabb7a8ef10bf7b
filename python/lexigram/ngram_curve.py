"""Bits per byte of n-gram models against the amount of training text.

Brants et al. 2007 ("Large Language Models in Machine Translation", section 7) ask what more text
is worth, and whether a smoothing as simple as Stupid Backoff comes up to Kneser-Ney when there is
enough of it. Here: every order and smoothing on growing parts of one stream, measured on the same
held-out text.

Invariants. The parts are prefixes of one another, so that more text is never other text. All
models have the same vocabulary and predict the same tokens, so that their figures can be compared;
Stupid Backoff is measured in its normalised form. Ends of documents are learnt; whether they are
measured too is `measure_ends`.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from lexigram.errors import InvalidInputError
from lexigram.ngram import NgramModel

__all__ = ["CurvePoint", "Meeting", "as_csv", "learning_curve", "meetings", "verdict"]

Ids = npt.NDArray[np.integer[Any]]

KNESER_NEY, STUPID_BACKOFF = "modified_kneser_ney", "stupid_backoff"


@dataclass(frozen=True)
class CurvePoint:
    """One model: what it was trained on, and how well it predicts."""

    smoothing: str
    order: int
    fraction: float
    """Of the training stream."""
    tokens: int
    """It was trained on so many."""
    bits_per_byte: float
    perplexity: float
    """Of the measured tokens."""
    ngrams: int
    """Of all orders."""
    seconds: float
    """Wall time of its training."""


@dataclass(frozen=True)
class Meeting:
    """How the bits per byte of two smoothings of one order compare over the measured sizes."""

    order: int
    gap_first: float
    """Stupid Backoff's bits per byte less Kneser-Ney's, at the smallest size."""
    gap_last: float
    """The same at the largest."""
    gap_most: float
    """The largest gap of all sizes, and at how many tokens it is, the first of equal ones."""
    most_at: int
    tokens: float | None
    """The size from which on Stupid Backoff is at least as good, up to the largest (interpolated
    in the logarithm of the size); None if there is none."""


def learning_curve(
    train: Ids,
    held_out: Ids,
    num_bytes: int,
    *,
    vocab_size: int,
    document_separator: int,
    orders: Sequence[int],
    fractions: Sequence[float],
    smoothings: Sequence[str],
    measure_ends: bool = False,
    num_threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[CurvePoint]:
    """Trains a model for each smoothing, order and fraction.

    `train`, `held_out`: ids (n,), documents with `document_separator` behind each; `num_bytes`:
    the UTF-8 bytes of the held-out text. `fractions` of `train`, above 0 and at most 1.
    `measure_ends`: separators count too, as ends of lines do in a text of words.
    `progress(done, total)` counts models. The points come by fraction, order, smoothing.

    Raises `InvalidInputError` for no text, a fraction outside its limits, or one that is less
    than a token.
    """
    if len(held_out) == 0 or num_bytes < 1:
        raise InvalidInputError("the held-out text is empty; hold out more, or give more text")
    sizes = {fraction: _size(fraction, len(train)) for fraction in sorted(set(fractions))}
    todo = [(f, n, s) for f in sizes for n in orders for s in smoothings]
    front = np.concatenate([np.array([document_separator], held_out.dtype), held_out])
    counted = np.ones(len(held_out), bool) if measure_ends else held_out != document_separator
    points = []
    for done, (fraction, order, smoothing) in enumerate(todo):
        if progress is not None:
            progress(done, len(todo))
        begun = time.perf_counter()
        model = NgramModel.train(
            train[: sizes[fraction]],
            order=order,
            smoothing=smoothing,  # type: ignore[arg-type]
            vocab_size=vocab_size,
            document_separator=document_separator,
            num_threads=num_threads,
        )
        seconds = time.perf_counter() - begun
        if smoothing == STUPID_BACKOFF:
            model = model.normalized()
        scores = model.score(front, dtype=np.float64)[1:][counted]
        nats = -float(scores.sum())
        points.append(
            CurvePoint(
                smoothing=smoothing,
                order=order,
                fraction=fraction,
                tokens=sizes[fraction],
                bits_per_byte=nats / math.log(2) / num_bytes,
                perplexity=math.exp(min(700.0, nats / max(1, len(scores)))),
                ngrams=sum(model.num_ngrams),
                seconds=seconds,
            )
        )
    if progress is not None:
        progress(len(todo), len(todo))
    return points


def _size(fraction: float, num_tokens: int) -> int:
    if not 0 < fraction <= 1:
        raise InvalidInputError(f"fraction = {fraction}: use more than 0 and at most 1")
    size = round(fraction * num_tokens)
    if size < 1:
        raise InvalidInputError(
            f"fraction = {fraction}: of {num_tokens} tokens that is none; use a larger one"
        )
    return size


def meetings(points: Sequence[CurvePoint]) -> list[Meeting]:
    """For each order that has both Kneser-Ney and Stupid Backoff at two sizes or more: how they
    compare."""
    found = []
    for order in sorted({point.order for point in points}):
        of = {
            s: {p.tokens: p.bits_per_byte for p in points if (p.order, p.smoothing) == (order, s)}
            for s in (KNESER_NEY, STUPID_BACKOFF)
        }
        sizes = sorted(of[KNESER_NEY].keys() & of[STUPID_BACKOFF].keys())
        if len(sizes) < 2:
            continue
        gaps = [of[STUPID_BACKOFF][n] - of[KNESER_NEY][n] for n in sizes]
        most = gaps.index(max(gaps))
        met = _meeting(sizes, gaps)
        found.append(Meeting(order, gaps[0], gaps[-1], gaps[most], sizes[most], met))
    return found


def _meeting(sizes: Sequence[int], gaps: Sequence[float]) -> float | None:
    """From which size on the gap is 0 or below, up to the last."""
    if gaps[-1] > 0:
        return None
    at = len(gaps) - 1
    while at > 0 and gaps[at - 1] <= 0:
        at -= 1
    if at == 0:
        return float(sizes[0])
    low, high = math.log(sizes[at - 1]), math.log(sizes[at])
    above, below = gaps[at - 1], gaps[at]
    return math.exp(low + (high - low) * above / (above - below))


def verdict(points: Sequence[CurvePoint]) -> str:
    """Says in words whether the two smoothings meet on this data, and where: a sentence, and a
    line for each order."""
    found = meetings(points)
    if not found:
        return (
            "Modified Kneser-Ney and Stupid Backoff were not both measured at two sizes, so this "
            "says nothing on where they meet."
        )
    last = max(point.tokens for point in points)
    met = [str(meeting.order) for meeting in found if meeting.tokens is not None]
    if not met:
        how = "do not meet at any order"
    elif len(met) == len(found):
        how = "meet at every order"
    else:
        how = f"meet at order {', '.join(met)} only"
    lines = [
        f"Modified Kneser-Ney and Stupid Backoff (normalised) {how}, up to {last:,} training "
        "tokens of this text. Stupid Backoff's bits per byte less Kneser-Ney's, from the smallest "
        "size to the largest:"
    ]
    for meeting in found:
        if meeting.tokens is not None:
            said = f"they meet at about {_rounded(meeting.tokens)} tokens"
        elif meeting.gap_most == meeting.gap_last:
            said = "widening"
        elif meeting.gap_most == meeting.gap_first:
            said = "narrowing"
        else:
            most, at = f"{meeting.gap_most:+.4f}", _rounded(meeting.most_at)
            said = f"most with {most} at about {at} tokens and narrower since"
        gaps = f"{meeting.gap_first:+.4f} to {meeting.gap_last:+.4f}"
        lines.append(f"order {meeting.order}: {gaps}, {said}")
    return "\n".join(lines)


def _rounded(value: float) -> str:
    """Two digits: the meeting is interpolated."""
    return f"{float(f'{value:.2g}'):,.0f}"


def as_csv(points: Sequence[CurvePoint]) -> str:
    """A line of names, then a line for each point."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(field.name for field in fields(CurvePoint))
    writer.writerows(astuple(point) for point in points)
    return file.getvalue()
