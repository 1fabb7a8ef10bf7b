"""`lexigram evaluate`: bits per byte of any model on text files."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import lexigram
from lexigram.cli.terminal import out, progress_bar
from lexigram.errors import EncodingError, FileError, InvalidInputError, MissingFileError
from lexigram.evaluate import Score, score_texts

__all__ = ["add_parser"]

_EXAMPLES = """examples:
  lexigram evaluate --model runs/quickstart --text notes.txt
  lexigram evaluate --model 5gram.ngram --text a.py b.py --json
"""


def add_parser(subparsers: Any) -> None:
    """Adds the command to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate",
        help="measure a model in bits per byte",
        description=(
            "Measures how well a model predicts text files, in bits per byte. Each file is one "
            "document; a document longer than the context is read in windows that overlap."
        ),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", required=True, metavar="PATH", help="a run folder or a saved n-gram model")
    add("--text", required=True, nargs="+", type=Path, metavar="FILE", help="UTF-8 text files")
    add("--context-length", type=int, metavar="N", help="tokens in a window (default: all)")
    add("--stride", type=int, metavar="N", help="tokens between windows (default: half of one)")
    add("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command; the exit status."""
    texts = [_read(path) for path in args.text]
    loaded = lexigram.load(args.model)
    if loaded.tokenizer is None:
        raise InvalidInputError(f"{args.model} carries no tokenizer, so it cannot read text")
    with progress_bar("Scoring", unit="tokens") as report:
        score = score_texts(
            loaded.lm,
            loaded.tokenizer,
            texts,
            context_length=args.context_length,
            stride=args.stride,
            progress=report,
        )
    if args.json:
        out.out(json.dumps(_finite(_plain(args, score))))
    else:
        for name, value in _plain(args, score).items():
            out.print(f"{name.replace('_', ' '):<16} {_shown(value)}")
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")  # bytes: line ends count as they are
    except FileNotFoundError:
        raise MissingFileError(f"there is no text file {path}") from None
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise EncodingError(
            f"{path} is not UTF-8 at byte {error.start}; convert it first"
        ) from None


def _plain(args: argparse.Namespace, score: Score) -> dict[str, Any]:
    return {
        "model": str(args.model),
        "bits_per_byte": score.bits_per_byte,
        "nats_per_token": score.nats_per_token,
        "perplexity": score.perplexity,
        "tokens": score.tokens,
        "bytes": score.bytes,
    }


def _finite(result: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinities: null stands for one."""
    return {k: None if v == math.inf else v for k, v in result.items()}


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
