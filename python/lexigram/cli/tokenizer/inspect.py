"""`lexigram tokenizer inspect` and `compare`: what tokenizers are, and how they fit a text."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from lexigram.cli.terminal import out, visible
from lexigram.cli.tokenizer.opening import (
    Commands,
    add_command,
    add_pattern,
    add_tokenizer,
    open_tokenizer,
)
from lexigram.cli.tokenizer.texts import measure_by_language
from lexigram.errors import InvalidInputError
from lexigram.tokenizer.report import Compression, Description, describe

_BAR = 32  # the longest bar of the histogram


def add_commands(commands: Commands) -> None:
    """Adds `inspect` and `compare`."""
    inspect = add_command(
        commands,
        "inspect",
        "show what a tokenizer is, and how it fits the languages of a text",
        examples="inspect tokenizer.json\n"
        "inspect o200k_base --text english.txt german.txt\n"
        "inspect o200k_base --text parallel.jsonl --language-field lang",
    )
    add_tokenizer(inspect)
    _add_text(inspect, required=False)
    inspect.add_argument("--top", type=int, default=10, metavar="N", help="of merges and tokens")
    inspect.set_defaults(run=_inspect)

    compare = add_command(
        commands,
        "compare",
        "measure several tokenizers on the same text",
        examples="compare tokenizer.json gpt2 o200k_base --text corpus/a.txt\n"
        "compare cl100k_base o200k_base --text parallel.jsonl",
    )
    compare.add_argument("tokenizers", nargs="+", metavar="TOKENIZER")
    add_pattern(compare)
    _add_text(compare, required=True)
    compare.set_defaults(run=_compare)


def _add_text(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--text",
        "--text-file",
        nargs="+",
        type=Path,
        metavar="FILE",
        required=required,
        help="measure on these: a language a file, or JSON Lines; also .gz, .bz2, .xz, .zst",
    )
    parser.add_argument(
        "--language-field",
        default="lang",
        metavar="FIELD",
        help="where a row of JSON Lines names its language (default: lang)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _numbers(compression: Compression) -> dict[str, float | int]:
    return {
        **dataclasses.asdict(compression),
        "bytes_per_token": round(compression.bytes_per_token, 4),
        "tokens_per_word": round(compression.tokens_per_word, 4),
        "tokens_per_character": round(compression.tokens_per_character, 4),
        "share_of_whole_words": round(compression.share_of_whole_words, 4),
        "share_of_vocabulary": round(compression.share_of_vocabulary, 4),
    }


def _row(compression: Compression) -> list[str]:
    return [
        f"{compression.num_tokens:,}",
        f"{compression.bytes_per_token:.3f}",
        f"{compression.tokens_per_word:.3f}",
        f"{compression.tokens_per_character:.3f}",
        f"{compression.share_of_whole_words:.1%}",
        f"{compression.share_of_vocabulary:.1%}",
    ]


_HEADINGS = (
    "tokens",
    "bytes a\ntoken",
    "tokens\na word",
    "tokens\na char.",
    "whole\nwords",
    "vocab.\nused",
)


def _table(first: tuple[str, ...], title: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in first:
        table.add_column(heading, overflow="fold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right")
    return table


def _inspect(args: argparse.Namespace) -> int:
    if args.top < 0:
        raise InvalidInputError(f"--top {args.top}: must be 0 or more")
    tokenizer = open_tokenizer(args.tokenizer, args.pattern)
    description = describe(tokenizer, top=args.top)
    languages: dict[str, Compression] = {}
    if args.text:
        languages = measure_by_language([tokenizer], args.text, args.language_field)[0]
    if args.json:
        facts = dataclasses.asdict(description)
        if languages:
            facts["languages"] = {name: _numbers(c) for name, c in languages.items()}
        out.print(json.dumps(facts, ensure_ascii=False))
        return 0
    _print(description)
    if languages:
        table = _table(("language",), "The text, by language")
        best_first = sorted(languages.items(), key=lambda item: -item[1].bytes_per_token)
        for name, compression in best_first:
            table.add_row(visible(name), *_row(compression))
        out.print(table)
    return 0


def _print(description: Description) -> None:
    facts = {
        "name": description.name,
        "tokens": f"{description.num_tokens:,}",
        "largest id": f"{description.n_vocab - 1:,}",
        "merges": f"{description.num_merges:,}",
        "pattern": description.pattern,
        "special tokens": ", ".join(f"{t} = {i}" for t, i in description.special_tokens.items()),
        "mean length": f"{description.mean_length:.2f} bytes",
        "fingerprint": description.fingerprint,
    }
    for name, value in facts.items():
        out.print(f"{name:<15}{visible(str(value or 'none'))}")
    _bars("length in bytes", {_length(n): c for n, c in _grouped(description.lengths).items()})
    _bars("script", description.scripts)
    for heading, merges in (
        ("first merges", description.first_merges),
        ("last merges", description.last_merges),
    ):
        if merges:
            out.print(f"\n{heading}")
        for left, right, token in merges:
            out.print(f"  {token:>8}  {visible(repr(left))} + {visible(repr(right))}")
    if description.longest:
        out.print("\nlongest tokens")
    for token, text in description.longest:
        out.print(f"  {token:>8}  {visible(repr(text))}")


def _grouped(lengths: dict[int, int]) -> dict[int, int]:
    """All lengths beyond 16 as one."""
    grouped: dict[int, int] = {}
    for length, count in lengths.items():
        grouped[min(length, 17)] = grouped.get(min(length, 17), 0) + count
    return grouped


def _length(length: int) -> str:
    return "17 and more" if length > 16 else str(length)


def _bars(heading: str, counts: dict[str, int]) -> None:
    total, most = sum(counts.values()), max(counts.values(), default=1)
    out.print(f"\n{heading}")
    for name, count in counts.items():
        bar = "█" * max(1, round(_BAR * count / most))
        out.print(f"  {visible(name):<20}{count:>9,}  {count / total:>6.1%}  {bar}")


def _compare(args: argparse.Namespace) -> int:
    tokenizers = [open_tokenizer(name, args.pattern) for name in args.tokenizers]
    measured = measure_by_language(tokenizers, args.text, args.language_field)
    if args.json:
        rows = [
            {"tokenizer": name, "language": language, **_numbers(compression)}
            for name, by_language in zip(args.tokenizers, measured, strict=True)
            for language, compression in by_language.items()
        ]
        out.print(json.dumps(rows, ensure_ascii=False))
        return 0
    labels = [tokenizer.name for tokenizer in tokenizers]
    if len(set(labels)) < len(labels):
        labels = args.tokenizers
    table = _table(("text", "tokenizer"), "Tokenizers on the same text")
    for language in measured[0]:
        for number, (label, by_language) in enumerate(zip(labels, measured, strict=True)):
            table.add_row(
                visible(language) if number == 0 else "",
                visible(label),
                *_row(by_language[language]),
                end_section=number == len(measured) - 1,
            )
    out.print(table)
    return 0
