"""Documents from anyone's text, wherever it is and whatever it is packed in.

Which files a source has is said in `places`, what the documents of a file are in `formats`, and
named corpora in `corpora`. Text is UTF-8 and is taken as it is: line ends, byte order marks and NUL
stay. Order. Documents come in the order of their files, and within a file as they stand there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TypeAlias, get_args

from lexigram.data.corpora import Corpus, corpora, fetch_corpus, stdlib_files
from lexigram.data.formats import Document, Errors, Format, OnSkip, Reader
from lexigram.data.huggingface import is_dataset, rows
from lexigram.data.places import TEXT_SUFFIXES, Place, local_places, places
from lexigram.errors import EncodingError, FormatError, InvalidInputError, MissingFileError

__all__ = ["TEXT_SUFFIXES", "Document", "Errors", "Format", "Source", "documents"]

Source: TypeAlias = "str | os.PathLike[str] | Iterable[str | Document]"
"""A corpus's name, a path, pattern or address, or the documents themselves."""

_BLANK = " \n"  # WikiText's files have it where the Hub's rows are empty


def documents(
    source: Source,
    *,
    errors: Errors = "strict",
    document_delimiter: str | None = None,
    text_field: str = "text",
    max_chars: int | None = None,
    keep: Callable[[Document], bool] | None = None,
    max_documents: int | None = None,
    on_skip: OnSkip = None,
    file_format: Format | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Iterator[Document]:
    """The documents of `source`, in an order that depends on nothing but the source.

    `source` is one of

    - the name of a corpus (`lexigram.data.corpora()`), fetched if it is not on this machine;
    - a file. By its suffix: `.jsonl`, `.ndjson`, one document for each line's `text_field`;
      `.parquet`, one for each row of the column `text_field`; `.wet`, `.warc`, one for each record
      of extracted text, named by its page; anything else is text: one document, or one for each
      piece between `document_delimiter`s. `file_format` says it in place of the suffix. `.gz`,
      `.bz2`, `.xz` and `.zst` after the suffix are read through;
    - a directory: its files with a suffix of text (`TEXT_SUFFIXES`) in the order of their names,
      then its folders', without hidden and binary ones (binary ones are told to `on_skip`);
    - a pattern with `*`, `?`, `[…]` or `**`: all files that match, in the order of their paths;
    - `-`: standard input, whose compression and format are known by its first bytes;
    - `https://…`, read as it comes; or `s3://…`, `gs://…` and what else fsspec knows: a file, a
      pattern or a folder;
    - `hf://OWNER/NAME[@REVISION][/CONFIG][:SPLIT]`, a dataset of the Hugging Face Hub, streamed;
    - an iterable of texts.

    Files without a byte, and nothing between delimiters, are no document; a row or record with an
    empty text is one. A name wins over a path: write `./stdlib` for a folder of that name.

    In memory is one document at a time: a line, a piece, a record, 256 rows; a text file without a
    delimiter is one document, and is held whole.

    `max_chars` cuts longer documents after the last blank line, else line, that fits; the parts
    joined are the document. `keep` chooses among what there is then, for example one side of
    `split_of`. `max_documents` ends the iteration.

    `errors="skip"` leaves out what is not UTF-8, not JSON or no text and calls `on_skip` with the
    error that would have been raised; "replace" puts U+FFFD for bytes that are not UTF-8.
    `progress` counts the files' bytes as they are stored, and their total (0: not known).

    Raises `MissingFileError`, `FileError`, `DownloadError`, `EncodingError` (file, byte and line),
    `FormatError` (file and line), `MissingDependencyError`, `InvalidInputError`.
    """
    if errors not in get_args(Errors):
        raise InvalidInputError(
            f"errors = {errors!r}: must be one of {', '.join(get_args(Errors))}"
        )
    if file_format is not None and file_format not in get_args(Format):
        raise InvalidInputError(
            f"file_format = {file_format!r}: must be one of {', '.join(get_args(Format))}"
        )
    if document_delimiter == "":
        raise InvalidInputError("document_delimiter = '': must have at least one character")
    try:
        (document_delimiter or "").encode()
    except UnicodeEncodeError:
        raise EncodingError(
            f"document_delimiter = {document_delimiter!r}: is not UTF-8, so that no text has it"
        ) from None
    for name, limit in (("max_chars", max_chars), ("max_documents", max_documents)):
        if limit is not None and limit < 1:
            raise InvalidInputError(f"{name} = {limit}: must be at least 1")
    meter = None if progress is None else _Meter(progress)

    def reader(delimiter: str | None = document_delimiter) -> Reader:
        count = None if meter is None else meter.count
        return Reader(errors, delimiter, text_field, file_format, on_skip, count)

    def read(found: Iterable[Place], how: Reader) -> Iterator[Document]:
        if meter is not None:
            found = list(found)
            meter.expect(found)
        return chain.from_iterable(map(how.read, found))

    found = _found(source, text_field, on_skip, reader, read)
    if max_chars is not None:
        found = (part for document in found for part in _cut(document, max_chars))
    found = filter(keep, found) if keep else found
    return found if max_documents is None else _first(found, max_documents)


def _found(
    source: object,
    text_field: str,
    on_skip: OnSkip,
    reader: Callable[..., Reader],
    read: Callable[[Iterable[Place], Reader], Iterator[Document]],
) -> Iterator[Document]:
    if not isinstance(source, str | os.PathLike):
        if isinstance(source, Iterable) and not isinstance(source, bytes | bytearray):
            return _texts(source, reader())
        raise InvalidInputError(
            f"source is a {type(source).__name__}: must be a path, a corpus's name or an "
            "iterable of texts"
        )
    if isinstance(source, str):
        if source == "stdlib":
            return read(local_places(stdlib_files()), reader())
        if source in corpora():
            return _corpus(corpora()[source], reader, read)
        if is_dataset(source):
            return _dataset(source, text_field, reader())
    try:
        return read(places(os.fspath(source), on_skip), reader())
    except MissingFileError as error:
        shown = str(error) if len(str(error)) < 240 else f"{str(error)[:240]}…"
        raise MissingFileError(
            f"{shown}, and no corpus of that name; corpora are {', '.join(corpora())}; "
            "pass text itself in a list"
        ) from None


def _texts(source: Iterable[object], reader: Reader) -> Iterator[Document]:
    for number, item in enumerate(source):
        if isinstance(item, Document):
            text, name = item
        elif isinstance(item, str):
            text, name = item, f"document {number}"
        else:
            kind = type(item).__name__
            raise InvalidInputError(f"document {number} is a {kind}: must be a str")
        yield from reader.checked(text, name)


def _dataset(address: str, column: str, reader: Reader) -> Iterator[Document]:
    for number, value in enumerate(rows(address, column)):
        name = f"{address}#{number}"
        if isinstance(value, str):
            yield from reader.checked(value, name)
        else:
            reader.bad(FormatError(f"{name} has no text in its column {column!r}"))


def _corpus(
    corpus: Corpus,
    reader: Callable[..., Reader],
    read: Callable[[Iterable[Place], Reader], Iterator[Document]],
) -> Iterator[Document]:
    how = reader() if corpus.document_delimiter is None else reader(corpus.document_delimiter)
    found = read(local_places(fetch_corpus(corpus)), how)
    if corpus.headings:
        return _articles(found)
    if corpus.strip:
        whole = (Document(document.text.strip(), document.name) for document in found)
        return (document for document in whole if document.text)
    return found


def _articles(lines: Iterable[Document]) -> Iterator[Document]:
    """Articles of WikiText's lines: each begins with ` = Title = `. A few lines within articles
    look so as well, and begin one here, too."""
    article: list[str] = []
    name = ""
    for line in lines:
        text = line.text or _BLANK
        if text.startswith(" = ") and text.endswith(" = \n") and not text.startswith(" = = "):
            if "".join(article).strip():
                yield Document("".join(article), name)
            article, name = [], line.name
        article.append(text)
        name = name or line.name
    if "".join(article).strip():
        yield Document("".join(article), name)


class _Meter:
    """Adds up what was read."""

    def __init__(self, progress: Callable[[int, int], object]) -> None:
        self._progress = progress
        self._done = 0
        self._total = 0

    def expect(self, found: list[Place]) -> None:
        if all(place.size for place in found if place.seekable):
            self._total += sum(place.size for place in found)

    def count(self, length: int) -> None:
        self._done += length
        if length:
            self._progress(self._done, max(self._done, self._total) if self._total else 0)


def _first(found: Iterator[Document], limit: int) -> Iterator[Document]:
    for count, document in enumerate(found, 1):
        yield document
        if count == limit:
            return


def _cut(document: Document, limit: int) -> Iterator[Document]:
    text, start, number = document.text, 0, 0
    while len(text) - start > limit:
        end = _break(text, start, start + limit)
        yield Document(text[start:end], f"{document.name}[{number}]")
        start, number = end, number + 1
    name = f"{document.name}[{number}]" if number else document.name
    yield Document(text[start:], name)


def _break(text: str, start: int, end: int) -> int:
    """After the last blank line in start … end, else after the last line, else at `end`."""
    for mark in ("\n\n", "\n\r\n", "\n"):
        at = text.rfind(mark, start, end)
        if at >= 0:
            return at + len(mark)
    return end
