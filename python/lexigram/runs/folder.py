"""Run folders: made, found, listed and read."""

from __future__ import annotations

import datetime
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lexigram.errors import FileError, FormatError, InvalidInputError, MissingFileError
from lexigram.runs.checkpoints import checkpoints
from lexigram.runs.files import read_json

__all__ = [
    "RunSummary",
    "create_run_dir",
    "list_runs",
    "new_run_dir",
    "newest_run",
    "read_config",
    "read_metrics",
    "runs_root",
    "summarize",
]


def runs_root() -> Path:
    """Where runs are made and looked for."""
    return Path(os.environ.get("LEXIGRAM_RUNS") or "runs")


def new_run_dir(name: str, root: str | Path | None = None) -> Path:
    """Makes the folder NAME-TIME, which did not exist before."""
    if not re.fullmatch(r"[\w][\w.+-]*", name):
        raise InvalidInputError(
            f"run name {name!r}: use letters, digits, '-', '_', '.', '+', beginning with a letter "
            "or digit"
        )
    base = Path(root) if root is not None else runs_root()
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    for suffix in ("", *(f"-{n}" for n in range(2, 1000))):
        path = base / f"{name}-{stamp}{suffix}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise FileError(f"cannot make the run folder {path}: {error.strerror}") from None
        return path
    raise FileError(f"{base} already holds 999 runs named {name}-{stamp}")


def create_run_dir(path: str | Path) -> Path:
    """Makes the folder `path` for a run, or takes it if it is there and holds none.

    Raises `InvalidInputError` when it already holds a run, `FileError` when it cannot be made.
    """
    path = Path(path)
    if (path / "config.json").exists():
        raise InvalidInputError(f"{path} already holds a run; resume it or name another folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the run folder {path}: {error.strerror}") from None
    return path


def list_runs(root: str | Path | None = None) -> list[Path]:
    """The run folders under `root`, the newest first."""
    base = Path(root) if root is not None else runs_root()
    if not base.is_dir():
        return []
    configs = [path for path in base.glob("*/config.json") if path.is_file()]
    newest_first = sorted(configs, key=lambda p: (p.stat().st_mtime_ns, p.parent.name))
    return [path.parent for path in reversed(newest_first)]


def newest_run(root: str | Path | None = None) -> Path | None:
    """The newest run that has a checkpoint, or None."""
    return next((run for run in list_runs(root) if checkpoints(run)), None)


def read_config(run: str | Path) -> dict[str, Any]:
    """config.json as plain data."""
    path = Path(run) / "config.json"
    if not path.is_file():
        raise MissingFileError(f"{run} is not a run folder: it has no config.json")
    return read_json(path)


def read_metrics(run: str | Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; a last line that was cut off is left out."""
    path = Path(run) / "metrics.jsonl"
    if not path.is_file():
        return []
    return list(_json_lines(path))


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except ValueError:
                raise FormatError(f"{path}: line {number} is not JSON") from None


@dataclass(frozen=True)
class RunSummary:
    """One line of a list of runs."""

    name: str
    started: str | None
    """ISO 8601, UTC."""
    step: int
    steps: int | None
    tokens: int
    seconds: float
    loss: float | None
    """Of the last step's batch, nats per target."""
    validation_loss: float | None
    """The newest, nats per target."""
    validation_bits_per_byte: float | None
    checkpoints: int


def summarize(run: str | Path) -> RunSummary:
    """How far a run is, from its files."""
    run = Path(run)
    config, metrics = read_config(run), read_metrics(run)
    environment = run / "environment.json"
    trained = _last_with("loss", metrics)
    evaluated = _last_with("validation_loss", metrics)
    return RunSummary(
        name=run.name,
        started=read_json(environment).get("started") if environment.is_file() else None,
        step=trained.get("step", 0),
        steps=config.get("steps"),
        tokens=trained.get("tokens", 0),
        seconds=trained.get("elapsed", 0.0),
        loss=trained.get("loss"),
        validation_loss=evaluated.get("validation_loss"),
        validation_bits_per_byte=evaluated.get("validation_bits_per_byte"),
        checkpoints=len(checkpoints(run)),
    )


def _last_with(key: str, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    return next((line for line in reversed(metrics) if key in line), {})
