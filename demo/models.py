"""The models that the page offers: those of the runs that are found, or one counted on the spot.

A page names a model by the name in the menu, never by a path: what a browser sends can open
nothing that the shelf does not hold.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import lexigram
from lexigram import data, runs
from lexigram.errors import InvalidInputError

if TYPE_CHECKING:
    from lexigram.lm import LanguageModel

__all__ = ["Model", "Shelf", "count_standard_library", "shelf_of"]

COUNTED = "5-gram, counted just now"
COUNTED_NOTE = (
    "No run was found, so this is a 5-gram Kneser-Ney model, counted just now on sources of the "
    "Python standard library. For a transformer beside it, run `lexigram quickstart` and start "
    "this page again."
)
SEPARATOR = "<|endoftext|>"
CORPUS_BYTES, VOCABULARY, ORDER = 1_500_000, 2_048, 5
MOST_OPEN = 4


@dataclass(frozen=True, kw_only=True)
class Model:
    """A language model and the tokenizer that its ids belong to."""

    lm: LanguageModel
    tokenizer: Any


class Shelf:
    """Models by the name that the menu shows, in its order, the first being the default.

    A model is opened when it is first asked for; the last few that were used stay open.
    """

    def __init__(self, openers: Mapping[str, Callable[[], Model]], *, note: str = "") -> None:
        if not openers:
            raise InvalidInputError("there is no model to show")
        self._openers = dict(openers)
        self._open: OrderedDict[str, Model] = OrderedDict()
        self.note = note
        """What a visitor should know about the models, or nothing."""

    @property
    def names(self) -> list[str]:
        """The names, in the menu's order."""
        return list(self._openers)

    def open(self, name: str) -> Model:
        """The model of that name. Raises `InvalidInputError` for a name that is not on the shelf
        and whatever opening a damaged model raises."""
        if name not in self._openers:
            raise InvalidInputError("there is no model of that name; choose one from the menu")
        model = self._open.pop(name, None) or self._openers[name]()
        self._open[name] = model
        if len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)
        return model


def shelf_of(paths: Sequence[Path] = ()) -> Shelf:
    """The models of `paths` (runs, n-gram models, whatever `lexigram.load` opens); without any,
    those of all runs, newest first; without a run, one that is counted when it is first opened."""
    openers: dict[str, Callable[[], Model]] = {}
    for path in paths or runs.list_runs():
        name = path.resolve().name
        # A run that has no checkpoint yet may have its n-gram models already.
        if path in paths or _can_be_shown(path):
            _offer(openers, name, path)
        for ngram in sorted(path.glob("*.ngram")):
            _offer(openers, f"{name} · {ngram.stem}", ngram)
    if openers:
        return Shelf(openers)
    return Shelf({COUNTED: count_standard_library}, note=COUNTED_NOTE)


def _can_be_shown(run: Path) -> bool:
    """Text needs a tokenizer, which training does not: a run without one is passed over."""
    return bool(runs.checkpoints(run)) and (run / "tokenizer.json").is_file()


def _offer(openers: dict[str, Callable[[], Model]], name: str, path: Path) -> None:
    openers[name if name not in openers else str(path)] = partial(_load, path)


def _load(path: Path) -> Model:
    loaded = lexigram.load(path)
    return Model(lm=loaded.lm, tokenizer=loaded.tokenizer)


def count_standard_library() -> Model:
    """A tokenizer and a 5-gram Kneser-Ney model of the standard library's first modules, made in
    seconds."""
    texts = list(_modules(CORPUS_BYTES))
    tokenizer = lexigram.Tokenizer.train(texts, VOCABULARY, special_tokens=[SEPARATOR])
    separator = tokenizer.eot_token
    documents = tokenizer.encode_ordinary_batch(texts)
    tokens = np.concatenate([np.array([*ids, separator], np.uint32) for ids in documents])
    lm = lexigram.NgramModel.train(
        tokens, order=ORDER, vocab_size=tokenizer.n_vocab, document_separator=separator
    )
    return Model(lm=lm, tokenizer=tokenizer)


def _modules(limit: int) -> Iterator[str]:
    """Texts of modules until `limit` bytes are reached."""
    total = 0
    for document in data.documents("stdlib", errors="skip"):
        yield document.text
        total += len(document.text.encode())
        if total >= limit:
            return
