"""The folders that environment variables name: `LEXIGRAM_DATA` holds data that is only read,
`LEXIGRAM_CACHE` (by default `~/.cache/lexigram`) what was fetched or made once."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder", "data_folder"]


def cache_folder() -> Path:
    """Where fetched files are kept; it need not exist yet."""
    if os.environ.get("LEXIGRAM_CACHE"):
        return Path(os.environ["LEXIGRAM_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lexigram"


def data_folder() -> Path | None:
    """`LEXIGRAM_DATA`, if it is set."""
    return Path(os.environ["LEXIGRAM_DATA"]) if os.environ.get("LEXIGRAM_DATA") else None
