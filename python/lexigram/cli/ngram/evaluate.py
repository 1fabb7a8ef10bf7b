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
    never_seen = None if model.words is not None else _never_seen(model)
    if model.smoothing == "stupid_backoff":
        err.print("stupid backoff has scores, no probabilities: they are normalised to sum to one")
        model = model.normalized()
    unknown: npt.NDArray[np.bool_] | None
    if model.words is not None:
        ids, unknown, num_bytes = _words(model, args.source)
    else:
        ids, num_bytes = _tokens(model, args.source)
        unknown = None if never_seen is None else never_seen[ids]
    ends = model.words is not None  # the ends of lines are part of the text
    separator = model.document_separator
    scores = model.score(ids, dtype=np.float64)
    orders = model.order_used(ids)
    if separator is not None:  # the first separator is context only
        ids, scores, orders = ids[1:], scores[1:], orders[1:]
        unknown = None if unknown is None else unknown[1:]
    if len(ids) == 0:
        raise InvalidInputError(f"{args.source} holds no tokens; give text that is not empty")
    text = np.ones(len(ids), dtype=bool) if ends or separator is None else ids != separator
    result: dict[str, Any] = {
        "model": str(args.model),
        "source": args.source,
        "tokens": len(ids),
        "bytes": num_bytes,
        "perplexity": _perplexity(scores),
        "perplexity_excluding_oov": None if unknown is None else _perplexity(scores[~unknown]),
        "bits_per_byte": -float(scores[text].sum()) * _BITS / max(1, num_bytes),
        "oov": None if unknown is None else int(unknown.sum()),
        "oov_rate": None if unknown is None else float(unknown.mean()),
    }
    if unknown is None:
        err.print("the model does not tell which of its ids training never saw")
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
    if ends and unknown is not None and unknown.any():
        err.print(
            f"{int(unknown.sum()):,} words are unknown: the bits per byte leave out what it would "
            "take to spell them"
        )
    return 0


def _tokens(model: NgramModel, source: str) -> tuple[npt.NDArray[Any], int]:
    """Ids with a separator in front, and the bytes of the text."""
    with tokenizer_file(model) as tokenizer, dataset(source, tokenizer) as found:
        found.verify()
        separator = model.document_separator
        for name in ("vocab_size", "document_separator"):
            ours, theirs = getattr(model, name), getattr(found, name)
            if ours != theirs:
                raise InvalidInputError(
                    f"{source} has {name} = {theirs}, the model {ours}; tokenize the text with "
                    "the tokenizer that the model was trained with"
                )
        front = [] if separator is None else [separator]
        ids = np.concatenate([np.array(front, dtype=found.dtype), found.tokens()])
        return ids, found.num_bytes


def _words(model: NgramModel, source: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_], int]:
    """Ids with a separator in front, which of them are unknown, and the bytes of the text."""
    assert model.words is not None
    vocabulary = WordText(model.words, model.document_separator)
    with text_files([source]) as files:
        text = b"".join(read_text(path) for path in files)
    ids = vocabulary.encode(text, whole=True)
    return ids, ids == vocabulary.unknown, len(text)


def _never_seen(model: NgramModel) -> npt.NDArray[np.bool_] | None:
    """(V,): the ids that training never saw; None where the model does not tell.

    A model knows how many there are. All of them have one unigram probability, and it is the
    lowest, so where just so many ids have the lowest, they are those. More have it where an id's
    count equals its discount, or where two values are one float32. Normalised scores of Stupid
    Backoff can give an id that was seen less than one that was not.
    """
    number = model.vocab_size - model.num_ngrams[0]
    if number == 0:
        return np.zeros(model.vocab_size, dtype=bool)
    if model.smoothing == "normalized_stupid_backoff":
        return None
    values = model.next_logprobs([], dtype=np.float64)
    lowest = values == values.min()
    return lowest if lowest.sum() == number else None


def _perplexity(scores: npt.NDArray[np.floating[Any]]) -> float:
    if len(scores) == 0:
        return math.nan
    mean = -float(scores.mean())
    return math.exp(mean) if mean < 700 else math.inf
