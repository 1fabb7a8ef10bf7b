"""`import lexigram` is light, and its lazy names are real."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lexigram


def test_import_loads_neither_torch_nor_gradio() -> None:
    code = (
        "import sys, lexigram, lexigram.decode, lexigram.evaluate, lexigram.data, lexigram.cli\n"
        "lexigram.cli.parser()\n"
        "heavy = {'torch', 'gradio', 'transformers', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.torch
def test_every_public_name_resolves() -> None:
    for name in dir(lexigram):
        assert getattr(lexigram, name) is not None or name == "__doc__"
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = lexigram.no_such_name  # type: ignore[attr-defined]


def test_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert lexigram.__version__ == version("lexigram")
