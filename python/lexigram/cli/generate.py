"""`lexigram generate`: continues a prompt with any model, and keeps what each choice was made of.

On a terminal the text appears as it is made, with the prompt before it; elsewhere standard output
gets the new text alone, as it is. What a model says never reaches a terminal as a control
character: such characters are shown as escapes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.text import Text

import lexigram
from lexigram.cli.arguments import argument_text
from lexigram.cli.terminal import err, out, visible
from lexigram.decode import Generation, Strategy, Trace, TraceStep, generate
from lexigram.errors import FileError, InvalidInputError
from lexigram.outputs import file_to_write

__all__ = ["add_parser"]

_EXAMPLES = """examples:
  lexigram generate --model runs/quickstart --prompt "def main(" --strategy greedy
  lexigram generate --model runs/quickstart --prompt "import " --seed 7 \\
      --strategy temperature=0.8,top_p=0.95 --color entropy --trace trace.json

strategies, applied in the order in which they are written:
  greedy           the most probable token each time
  sample           drawn from the model's own distribution
  temperature=T    scores divided by T; 0 is greedy
  top_k=K          only the K most probable tokens
  top_p=P          only the most probable tokens that together have mass P
  min_p=M          only tokens with at least M times the probability of the best one
"""

# Bits below which a token is painted so; dark blue (sure) to red (surprised) is told apart by
# colour-blind readers too. The text is black on colour, so that it reads on any terminal.
_RAMP = ((0.5, "#4575b4"), (1, "#74add1"), (2, "#abd9e9"), (4, "#fee090"), (6, "#fdae61"))
_ABOVE = "#f46d43"


def add_parser(subparsers: Any) -> None:
    """Adds the command to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "generate",
        help="continue a prompt with a model",
        description="Continues a prompt with any model, and records every choice.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", required=True, metavar="PATH", help="a run folder or a saved n-gram model")
    add("--prompt", default="", metavar="TEXT", help="what to continue (default: nothing)")
    add("--strategy", default="sample", metavar="TEXT", help="see below (default: sample)")
    add("--seed", type=int, default=0, metavar="N", help="of the dice (default: 0)")
    add("--max-new-tokens", type=int, default=128, metavar="N", help="default: 128")
    add("--stop", action="append", metavar="TEXT", help="end before this text; may be repeated")
    add("--sliding", action="store_true", help="go on when the model's context is full")
    add("--trace", type=Path, metavar="FILE.json", help="save what each choice was made of")
    add("--json", action="store_true", help="print ids, text and trace as JSON")
    add("--color", choices=("entropy", "surprisal"), help="paint the tokens, on a terminal")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command; the exit status."""
    strategy = Strategy.parse(args.strategy)
    prompt = argument_text("--prompt", args.prompt)
    for stop in args.stop or ():
        argument_text("--stop", stop)
    if args.trace is not None:
        file_to_write(args.trace)
    loaded = lexigram.load(args.model)
    if loaded.tokenizer is None:
        raise InvalidInputError(f"{args.model} carries no tokenizer, so it cannot read a prompt")
    live = out.is_terminal and not args.json
    if live:
        _print_legend(args.color)
        out.print(Text(visible(prompt), "dim"), end="")
    shown = _Shown(args.color)
    began = time.perf_counter()
    generation = generate(
        loaded.lm,
        loaded.tokenizer.encode_ordinary(prompt),
        strategy=strategy,
        max_new_tokens=args.max_new_tokens,
        seed=args.seed,
        stop=args.stop,
        tokenizer=loaded.tokenizer,
        sliding=args.sliding,
        on_token=shown if live else None,
    )
    seconds = time.perf_counter() - began
    if args.trace is not None:
        _write_atomic(args.trace, generation.trace.to_json() + "\n")
    if args.json:
        out.out(json.dumps(_plain(generation), ensure_ascii=True))
    elif live:
        shown.finish(generation)
    else:
        out.file.write(f"{generation.text}\n")
    err.print(_summary(generation.trace, seconds))
    return 0


class _Shown:
    """Prints text as it becomes certain, painted by the token that made it so."""

    def __init__(self, color: str | None) -> None:
        self._measure: Callable[[TraceStep], float] | None = {
            "entropy": lambda step: step.entropy,
            "surprisal": lambda step: step.surprisal,
        }.get(color or "")
        self._length = 0

    def __call__(self, step: TraceStep, text: str) -> None:
        style = "" if self._measure is None else _paint(self._measure(step) / math.log(2))
        self._length += len(text)
        out.print(Text(visible(text), style), end="")

    def finish(self, generation: Generation) -> None:
        """Prints what was held back, and ends the line."""
        out.print(Text(visible((generation.text or "")[self._length :])))


def _paint(bits: float) -> str:
    return f"#000000 on {next((c for limit, c in _RAMP if bits < limit), _ABOVE)}"


def _print_legend(color: str | None) -> None:
    if color is None:
        return
    legend = Text(f"{color} in bits: ")
    for limit, _ in _RAMP:
        legend.append(f" < {limit} ", _paint(math.nextafter(limit, 0)))
    legend.append(" more ", _paint(math.inf))
    err.print(legend)


def _summary(trace: Trace, seconds: float) -> str:
    count = len(trace)
    if count == 0:
        return "no tokens were asked for"
    bits = sum(step.entropy for step in trace.steps) / count / math.log(2)
    return (
        f"{count} tokens ({trace.finish_reason}), {count / seconds:,.0f} tokens/s, "
        f"mean entropy {bits:.2f} bits, {trace.strategy}, seed {trace.seed}"
    )


def _plain(generation: Generation) -> dict[str, Any]:
    return {
        "text": generation.text,
        "ids": generation.ids,
        "finish_reason": generation.finish_reason,
        "trace": generation.trace.to_dict(),
    }


def _write_atomic(path: Path, text: str) -> None:
    """Writes the file whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from None
    finally:
        unfinished.unlink(missing_ok=True)
