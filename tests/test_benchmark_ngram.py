"""What benchmarks/ngram.py measures processes with: costs, failures, limits."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="the benchmarks need Linux"
)


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("kenlm_tools")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_process_costs_what_it_takes(tools: Any) -> None:
    cores = os.sched_getaffinity(0)
    small = tools.process(python("pass"))
    large = tools.process(python("import time; a = b'x' * 200_000_000; time.sleep(0.3)"))
    assert 180 < large.peak - small.peak < 260  # megabytes
    assert large.wall > 0.3
    busy = tools.process(python("import time\nwhile time.process_time() < 0.3: pass"))
    assert busy.cpu >= 0.3
    assert os.sched_getaffinity(0) == cores


def test_a_process_that_fails_says_how(tools: Any) -> None:
    with pytest.raises(Exception, match="the last line"):
        tools.process(python("import sys; print('first'); sys.exit('the last line')"))
    with pytest.raises(Exception, match="no message"):
        tools.process(python("import time; time.sleep(60)"), limit=0.2)


def test_versions_name_what_is_not_there(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KENLM_BIN", str(BENCHMARKS))
    assert tools.program("lmplz") is None
    assert tools.versions()["kenlm programs"] == "not there"
