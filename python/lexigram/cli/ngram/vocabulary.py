"""How a model's ids and text go together: through the tokenizer that it carries, or its words."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lexigram import Tokenizer
from lexigram.cli.ngram.opening import tokenizer_of
from lexigram.errors import (
    EncodingError,
    FileError,
    FormatError,
    InvalidInputError,
    MissingFileError,
)
from lexigram.ngram import NgramModel

__all__ = ["TokenText", "Vocabulary", "WordText", "read_text", "vocabulary_of"]

Ids = npt.NDArray[np.uint32]

_GZIP = b"\x1f\x8b"
# What KenLM's lmplz takes for white space inside a line.
_BLANK = re.compile(rb"[\x00\t\r ]+")


class Vocabulary(Protocol):
    """The way from text to ids and back."""

    unknown: int | None
    """The id of what the vocabulary lacks, if there can be such a thing."""

    def encode(self, text: bytes, *, whole: bool) -> Ids:
        """The ids of a text as a model reads it: a separator in front if the model has one; where
        the text is `whole`, one behind each sentence of a word model."""
        ...

    def piece(self, token: int) -> bytes:
        """What an id stands for."""
        ...


class TokenText:
    """Ids of a tokenizer; the text is one document."""

    unknown: int | None = None

    def __init__(self, tokenizer: Tokenizer, separator: int | None) -> None:
        self.tokenizer, self._front = tokenizer, [] if separator is None else [separator]

    def encode(self, text: bytes, *, whole: bool) -> Ids:
        try:
            decoded = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise EncodingError(
                f"the text is not UTF-8 at byte {error.start}, which the model's tokenizer needs; "
                "convert it first"
            ) from None
        ids = self.tokenizer.encode_ordinary(decoded)
        return np.array([*self._front, *ids], dtype=np.uint32)

    def piece(self, token: int) -> bytes:
        try:
            return self.tokenizer.decode_single_token_bytes(token)
        except KeyError:
            return b"<id:%d>" % token


class WordText:
    """Ids of words between white space; a line is a sentence."""

    def __init__(self, words: tuple[bytes, ...], separator: int | None) -> None:
        self.unknown: int | None = words.index(b"<unk>") if b"<unk>" in words else None
        self._words, self._separator = words, separator
        self._ids = {word: number for number, word in enumerate(words)}
        if self.unknown is None or separator is None:
            raise InvalidInputError("the word model has no <unk> or no </s>; train it again")
        for symbol in (b"<s>", b"</s>"):
            self._ids[symbol] = self.unknown  # no text can end a sentence but by its line's end

    def encode(self, text: bytes, *, whole: bool) -> Ids:
        end, unknown, ids = self._separator, self.unknown, self._ids
        found = [end]
        lines = text.split(b"\n")
        last = lines.pop() if not whole or not lines[-1] else None
        for line in lines:
            found += [ids.get(word, unknown) for word in _BLANK.split(line) if word]
            found.append(end)
        if not whole and last is not None:
            found += [ids.get(word, unknown) for word in _BLANK.split(last) if word]
        return np.array(found, dtype=np.uint32)

    def piece(self, token: int) -> bytes:
        return b"</s>" if token == self._separator else self._words[token]


def vocabulary_of(model: NgramModel) -> Vocabulary | None:
    """How a model reads text; None if it carries neither words nor a tokenizer."""
    if model.words is not None:
        return WordText(model.words, model.document_separator)
    tokenizer = tokenizer_of(model)
    return None if tokenizer is None else TokenText(tokenizer, model.document_separator)


def read_text(path: Path) -> bytes:
    """The bytes of a text of words, which may be any; what begins as gzip does is decompressed, as
    in training."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except FileNotFoundError:
        raise MissingFileError(f"there is no text file {path}") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(f"{path} begins as gzip does, but: {error}") from None
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None
