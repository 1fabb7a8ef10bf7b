"""`lexigram tokenizer convert`."""

from __future__ import annotations

import argparse
from pathlib import Path

from lexigram.cli.terminal import err, out, visible
from lexigram.cli.tokenizer.opening import Commands, add_command, add_tokenizer, open_tokenizer
from lexigram.errors import InvalidInputError
from lexigram.outputs import file_to_write


def add_commands(commands: Commands) -> None:
    """Adds `convert`."""
    convert = add_command(
        commands,
        "convert",
        "write a tokenizer as tokenizer.json or .tiktoken",
        examples="convert tokenizer.json vocabulary.tiktoken\nconvert o200k_base o200k.json",
    )
    add_tokenizer(convert)
    convert.add_argument("out", type=Path, metavar="OUT", help="ends in .json or .tiktoken")
    convert.set_defaults(run=_convert)


def _convert(args: argparse.Namespace) -> int:
    if args.out.suffix not in {".json", ".tiktoken"}:
        raise InvalidInputError(f"{args.out} must end in .json or .tiktoken")
    file_to_write(args.out)
    tokenizer = open_tokenizer(args.tokenizer, args.pattern)
    if args.out.suffix == ".json":
        tokenizer.save(args.out)
    else:
        tokenizer.to_tiktoken(args.out)
        left_out = ", ".join(sorted(tokenizer.special_tokens_set)) or "none"
        err.print(
            f"a .tiktoken file holds neither the pattern ({visible(str(tokenizer.pattern))}) "
            f"nor special tokens ({visible(left_out)})"
        )
    out.print(f"{args.out}: {tokenizer.num_tokens} tokens")
    return 0
