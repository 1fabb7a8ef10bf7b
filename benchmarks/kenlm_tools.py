"""KenLM for benchmarks/ngram.py: its programs, its Python module, and processes with their costs.

The programs `lmplz` and `build_binary` are looked for in the folder KENLM_BIN, then on the PATH.
They are built from KenLM's source with cmake, a C++ compiler and Boost (Debian: libboost-dev,
libboost-program-options-dev, libboost-thread-dev, libboost-system-dev, libboost-test-dev); the
Python module is `pip install kenlm`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from measure import CORES, FreshFailure, pin

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
    found = {"kenlm programs": program("lmplz") or "not there"}
    found["kenlm programs"] = "there" if program("lmplz") else "not there"
    try:
        found["kenlm"] = version("kenlm")
    except PackageNotFoundError:
        found["kenlm"] = "not there"
    return found


def process(
    command: Sequence[str], *, limit: float = 1800, environment: Mapping[str, str] | None = None
) -> Cost:
    """Runs a process on all cores, and what it took. Raises `FreshFailure`."""
    pin(len(CORES))
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={**os.environ, **(environment or {})},
        )
        status, usage = _wait(child, limit)
        wall = time.perf_counter() - began
        pin()
        if status != 0:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines() or ["no message"]
            raise FreshFailure(f"{Path(command[0]).name}: {lines[-1][:160]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)


def _wait(child: subprocess.Popen[bytes], limit: float) -> tuple[int, Any]:
    """The status and the usage of a child, which is ended after `limit` seconds."""
    until = time.monotonic() + limit
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return child.returncode, usage
        if time.monotonic() > until:
            child.kill()
        time.sleep(0.005)


def lmplz(text: Path, arpa: Path, order: int, memory: str = "4G") -> Cost:
    """Text to ARPA. `--discount_fallback` serves data on which discounts are undefined."""
    command = [program("lmplz") or "lmplz", "-o", str(order), "-S", memory, "-T", str(arpa.parent)]
    command += ["--text", str(text), "--arpa", str(arpa), "--discount_fallback"]
    return process(command)


def build_binary(arpa: Path, out: Path, kind: str) -> Cost:
    """ARPA to a file that is queried; `kind` is probing or trie."""
    command = [program("build_binary") or "build_binary", "-T", f"{arpa.parent}/", "-s", kind]
    return process([*command, str(arpa), str(out)])
