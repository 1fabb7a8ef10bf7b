"""Where files are to be written, checked before the work that fills them: what the user named is
named in the error, with what to do, not a temporary file beside it."""

from __future__ import annotations

import os
from pathlib import Path

from lexigram.errors import FileError, MissingFileError

__all__ = ["file_to_write", "folder_to_write"]


def file_to_write(path: str | os.PathLike[str]) -> Path:
    """The path, if a file can be made or replaced there.

    Raises `MissingFileError` if its folder does not exist, `FileError` if that is no folder or
    nothing may be written to it, or if the path is itself a folder. What shows only while
    writing, such as a full disk, is told then.
    """
    target = Path(path)
    _check(target, target.parent)
    if target.is_dir():
        raise FileError(f"cannot write {target}: it is a folder; name a file, such as one in it")
    if target.exists() and not target.is_file():
        raise FileError(f"cannot write {target}: it is a pipe or a device; name a file")
    if not target.parent.exists():
        raise MissingFileError(
            f"cannot create {target}: there is no folder {target.parent}; make it first, or name "
            "another place"
        )
    return target


def folder_to_write(path: str | os.PathLike[str]) -> Path:
    """The path, if a folder is there or can be made, with those above it, and be written to.

    Raises `FileError` if it cannot.
    """
    target = Path(path)
    _check(target, target)
    return target


def _check(target: Path, folder: Path) -> None:
    """Fails if what exists of `folder` cannot be written to."""
    try:
        found = next((part for part in (folder, *folder.parents) if part.exists()), Path())
        is_folder = found.is_dir()
    except OSError as error:  # such as a name too long
        raise FileError(f"cannot write {target}: {error.strerror}; name another place") from None
    if not is_folder:
        raise FileError(f"cannot create {target}: {found} is no folder; name another place")
    if not os.access(found, os.W_OK | os.X_OK):
        raise FileError(
            f"cannot write {target}: there is no permission to write in {found}; change it, or "
            "name another place"
        )
