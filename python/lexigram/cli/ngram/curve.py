"""`lexigram ngram curve`: what more text is worth, and where two smoothings meet, in a picture."""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lexigram.cli.ngram.opening import SMOOTHINGS, action
from lexigram.cli.terminal import err, out, progress_bar
from lexigram.errors import FileError, InvalidInputError, MissingDependencyError
from lexigram.figures import Line, draw_lines
from lexigram.ngram_curve import CurvePoint, as_csv, learning_curve, verdict
from lexigram.outputs import folder_to_write

Ids = npt.NDArray[Any]

_PIECE = 8192
"""Longer documents are cut after the last line that fits, and the pieces shuffled, so that each
part of the data is a sample of all of it."""


def add_actions(actions: Any) -> None:
    """Adds `curve`."""
    curve = action(
        actions,
        "curve",
        _curve,
        "Trains orders and smoothings on growing parts of a corpus; draws held-out bits per byte.",
        examples="curve stdlib --tokenizer tokenizer.json --out curve\n"
        "curve books/ --words --orders 2,3,5 --fractions 0.01,0.1,1 --out curve",
    )
    add = curve.add_argument
    add("source", metavar="SOURCE", nargs="+", help="a file, a directory or the name of a corpus")
    kind = curve.add_mutually_exclusive_group(required=True)
    kind.add_argument("--tokenizer", type=Path, metavar="FILE", help="tokenizer.json")
    kind.add_argument("--words", action="store_true", help="words between white space")
    add("--out", type=Path, required=True, metavar="DIR", help="for curve.csv and curve.png")
    add("--orders", type=_orders, default=tuple(range(1, 7)), metavar="1-6")
    add(
        "--fractions",
        type=_fractions,
        default=(0.01, 0.03, 0.1, 0.3, 1.0),
        metavar="0.01,…,1",
        help="parts of the training text (default 0.01,0.03,0.1,0.3,1)",
    )
    add(
        "--smoothings",
        type=_smoothings,
        default=("modified_kneser_ney", "stupid_backoff"),
        metavar="NAME,NAME",
        help=f"of {', '.join(SMOOTHINGS)} (default modified_kneser_ney,stupid_backoff)",
    )
    add(
        "--held-out",
        type=float,
        default=0.02,
        metavar="F",
        help="the part of the pieces of text that is measured, not learnt (default 0.02)",
    )
    add("--seed", type=int, default=0, metavar="N", help="of the order of the text (default 0)")
    add("--threads", type=int, metavar="N", help="default: all cores")


def _orders(text: str) -> tuple[int, ...]:
    first, dash, last = text.partition("-")
    if dash:
        return tuple(range(int(first), int(last) + 1))
    return tuple(int(part) for part in text.split(","))


def _fractions(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _smoothings(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in SMOOTHINGS:
            raise argparse.ArgumentTypeError(f"no {name!r}; there are {', '.join(SMOOTHINGS)}")
    return names


def _curve(args: argparse.Namespace) -> int:
    if not 0 < args.held_out < 1:
        raise InvalidInputError(f"--held-out {args.held_out}: use more than 0 and less than 1")
    if not args.orders:
        raise InvalidInputError("--orders: name at least one, as 1-6 or 2,3,5")
    folder_to_write(args.out)
    pieces = list(_pieces(args.source))
    random.Random(args.seed).shuffle(pieces)
    num_held = max(1, round(len(pieces) * args.held_out))
    if num_held >= len(pieces):
        raise InvalidInputError(
            f"the text has {len(pieces)} pieces, too few to hold some out; give more text"
        )
    held_text, train_text = pieces[:num_held], pieces[num_held:]
    with progress_bar("Reading", unit="pieces") as report:
        report(0, len(pieces))
        read = _read_words if args.words else _read_tokens
        train, held, vocab_size, separator, unknown = read(train_text, held_text, args)
    num_bytes = sum(len(text.encode()) for text in held_text)
    with progress_bar("Training", unit="models") as report:
        points = learning_curve(
            train,
            held,
            num_bytes,
            vocab_size=vocab_size,
            document_separator=separator,
            orders=args.orders,
            fractions=args.fractions,
            smoothings=args.smoothings,
            measure_ends=args.words,
            num_threads=args.threads,
            progress=report,
        )
    said = verdict(points)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {args.out}: {error.strerror}") from None
    table, picture = args.out / "curve.csv", args.out / "curve.png"
    _write(table, as_csv(points).encode())
    drawn = _draw(points, picture, "words" if args.words else "tokens")
    if args.words and unknown:
        err.print(
            f"{unknown:.2%} of the held-out words are unknown at all sizes: the bits per byte "
            "leave out their spelling; compare them within this picture only"
        )
    if args.json:
        rows = [vars(point) for point in points]
        files = {"csv": str(table), "png": str(picture) if drawn else None}
        out.print(json.dumps({"points": rows, "verdict": said, **files}))
        return 0
    out.print(said)
    out.print(f"written: {table}" + (f" and {picture}" if drawn else ""))
    return 0


def _pieces(sources: list[str]) -> Iterator[str]:
    from lexigram.data import documents

    for source in sources:
        for document in documents(source, max_chars=_PIECE):
            yield document.text


def _read_tokens(
    train: list[str], held: list[str], args: argparse.Namespace
) -> tuple[Ids, Ids, int, int, float]:
    """Ids of both texts, the vocabulary's size, the separator, and no unknown part."""
    from lexigram import Tokenizer

    tokenizer = Tokenizer.load(args.tokenizer)
    separator = tokenizer.eot_token
    if separator is None:
        raise InvalidInputError(
            f"{args.tokenizer} has no token <|endoftext|> to end documents with; train one that has"
        )

    def stream(texts: list[str]) -> Ids:
        ids, offsets = tokenizer.encode_ordinary_batch_to_numpy(texts)
        ids = ids.astype(np.uint16) if tokenizer.n_vocab <= 1 << 16 else ids
        return np.insert(ids, np.asarray(offsets)[1:].astype(np.int64), separator)

    return stream(train), stream(held), tokenizer.n_vocab, separator, 0.0


def _read_words(
    train: list[str], held: list[str], args: argparse.Namespace
) -> tuple[Ids, Ids, int, int, float]:
    """The same for words: id 0 is the end of a line, 1 an unknown word; the vocabulary is that of
    the whole training text, at every size."""
    ids: dict[str, int] = {}
    first = 2

    def stream(texts: list[str], grow: bool) -> Ids:
        found: list[int] = []
        for text in texts:
            for line in text.removesuffix("\n").split("\n"):
                for word in line.split():
                    if grow:
                        found.append(ids.setdefault(word, len(ids) + first))
                    else:
                        found.append(ids.get(word, 1))
                found.append(0)
        return np.array(found, dtype=np.uint32)

    learnt, measured = stream(train, True), stream(held, False)
    unknown = float((measured == 1).mean())
    return learnt, measured, len(ids) + first, 0, unknown


_NAMES = {
    "modified_kneser_ney": ("KN", "modified Kneser-Ney"),
    "stupid_backoff": ("SB", "Stupid Backoff, normalised"),
    "normalized_stupid_backoff": ("SB", "Stupid Backoff, normalised"),
    "witten_bell": ("WB", "Witten-Bell"),
    "additive": ("add-1", "additive"),
}


def _draw(points: list[CurvePoint], path: Path, unit: str) -> bool:
    """Draws the picture, or says why not."""
    smoothings = list(dict.fromkeys(point.smoothing for point in points))
    orders = sorted({point.order for point in points})
    lines = []
    for number, smoothing in enumerate(smoothings):
        for place, order in enumerate(orders):
            of = [p for p in points if (p.smoothing, p.order) == (smoothing, order)]
            lines.append(
                Line(
                    f"{order}-gram {_NAMES[smoothing][0]}",
                    [p.tokens for p in of],
                    [p.bits_per_byte for p in of],
                    place,
                    number,
                )
            )
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        draw_lines(
            lines,
            unfinished,
            title="What more text is worth",
            x_label=f"training {unit}",
            y_label="held-out bits per byte",
            strokes=[_NAMES[smoothing][1] for smoothing in smoothings],
        )
        unfinished.replace(path)
    except MissingDependencyError as error:
        err.print(str(error))
        return False
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return True


def _write(path: Path, content: bytes) -> None:
    """Writes the file whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from None
    finally:
        unfinished.unlink(missing_ok=True)
