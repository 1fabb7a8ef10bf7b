"""Byte-level byte-pair encoding: text to token ids and back, with the interface of tiktoken.

Any text and any bytes can be encoded, and decoding gives them back exactly. Ids equal those of
tiktoken and of Hugging Face's tokenizers for the same vocabulary. What the encoding is, and why it
is exact, stands in docs/tokenizer.md; `lexigram.reference.bpe` is the same in readable Python.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lexigram import _core
from lexigram.errors import InvalidInputError, MissingFileError
from lexigram.folders import cache_folder
from lexigram.outputs import file_to_write
from lexigram.tokenizer.stream import (
    StreamDecoder,
    StreamEncoder,
    TextSource,
    source_name,
    text_chunks,
)
from lexigram.tokenizer.training import train_options
from lexigram.vocabularies import Vocabulary, source_path, vocabularies

__all__ = ["StreamDecoder", "StreamEncoder", "Tokenizer"]

Progress = Callable[[int, int], object]
StrPath = str | os.PathLike[str]
Errors = Literal["strict", "replace", "skip"]
Allowed = AbstractSet[str] | Literal["all"] | None
Disallowed = Collection[str] | Literal["all"] | None


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
        memory_limit: int | None = None,
        base: Tokenizer | None = None,
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
        bytes, are not merged. All 256 bytes are always in the vocabulary. The result does not
        depend on `num_threads` (None: as in `encode_batch`).

        Training holds the distinct pieces of the corpus, not the corpus: their bytes and about 20
        more each, for each thread; while merges are learnt, about as many again. `memory_limit`
        bytes for one table of all pieces are a limit at which training fails rather than going on
        (None: no limit).

        With a `base`, training goes on from that tokenizer: its ids, merges and pattern stay
        (`pattern` is not used), `vocab_size` counts its ids too, and special tokens and merges
        are added after them. Text that the base was trained on gives what training without a
        stop gives.

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
        options = train_options(
            vocab_size,
            pattern=pattern,
            special_tokens=special_tokens,
            num_threads=num_threads,
            min_frequency=min_frequency,
            max_token_length=max_token_length,
            memory_limit=memory_limit,
            base=base,
            errors=errors,
        )
        return cls(_core.train_tokenizer(texts, options, progress), name=name)

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
        memory_limit: int | None = None,
        base: Tokenizer | None = None,
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
        options = train_options(
            vocab_size,
            pattern=pattern,
            special_tokens=special_tokens,
            num_threads=num_threads,
            min_frequency=min_frequency,
            max_token_length=max_token_length,
            memory_limit=memory_limit,
            base=base,
            errors=errors,
        )
        files = [Path(path) for path in paths]
        return cls(_core.train_tokenizer_files(files, options, progress), name=name)

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
        return cls.from_tiktoken(paths[0], vocabulary.pattern, special, name=name, cache=True)

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
        cache: bool = False,
    ) -> Tokenizer:
        """Reads a `.tiktoken` file of base64 tokens and ranks; the pattern and the special tokens
        with their ids are not in it.

        With `cache`, what takes time to compute from the file is kept in the folder `compiled` of
        the cache (`LEXIGRAM_CACHE`, by default `~/.cache/lexigram`) and found there the next time,
        which makes loading eight times as fast: 13 MB for 200,000 tokens. A file there that is
        damaged or of another version is not used, and a folder that cannot be written is left
        alone. Vocabularies loaded by name do so always.
        """
        path = Path(path)
        special = list((special_tokens or {}).items())
        compiled = cache_folder() / "compiled" if cache else None
        return cls(_core.load_tiktoken(path, pattern, special, compiled), name=name or path.stem)

    @classmethod
    def from_gpt2(
        cls, encoder_json: StrPath, vocab_bpe: StrPath, *, name: str = "gpt2"
    ) -> Tokenizer:
        """Reads GPT-2's `encoder.json` and `vocab.bpe`. Tokens that no merge makes are special."""
        return cls(_core.load_gpt2(Path(encoder_json), Path(vocab_bpe)), name=name)

    def save(self, path: StrPath) -> None:
        """Writes a `tokenizer.json`, which `load`, Hugging Face's tokenizers and transformers
        read with the same ids."""
        self.save_json(file_to_write(path))

    def to_tiktoken(self, path: StrPath) -> None:
        """Writes a `.tiktoken` file: tokens and ranks, without pattern and special tokens. Raises
        `InvalidInputError` for a tokenizer whose merges do not follow from the order of its ids."""
        self.save_tiktoken(file_to_write(path))

    def encode_stream(
        self,
        source: TextSource,
        *,
        allowed_special: Allowed = None,
        disallowed_special: Disallowed = None,
        errors: Errors = "strict",
        chunk_size: int = 1 << 20,
    ) -> Iterator[npt.NDArray[np.uint32]]:
        """The ids of a text of any length, in arrays of uint32, shape (tokens,), none empty.

        `source` is a path (`pathlib.Path`; a str would be text), an open file or pipe, or an
        iterable of str or bytes, the parts of one text. The arrays joined are what `encode` gives
        for the whole text; `errors` says what becomes of bytes that are not UTF-8. Memory holds a
        few chunks and the longest stretch of text that cannot be cut, for a known pattern a line or
        less in all but strange text; a custom pattern, or None, needs the whole text
        (docs/tokenizer.md).

        Raises, when the place is reached, `EncodingError` with the byte's offset, and
        `InvalidInputError` for a disallowed special token; arrays before it were given out.
        """
        if isinstance(source, str | bytes | bytearray):
            next(text_chunks(source, chunk_size))
        if chunk_size < 1:
            raise InvalidInputError(f"chunk_size = {chunk_size}: must be at least 1")
        encoder = self.stream_encoder(
            allowed_special=allowed_special,
            disallowed_special=disallowed_special,
            errors=errors,
            source_name=source_name(source),
        )

        def arrays() -> Iterator[npt.NDArray[np.uint32]]:
            for chunk in text_chunks(source, chunk_size):
                if (ids := encoder.push(chunk)).size:
                    yield ids
            if (ids := encoder.finish()).size:
                yield ids

        return arrays()

    def stream_encoder(
        self,
        *,
        allowed_special: Allowed = None,
        disallowed_special: Disallowed = None,
        errors: Errors = "strict",
        source_name: str = "the input",
    ) -> StreamEncoder:
        """An encoder to push the parts of a text to, for a text that comes in no iterable; see
        `encode_stream`."""
        return StreamEncoder(
            self,
            allowed_special=allowed_special,
            disallowed_special=disallowed_special,
            errors=errors,
            source_name=source_name,
        )

    def decode_stream(self, *, errors: str = "replace") -> StreamDecoder:
        """A decoder to push ids to while they are made; it never gives half a character."""
        return StreamDecoder(self, errors=errors)

    def encode_with_unstable(
        self,
        text: str,
        *,
        allowed_special: Allowed = None,
        disallowed_special: Disallowed = None,
    ) -> tuple[list[int], list[list[int]]]:
        """The ids that stay whatever follows, and what the rest of the text may become: sequences
        of ids whose bytes begin with the rest, in the order of their ids. As in tiktoken, which
        gives them in any order; like there, slow for a long last piece."""
        return _core.encode_with_unstable(self, text, allowed_special, disallowed_special)

    def encode_single_piece(self, text_or_bytes: str | bytes) -> list[int]:
        """The ids of a text as one piece, whatever the pattern says; no special tokens."""
        return _core.encode_single_piece(self, text_or_bytes)

    def count(
        self,
        text: str | bytes,
        *,
        allowed_special: Allowed = None,
        disallowed_special: Disallowed = None,
    ) -> int:
        """How many ids `encode` gives, without making a list of them."""
        ids = self.encode_to_numpy(
            text, allowed_special=allowed_special, disallowed_special=disallowed_special
        )
        return len(ids)

    def truncate(self, text: str, max_tokens: int) -> str:
        """The text of the first `max_tokens` tokens, special tokens being ordinary text: a start
        of `text` that ends with a whole character and has itself at most so many tokens. (Of a
        tokenizer that normalizes, a start of the normalized text.)"""
        if max_tokens < 0:
            raise InvalidInputError(f"max_tokens = {max_tokens}: must be 0 or more")
        ids = self.encode_ordinary(text)
        if len(ids) <= max_tokens:
            return text
        for kept in range(max_tokens, 0, -1):
            start = self.decode(ids[:kept], errors="ignore")
            # Alone, a start may be split otherwise than in the text.
            if len(self.encode_ordinary(start)) <= max_tokens:
                return start
        return ""

    # Names that code written for tiktoken reads although they are not public there: its own guide
    # to extending an encoding does.

    @property
    def _pat_str(self) -> str | None:
        return self.pattern_regex

    @property
    def _special_tokens(self) -> dict[str, int]:
        return self.special_tokens

    @property
    def _mergeable_ranks(self) -> dict[bytes, int]:
        return {token: self.encode_single_token(token) for token in self.token_byte_values()}

    def __copy__(self) -> Tokenizer:
        return type(self)(self, name=self.name)

    def __deepcopy__(self, memo: dict[int, object]) -> Tokenizer:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (type(self), self.to_json(), self.name)

    def __repr__(self) -> str:
        return f"<Tokenizer {self.name!r}: {self.num_tokens} tokens, pattern {self.pattern!r}>"


def _unpickle(cls: type[Tokenizer], content: bytes, name: str) -> Tokenizer:
    return cls.from_json(content, name=name)
