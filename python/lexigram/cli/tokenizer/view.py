"""`lexigram tokenizer view`: where the tokens of a text begin and end."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.text import Text

from lexigram.cli.arguments import argument_bytes
from lexigram.cli.terminal import out
from lexigram.cli.tokenizer.opening import Commands, add_command, add_tokenizer, open_tokenizer
from lexigram.errors import FileError, InvalidInputError
from lexigram.outputs import file_to_write
from lexigram.tokenizer.view import Token, html_page, tokens_of

# Dark on light, in turn: a contrast of at least 7 : 1 on any terminal's background.
_STYLES = ("#16191d on #cfe3ff", "#16191d on #ffe2b8", "#16191d on #cdeed3", "#16191d on #ecd9fb")


def add_commands(commands: Commands) -> None:
    """Adds `view`."""
    view = add_command(
        commands,
        "view",
        "show where the tokens of a text begin and end",
        examples='view tokenizer.json --text "naïve 👍🏽"\n'
        "view o200k_base --file page.txt --html page.html",
    )
    add_tokenizer(view)
    view.add_argument("--text", help="the text itself")
    view.add_argument("--file", type=Path, help="default: standard input")
    view.add_argument("--allow-special", action="store_true", help="recognize special tokens")
    view.add_argument("--errors", default="strict", choices=["strict", "replace", "skip"])
    view.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page")
    view.add_argument("--json", action="store_true", help="print JSON: id, text and bytes of each")
    view.set_defaults(run=_view)


def _view(args: argparse.Namespace) -> int:
    if args.text is not None and args.file is not None:
        raise InvalidInputError("--text and --file are both given; choose one")
    if args.html is not None:
        file_to_write(args.html)
    tokenizer = open_tokenizer(args.tokenizer, args.pattern)
    arrays = tokenizer.encode_stream(
        [argument_bytes("--text", args.text)]
        if args.text is not None
        else args.file or sys.stdin.buffer,
        allowed_special="all" if args.allow_special else None,
        disallowed_special=None if args.allow_special else (),
        errors=args.errors,
    )
    tokens = [token for ids in arrays for token in tokens_of(tokenizer, ids.tolist())]
    if args.html is not None:
        page = html_page(tokens, title=f"{tokenizer.name}: {args.file or 'a text'}")
        try:
            args.html.write_text(page, encoding="utf-8")
        except OSError as error:
            raise FileError(f"cannot write {args.html}: {error.strerror or error}") from None
        out.print(f"{args.html}: {len(tokens)} tokens")
    elif args.json:
        rows = [{"id": t.id, "text": t.shown, "bytes": t.content.hex()} for t in tokens]
        out.print(json.dumps(rows, ensure_ascii=False))
    else:
        out.print(colored(tokens) if out.color_system else "|".join(t.shown for t in tokens))
        size = sum(len(token.content) for token in tokens)
        out.print(f"{len(tokens)} tokens, {size} bytes, {size / max(1, len(tokens)):.2f} a token")
    return 0


def colored(tokens: list[Token]) -> Text:
    """The tokens in alternating colours, parts of characters underlined."""
    text = Text()
    for number, token in enumerate(tokens):
        style = _STYLES[number % len(_STYLES)]
        style += " underline" * (not token.is_whole) + " bold" * token.special
        text.append(token.shown, style)
    return text
