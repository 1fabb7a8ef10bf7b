"""Documents from anyone's text: files, folders, JSON Lines, compressed or not, iterators, names.

Text is UTF-8 and is taken as it is: line ends, byte order marks and NUL stay. A document that
cannot be read is an error that names its file and place, or is replaced or skipped as asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeAlias, get_args

from lexigram.data.compression import COMPRESSED, open_bytes
from lexigram.data.corpora import corpora, corpus_path, stdlib_files
from lexigram.errors import (
    EncodingError,
    FormatError,
    InvalidInputError,
    LexigramError,
    MissingFileError,
)

__all__ = ["TEXT_SUFFIXES", "Document", "Errors", "Source", "documents"]

Errors = Literal["strict", "replace", "skip"]

_PROSE = (".txt", ".text", ".md", ".rst", ".tex", ".org", ".adoc", ".html", ".htm", ".xml")
_CODE = (".py", ".pyi", ".rs", ".go", ".c", ".h", ".cc", ".cpp", ".hpp", ".cu", ".m", ".swift")
_MORE_CODE = (".java", ".kt", ".scala", ".js", ".mjs", ".jsx", ".ts", ".tsx", ".css", ".rb", ".php")
_REST = (".pl", ".lua", ".r", ".jl", ".hs", ".ml", ".lisp", ".el", ".sql", ".sh", ".toml", ".yaml")
_JSON_LINES = frozenset({".jsonl", ".ndjson"})

TEXT_SUFFIXES = _JSON_LINES.union(_PROSE, _CODE, _MORE_CODE, _REST)
"""What a directory is searched for, also with `.gz`, `.bz2`, `.xz` or `.zst` after it."""

_CHUNK = 1 << 20


class Document(NamedTuple):
    """One text, and where it comes from: a file, or a file and a line or part."""

    text: str
    name: str


Source: TypeAlias = "str | os.PathLike[str] | Iterable[str | Document]"
"""A corpus's name, a path, or the documents themselves."""

OnSkip: TypeAlias = "Callable[[LexigramError], object] | None"


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
) -> Iterator[Document]:
    """The documents of `source`, in an order that depends on nothing but the source.

    `source` is the name of a corpus (`lexigram.data.corpora()`); a file: one document, or one for
    each piece between `document_delimiter`s, or one for each line's `text_field` where the name
    ends in `.jsonl`; a directory: its files with a suffix of text (`TEXT_SUFFIXES`) in the order of
    their names, then its folders', without hidden and binary ones; any of these as `.gz`, `.bz2`,
    `.xz` or `.zst`; or an iterable of texts. Files without a byte, and nothing between delimiters,
    are no document. A name wins over a path: write `./stdlib` for a folder of that name.

    `max_chars` cuts longer documents after the last blank line, else line, that fits; the parts
    joined are the document. `keep` chooses among what there is then, for example one side of
    `split_of`. `max_documents` ends the iteration.

    `errors="skip"` leaves out what is not UTF-8 or not JSON and calls `on_skip` with the error that
    would have been raised; "replace" puts U+FFFD for bytes that are not UTF-8. Raises
    `MissingFileError`, `FileError`, `EncodingError` (file and byte), `FormatError` (file and line),
    `MissingDependencyError`, `InvalidInputError`.
    """
    if errors not in get_args(Errors):
        raise InvalidInputError(
            f"errors = {errors!r}: must be one of {', '.join(get_args(Errors))}"
        )
    if document_delimiter == "":
        raise InvalidInputError("document_delimiter = '': must have at least one character")
    for name, limit in (("max_chars", max_chars), ("max_documents", max_documents)):
        if limit is not None and limit < 1:
            raise InvalidInputError(f"{name} = {limit}: must be at least 1")
    reader = _Reader(errors, document_delimiter, text_field, on_skip)
    found = reader.read(source)
    if max_chars is not None:
        found = (part for document in found for part in _cut(document, max_chars))
    return _first(filter(keep, found) if keep else found, max_documents)


def _first(found: Iterator[Document], limit: int | None) -> Iterator[Document]:
    for count, document in enumerate(found, 1):
        yield document
        if count == limit:
            return


class _Reader:
    """Reads documents, and deals with those that cannot be read."""

    def __init__(
        self, errors: Errors, delimiter: str | None, text_field: str, on_skip: OnSkip
    ) -> None:
        self._errors = errors
        self._delimiter = delimiter
        self._text_field = text_field
        self._on_skip = on_skip

    def read(self, source: object) -> Iterator[Document]:
        if not isinstance(source, str | os.PathLike):
            if isinstance(source, Iterable) and not isinstance(source, bytes | bytearray):
                return self._texts(source)
            raise InvalidInputError(
                f"source is a {type(source).__name__}: must be a path, a corpus's name or an "
                "iterable of texts"
            )
        if source == "stdlib":
            return self._files(stdlib_files())
        if isinstance(source, str) and source in corpora():
            return self._file(corpus_path(corpora()[source]))
        path = Path(source)
        try:
            is_dir, exists = path.is_dir(), path.exists()
        except (OSError, ValueError):  # a name too long, or with NUL in it
            is_dir = exists = False
        if not exists:
            shown = str(path) if len(str(path)) < 200 else f"{str(path)[:200]}…"
            raise MissingFileError(
                f"there is no file or directory {shown!r}, and no corpus of that name; "
                f"corpora are {', '.join(corpora())}; pass text itself in a list"
            )
        return self._files(_text_files(path)) if is_dir else self._file(path)

    def _texts(self, source: Iterable[object]) -> Iterator[Document]:
        for number, item in enumerate(source):
            if isinstance(item, Document):
                text, name = item
            elif isinstance(item, str):
                text, name = item, f"document {number}"
            else:
                kind = type(item).__name__
                raise InvalidInputError(f"document {number} is a {kind}: must be a str")
            yield from self._checked(text, name)

    def _files(self, paths: Iterable[Path]) -> Iterator[Document]:
        for path in paths:
            yield from self._file(path)

    def _file(self, path: Path) -> Iterator[Document]:
        with open_bytes(path) as file:
            if _kind(path) in _JSON_LINES:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        yield from self._json_line(line, f"{path}:{number}")
                return
            at = 0
            for number, piece in enumerate(_pieces(file, self._delimiter)):
                name = f"{path}#{number}" if self._delimiter else str(path)
                if piece:
                    yield from self._decoded(piece, name, at)
                at += len(piece) + len((self._delimiter or "").encode())

    def _decoded(self, content: bytes, name: str, at: int = 0) -> Iterator[Document]:
        """One document; `at` is where it begins in its file."""
        try:
            yield Document(content.decode(), name)
        except UnicodeDecodeError as error:
            if self._errors == "replace":
                yield Document(content.decode(errors="replace"), name)
                return
            self._bad(
                EncodingError(
                    f"{name} is not UTF-8 at byte {at + error.start}; convert it, or pass "
                    'errors="replace" or errors="skip"'
                )
            )

    def _json_line(self, line: bytes, name: str) -> Iterator[Document]:
        for decoded in self._decoded(line, name):
            try:
                row = json.loads(decoded.text)
            except ValueError as error:
                self._bad(FormatError(f"{name} is not JSON: {error}"))
                continue
            text = row.get(self._text_field) if isinstance(row, dict) else None
            if isinstance(text, str):
                yield from self._checked(text, name)
            else:
                self._bad(FormatError(f"{name} has no text in its field {self._text_field!r}"))

    def _checked(self, text: str, name: str) -> Iterator[Document]:
        """A text that did not come from bytes: half of a surrogate pair has no UTF-8."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            if self._errors == "replace":
                whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
                yield Document(whole, name)
                return
            self._bad(
                EncodingError(
                    f"{name} has half of a surrogate pair at character {error.start}, which has "
                    'no UTF-8; repair it, or pass errors="replace" or errors="skip"'
                )
            )
        else:
            yield Document(text, name)

    def _bad(self, error: LexigramError) -> None:
        if self._errors != "skip":
            raise error from None
        if self._on_skip is not None:
            self._on_skip(error)


def _kind(path: Path) -> str:
    """The suffix that tells what is inside: `.jsonl` of `a.jsonl.gz`."""
    inner = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return inner.suffix.lower()


def _text_files(folder: Path) -> Iterator[Path]:
    found = False
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(root, name) for name in sorted(names) if not name.startswith("."))
        for path in paths:
            if _kind(path) in TEXT_SUFFIXES and path.is_file() and not _is_binary(path):
                found = True
                yield path
    if not found:
        raise InvalidInputError(
            f"{folder} holds no text: no file that ends in .txt, .md, .jsonl, .py or another "
            "suffix of lexigram.data.sources.TEXT_SUFFIXES; name a file itself to read it anyway"
        )


def _is_binary(path: Path) -> bool:
    if path.suffix.lower() in COMPRESSED:
        return False  # its content is judged when it is read
    with open_bytes(path) as file:
        return b"\0" in file.read(1 << 13)


def _pieces(file: BinaryIO, delimiter: str | None) -> Iterator[bytes]:
    """What stands between delimiters; UTF-8 lets bytes be searched as characters would be."""
    if delimiter is None:
        yield file.read()
        return
    mark, rest = delimiter.encode(), b""
    while chunk := file.read(_CHUNK):
        *whole, rest = (rest + chunk).split(mark)
        yield from whole
    yield rest


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
