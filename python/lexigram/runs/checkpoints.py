"""Checkpoints of a run: found and checked. `lexigram.train` writes them.

A checkpoint is complete or absent. `state.json` holds the size and SHA-256 of the other files and
the SHA-256 of itself, so that any damage is found before a number is read.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from lexigram.errors import FormatError, MissingFileError
from lexigram.runs.files import read_json, sha256

__all__ = [
    "CHECKPOINT_NAME",
    "STATE_FORMAT",
    "STATE_VERSION",
    "checkpoint_state",
    "checkpoints",
    "newest_checkpoint",
    "seal",
]

CHECKPOINT_NAME = re.compile(r"step-(\d{8,})")
STATE_FORMAT = "lexigram-checkpoint"
STATE_VERSION = 1


def checkpoints(run: str | Path) -> list[Path]:
    """The complete checkpoints of a run, the newest first; not yet checked for damage."""
    folder = Path(run) / "checkpoints"
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if CHECKPOINT_NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")), reverse=True)


def seal(state: dict[str, Any]) -> dict[str, Any]:
    """`state` with its own SHA-256, of its canonical JSON."""
    body = {k: v for k, v in state.items() if k != "sha256"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return {**body, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def checkpoint_state(checkpoint: Path) -> dict[str, Any]:
    """state.json of a checkpoint, after every file of it has been checked.

    Raises `FormatError` that names the first file that is missing, truncated or changed.
    """
    path = checkpoint / "state.json"
    if not path.is_file():
        raise FormatError(f"{checkpoint} is not a checkpoint: it has no state.json")
    state = read_json(path)
    if state.get("format") != STATE_FORMAT or state.get("version") != STATE_VERSION:
        raise FormatError(f"{path} is not the state of a checkpoint of version {STATE_VERSION}")
    if seal(state)["sha256"] != state.get("sha256"):
        raise FormatError(f"{path} is damaged: its checksum does not fit its content")
    for name, expected in state["files"].items():
        file = checkpoint / name
        if not file.is_file():
            raise FormatError(f"{file} is missing")
        size = file.stat().st_size
        if size != expected["bytes"]:
            raise FormatError(f"{file} has {size} bytes, expected {expected['bytes']}")
        if sha256(file) != expected["sha256"]:
            raise FormatError(f"{file} is damaged: its checksum is wrong")
    return state


def newest_checkpoint(run: str | Path) -> tuple[Path, dict[str, Any]]:
    """The newest checkpoint and its state, checked.

    Raises `MissingFileError` when there is none; `FormatError` when it is damaged, which says
    which older one is intact: going back is for the user to decide.
    """
    found = checkpoints(run)
    if not found:
        raise MissingFileError(f"{run} has no checkpoint yet")
    try:
        return found[0], checkpoint_state(found[0])
    except FormatError as error:
        intact = next((path for path in found[1:] if _is_intact(path)), None)
        remedy = (
            f"delete {found[0].name} to go back to {intact.name}, which is intact"
            if intact
            else "no older checkpoint is intact; start again"
        )
        raise FormatError(f"{error}; {remedy}") from None


def _is_intact(checkpoint: Path) -> bool:
    try:
        checkpoint_state(checkpoint)
    except FormatError:
        return False
    return True
