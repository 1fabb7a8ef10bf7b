"""Writing checkpoints and putting them back; the layout and the checks stand in `lexigram.runs`.

Invariant: a folder named step-N is complete. Files are written into a folder whose name begins
with a dot and forced to the disk, then the folder is renamed, which is atomic: a process killed at
any moment leaves the last checkpoint or this one, never part of one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lexigram import runs
from lexigram.errors import FileError, FormatError

__all__ = ["read_tensors", "save_checkpoint"]


def save_checkpoint(
    run: Path,
    step: int,
    *,
    model: Mapping[str, Tensor],
    optimizer: Mapping[str, Tensor],
    state: Mapping[str, Any],
    keep_last: int,
) -> Path:
    """Writes checkpoint `step` of a run, then removes all but the newest `keep_last`.

    `state` is plain data. Raises `FileError`; the older checkpoints are then untouched.
    """
    folder = run / "checkpoints"
    final = folder / f"step-{step:08d}"
    temporary = folder / f".{final.name}"
    try:
        folder.mkdir(exist_ok=True)
        _remove_unfinished(folder)
        temporary.mkdir()
        files = {}
        for name, tensors in (("model", model), ("optimizer", optimizer)):
            path = temporary / f"{name}.safetensors"
            save_file({k: v.detach().contiguous() for k, v in tensors.items()}, path)
            _force_to_disk(path)
            files[path.name] = {"bytes": path.stat().st_size, "sha256": runs.sha256(path)}
        head = {"format": runs.STATE_FORMAT, "version": runs.STATE_VERSION, "files": files}
        runs.write_json(temporary / "state.json", runs.seal({**head, "step": step, **state}))
        _force_to_disk(temporary)
        if final.exists():  # the same step once more, after going back: the same content
            shutil.rmtree(final)
        temporary.rename(final)
        _force_to_disk(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise FileError(f"cannot write the checkpoint {final}: {error}") from None
    for old in runs.checkpoints(run)[keep_last:]:
        _remove(old)
    return final


def read_tensors(checkpoint: Path, name: str) -> dict[str, Tensor]:
    """The tensors of one file of a checked checkpoint, on the CPU."""
    try:
        return load_file(checkpoint / name)
    except (OSError, SafetensorError) as error:
        raise FormatError(f"cannot read {checkpoint / name}: {error}") from None


def _remove_unfinished(folder: Path) -> None:
    for path in folder.glob(".*"):
        shutil.rmtree(path)


def _remove(checkpoint: Path) -> None:
    """Renames first, so that a checkpoint half removed is never taken for a complete one."""
    doomed = checkpoint.with_name(f".{checkpoint.name}")
    checkpoint.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _force_to_disk(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # Windows cannot open a folder to sync it
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
