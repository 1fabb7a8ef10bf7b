"""`lexigram tokenizer`: train a vocabulary, use it, look at it, turn it into another format."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from lexigram.cli.terminal import err, out, progress_bar, visible
from lexigram.errors import FormatError, InvalidInputError
from lexigram.tokenizer import Tokenizer

EXAMPLE = """\
examples:
  lexigram tokenizer train corpus/*.txt --vocab-size 8192 --out tokenizer.json
  lexigram tokenizer encode tokenizer.json --text "hello world"
  lexigram tokenizer decode tokenizer.json 1085 341 844
  lexigram tokenizer inspect tokenizer.json --text-file corpus/a.txt
  lexigram tokenizer convert tokenizer.json vocabulary.tiktoken
"""

END_OF_TEXT = "<|endoftext|>"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `tokenizer` and its commands."""
    parser = subparsers.add_parser(
        "tokenizer",
        help="train, use, inspect and convert tokenizers",
        description="Byte-level BPE tokenizers.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, summary: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=EXAMPLE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    train = add("train", "learn a vocabulary from text files")
    train.add_argument("files", nargs="+", type=Path, metavar="FILE")
    train.add_argument("--vocab-size", type=int, required=True, metavar="N")
    train.add_argument("--out", type=Path, required=True, metavar="FILE")
    train.add_argument("--pattern", default="cl100k", help="gpt2, cl100k, o200k, none or a regex")
    train.add_argument(
        "--special", action="append", metavar="TOKEN", help=f"default: {END_OF_TEXT}; repeatable"
    )
    train.add_argument("--threads", type=int, metavar="N")
    train.add_argument("--min-frequency", type=int, default=1, metavar="N")
    train.add_argument("--max-token-length", type=int, metavar="BYTES")
    train.add_argument("--errors", default="strict", choices=["strict", "replace", "skip"])
    train.set_defaults(run=_train)

    encode = add("encode", "print the ids of a text")
    _add_tokenizer(encode)
    encode.add_argument("--text", help="default: standard input")
    encode.add_argument("--allow-special", action="store_true", help="recognize special tokens")
    encode.add_argument("--json", action="store_true", help="print a JSON list")
    encode.set_defaults(run=_encode)

    decode = add("decode", "print the text of ids")
    _add_tokenizer(decode)
    decode.add_argument("ids", nargs="*", type=int, metavar="ID", help="default: standard input")
    decode.set_defaults(run=_decode)

    inspect = add("inspect", "show what a tokenizer is, and how it splits a text")
    _add_tokenizer(inspect)
    inspect.add_argument("--text-file", type=Path, metavar="FILE", help="measure on this text")
    inspect.add_argument("--json", action="store_true", help="print JSON")
    inspect.set_defaults(run=_inspect)

    convert = add("convert", "write a tokenizer as tokenizer.json or .tiktoken")
    _add_tokenizer(convert)
    convert.add_argument("out", type=Path, metavar="OUT", help="ends in .json or .tiktoken")
    convert.set_defaults(run=_convert)


def _add_tokenizer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "tokenizer", type=Path, metavar="TOKENIZER", help="a tokenizer.json or .tiktoken file"
    )
    parser.add_argument(
        "--pattern", help="the pattern of a .tiktoken file: gpt2, cl100k, o200k, none or a regex"
    )


def _open(args: argparse.Namespace) -> Tokenizer:
    path: Path = args.tokenizer
    if path.suffix != ".tiktoken":
        return Tokenizer.load(path)
    if args.pattern is None:
        raise InvalidInputError(
            f"{path} does not hold its pattern; pass --pattern gpt2, cl100k, o200k or none"
        )
    return Tokenizer.from_tiktoken(path, _pattern(args.pattern))


def _pattern(name: str) -> str | None:
    return None if name == "none" else name


def _train(args: argparse.Namespace) -> int:
    with progress_bar("Training the tokenizer") as report:
        tokenizer = Tokenizer.train_files(
            args.files,
            args.vocab_size,
            pattern=_pattern(args.pattern),
            special_tokens=args.special or [END_OF_TEXT],
            num_threads=args.threads,
            min_frequency=args.min_frequency,
            max_token_length=args.max_token_length,
            errors=args.errors,
            progress=report,
        )
    tokenizer.save(args.out)
    if tokenizer.n_vocab < args.vocab_size:
        err.print(f"the text has pairs for {tokenizer.n_vocab} tokens only")
    out.print(f"{args.out}: {tokenizer.n_vocab} tokens")
    return 0


def _encode(args: argparse.Namespace) -> int:
    tokenizer = _open(args)
    text: str | bytes = sys.stdin.buffer.read() if args.text is None else args.text
    if args.allow_special:
        ids = tokenizer.encode(text, allowed_special="all")
    else:
        ids = tokenizer.encode_ordinary(text)
    out.print(json.dumps(ids) if args.json else " ".join(map(str, ids)))
    return 0


def _decode(args: argparse.Namespace) -> int:
    tokenizer = _open(args)
    ids = args.ids
    if not ids:
        words = sys.stdin.read().replace("[", " ").replace("]", " ").replace(",", " ").split()
        try:
            ids = [int(word) for word in words]
        except ValueError:
            raise FormatError("standard input must hold ids, numbers or a JSON list") from None
    sys.stdout.buffer.write(tokenizer.decode_bytes(ids))
    sys.stdout.buffer.flush()
    return 0


def _inspect(args: argparse.Namespace) -> int:
    tokenizer = _open(args)
    facts = describe(tokenizer)
    if args.text_file is not None:
        facts |= measure(tokenizer, args.text_file.read_bytes())
    if args.json:
        out.print(json.dumps(facts))
    else:
        width = max(map(len, facts))
        for name, value in facts.items():
            out.print(f"{name:<{width}}  {value}")
    return 0


def describe(tokenizer: Tokenizer) -> dict[str, object]:
    """What a tokenizer is."""
    lengths = Counter(map(len, tokenizer.token_byte_values()))
    return {
        "tokens": tokenizer.num_tokens,
        "largest id": tokenizer.max_token_value,
        "merges": len(tokenizer.merges),
        "pattern": tokenizer.pattern,
        "special tokens": tokenizer.special_tokens,
        "mean token length": round(sum(n * c for n, c in lengths.items()) / lengths.total(), 3),
        "longest token": max(lengths),
        "fingerprint": tokenizer.fingerprint,
    }


def measure(tokenizer: Tokenizer, text: bytes) -> dict[str, object]:
    """How well it compresses a text."""
    ids = tokenizer.encode_ordinary(text)
    words = len(text.split())
    return {
        "text bytes": len(text),
        "text tokens": len(ids),
        "bytes per token": round(len(text) / max(1, len(ids)), 4),
        "tokens per word": round(len(ids) / max(1, words), 4),
        "tokens used": len(set(ids)),
    }


def _convert(args: argparse.Namespace) -> int:
    tokenizer = _open(args)
    if args.out.suffix == ".json":
        tokenizer.save(args.out)
    elif args.out.suffix == ".tiktoken":
        tokenizer.to_tiktoken(args.out)
        left_out = ", ".join(sorted(tokenizer.special_tokens_set)) or "none"
        err.print(
            f"a .tiktoken file holds neither the pattern ({visible(str(tokenizer.pattern))}) "
            f"nor special tokens ({visible(left_out)})"
        )
    else:
        raise InvalidInputError(f"{args.out} must end in .json or .tiktoken")
    out.print(f"{args.out}: {tokenizer.num_tokens} tokens")
    return 0
