"""`lexigram ngram convert` and `prune`: the same model in another form, or less of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lexigram.cli.ngram.opening import action, show
from lexigram.cli.terminal import err, progress_bar
from lexigram.errors import InvalidInputError, MissingFileError
from lexigram.ngram import NgramModel
from lexigram.outputs import file_to_write

_MAGIC = b"LEXIGRAMNGRM"  # docs/formats.md


def add_actions(actions: Any) -> None:
    """Adds `convert` and `prune`."""
    convert = action(
        actions,
        "convert",
        _convert,
        "Turns a model into an ARPA file, an ARPA file into a model, or quantises one.",
        examples="convert words.ngram words.arpa\nconvert kenlm.arpa.gz kenlm.ngram --quantize 8",
    )
    convert.add_argument("source", type=Path, metavar="IN", help="a model or an ARPA file")
    convert.add_argument("out", type=Path, metavar="OUT", help="ARPA if named .arpa, else a model")
    convert.add_argument(
        "--quantize", type=int, metavar="BITS", help="round probabilities to 2^BITS values"
    )
    prune = action(
        actions,
        "prune",
        _prune,
        "Drops the n-grams that matter least to the perplexity (Stolcke 1998).",
        examples="prune kn5.ngram --threshold 1e-8 --out small.ngram",
    )
    prune.add_argument("model", type=Path, metavar="MODEL")
    prune.add_argument(
        "--threshold",
        type=float,
        required=True,
        metavar="X",
        help="drop n-grams that raise the perplexity by less than a factor of 1 + X each",
    )
    prune.add_argument("--out", type=Path, required=True, metavar="MODEL")


def open_any(path: Path) -> NgramModel:
    """The model of a model file or of an ARPA file."""
    try:
        with path.open("rb") as file:
            saved = file.read(len(_MAGIC)) == _MAGIC
    except FileNotFoundError:
        raise MissingFileError(f"there is no {path}: neither a model nor an ARPA file") from None
    if saved:
        return NgramModel.load(path, verify=True)
    with progress_bar("Reading ARPA", unit="bytes") as report:
        model = NgramModel.from_arpa(path, progress=report)
    for note in model.notes:
        err.print(f"{path}: {note}")
    return model


def _convert(args: argparse.Namespace) -> int:
    file_to_write(args.out)
    if ".arpa" in (args.out.suffix, Path(args.out.stem).suffix):
        if args.out.suffix != ".arpa":
            raise InvalidInputError(f"{args.out}: ARPA is written as plain text; name it .arpa")
        if args.quantize is not None:
            raise InvalidInputError("--quantize is for models; an ARPA file holds decimal numbers")
        model = open_any(args.source)
        with progress_bar("Writing ARPA", unit="n-grams") as report:
            model.to_arpa(args.out, progress=report)
    else:
        model = open_any(args.source)
        model.save(args.out, **({} if args.quantize is None else {"quantize": args.quantize}))
    result = {
        "written": str(args.out),
        "order": model.order,
        "ngrams": list(model.num_ngrams),
        "bytes": args.out.stat().st_size,
    }
    show(result, args.json)
    return 0


def _prune(args: argparse.Namespace) -> int:
    file_to_write(args.out)
    before = open_any(args.model)
    after = before.prune(args.threshold)
    after.save(args.out)
    result = {
        "model": str(args.out),
        "ngrams_before": list(before.num_ngrams),
        "ngrams": list(after.num_ngrams),
        "kept": sum(after.num_ngrams) / max(1, sum(before.num_ngrams)),
        "bytes": args.out.stat().st_size,
    }
    show(result, args.json)
    return 0
