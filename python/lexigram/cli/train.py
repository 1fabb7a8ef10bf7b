"""`lexigram train`: a recipe or a config file becomes a run."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from lexigram import config as plain
from lexigram.cli.terminal import err, out
from lexigram.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from lexigram.train import Progress as Report
    from lexigram.train import RunResult, StepReport, TrainConfig

__all__ = ["add_parser", "training_bar"]

EPILOG = """examples:
  lexigram train stdlib-cpu --minutes 3 --set data.train=shards/train \\
      --set data.validation=shards/validation --set data.tokenizer=tokenizer.json
  lexigram train config.toml --set optim.lr=1e-3 --set model.num_layers=6
  lexigram train --resume runs/stdlib-cpu-20260102-030405
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "train",
        help="train a transformer on token shards",
        description="Train a transformer on token shards. Ctrl-C saves, and --resume goes on.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "config", nargs="?", metavar="RECIPE|CONFIG.toml", help="a recipe's name or a config file"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="change one key of the config, such as optim.lr=1e-3; may be repeated",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help="fix the number of steps by a short measurement so that training takes M minutes",
    )
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with a stopped run")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        from lexigram.train import train
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{error.name} is not installed; training needs: pip install 'lexigram[torch]'"
        ) from None
    config = _resumed_config(args) if args.resume else _new_config(args)
    with training_bar() as report:
        result = train(config, resume=args.resume is not None, progress=report)
    if result.reason == "interrupted":
        raise KeyboardInterrupt(
            f"stopped at step {result.step} of {config.steps} and saved; go on with: "
            f"lexigram train --resume {result.run}"
        )
    _print_result(result, as_json=args.json)
    return 0


def _new_config(args: argparse.Namespace) -> TrainConfig:
    from lexigram.recipes import RECIPES
    from lexigram.train import TrainConfig, steps_for, with_vocabulary

    if args.config is None:
        raise ConfigError(f"name a recipe ({', '.join(RECIPES)}) or a config file, or --resume DIR")
    if args.config in RECIPES:
        config = plain.override(RECIPES[args.config](), args.assignments)
        if not any(text.startswith("model.vocab_size") for text in args.assignments):
            config = with_vocabulary(config)
    elif Path(args.config).suffix in {".toml", ".json"}:
        config = plain.override(plain.load(TrainConfig, args.config), args.assignments)
    else:
        raise ConfigError(
            f"there is no recipe {args.config!r}; recipes are {', '.join(RECIPES)}, and config "
            "files end in .toml or .json"
        )
    if args.minutes is not None:
        with err.status("Measuring the speed of a step"):
            config = dataclasses.replace(config, steps=steps_for(config, args.minutes * 60))
        err.print(f"{config.steps} steps fit in {args.minutes:g} minutes")
    return config


def _resumed_config(args: argparse.Namespace) -> TrainConfig:
    from lexigram.runs import read_config
    from lexigram.train import TrainConfig

    if args.config or args.assignments or args.minutes is not None:
        raise ConfigError("a resumed run goes on as it began; give --resume DIR alone")
    config = plain.from_dict(TrainConfig, read_config(args.resume))
    return dataclasses.replace(config, out=str(args.resume))


@contextmanager
def training_bar() -> Iterator[Report]:
    """What `train` reports, painted on standard error: a bar on a terminal, else one line for each
    evaluation and each tenth of the way."""
    columns = (
        TextColumn("Training"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[numbers]}"),
    )
    bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
    task = bar.add_task("Training", total=None, numbers="")
    printed: set[tuple[int, float | None]] = set()

    def report(step: StepReport) -> None:
        bar.update(task, completed=step.step, total=step.steps, numbers=numbers(step))
        tenth = (step.step * 10 // step.steps, step.validation_loss)
        if not err.is_terminal and tenth not in printed:
            printed.add(tenth)
            err.print(f"step {step.step}/{step.steps}  {numbers(step)}", soft_wrap=True)

    with bar:
        yield report


def numbers(step: StepReport) -> str:
    """Loss, speed and time left in one line."""
    parts = [f"loss {step.loss:.3f}"]
    if step.validation_bits_per_byte is not None:
        parts.append(f"held out {step.validation_bits_per_byte:.3f} bits/byte")
    elif step.validation_loss is not None:
        parts.append(f"held out {step.validation_loss:.3f}")
    parts.append(f"{step.tokens_per_second:,.0f} tokens/s")
    parts.append(f"{clock(step.remaining)} left")
    return "  ".join(parts)


def clock(seconds: float) -> str:
    """61 → 1:01."""
    if seconds != seconds:  # not known yet
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _print_result(result: RunResult, *, as_json: bool) -> None:
    if as_json:
        out.print(json.dumps({**dataclasses.asdict(result), "run": str(result.run)}))
        return
    out.print(f"run                     {result.run}")
    out.print(f"parameters              {result.num_parameters:,}")
    out.print(f"steps                   {result.step:,}")
    out.print(f"tokens                  {result.tokens:,}")
    out.print(f"seconds                 {result.seconds:,.1f}")
    out.print(f"training loss           {result.loss:.4f} nats/token")
    if result.validation_loss is not None:
        out.print(f"validation loss         {result.validation_loss:.4f} nats/token")
    if result.validation_bits_per_byte is not None:
        out.print(f"validation bits/byte    {result.validation_bits_per_byte:.4f}")
