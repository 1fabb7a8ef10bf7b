"""Several datasets, read in the proportion of their weights.

A mixture names its sources; which rows come from which is decided by `TokenLoader`, row by row, in
exact proportions (the proof stands in the Rust source `data/mix.rs`). Weights count tokens: all
rows are equally long.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lexigram.data.dataset import TokenDataset
from lexigram.errors import (
    EncodingError,
    FileError,
    FormatError,
    InvalidInputError,
    MissingFileError,
)

__all__ = ["Mixture", "Weight"]

Weight = int | float | Fraction

_LARGEST = 2**63


class Mixture:
    """Named datasets with weights.

        mixture = Mixture({"web": web, "books": books}, {"web": 0.7, "books": 0.3})
        loader = TokenLoader(mixture, batch_size=32, seq_len=1024, seed=0)
        mixture.save("mixture.toml"), Mixture.load("mixture.toml")

    A weight is a positive int, float or `Fraction`; 0.7 is 7/10, as it is written, and the sum need
    not be 1. Without weights each source has as many as it has tokens. The order of the names does
    not matter. Raises `InvalidInputError` for weights that are not positive, names that do not
    match, and datasets of different vocabularies or tokenizers.
    """

    def __init__(
        self,
        sources: Mapping[str, TokenDataset],
        weights: Mapping[str, Weight] | None = None,
    ) -> None:
        if not sources:
            raise InvalidInputError("the mixture names no dataset; name one at least")
        for name, dataset in sources.items():
            if not isinstance(dataset, TokenDataset):
                raise InvalidInputError(
                    f"source {name!r} of the mixture is a {type(dataset).__name__}: must be a "
                    "TokenDataset; open a directory with TokenDataset(directory)"
                )
        if weights is None:
            weights = {name: len(dataset) for name, dataset in sources.items()}
        for name in sorted(sources.keys() ^ weights.keys()):
            has, lacks = ("dataset", "weight") if name in sources else ("weight", "dataset")
            raise InvalidInputError(f"source {name!r} of the mixture has a {has} but no {lacks}")
        self.sources: dict[str, TokenDataset] = dict(sorted(sources.items()))
        exact = {name: _exact(name, weights[name]) for name in self.sources}
        total = sum(exact.values())
        self.weights: dict[str, Fraction] = {name: w / total for name, w in exact.items()}
        """The part of the tokens that each source gives: exact, with a sum of 1."""
        denominator = math.lcm(*(w.denominator for w in self.weights.values()))
        self._integers = [int(w * denominator) for w in self.weights.values()]
        if denominator >= _LARGEST:
            raise InvalidInputError(
                f"the weights {dict(weights)} have no common denominator below 2^63; write them "
                "with fewer digits"
            )
        self._check_vocabularies()

    def _check_vocabularies(self) -> None:
        first, dataset = next(iter(self.sources.items()))
        for name, other in self.sources.items():
            for what in ("tokenizer_fingerprint", "vocab_size", "document_separator"):
                ours, theirs = getattr(dataset, what), getattr(other, what)
                if ours != theirs:
                    raise InvalidInputError(
                        f"the sources {first!r} and {name!r} have {what} = {ours!r} and "
                        f"{theirs!r}; tokenize all sources of a mixture with one tokenizer"
                    )

    @property
    def vocab_size(self) -> int:
        """Ids are 0 … vocab_size − 1."""
        return self._first.vocab_size

    @property
    def document_separator(self) -> int:
        """The id after every document."""
        return self._first.document_separator

    @property
    def tokenizer_fingerprint(self) -> str:
        """`fingerprint` of the tokenizer that made the ids."""
        return self._first.tokenizer_fingerprint

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that stand for names, weights and contents."""
        parts = [[n, d.fingerprint, str(self.weights[n])] for n, d in self.sources.items()]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()

    @property
    def _first(self) -> TokenDataset:
        return next(iter(self.sources.values()))

    def __len__(self) -> int:
        """Tokens of all sources."""
        return sum(len(dataset) for dataset in self.sources.values())

    def verify(self, *, progress: Callable[[int, int], object] | None = None) -> None:
        """Reads every byte of every source; see `TokenDataset.verify`."""
        before, total = 0, len(self)

        def report(done: int, _: int) -> None:
            if progress is not None:
                progress(before + done, total)

        for dataset in self.sources.values():
            dataset.verify(progress=report)
            before += len(dataset)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a TOML file of names, directories (relative to the file where they lie below its
        folder) and weights. Raises `FileError`."""
        path = Path(path)
        folder = path.parent.resolve()
        lines = ["# A mixture: lexigram train --set data.mixture=THIS, or Mixture.load(THIS)."]
        for name, dataset in self.sources.items():
            directory = dataset.directory.resolve()
            if directory.is_relative_to(folder):
                directory = directory.relative_to(folder)
            lines += [
                "",
                f"[sources.{_quoted(name)}]",
                f"dataset = {_quoted(str(directory))}",
                f"weight = {_quoted(str(self.weights[name]))}",
            ]
        try:
            content = ("\n".join(lines) + "\n").encode()
        except UnicodeEncodeError as error:
            raise EncodingError(
                f"cannot write {path}: a source's name or directory is not UTF-8 "
                f"({error.object[error.start :][:40]!r}), and TOML must be; rename it"
            ) from None
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        except OSError as error:
            raise FileError(f"cannot write {path}: {error.strerror}") from None
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Mixture:
        """Opens the datasets that a file names; a weight is a number or a fraction such as "7/10".
        Raises `MissingFileError`, `FormatError` or `InvalidInputError`."""
        path = Path(path)
        try:
            sources = _toml(path.read_text(encoding="utf-8")).get("sources")
        except FileNotFoundError:
            raise MissingFileError(f"there is no mixture file {path}") from None
        except OSError as error:
            raise FileError(f"cannot read {path}: {error.strerror}") from None
        except ValueError as error:
            raise FormatError(f"{path} is not TOML: {error}") from None
        if not isinstance(sources, dict):
            raise FormatError(f"{path} is not a mixture: it has no table [sources.NAME]")
        datasets, weights = {}, {}
        for name, source in sources.items():
            if not isinstance(source, dict) or set(source) != {"dataset", "weight"}:
                raise FormatError(
                    f"{path}: [sources.{name}] must have the keys dataset and weight, no others"
                )
            if not isinstance(source["dataset"], str):
                raise FormatError(f"{path}: sources.{name}.dataset must be a directory's name")
            weights[name] = source["weight"]
            datasets[name] = TokenDataset(path.parent / source["dataset"])
        return cls(datasets, weights)

    def __repr__(self) -> str:
        parts = (f"{name}: {float(weight):.4g}" for name, weight in self.weights.items())
        return f"Mixture({', '.join(parts)})"


def _exact(name: str, weight: Any) -> Fraction:
    try:
        if isinstance(weight, bool):
            raise ValueError
        if isinstance(weight, str) and (len(weight) > 50 or "e" in weight.lower()):
            weight = float(weight)  # 1e30000000 would be a number of as many digits
        # A float stands for the decimal number that it was written as; NumPy's have a repr of
        # their own.
        if isinstance(weight, float | np.floating):
            weight = repr(float(str(weight)))
        exact = Fraction(weight)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        exact = Fraction(0)
    if exact <= 0:
        raise InvalidInputError(
            f"the weight of source {name!r} is {weight!r}: must be a positive number; leave out "
            "sources that are not to be read"
        )
    return exact


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)
