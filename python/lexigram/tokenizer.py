"""Byte-level byte-pair encoding: text to token ids and back, with the interface of tiktoken.

Any text and any bytes can be encoded, and decoding gives them back exactly. Ids equal those of
tiktoken and of Hugging Face's tokenizers for the same vocabulary. What the encoding is, and why it
is exact, stands in docs/tokenizer.md; `lexigram.reference.bpe` is the same in readable Python.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from lexigram import _core
from lexigram.errors import InvalidInputError, MissingFileError
from lexigram.vocabularies import Vocabulary, source_path, vocabularies

__all__ = ["Tokenizer"]

Progress = Callable[[int, int], object]
StrPath = str | os.PathLike[str]


class Tokenizer(_core.Tokenizer):
    """A byte-level BPE tokenizer, made by `train`, `train_files`, `load`, `from_tiktoken` or
    `from_gpt2`. It does not change once made, and may be used from many threads at once.

    Two tokenizers are equal if they give the same ids for every text; `name` does not count.
    """

    name: str

    def __init__(self, tokenizer: _core.Tokenizer, *, name: str | None = None) -> None:
        """Shares the vocabulary of another tokenizer."""
        super().__init__()
        self.name = getattr(tokenizer, "name", "tokenizer") if name is None else name

    def __new__(cls, tokenizer: _core.Tokenizer, *, name: str | None = None) -> Tokenizer:
        return super().__new__(cls, tokenizer)

    @classmethod
    def train(
        cls,
        texts: Iterable[str | bytes],
        vocab_size: int,
        *,
        pattern: str | None = "cl100k",
        special_tokens: Iterable[str] = (),
        num_threads: int | None = None,
        min_frequency: int = 1,
        max_token_length: int | None = None,
        errors: Literal["strict", "replace", "skip"] = "strict",
        progress: Progress | None = None,
        name: str = "trained",
    ) -> Tokenizer:
        """Learns a vocabulary: repeatedly makes the most frequent pair of tokens one token.

        `texts` are read once, in batches; bytes must be UTF-8 unless `errors` says otherwise.
        `vocab_size` counts the special tokens, the 256 bytes and the merges; text with too few
        pairs gives a smaller vocabulary. `pattern` is "gpt2", "cl100k", "o200k", a regular
        expression, or None for no split. Special tokens are cut out of the text and get the ids
        0, 1, …; then come the bytes, then the merges. Of equally frequent pairs the one with the
        lowest ids wins, as in Hugging Face's `BpeTrainer`, whose merges and ids these are. Pairs
        that occur less than `min_frequency` times, or would be longer than `max_token_length`
        bytes, are not merged. The result does not depend on `num_threads` (None: one a core).

        `progress(done, total)` counts bytes of text (total 0: not known), then merges.
        Raises `InvalidInputError` for a vocabulary too small, no text, or a bad pattern, and
        `EncodingError` for bytes that are not UTF-8.
        Source: Sennrich, Haddow, Birch 2016, "Neural Machine Translation of Rare Words with
        Subword Units", section 3.2.
        """
        if isinstance(texts, str | bytes):
            raise InvalidInputError(
                "texts is one string, but must be an iterable of texts; pass [text]"
            )
        _check_counts(vocab_size, num_threads, min_frequency, max_token_length)
        core = _core.train_tokenizer(
            texts,
            vocab_size,
            pattern,
            list(special_tokens),
            num_threads,
            min_frequency,
            max_token_length,
            errors,
            progress,
        )
        return cls(core, name=name)

    @classmethod
    def train_files(
        cls,
        paths: Iterable[StrPath] | StrPath,
        vocab_size: int,
        *,
        pattern: str | None = "cl100k",
        special_tokens: Iterable[str] = (),
        num_threads: int | None = None,
        min_frequency: int = 1,
        max_token_length: int | None = None,
        errors: Literal["strict", "replace", "skip"] = "strict",
        progress: Progress | None = None,
        name: str = "trained",
    ) -> Tokenizer:
        """As `train`, on text files that may be larger than memory: each is read in chunks, and
        counted as one text. (A custom pattern or None may look anywhere, so a file is then held
        in memory.) `progress` counts bytes of the files, then merges.
        """
        if isinstance(paths, str | os.PathLike):
            paths = [paths]
        _check_counts(vocab_size, num_threads, min_frequency, max_token_length)
        core = _core.train_tokenizer_files(
            [Path(path) for path in paths],
            vocab_size,
            pattern,
            list(special_tokens),
            num_threads,
            min_frequency,
            max_token_length,
            errors,
            progress,
        )
        return cls(core, name=name)

    @classmethod
    def load(
        cls, path: StrPath, *, name: str | None = None, progress: Progress | None = None
    ) -> Tokenizer:
        """Reads a Hugging Face `tokenizer.json`, ours or another's, if it is byte-level BPE; or
        finds a vocabulary by its name.

        `path` is such a file, a folder with a `tokenizer.json`, or where neither exists a name:
        "gpt2", "r50k_base", "p50k_base", "p50k_edit", "cl100k_base" or "o200k_base", with the
        ids of the tiktoken encoding of that name. Its files are looked
        for in `LEXIGRAM_DATA`, in the cache (`LEXIGRAM_CACHE`) and in tiktoken's; otherwise they
        are fetched from their publisher into the cache, while `progress(done, total)` counts
        bytes. Their SHA-256 is checked wherever they are.

        Special tokens are found in text only when asked for, and the post-processor is applied
        only with `add_special_tokens`. Raises `FormatError` naming what is not supported,
        `MissingFileError`, and `DownloadError` where there is no connection.
        """
        path = Path(path)
        if path.is_dir() and (path / "tokenizer.json").exists():
            path = path / "tokenizer.json"
        if not path.is_file() and (known := vocabularies().get(str(path))):
            return cls._from_vocabulary(known, name, progress)
        if not path.exists():
            raise MissingFileError(
                f"{path} does not exist, and no vocabulary has that name; give a tokenizer.json, "
                f"or one of {', '.join(vocabularies())}"
            )
        if path.suffix == ".tiktoken":
            raise InvalidInputError(
                f"{path} has neither the pattern nor the special tokens; "
                "use Tokenizer.from_tiktoken(path, pattern, special_tokens)"
            )
        stem = path.parent.name if path.name == "tokenizer.json" else path.stem
        return cls(_core.load_tokenizer_json(path), name=name or stem or "tokenizer")

    @classmethod
    def _from_vocabulary(
        cls, vocabulary: Vocabulary, name: str | None, progress: Progress | None
    ) -> Tokenizer:
        """The one place in which a named vocabulary is loaded."""
        name = name or vocabulary.name
        paths = [source_path(source, progress=progress) for source in vocabulary.sources]
        if len(paths) == 2:
            return cls.from_gpt2(*paths, name=name)
        special = vocabulary.special_tokens
        return cls.from_tiktoken(paths[0], vocabulary.pattern, special, name=name)

    @classmethod
    def from_json(cls, content: str | bytes, *, name: str = "tokenizer") -> Tokenizer:
        """As `load`, from the content of a `tokenizer.json`."""
        content = content.encode() if isinstance(content, str) else content
        return cls(_core.tokenizer_from_json(content, Path(name)), name=name)

    @classmethod
    def from_tiktoken(
        cls,
        path: StrPath,
        pattern: str | None,
        special_tokens: Mapping[str, int] | None = None,
        *,
        name: str | None = None,
    ) -> Tokenizer:
        """Reads a `.tiktoken` file of base64 tokens and ranks; the pattern and the special tokens
        with their ids are not in it."""
        path = Path(path)
        special = list((special_tokens or {}).items())
        return cls(_core.load_tiktoken(path, pattern, special), name=name or path.stem)

    @classmethod
    def from_gpt2(
        cls, encoder_json: StrPath, vocab_bpe: StrPath, *, name: str = "gpt2"
    ) -> Tokenizer:
        """Reads GPT-2's `encoder.json` and `vocab.bpe`. Tokens that no merge makes are special."""
        return cls(_core.load_gpt2(Path(encoder_json), Path(vocab_bpe)), name=name)

    def save(self, path: StrPath) -> None:
        """Writes a `tokenizer.json`, which `load`, Hugging Face's tokenizers and transformers
        read with the same ids."""
        self.save_json(Path(path))

    def to_tiktoken(self, path: StrPath) -> None:
        """Writes a `.tiktoken` file: tokens and ranks, without pattern and special tokens. Raises
        `InvalidInputError` for a tokenizer whose merges do not follow from the order of its ids."""
        self.save_tiktoken(Path(path))

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (type(self), self.to_json(), self.name)

    def __repr__(self) -> str:
        return f"<Tokenizer {self.name!r}: {self.num_tokens} tokens, pattern {self.pattern!r}>"


def _check_counts(
    vocab_size: int, num_threads: int | None, min_frequency: int, max_token_length: int | None
) -> None:
    """What the core's unsigned numbers cannot hold; its own limits are narrower."""
    for name, value in (
        ("vocab_size", vocab_size),
        ("num_threads", num_threads),
        ("min_frequency", min_frequency),
        ("max_token_length", max_token_length),
    ):
        if value is not None and not 0 <= value < 2**32:
            raise InvalidInputError(f"{name} = {value}: must be at least 1 and below 2**32")


def _unpickle(cls: type[Tokenizer], content: bytes, name: str) -> Tokenizer:
    return cls.from_json(content, name=name)
