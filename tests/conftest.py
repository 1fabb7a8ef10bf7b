"""Settings and fixtures that all tests share."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

# Before torch is loaded, as the command line does: threads wait without spinning.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
from hypothesis import HealthCheck, settings

# Machines that run this are shared and slow at times: a test has a time limit, an example has not.
settings.register_profile(
    "lexigram", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("lexigram")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or leaves anything in the user's run and cache folders."""
    monkeypatch.setenv("LEXIGRAM_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LEXIGRAM_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def stdlib_text() -> str:
    """About 300 kB of real text that every machine has: sources of the standard library."""
    root = Path(sysconfig.get_path("stdlib"))
    names = ["argparse.py", "ast.py", "datetime.py", "difflib.py", "inspect.py", "typing.py"]
    return "\n".join(
        (root / name).read_text(encoding="utf-8") for name in names if (root / name).exists()
    )


@pytest.fixture(scope="session")
def lexigram_data() -> Path:
    """The folder of big corpora; only tests marked `corpus` may ask for it."""
    folder = os.environ.get("LEXIGRAM_DATA")
    if not folder:
        pytest.fail("a test marked `corpus` needs the environment variable LEXIGRAM_DATA")
    return Path(folder)
