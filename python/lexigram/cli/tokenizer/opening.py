"""What the commands on tokenizers share: their arguments, and opening what is named."""

from __future__ import annotations

import argparse
from typing import TypeAlias

from lexigram.cli.arguments import argument_text
from lexigram.errors import InvalidInputError
from lexigram.tokenizer import Tokenizer

__all__ = ["Commands", "add_command", "add_pattern", "add_tokenizer", "open_tokenizer", "pattern"]

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(
    commands: Commands, name: str, summary: str, *, examples: str
) -> argparse.ArgumentParser:
    """A command with its examples, one a line."""
    lines = "".join(f"  lexigram tokenizer {line}\n" for line in examples.strip().splitlines())
    return commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"examples:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_tokenizer(parser: argparse.ArgumentParser) -> None:
    """The tokenizer to work with."""
    parser.add_argument(
        "tokenizer",
        metavar="TOKENIZER",
        help="a tokenizer.json or .tiktoken file, or gpt2, cl100k_base or o200k_base",
    )
    add_pattern(parser)


def add_pattern(parser: argparse.ArgumentParser) -> None:
    """What a .tiktoken file does not hold."""
    parser.add_argument(
        "--pattern", help="the pattern of a .tiktoken file: gpt2, cl100k, o200k, none or a regex"
    )


def open_tokenizer(name: str, given_pattern: str | None) -> Tokenizer:
    """The tokenizer of a file or a name."""
    if not name.endswith(".tiktoken"):
        return Tokenizer.load(name)
    if given_pattern is None:
        raise InvalidInputError(
            f"{name} does not hold its pattern; pass --pattern gpt2, cl100k, o200k or none"
        )
    return Tokenizer.from_tiktoken(name, pattern(given_pattern))


def pattern(name: str) -> str | None:
    """`--pattern` as the library takes it."""
    return None if name == "none" else argument_text("--pattern", name)
