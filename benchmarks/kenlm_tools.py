"""KenLM for benchmarks/ngram.py: its programs, its Python module, and processes with their costs.

The programs `lmplz` and `build_binary` are looked for in the folder KENLM_BIN, then on the PATH.
They are built from KenLM's source with cmake, a C++ compiler and Boost (Debian: libboost-dev,
libboost-program-options-dev, libboost-thread-dev, libboost-system-dev, libboost-test-dev); the
Python module is `pip install kenlm`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from measure import CORES, FreshFailure, pin

COSTS = Path(__file__).with_name("costs.py")
NOTES = {
    # seconds of wall time per million words or ids, 5-gram, two cores of the same kind of machine
    "words": {"lmplz": 32.6 / 20.96, "probing": 25.0 / 20.96, "trie": 30.0 / 20.96},
    "ids": {"lmplz": 30.0 / 22.76},
}
"""What was measured before, for machines on which KenLM cannot be built; CPU time for the trie."""


class Cost(NamedTuple):
    """What a process took."""

    wall: float
    cpu: float
    peak: float
    """Megabytes (10⁶ bytes) of memory, at most."""


def program(name: str) -> str | None:
    """The path of one of KenLM's programs, if it is there."""
    folder = os.environ.get("KENLM_BIN")
    return shutil.which(name, path=folder) if folder else shutil.which(name)


def module() -> Any | None:
    """The Python module, if it is there."""
    try:
        import kenlm
    except ImportError:
        return None
    return kenlm


def versions() -> dict[str, str]:
    found = {"kenlm programs": "there" if program("lmplz") else "not there"}
    try:
        found["kenlm"] = version("kenlm")
    except PackageNotFoundError:
        found["kenlm"] = "not there"
    return found


def process(command: Sequence[str], *, limit: float = 1800) -> Cost:
    """Runs a process on all cores, and what it took. Raises `FreshFailure`."""
    before = os.sched_getaffinity(0)
    pin(len(CORES))  # is inherited
    try:
        done = subprocess.run(
            [sys.executable, "-S", str(COSTS), str(limit), *command],
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        os.sched_setaffinity(0, before)
    cost = json.loads(done.stdout)
    if cost["status"] != 0:
        raise FreshFailure(f"{Path(command[0]).name}: {cost['said'][:160]}")
    return Cost(cost["wall"], cost["cpu"], cost["peak"])


def lmplz(text: Path, arpa: Path, order: int, memory: str = "4G") -> Cost:
    """Text to ARPA. `--discount_fallback` serves data on which discounts are undefined."""
    command = [program("lmplz") or "lmplz", "-o", str(order), "-S", memory, "-T", str(arpa.parent)]
    command += ["--text", str(text), "--arpa", str(arpa), "--discount_fallback"]
    return process(command)


def build_binary(arpa: Path, out: Path, kind: str) -> Cost:
    """ARPA to a file that is queried; `kind` is probing or trie."""
    command = [program("build_binary") or "build_binary", "-T", f"{arpa.parent}/", "-s", kind]
    return process([*command, str(arpa), str(out)])
