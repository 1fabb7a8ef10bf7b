"""From text to token shards: all of a dataset, or nothing.

Reading, encoding and writing go side by side: the core reads JSON Lines and encodes on all threads,
a thread unpacks compressed files ahead, another hashes and writes. What is written is decided by
the documents alone, whatever the number of threads and however they come in batches.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypedDict, cast, overload

import numpy as np
import numpy.typing as npt

from lexigram._core import ShardWriter, TextBatch
from lexigram._core import Tokenizer as CoreTokenizer
from lexigram.data.dataset import TokenDataset
from lexigram.data.feed import batches
from lexigram.data.sources import Document, Errors, Format, Source
from lexigram.data.split import split_of
from lexigram.errors import InvalidInputError

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["TokenizerLike", "tokenize"]

_Ids = tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]


class TokenizerLike(Protocol):
    """What `tokenize` needs of a tokenizer; `lexigram.Tokenizer` has it."""

    @property
    def n_vocab(self) -> int: ...
    @property
    def eot_token(self) -> int | None: ...
    @property
    def fingerprint(self) -> str: ...
    def encode_ordinary_batch_to_numpy(self, texts: list[str], /) -> _Ids: ...


class _Options(TypedDict, total=False):
    seed: int
    deduplicate: bool
    errors: Errors
    document_delimiter: str | None
    text_field: str
    file_format: Format | None
    max_chars: int | None
    keep: Callable[[Document], bool] | None
    max_documents: int | None
    document_separator: int | None
    shard_tokens: int
    overwrite: bool
    resume: bool
    num_threads: int | None
    progress: Callable[[int, int], object] | None
    on_resume: Callable[[int], object] | None


@overload
def tokenize(
    source: Source,
    tokenizer: TokenizerLike,
    out_dir: str | os.PathLike[str],
    *,
    splits: None = None,
    **options: Unpack[_Options],
) -> TokenDataset: ...
@overload
def tokenize(
    source: Source,
    tokenizer: TokenizerLike,
    out_dir: str | os.PathLike[str],
    *,
    splits: Mapping[str, float],
    **options: Unpack[_Options],
) -> dict[str, TokenDataset]: ...
def tokenize(
    source: Source,
    tokenizer: TokenizerLike,
    out_dir: str | os.PathLike[str],
    *,
    splits: Mapping[str, float] | None = None,
    seed: int = 0,
    deduplicate: bool = False,
    errors: Errors = "strict",
    document_delimiter: str | None = None,
    text_field: str = "text",
    file_format: Format | None = None,
    max_chars: int | None = None,
    keep: Callable[[Document], bool] | None = None,
    max_documents: int | None = None,
    document_separator: int | None = None,
    shard_tokens: int = 2**27,
    overwrite: bool = False,
    resume: bool = False,
    num_threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    on_resume: Callable[[int], object] | None = None,
) -> TokenDataset | dict[str, TokenDataset]:
    """Encodes every document of `source` and writes the dataset `out_dir`.

    Each document is followed by `document_separator`, by default the tokenizer's `<|endoftext|>`.
    Special tokens in the text are encoded as ordinary text. A document stays in one shard; a shard
    ends with the document that brings it to `shard_tokens`.

    `splits`, such as `{"train": 0.95, "validation": 0.04, "test": 0.01}`, makes one pass write the
    datasets `out_dir/train` and so on, which are returned by name: a document goes where
    `split_of(text, splits, seed=seed)` says, so that equal documents are never on two sides. With
    `deduplicate`, only the first of equal documents is written (19 to 39 bytes of memory for each
    document that differs, half as much again while the table grows).

    All of `out_dir` appears in one step when it is finished; whatever happens before, an error,
    Ctrl-C or an exception of `progress`, leaves what was there. Until then the work is in
    `out_dir` + ".partial". Of two writers to one `out_dir` the second is refused.

    With `resume`, an interruption leaves the shards that are full, and the next call with the same
    source, tokenizer and options goes on after them; `on_resume` is called with the number of
    documents that need not be encoded again. What a killed process left is found as well, whatever
    it was called with. The datasets are those of a run without interruption, bit for bit. A call
    without `resume` starts anew, and removes what was left.

    `progress(done, total)` counts the bytes of the source's files as they are stored, or for an
    iterable the UTF-8 bytes of its texts, of which the total is not known (0). `num_threads`: by
    default `LEXIGRAM_NUM_THREADS`, else all cores.

    `source`, `errors` to `max_documents` are those of `documents`. Raises what it raises,
    `FileError` where something cannot be written, and `InvalidInputError` for an empty corpus or
    split, for an `out_dir` that already holds something or is being written, and for a resumed run
    whose source or options are not those of the interrupted one.
    """
    separator = _end_of_text(tokenizer) if document_separator is None else document_separator
    if separator < 0:
        raise InvalidInputError(f"document_separator = {separator}: must be 0 or more")
    if shard_tokens < 1:
        raise InvalidInputError(f"shard_tokens = {shard_tokens}: must be 1 or more")
    if splits is not None:
        split_of("", splits, seed=seed)  # for what it raises
    skipped: list[None] = []
    read: list[tuple[int, int]] = []
    feed = batches(
        source,
        num_threads=num_threads,
        progress=lambda done, total: read.append((done, total)),
        errors=errors,
        document_delimiter=document_delimiter,
        text_field=text_field,
        file_format=file_format,
        max_chars=max_chars,
        keep=keep,
        max_documents=max_documents,
        on_skip=lambda _: skipped.append(None),
    )
    writer = ShardWriter(
        out_dir,
        vocab_size=tokenizer.n_vocab,
        document_separator=separator,
        tokenizer=tokenizer.fingerprint,
        shard_tokens=shard_tokens,
        overwrite=overwrite,
        resume=resume,
        deduplicate=deduplicate,
        splits=None if splits is None else list(splits.items()),
        seed=seed,
    )
    encode = _encoder(tokenizer, num_threads)
    done = 0
    try:
        if on_resume is not None and writer.resumed:
            on_resume(writer.resumed)
        for batch in feed:
            admitted = writer.admit(batch, num_threads)
            if len(admitted):
                writer.append_admitted(*encode(admitted.batch), admitted)
            done += batch.num_bytes
            if progress is not None:
                progress(*(read[-1] if read else (done, 0)))
            del read[:-1]
        writer.finish(len(skipped))
    finally:
        writer.abort()  # after finish there is nothing to remove
    if splits is None:
        return TokenDataset(out_dir)
    return {name: TokenDataset(Path(out_dir, name)) for name in splits}


def _encoder(tokenizer: TokenizerLike, num_threads: int | None) -> Callable[[TextBatch], _Ids]:
    """Our own tokenizer takes batches as they are; any other, and one that was changed, a list."""
    own = CoreTokenizer.encode_ordinary_batch_to_numpy
    if getattr(type(tokenizer), "encode_ordinary_batch_to_numpy", None) is own:
        core = cast("CoreTokenizer", tokenizer)
        return lambda batch: core.encode_ordinary_batch_to_numpy(batch, num_threads=num_threads)
    return lambda batch: tokenizer.encode_ordinary_batch_to_numpy(batch.texts())


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
