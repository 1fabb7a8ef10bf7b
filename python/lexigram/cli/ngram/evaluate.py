"""`lexigram ngram evaluate`: how well a model predicts held-out text, and from how much context."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from lexigram.cli.ngram.opening import SOURCE, action, dataset, show, text_files, tokenizer_file
from lexigram.cli.ngram.vocabulary import WordText, read_text
from lexigram.cli.terminal import err, out
from lexigram.errors import InvalidInputError
from lexigram.ngram import NgramModel

_BITS = math.log2(math.e)


def add_actions(actions: Any) -> None:
    """Adds `evaluate`."""
    evaluate = action(
        actions,
        "evaluate",
        _evaluate,
        "Measures a model on held-out text.",
        examples="evaluate kn5.ngram shards/validation\nevaluate words.ngram test.txt --json",
    )
    evaluate.add_argument("model", type=Path, metavar="MODEL")
    evaluate.add_argument("source", metavar="TEXT", help=SOURCE)


def _evaluate(args: argparse.Namespace) -> int:
    model = NgramModel.load(args.model, verify=True)
    if model.smoothing == "stupid_backoff":
        err.print("stupid backoff has scores, no probabilities: they are normalised to sum to one")
        model = model.normalized()
    measured = (
        _words(model, args.source) if model.words is not None else _tokens(model, args.source)
    )
    ids, unknown, num_bytes, ends = measured
    separator = model.document_separator
    scores = model.score(ids, dtype=np.float64)
    orders = model.order_used(ids)
    if separator is not None:  # the first separator is context only
        ids, unknown, scores, orders = ids[1:], unknown[1:], scores[1:], orders[1:]
    if len(ids) == 0:
        raise InvalidInputError(f"{args.source} holds no tokens; give text that is not empty")
    text = np.ones(len(ids), dtype=bool) if ends or separator is None else ids != separator
    known = scores[~unknown]
    result: dict[str, Any] = {
        "model": str(args.model),
        "source": args.source,
        "tokens": len(ids),
        "bytes": num_bytes,
        "perplexity": _perplexity(scores),
        "perplexity_excluding_oov": _perplexity(known) if len(known) else math.nan,
        "bits_per_byte": -float(scores[text].sum()) * _BITS / max(1, num_bytes),
        "oov": int(unknown.sum()),
        "oov_rate": float(unknown.mean()),
    }
    shares = {k: float((orders == k).mean()) for k in range(model.order + 1) if (orders == k).any()}
    if args.json:
        show({**result, "order_used": {str(k): share for k, share in shares.items()}}, True)
        return 0
    show(result, False)
    table = Table(box=None, pad_edge=False)
    for heading in ("order used", "share", "bits a token"):
        table.add_column(heading, justify="right")
    for order, share in shares.items():
        bits = -float(scores[orders == order].mean()) * _BITS
        table.add_row(str(order), f"{share:.2%}", f"{bits:.3f}")
    out.print()
    out.print(table)
    if ends and unknown.any():
        err.print(
            f"{int(unknown.sum()):,} words are unknown: the bits per byte leave out what it would "
            "take to spell them"
        )
    return 0


Measured = tuple[npt.NDArray[Any], npt.NDArray[np.bool_], int, bool]
"""Ids with a separator in front, which of them are unknown, the bytes of the text, and whether
separators are part of the text (as ends of lines are)."""


def _tokens(model: NgramModel, source: str) -> Measured:
    with tokenizer_file(model) as tokenizer, dataset(source, tokenizer) as found:
        found.verify()
        separator = model.document_separator
        front = [] if separator is None else [separator]
        ids = np.concatenate([np.array(front, dtype=found.dtype), found.tokens()])
        return ids, _never_seen(model)[ids], found.num_bytes, False


def _words(model: NgramModel, source: str) -> Measured:
    assert model.words is not None
    vocabulary = WordText(model.words, model.document_separator)
    with text_files([source]) as files:
        text = b"".join(read_text(path) for path in files)
    ids = vocabulary.encode(text, whole=True)
    return ids, ids == vocabulary.unknown, len(text), True


def _never_seen(model: NgramModel) -> npt.NDArray[np.bool_]:
    """(V,): the ids that training never saw, which are those of the lowest unigram probability."""
    lowest = np.argsort(model.next_logprobs([], dtype=np.float64), kind="stable")
    unseen = np.zeros(model.vocab_size, dtype=bool)
    unseen[lowest[: model.vocab_size - model.num_ngrams[0]]] = True
    return unseen


def _perplexity(scores: npt.NDArray[np.floating[Any]]) -> float:
    mean = -float(scores.mean())
    return math.exp(mean) if mean < 700 else math.inf
