"""The command line: `lexigram COMMAND …`, one thin file a command.

Results go to standard output, progress and notes to standard error. Exit status 0: done. 1: one
line says what is wrong and what to do. 2: usage. 130: interrupted, nothing half-written.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from lexigram import __version__
from lexigram.errors import LexigramError

__all__ = ["main", "parser"]

COMMANDS = (
    "quickstart",
    "corpus",
    "tokenizer",
    "ngram",
    "data",
    "train",
    "runs",
    "generate",
    "evaluate",
)


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"lexigram.cli.{command}")


def parser() -> argparse.ArgumentParser:
    """The whole command line; each file of this package adds its own command."""
    top = argparse.ArgumentParser(
        prog="lexigram",
        description="A laboratory for pretraining language models.",
        epilog="Begin with:  lexigram quickstart",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"lexigram {__version__}")
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        _module(command).add_parser(subparsers)
    return top


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits with its status."""
    args = parser().parse_args(argv)
    sys.exit(_run(args))


def _run(args: argparse.Namespace) -> int:
    try:
        status: int = args.run(args)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt as interrupt:
        _complain(str(interrupt) or "interrupted; nothing was left half-written")
        return 130
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does: not a failure to report.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (LexigramError, OSError) as error:
        _complain(str(error))
        return 1
    except MemoryError:
        _complain("out of memory; use a smaller corpus, vocabulary, model or batch")
        return 1
    except Exception as error:
        if os.environ.get("LEXIGRAM_TRACEBACK"):
            raise
        _complain(
            f"internal error: {type(error).__name__}: {error}; this is a bug in lexigram, "
            "please report it with what LEXIGRAM_TRACEBACK=1 shows"
        )
        return 1


def _complain(message: str) -> None:
    line = " ".join(message.split())
    print(f"lexigram: {line}", file=sys.stderr)
