"""Opening what a run left behind: its model and its tokenizer."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexigram import config as plain
from lexigram.errors import FormatError, MissingDependencyError, MissingFileError
from lexigram.runs.checkpoints import CHECKPOINT_NAME, checkpoint_state, newest_checkpoint
from lexigram.runs.folder import read_config

if TYPE_CHECKING:
    from lexigram.lm import LanguageModel
    from lexigram.model import Transformer
    from lexigram.tokenizer import Tokenizer

__all__ = ["Loaded", "load", "load_model", "load_tokenizer", "read_tokenizer"]


@dataclass(frozen=True)
class Loaded:
    """A model ready to use."""

    lm: LanguageModel
    tokenizer: Tokenizer
    config: dict[str, Any]
    """A run's config.json as plain data; for an n-gram model or an index, what it is."""


def load(path: str | Path, *, device: str = "auto") -> Loaded:
    """Opens a run folder, one of its checkpoints, a saved n-gram model or a suffix index.

    `device` is where a transformer goes; auto: CUDA, else MPS, else the CPU.

    Raises `MissingFileError`, `FormatError` (damaged, or nothing that can be opened) or
    `MissingDependencyError` (a run needs torch).
    """
    path = Path(path)
    if path.suffix == ".ngram" or _is_ngram(path):
        return _load_ngram(path)
    if (path / "index.json").is_file():
        return _load_index(path)
    if not path.exists():
        raise MissingFileError(f"there is no {path}: neither a run folder nor an .ngram file")
    if CHECKPOINT_NAME.fullmatch(path.name) and path.parent.name == "checkpoints":
        run, checkpoint = path.parent.parent, path
        checkpoint_state(checkpoint)
    elif path.is_dir():
        run = path
        read_config(run)  # a folder of another kind is named as such
        checkpoint, _ = newest_checkpoint(run)
    else:
        arpa = ".arpa" in (path.suffix, Path(path.stem).suffix)
        raise FormatError(
            f"{path} is neither a run folder nor an .ngram file"
            + ("; read ARPA with NgramModel.from_arpa or `lexigram ngram convert`" if arpa else "")
        )
    return Loaded(load_model(run, checkpoint, device), load_tokenizer(run), read_config(run))


def load_tokenizer(run: str | Path) -> Tokenizer:
    """The tokenizer of a run folder."""
    path = Path(run) / "tokenizer.json"
    if not path.is_file():
        raise MissingFileError(f"{run} has no tokenizer.json; set data.tokenizer when training")
    return read_tokenizer(path)


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a file tokenizer.json."""
    from lexigram.tokenizer import Tokenizer

    return Tokenizer.load(path)


def load_model(run: Path, checkpoint: Path, device: str = "auto") -> Transformer:
    """The transformer of a checked checkpoint."""
    try:
        from safetensors.torch import load_file

        from lexigram.model import ModelConfig, Transformer, pick_device
    except ImportError as error:
        raise MissingDependencyError(
            f"{error.name} is not installed; a run needs: pip install 'lexigram[torch]'"
        ) from None
    config = read_config(run)
    if "model" not in config:
        raise FormatError(f"{run / 'config.json'} has no key 'model'")
    model = Transformer(plain.from_dict(ModelConfig, config["model"], where="model"))
    try:
        model.load_state_dict(load_file(checkpoint / "model.safetensors"))
    except RuntimeError:
        raise FormatError(
            f"{checkpoint / 'model.safetensors'} is not the model that {run / 'config.json'} "
            "describes"
        ) from None
    return model.to(pick_device(device)).eval()


def _is_ngram(path: Path) -> bool:
    """Whether a file is an n-gram model, whatever its name (docs/formats.md)."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(12) == b"LEXIGRAMNGRM"


def _load_ngram(path: Path) -> Loaded:
    from lexigram.ngram import NgramModel

    model = NgramModel.load(path)
    if model.words is not None:
        raise FormatError(
            f"{path} is a model of words, which no tokenizer makes; use `lexigram ngram generate`, "
            "`query` or `evaluate`, or NgramModel.load in Python"
        )
    if model.tokenizer is None:
        raise FormatError(
            f"{path} carries no tokenizer, which text needs; train it with one: "
            "lexigram ngram train … --tokenizer FILE"
        )
    tokenizer = _tokenizer_of(model.tokenizer)
    return Loaded(model, tokenizer, {"kind": "ngram", "order": model.order})


def _load_index(path: Path) -> Loaded:
    from lexigram.suffix import SuffixIndex

    index = SuffixIndex.open(path)
    text = index.tokenizer
    if text is None:
        raise FormatError(
            f"{path} carries no tokenizer, which text needs; build it with one: "
            "lexigram index build … --tokenizer FILE"
        )
    config = {"kind": "infinigram", "num_tokens": index.num_tokens}
    return Loaded(index.model(), _tokenizer_of(text), config)


def _tokenizer_of(text: str) -> Tokenizer:
    """The tokenizer of the text of a tokenizer.json."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_text(text, encoding="utf-8")
        return read_tokenizer(path)
