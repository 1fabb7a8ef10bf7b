"""Before the first step: datasets, tokenizer and model agree, and the run folder is there."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lexigram import config as plain
from lexigram import runs
from lexigram.data import Mixture, TokenDataset
from lexigram.errors import ConfigError
from lexigram.train.config import TrainConfig

__all__ = ["check_same_run", "create_run", "open_datasets", "token_bytes", "with_vocabulary"]


def open_datasets(config: TrainConfig) -> tuple[TokenDataset | Mixture, TokenDataset | None]:
    """The training set, or the mixture, and the validation set.

    Every byte of both is checked first, so that no damaged token is ever trained on.

    Raises `FormatError` for damage; `ConfigError` when a dataset is not named, when the model's
    vocabulary or document separator is not theirs, or when different tokenizers made them.
    """
    dataset = _training_set(config)
    if dataset is None:
        raise ConfigError(
            "data.train names no dataset; make one with `lexigram data tokenize` and set "
            "data.train=DIR"
        )
    _check_model(config, dataset)
    dataset.verify()
    if config.data.validation is None:
        return dataset, None
    held_out = TokenDataset(config.data.validation)
    if held_out.tokenizer_fingerprint != dataset.tokenizer_fingerprint:
        raise ConfigError(
            f"data.validation = {config.data.validation!r} was not made by the tokenizer of "
            f"{_name(config)}; tokenize both with the same one"
        )
    held_out.verify()
    return dataset, held_out


def _training_set(config: TrainConfig) -> TokenDataset | Mixture | None:
    data = config.data
    if data.mixture is None:
        return TokenDataset(data.train) if data.train else None
    if data.train:
        raise ConfigError(
            f"data.train = {data.train!r} and data.mixture = {data.mixture!r}: set one of them, "
            "the other to nothing (--set data.train=)"
        )
    return Mixture.load(data.mixture)


def _name(config: TrainConfig) -> str:
    """Where the training set is named."""
    data = config.data
    return f"data.train = {data.train!r}" if data.train else f"data.mixture = {data.mixture!r}"


def _check_model(config: TrainConfig, dataset: TokenDataset | Mixture) -> None:
    ours = (config.model.vocab_size, config.model.document_separator)
    theirs = (dataset.vocab_size, dataset.document_separator)
    names = ("vocab_size", "document_separator")
    for name, value, expected in zip(names, ours, theirs, strict=True):
        if value != expected:
            raise ConfigError(
                f"model.{name} = {value}, but {config.data.train or config.data.mixture} has "
                f"{expected}; "
                f"set model.{name}={expected}"
            )


def with_vocabulary(config: TrainConfig) -> TrainConfig:
    """The config with the vocabulary size and the document separator of its training set."""
    dataset = _training_set(config)
    if dataset is None:
        return config
    model = config.model.replace(
        vocab_size=dataset.vocab_size, document_separator=dataset.document_separator
    )
    return dataclasses.replace(config, model=model)


def create_run(config: TrainConfig, dataset: TokenDataset | Mixture, device: str) -> Path:
    """Makes the run folder; config.json, which makes it one, is written last.

    Raises `InvalidInputError` when `config.out` already holds a run, `ConfigError` when the
    tokenizer is not the one that made the dataset.
    """
    tokenizer = config.data.tokenizer
    if tokenizer is not None:
        _check_tokenizer(Path(tokenizer), dataset, config)
    out = config.out
    run = runs.new_run_dir(config.name) if out is None else runs.create_run_dir(out)
    if tokenizer is not None and Path(tokenizer).resolve() != (run / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer, run / "tokenizer.json")
    runs.write_json(run / "environment.json", {**runs.describe_environment(), "device": device})
    runs.write_json(run / "config.json", _saved_form(config, run))
    return run


def _check_tokenizer(path: Path, dataset: TokenDataset | Mixture, config: TrainConfig) -> None:
    fingerprint = runs.read_tokenizer(path).fingerprint
    if fingerprint != dataset.tokenizer_fingerprint:
        raise ConfigError(
            f"data.tokenizer = {str(path)!r} is not the tokenizer that made "
            f"{config.data.train or config.data.mixture}: "
            f"its fingerprint is {fingerprint[:12]}…, not {dataset.tokenizer_fingerprint[:12]}…"
        )


def _saved_form(config: TrainConfig, run: Path) -> dict[str, Any]:
    """The config as plain data with absolute paths, so that any working directory will do."""
    data = config.data
    absolute = dataclasses.replace(
        data,
        train=data.train and str(Path(data.train).resolve()),
        mixture=data.mixture and str(Path(data.mixture).resolve()),
        validation=data.validation and str(Path(data.validation).resolve()),
        tokenizer=data.tokenizer and str(Path(data.tokenizer).resolve()),
    )
    return plain.to_dict(dataclasses.replace(config, data=absolute, out=str(run)))


def check_same_run(config: TrainConfig, run: Path) -> None:
    """Raises `ConfigError` that names the first key in which `config` is not the run's config."""
    saved = dict(_leaves(runs.read_config(run)))
    ours = dict(_leaves(_saved_form(config, run)))
    for key in sorted(saved.keys() | ours.keys()):
        if key != "out" and saved.get(key) != ours.get(key):
            raise ConfigError(
                f"{key} = {ours.get(key)!r}, but {run} was begun with {saved.get(key)!r}; "
                "a resumed run goes on as it began, start a new one to change it"
            )


def _leaves(data: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{where}{key}.")
        else:
            yield f"{where}{key}", value


def token_bytes(run: Path, vocab_size: int) -> npt.NDArray[np.int64]:
    """(V,): how many bytes each token of the run's tokenizer stands for."""
    pieces = runs.load_tokenizer(run).decode_tokens_bytes(list(range(vocab_size)))
    return np.array([len(piece) for piece in pieces], dtype=np.int64)
