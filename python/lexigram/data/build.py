"""From text to token shards: all of a dataset, or nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lexigram._core import ShardWriter
from lexigram.data.dataset import TokenDataset
from lexigram.data.sources import Document, Errors, Source, documents
from lexigram.errors import InvalidInputError

__all__ = ["TokenizerLike", "tokenize"]

_BATCH_BYTES = 4 << 20  # texts are encoded this many bytes at a time, on all cores
_BATCH_DOCUMENTS = 1 << 14


class TokenizerLike(Protocol):
    """What `tokenize` needs of a tokenizer; `lexigram.Tokenizer` has it."""

    @property
    def n_vocab(self) -> int: ...
    @property
    def eot_token(self) -> int | None: ...
    @property
    def fingerprint(self) -> str: ...
    def encode_ordinary_batch_to_numpy(
        self, texts: list[str], /
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]: ...


def tokenize(
    source: Source,
    tokenizer: TokenizerLike,
    out_dir: str | os.PathLike[str],
    *,
    errors: Errors = "strict",
    document_delimiter: str | None = None,
    text_field: str = "text",
    max_chars: int | None = None,
    keep: Callable[[Document], bool] | None = None,
    max_documents: int | None = None,
    document_separator: int | None = None,
    shard_tokens: int = 2**27,
    overwrite: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> TokenDataset:
    """Encodes every document of `source` and writes the dataset `out_dir`.

    Each document is followed by `document_separator`, by default the tokenizer's `<|endoftext|>`.
    Special tokens in the text are encoded as ordinary text. A document stays in one shard; a shard
    ends with the document that brings it to `shard_tokens`.

    The dataset appears under its name when it is finished; whatever happens before, an error,
    Ctrl-C or an exception of `progress`, leaves what was there. `progress(done, 0)` counts UTF-8
    bytes of text (their total is not known before the end).

    `source` and `errors` to `max_documents` are those of `documents`. Raises what it raises, and
    `InvalidInputError` for an empty corpus and for an `out_dir` that already holds something.

    Held-out text that shares no document with the training text:

        sides = {"train": 0.95, "validation": 0.05}
        for side in sides:
            tokenize(source, tokenizer, f"shards/{side}",
                     keep=lambda d, side=side: split_of(d.text, sides) == side)
    """
    separator = _end_of_text(tokenizer) if document_separator is None else document_separator
    if separator < 0:
        raise InvalidInputError(f"document_separator = {separator}: must be 0 or more")
    if shard_tokens < 1:
        raise InvalidInputError(f"shard_tokens = {shard_tokens}: must be 1 or more")
    skipped: list[None] = []
    texts = documents(
        source,
        errors=errors,
        document_delimiter=document_delimiter,
        text_field=text_field,
        max_chars=max_chars,
        keep=keep,
        max_documents=max_documents,
        on_skip=lambda _: skipped.append(None),
    )
    writer = ShardWriter(
        Path(out_dir),
        vocab_size=tokenizer.n_vocab,
        document_separator=separator,
        tokenizer=tokenizer.fingerprint,
        shard_tokens=shard_tokens,
        overwrite=overwrite,
    )
    done = 0
    try:
        for batch, sizes in _batches(texts):
            ids, offsets = tokenizer.encode_ordinary_batch_to_numpy(batch)
            writer.append(ids, offsets, np.array(sizes, dtype=np.int64))
            done += sum(sizes)
            if progress is not None:
                progress(done, 0)
        writer.finish(len(skipped))
    finally:
        writer.abort()  # after finish there is nothing to remove
    return TokenDataset(out_dir)


def _batches(texts: Iterable[Document]) -> Iterator[tuple[list[str], list[int]]]:
    """Documents in groups worth encoding in one call, with their sizes in UTF-8 bytes."""
    batch: list[str] = []
    sizes: list[int] = []
    total = 0
    for document in texts:
        batch.append(document.text)
        sizes.append(len(document.text.encode()))
        total += sizes[-1]
        if total >= _BATCH_BYTES or len(batch) >= _BATCH_DOCUMENTS:
            yield batch, sizes
            batch, sizes, total = [], [], 0
    if batch:
        yield batch, sizes


def _end_of_text(tokenizer: TokenizerLike) -> int:
    try:
        separator = tokenizer.eot_token
    except KeyError:
        separator = None
    if separator is None:
        raise InvalidInputError(
            "the tokenizer has no <|endoftext|> token to end documents with; train it with "
            'special_tokens=["<|endoftext|>"] or pass document_separator=ID'
        )
    return separator
