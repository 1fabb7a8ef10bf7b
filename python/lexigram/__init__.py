"""lexigram: a laboratory for pretraining language models.

Importing this package loads the Rust core and NumPy, never torch or gradio; the rooms that need
torch (`model`, `train`, `runs` …) are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lexigram import data as data
from lexigram import errors as errors
from lexigram import lm as lm
from lexigram._core import __version__ as __version__
from lexigram.errors import LexigramError as LexigramError
from lexigram.ngram import NgramModel as NgramModel
from lexigram.ngram_counts import NgramCounts as NgramCounts
from lexigram.tokenizer import Tokenizer as Tokenizer

if TYPE_CHECKING:
    from lexigram.runs import load as load
    from lexigram.suffix import SuffixIndex as SuffixIndex

_LAZY_MODULES = frozenset(
    {
        "config",
        "decode",
        "evaluate",
        "model",
        "objectives",
        "recipes",
        "reference",
        "runs",
        "suffix",
        "train",
    }
)
_LAZY_NAMES: dict[str, str] = {"SuffixIndex": "lexigram.suffix", "load": "lexigram.runs"}


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return importlib.import_module(f"lexigram.{name}")
    if name in _LAZY_NAMES:
        return getattr(importlib.import_module(_LAZY_NAMES[name]), name)
    raise AttributeError(f"module 'lexigram' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY_MODULES, *_LAZY_NAMES})
