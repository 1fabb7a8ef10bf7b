"""The command line: `lexigram COMMAND …`, one thin file a command.

Results go to standard output, progress and notes to standard error. Exit status 0: done. 1: one
line says what is wrong and what to do. 2: usage. 130: interrupted, nothing half-written.
"""

from __future__ import annotations

import argparse
import importlib
import io
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
    "index",
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
    # torch's CPU threads wait for each other by spinning, which on a machine that does other work
    # too takes the time from the thread that they wait for: a training step on two threads took
    # 6 s beside one busy core, 1.5 s with this. It must be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what its encoding lacks is written as escapes
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run(argv))


def _run(argv: Sequence[str] | None) -> int:
    try:
        args = parser().parse_args(argv)
        _watch_downloads()
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
    except OverflowError as error:
        _complain(f"a number is out of range: {error}")
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


def _watch_downloads() -> None:
    """Whatever is fetched on the way, however deep in a command, shows a progress bar."""
    from lexigram.cli.terminal import progress_bar
    from lexigram.downloads import watch

    watch.set(lambda name: progress_bar(f"Fetching {name}", unit="bytes"))


def _complain(message: str) -> None:
    from lexigram.cli.terminal import visible

    print(f"lexigram: {visible(' '.join(message.split()))}", file=sys.stderr)
