"""What the n-gram commands share: arguments, sources, and what they print."""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from lexigram.cli.terminal import out, progress_bar
from lexigram.errors import InvalidInputError
from lexigram.ngram import NgramModel

if TYPE_CHECKING:
    from lexigram import Tokenizer
    from lexigram.data import TokenDataset

__all__ = [
    "SMOOTHINGS",
    "SOURCE",
    "action",
    "dataset",
    "integers",
    "show",
    "text_files",
    "tokenizer_file",
    "tokenizer_of",
]

SOURCE = "a token dataset, or text: a file, a directory or the name of a corpus"
SMOOTHINGS = (
    "modified_kneser_ney",
    "witten_bell",
    "additive",
    "stupid_backoff",
    "normalized_stupid_backoff",
)


def action(
    actions: Any, name: str, run: Any, description: str, *, examples: str
) -> argparse.ArgumentParser:
    """A subcommand with `--json` and its examples, one a line."""
    lines = "".join(f"  lexigram ngram {line}\n" for line in examples.strip().splitlines())
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=description[0].lower() + description[1:-1],
        description=description,
        epilog=f"examples:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def integers(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between them."""
    return tuple(int(part) for part in text.split(","))


@contextmanager
def dataset(source: str, tokenizer_path: Path | None) -> Iterator[TokenDataset]:
    """The token dataset `source`, or the text `source` as one."""
    from lexigram import Tokenizer
    from lexigram.data import TokenDataset, tokenize

    tokenizer = None if tokenizer_path is None else Tokenizer.load(tokenizer_path)
    if (Path(source) / "manifest.json").is_file():
        found = TokenDataset(source)
        if tokenizer is not None and tokenizer.fingerprint != found.tokenizer_fingerprint:
            raise InvalidInputError(
                f"{source} was made with another tokenizer ({found.tokenizer_fingerprint[:12]}, "
                f"not {tokenizer.fingerprint[:12]}); tokenize its text again"
            )
        yield found
    elif tokenizer is None:
        raise InvalidInputError(
            f"{source} is no token dataset, and no tokenizer is given to make one; pass "
            "--tokenizer FILE to train, and evaluate a model that was trained with it"
        )
    else:
        with tempfile.TemporaryDirectory(prefix="lexigram-") as folder:
            with progress_bar("Tokenizing", unit="bytes") as report:
                found = tokenize(source, tokenizer, Path(folder) / "shards", progress=report)
            yield found


@contextmanager
def text_files(sources: list[str]) -> Iterator[list[Path]]:
    """The `sources` as files of text, one sentence a line: those that are such files as they
    are, the documents of others written to one."""
    from lexigram.data import documents

    plain = {".txt", ".text", ".gz", ""}
    files: list[Path] = []
    with tempfile.TemporaryDirectory(prefix="lexigram-") as folder:
        for number, source in enumerate(sources):
            path = Path(source)
            if path.is_file() and path.suffix in plain and ".jsonl" not in path.name:
                files.append(path)
                continue
            written = Path(folder) / f"{number}.txt"
            with written.open("w", encoding="utf-8", newline="\n") as file:
                for document in documents(source):
                    file.write(
                        document.text if document.text.endswith("\n") else f"{document.text}\n"
                    )
            files.append(written)
        yield files


@contextmanager
def tokenizer_file(model: NgramModel) -> Iterator[Path | None]:
    """The tokenizer that a model carries, as a file for as long as the context lasts."""
    if model.tokenizer is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="lexigram-") as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_text(model.tokenizer, encoding="utf-8")
        yield path


def tokenizer_of(model: NgramModel) -> Tokenizer | None:
    """The tokenizer that a model carries."""
    with tokenizer_file(model) as path:
        if path is None:
            return None
        from lexigram import Tokenizer

        return Tokenizer.load(path)


def show(result: dict[str, Any], as_json: bool) -> None:
    """Prints names and values, as a table or as JSON (which has no infinities: null)."""
    if as_json:
        out.print(json.dumps({key: _finite(value) for key, value in result.items()}))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in result.items():
        table.add_row(key.replace("_", " "), _shown(value))
    out.print(table)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _shown(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_shown(part)}" for key, part in value.items())
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
