"""`lexigram ngram query`: what a model says of each token of a text, and what comes next."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from lexigram.cli.ngram.opening import action, integers, show
from lexigram.cli.ngram.vocabulary import Vocabulary, vocabulary_of
from lexigram.cli.terminal import out
from lexigram.errors import InvalidInputError
from lexigram.ngram import NgramModel
from lexigram.ngram.words import exponential

_BITS = math.log2(math.e)


def add_actions(actions: Any) -> None:
    """Adds `query`."""
    query = action(
        actions,
        "query",
        _query,
        "Shows what a model says of each token of a text, or what it expects after a prompt.",
        examples='query kn5.ngram "def __init__(self" --top 3\n'
        "query words.ngram < sentences.txt\n"
        'query kn5.ngram --prompt "def __init__(self"',
    )
    query.add_argument("model", type=Path, metavar="MODEL")
    what = query.add_mutually_exclusive_group()
    what.add_argument(
        "text", nargs="?", metavar="TEXT", help="the text to score (default: standard input)"
    )
    what.add_argument("--prompt", metavar="TEXT", help="show the likeliest next tokens after this")
    what.add_argument("--ids", type=integers, metavar="1,2,3", help="the prompt as token ids")
    query.add_argument(
        "--top",
        type=int,
        metavar="N",
        help="how many next tokens (default: 10 after a prompt, none in a text)",
    )
    query.set_defaults(refuse=query.error)


def _query(args: argparse.Namespace) -> int:
    if args.prompt is not None or args.ids is not None:
        top = 10 if args.top is None else args.top
        if top < 1:
            raise InvalidInputError(f"--top {top}: show 1 or more")
        return _next(args, top)
    if args.top is not None and args.top < 0:
        raise InvalidInputError(f"--top {args.top}: show 0 or more")
    text = os.fsencode(args.text) if args.text is not None else _standard_input(args)
    return _each(args, text, args.top or 0)


def _standard_input(args: argparse.Namespace) -> bytes:
    usage = "give a TEXT, --prompt or --ids, or text on standard input"
    try:
        if sys.stdin is None or sys.stdin.isatty():
            args.refuse(usage)
        return sys.stdin.buffer.read()
    except OSError:
        args.refuse(usage)
        raise


def _each(args: argparse.Namespace, text: bytes, top: int) -> int:
    """Every token of a text: probability, the order it came from, entropy, alternatives."""
    model = NgramModel.load(args.model)
    vocabulary = vocabulary_of(model)
    if vocabulary is None:
        raise InvalidInputError(f"{args.model} carries no tokenizer; give the prompt as --ids")
    whole = args.text is None or "\n" in args.text
    ids = vocabulary.encode(
        text if text.endswith(b"\n") or not whole else text + b"\n", whole=whole
    )
    if model.words is not None and not whole:  # one sentence, with its end
        ids = np.append(ids, np.uint32(model.document_separator or 0))
    scores, orders = model.score(ids, dtype=np.float64), model.order_used(ids)
    first = 0 if model.document_separator is None else 1
    rows = [
        _row(model, vocabulary, ids, i, float(scores[i]), int(orders[i]), top)
        for i in range(first, len(ids))
    ]
    total = float(scores[first:].sum())
    unknown = sum(row["id"] == vocabulary.unknown for row in rows)
    summary = {
        "tokens": len(rows),
        "oov": unknown,
        "log10": total / math.log(10),
        "bits": -total * _BITS,
        "perplexity": exponential(-total / len(rows)) if rows else math.inf,
    }
    if args.json:
        plain = {key: _finite(value) for key, value in summary.items()}
        out.print(json.dumps({"rows": rows, **plain}))
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "log10 p", "bits", "order", "entropy"):
        table.add_column(heading, justify="right")
    table.add_column("token")
    if top:
        table.add_column("expected")
    for row in rows:
        cells = [str(row["id"]), _number(row["log10"]), _number(row["bits"]), str(row["order"])]
        cells += [_number(row["entropy"], 3), repr(row["token"])]
        if top:
            cells.append(
                "  ".join(f"{a['token']!r} {a['probability']:.3f}" for a in row["alternatives"])
            )
        table.add_row(*cells)
    out.print(table)
    out.print()
    show(summary, False)
    return 0


def _row(
    model: NgramModel,
    vocabulary: Vocabulary,
    ids: npt.NDArray[np.uint32],
    i: int,
    score: float,
    order: int,
    top: int,
) -> dict[str, Any]:
    logprobs = model.next_logprobs(ids[max(0, i - model.order + 1) : i], dtype=np.float64)
    entropy = _entropy(logprobs)
    row: dict[str, Any] = {
        "id": int(ids[i]),
        "token": _text(vocabulary, int(ids[i])),
        "log10": _finite(score / math.log(10)),
        "bits": _finite(-score * _BITS),
        "order": order,
        "entropy": _finite(entropy),
    }
    if top:
        best = np.argsort(-logprobs, kind="stable")[:top]
        row["alternatives"] = [
            {
                "id": int(b),
                "token": _text(vocabulary, int(b)),
                "probability": math.exp(float(logprobs[b])),
            }
            for b in best
        ]
    return row


def _entropy(logprobs: npt.NDArray[np.floating[Any]]) -> float:
    """Bits of the distribution that these are, scores made to sum to one; not a number if all are
    −∞. H = ln Z − Σ p ln s, Z = Σ s, over the scores s above 0, the largest taken out of all: then
    none overflows and Z is at least 1."""
    held = logprobs[logprobs > -np.inf]
    if len(held) == 0:
        return math.nan
    shifted = held - held.max()
    scores = np.exp(shifted)
    total = float(scores.sum())
    return (math.log(total) - float(scores @ shifted) / total) * _BITS


def _next(args: argparse.Namespace, top: int) -> int:
    """The likeliest tokens after a prompt."""
    model = NgramModel.load(args.model)
    vocabulary = vocabulary_of(model)
    if args.ids is not None:
        ids = list(args.ids)
    elif vocabulary is None:
        raise InvalidInputError(f"{args.model} carries no tokenizer; give the prompt as --ids")
    else:
        ids = vocabulary.encode(os.fsencode(args.prompt), whole=False).tolist()
        if args.prompt and model.words is None and model.document_separator is not None:
            ids = ids[1:]  # a prompt of tokens may stand anywhere in a document
    if not ids and model.document_separator is not None:
        ids = [model.document_separator]
    logprobs = model.next_logprobs(ids, dtype=np.float64)
    # The likeliest first, and of equals the lowest id.
    best = np.argsort(-logprobs, kind="stable")[:top]
    rows: list[dict[str, Any]] = [{"id": int(i), "logprob": float(logprobs[i])} for i in best]
    if vocabulary is not None:
        for row in rows:
            row["token"] = _text(vocabulary, row["id"])
    if args.json:
        out.print(json.dumps([{key: _finite(value) for key, value in row.items()} for row in rows]))
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "probability"):
        table.add_column(heading, justify="right")
    table.add_column("token")
    for row in rows:
        shown = repr(row["token"]) if "token" in row else ""
        table.add_row(str(row["id"]), f"{np.exp(row['logprob']):.4f}", shown)
    out.print(table)
    return 0


def _text(vocabulary: Vocabulary, token: int) -> str:
    return vocabulary.piece(token).decode("utf-8", errors="replace")


def _finite(value: Any) -> Any:
    """JSON has no infinities: null stands for one."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float | None, places: int = 4) -> str:
    return "-" if value is None else f"{value:.{places}f}"
