"""What a result depends on besides its config."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import subprocess
import sys
from typing import Any

__all__ = ["describe_environment"]


def describe_environment() -> dict[str, Any]:
    """What a result depends on besides its config: versions, machine, command, date."""
    import numpy as np

    import lexigram

    return {
        "lexigram": lexigram.__version__,
        "python": platform.python_version(),
        "torch": _version("torch"),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cpu_count": os.cpu_count(),
        "git_commit": _git_commit(),
        "command": sys.argv,
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The commit of the working directory, with `+` when files differ from it."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        commit = _run(git, "rev-parse", "HEAD")
        return commit + ("+" if _run(git, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()
