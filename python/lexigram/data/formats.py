"""Documents out of a file: text, JSON Lines, Parquet, extracted text of WARC files.

Text is UTF-8 and is taken as it is: line ends, byte order marks and NUL stay. A document that
cannot be read is an error that names its file and line (of text and JSON Lines), row (Parquet) or
page (WARC), or is replaced or skipped as asked. Damage of the container, after which nothing more
can be read, is always an error.
"""

from __future__ import annotations

import importlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Literal, NamedTuple, TypeAlias, cast

from lexigram.data.compression import MAGIC, unpacked
from lexigram.data.places import STANDARD_INPUT, Place
from lexigram.data.warc import records
from lexigram.errors import (
    EncodingError,
    FormatError,
    InvalidInputError,
    LexigramError,
    MissingDependencyError,
)

__all__ = ["Document", "Errors", "Format", "OnSkip", "Reader"]

Errors = Literal["strict", "replace", "skip"]
Format = Literal["text", "jsonl", "parquet", "warc"]
OnSkip: TypeAlias = "Callable[[LexigramError], object] | None"

_FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".wet": "warc", ".warc": "warc",
}  # fmt: skip
# Text may lie in any of Arrow's types of variable length.
_TEXT_TYPES = {
    f"{size}{kind}{view}"
    for kind in ("string", "binary")
    for size, view in (("", ""), ("large_", ""), ("", "_view"))
}
_CHUNK = 1 << 20
_ROWS = 256
_BOM = b"\xef\xbb\xbf"


class Document(NamedTuple):
    """One text, and where it comes from: a file, or a file and a line, piece, row or page."""

    text: str
    name: str


class Reader:
    """Reads documents, and deals with those that cannot be read."""

    def __init__(
        self,
        errors: Errors,
        delimiter: str | None,
        text_field: str,
        file_format: Format | None,
        on_skip: OnSkip,
        count: Callable[[int], None] | None,
    ) -> None:
        self._errors = errors
        self._delimiter = delimiter
        self._text_field = text_field
        self._format = file_format
        self._on_skip = on_skip
        self._count = count

    def read(self, place: Place) -> Iterator[Document]:
        """The documents of one file."""
        if self._format_of(place) == "parquet" and place.seekable and not place.compression:
            with place.open() as raw:  # for the errors of opening it
                pass
            opened = place.opener()
            with opened:
                yield from self._parquet(opened, place.name, place.size)
            return
        with place.open(self._count) as raw:
            suffix = place.compression
            file: BinaryIO = raw
            if not suffix and place.name == STANDARD_INPUT:
                head = _read_up_to(raw, 6)
                file = _joined(head, raw)
                suffix = next((s for magic, s in MAGIC.items() if head.startswith(magic)), "")
            with unpacked(file, place.name, suffix) as content:
                yield from self._content(place, content)

    def _format_of(self, place: Place) -> Format:
        return self._format or _FORMATS.get(place.kind, "text")

    def _content(self, place: Place, file: BinaryIO) -> Iterator[Document]:
        file_format = self._format_of(place)
        if place.name == STANDARD_INPUT and self._format is None:
            line = file.readline(1 << 24)
            file_format = self._guess(line)
            file = _joined(line, file)
        if file_format == "jsonl":
            return self._json_lines(file, place.name)
        if file_format == "warc":
            return self._warc(file, place.name)
        if file_format == "parquet":
            return self._spooled_parquet(file, place.name)
        return self._pieces(file, place.name)

    def _guess(self, line: bytes) -> Format:
        """What standard input holds, by its first line. JSON Lines only with the right field, so
        that a text that looks like it is not broken into lines."""
        if line.startswith(b"WARC/1."):
            return "warc"
        if line.startswith(b"PAR1"):
            return "parquet"
        try:
            row = json.loads(line.removeprefix(_BOM))
        except (ValueError, RecursionError):
            return "text"
        return "jsonl" if isinstance(row, dict) and self._text_field in row else "text"

    def _pieces(self, file: BinaryIO, path: str) -> Iterator[Document]:
        at, line = 0, 1
        between = (self._delimiter or "").encode()
        lines = between.count(b"\n")
        for number, piece in enumerate(_split(file, self._delimiter)):
            name = f"{path}#{number}" if between else path
            if piece:
                try:  # the rule; the exception is dealt with in `decoded`
                    text = piece.decode()
                except UnicodeDecodeError:
                    yield from self.decoded(piece, name, at, line)
                else:
                    yield Document(text, name)
            if between:
                at += len(piece) + len(between)
                line += piece.count(b"\n") + lines

    def _json_lines(self, file: BinaryIO, path: str) -> Iterator[Document]:
        decode, field = json.JSONDecoder().raw_decode, self._text_field
        for number, line in enumerate(file, 1):
            name = f"{path}:{number}"
            # What almost all rows are is read here; `_json_line` says the same of any row, slower.
            if line[:1] == b"{" and b"\\u" not in line:
                try:
                    row = line.decode()
                    found, end = decode(row)
                    text = found[field]
                except (ValueError, KeyError, RecursionError):
                    pass
                else:
                    if isinstance(text, str) and row[end:] in ("\n", "\r\n", ""):
                        yield Document(text, name)
                        continue
            if number == 1:
                line = line.removeprefix(_BOM)  # some editors put one before the first row
            if line.strip():
                yield from self._json_line(line, name)

    def _json_line(self, line: bytes, name: str) -> Iterator[Document]:
        for decoded in self.decoded(line, name):
            try:
                row = json.loads(decoded.text)
            except (ValueError, RecursionError) as error:
                self.bad(FormatError(f"{name} is not JSON: {error}"))
                continue
            text = row.get(self._text_field) if isinstance(row, dict) else None
            if not isinstance(text, str):
                self.bad(FormatError(f"{name} has no text in its field {self._text_field!r}"))
            elif b"\\u" in line:  # only an escape can write half of a surrogate pair
                yield from self.checked(text, name)
            else:
                yield Document(text, name)

    def _warc(self, file: BinaryIO, path: str) -> Iterator[Document]:
        for record in records(file, path):
            yield from self.decoded(record.content, f"{path}#{record.uri}")

    def _spooled_parquet(self, file: BinaryIO, path: str) -> Iterator[Document]:
        """Parquet is read from its end: what cannot be rewound is put on the disk first."""
        with tempfile.TemporaryFile(prefix="lexigram-") as spool:
            while chunk := file.read(_CHUNK):
                spool.write(chunk)
            spool.seek(0)
            yield from self._parquet(spool, path, 0)

    def _parquet(self, file: Any, path: str, size: int) -> Iterator[Document]:
        try:
            parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError:
            raise MissingDependencyError(
                f"reading {path} needs the package pyarrow; pip install 'lexigram[interop]'"
            ) from None
        number = 0
        for values, share in _batches(parquet, file, path, self._text_field):
            for value in values:
                name = f"{path}#{number}"
                number += 1
                if value is None:
                    self.bad(FormatError(f"{name} has no text in its column {self._text_field!r}"))
                else:
                    yield from self.decoded(value, name)
            if self._count is not None:
                self._count(int(size * share))

    def decoded(
        self, content: bytes, name: str, at: int = 0, line: int | None = None
    ) -> Iterator[Document]:
        """One document; `at` and `line` are where it begins in its file."""
        try:
            yield Document(content.decode(), name)
        except UnicodeDecodeError as error:
            if self._errors == "replace":
                yield Document(content.decode(errors="replace"), name)
                return
            where = f"byte {at + error.start}"
            if line is not None:
                where += f" (line {line + content.count(10, 0, error.start)})"
            hint = ""
            if content.startswith((b"\xff\xfe", b"\xfe\xff")):
                hint = ", but begins as UTF-16 does"
            self.bad(
                EncodingError(
                    f"{name} is not UTF-8 at {where}{hint}; convert it, or pass "
                    'errors="replace" or errors="skip"'
                )
            )

    def checked(self, text: str, name: str) -> Iterator[Document]:
        """A text that did not come from bytes: half of a surrogate pair has no UTF-8."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            if self._errors == "replace":
                whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
                yield Document(whole, name)
                return
            self.bad(
                EncodingError(
                    f"{name} has half of a surrogate pair at character {error.start}, which has "
                    'no UTF-8; repair it, or pass errors="replace" or errors="skip"'
                )
            )
        else:
            yield Document(text, name)

    def bad(self, error: LexigramError) -> None:
        """Raises the error, or notes it and goes on."""
        if self._errors != "skip":
            raise error from None
        if self._on_skip is not None:
            self._on_skip(error)


def _split(file: BinaryIO, delimiter: str | None) -> Iterator[bytes]:
    """What stands between delimiters; UTF-8 lets bytes be searched as characters would be. Holds
    one piece and one chunk."""
    if delimiter is None:
        yield file.read()
        return
    mark = delimiter.encode()
    rest = bytearray()
    while chunk := file.read(_CHUNK):
        # A mark may begin in what is held and end in the chunk; what was searched once is not
        # searched again, so that a piece of many chunks is no quadratic work.
        searched = max(0, len(rest) - len(mark) + 1)
        rest += chunk
        if rest.find(mark, searched) < 0:
            continue
        *whole, last = bytes(rest).split(mark)
        yield from whole
        rest = bytearray(last)
    yield bytes(rest)


def _batches(
    parquet: Any, file: Any, path: str, column: str
) -> Iterator[tuple[list[bytes | None], float]]:
    """Some rows' texts in UTF-8, and the share of the file that they are. Pages are read as they
    are needed, row group after row group."""
    pyarrow: Any = importlib.import_module("pyarrow")
    damage = (pyarrow.ArrowException, OSError)
    try:
        found = parquet.ParquetFile(file, pre_buffer=False, buffer_size=_CHUNK)
        schema, num_rows = found.schema_arrow, found.metadata.num_rows
    except damage as error:
        raise _damaged(path, error) from None
    if column not in schema.names:
        raise InvalidInputError(
            f"{path} has no column {column!r}; its columns are {', '.join(schema.names)}"
        )
    kind = schema.field(column).type
    kind = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    if str(kind) not in _TEXT_TYPES:
        raise InvalidInputError(f"{path}: column {column!r} holds {kind}, not text")
    for group in range(found.num_row_groups):
        batches = found.iter_batches(
            batch_size=_ROWS, row_groups=[group], columns=[column], use_threads=False
        )
        while True:
            try:
                batch = next(batches, None)
                values = None if batch is None else _utf8(pyarrow, batch.column(0))
            except damage as error:
                raise _damaged(path, error) from None
            if values is None:
                break
            yield values, len(values) / num_rows


def _utf8(pyarrow: Any, column: Any) -> list[bytes | None]:
    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    wide = pyarrow.large_binary() if "large" in str(column.type) else pyarrow.binary()
    return cast("list[bytes | None]", column.cast(wide).to_pylist())


def _damaged(path: str, error: Exception) -> FormatError:
    return FormatError(f"{path} is damaged Parquet data: {' '.join(str(error).split())}")


def _read_up_to(file: BinaryIO, length: int) -> bytes:
    found = b""
    while len(found) < length and (more := file.read(length - len(found))):
        found += more
    return found


def _joined(head: bytes, rest: BinaryIO) -> BinaryIO:
    """`head`, and then what `rest` still has."""
    return cast("BinaryIO", io.BufferedReader(_Joined(head, rest), _CHUNK))


class _Joined(io.RawIOBase):
    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._head:
            length = min(len(buffer), len(self._head))
            buffer[:length], self._head = self._head[:length], self._head[length:]
            return length
        return self._rest.readinto(buffer)  # type: ignore[attr-defined,no-any-return]
