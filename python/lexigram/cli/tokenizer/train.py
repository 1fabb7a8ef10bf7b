"""`lexigram tokenizer train`."""

from __future__ import annotations

import argparse
from pathlib import Path

from lexigram.cli.arguments import argument_text
from lexigram.cli.terminal import err, out, progress_bar
from lexigram.cli.tokenizer.opening import Commands, add_command, open_tokenizer, pattern
from lexigram.outputs import file_to_write
from lexigram.tokenizer import Tokenizer

END_OF_TEXT = "<|endoftext|>"


def add_commands(commands: Commands) -> None:
    """Adds `train`."""
    train = add_command(
        commands,
        "train",
        "learn a vocabulary from text files",
        examples="train corpus/*.txt --vocab-size 8192 --out tokenizer.json\n"
        "train more/*.txt --base gpt2 --vocab-size 52000 --special '<|user|>' --out more.json",
    )
    train.add_argument("files", nargs="+", type=Path, metavar="FILE")
    train.add_argument("--vocab-size", type=int, required=True, metavar="N")
    train.add_argument("--out", type=Path, required=True, metavar="FILE")
    train.add_argument("--pattern", default="cl100k", help="gpt2, cl100k, o200k, none or a regex")
    train.add_argument(
        "--special",
        action="append",
        metavar="TOKEN",
        help=f"repeatable; default: {END_OF_TEXT}, or none with --base",
    )
    train.add_argument(
        "--base", metavar="TOKENIZER", help="go on from this one; its ids and its pattern stay"
    )
    train.add_argument(
        "--memory-limit", type=int, metavar="MB", help="fail rather than hold more of the pieces"
    )
    train.add_argument("--threads", type=int, metavar="N")
    train.add_argument("--min-frequency", type=int, default=1, metavar="N")
    train.add_argument("--max-token-length", type=int, metavar="BYTES")
    train.add_argument("--errors", default="strict", choices=["strict", "replace", "skip"])
    train.set_defaults(run=_train)


def _train(args: argparse.Namespace) -> int:
    file_to_write(args.out)
    for token in args.special or ():
        argument_text("--special", token)
    base = None if args.base is None else open_tokenizer(args.base, args.pattern)
    with progress_bar("Training the tokenizer") as report:
        tokenizer = Tokenizer.train_files(
            args.files,
            args.vocab_size,
            pattern=pattern(args.pattern),
            special_tokens=args.special or ([END_OF_TEXT] if base is None else []),
            num_threads=args.threads,
            min_frequency=args.min_frequency,
            max_token_length=args.max_token_length,
            memory_limit=None if args.memory_limit is None else args.memory_limit << 20,
            base=base,
            errors=args.errors,
            progress=report,
        )
    tokenizer.save(args.out)
    if tokenizer.n_vocab < args.vocab_size:
        err.print(f"the text has pairs for {tokenizer.n_vocab} tokens only")
    out.print(f"{args.out}: {tokenizer.n_vocab} tokens")
    return 0
