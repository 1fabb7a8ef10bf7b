"""Records of WARC files, as Common Crawl's WET files hold extracted text.

Definition (ISO 28500, WARC 1.1, section 4): a record is `WARC/1.x`, header lines, an empty line,
as many bytes of content as its Content-Length says, and two empty lines. Text extracted from a page
is the content of a record of the type `conversion` (section 6.7); its page is `WARC-Target-URI`.

Invariant. A record is whole or an error: lengths are checked against what the file holds, and what
follows a record must be the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from lexigram.errors import FormatError

__all__ = ["Record", "records"]

_LINE = 1 << 16  # no honest header is longer
_CHUNK = 1 << 20


class Record(NamedTuple):
    """One record of extracted text."""

    uri: str
    """The page that the text is from, or the record's number if it names none."""
    content: bytes


def records(file: BinaryIO, name: str) -> Iterator[Record]:
    """The extracted texts of a WARC file that is open for reading, in their order; one record is
    held in memory at a time. Raises `FormatError` for damage, with the record's number, and for a
    file that has records but no extracted text."""
    number, found, others = 0, 0, set[str]()
    while _next_record(file, name, number):
        number += 1
        headers = _headers(file, name, number)
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            raise FormatError(f"{name} is damaged: record {number} has the length {length!r}")
        kind = headers.get("warc-type", "").lower()
        wanted = kind == "conversion"
        content = _content(file, int(length), wanted)
        if content is None:
            raise FormatError(f"{name} is damaged: it ends inside record {number}")
        if wanted:
            found += 1
            uri = headers.get("warc-target-uri", "").strip("<>") or str(number)
            yield Record(uri, content)
        else:
            others.add(kind)
    if others - {"warcinfo", ""} and not found:
        raise FormatError(
            f"{name} holds no extracted text: its records are {', '.join(sorted(others))}; "
            "use the .wet file that belongs to it, or extract text from its pages first"
        )


def _next_record(file: BinaryIO, name: str, number: int) -> bool:
    """Goes over empty lines to the next record's first line; False: the file ends here."""
    while line := file.readline(_LINE):
        if line.strip():
            if line.startswith(b"WARC/1.") and line.endswith(b"\n"):
                return True
            raise FormatError(
                f"{name} is damaged: after {number} records there is no other, but "
                f"{line[:40].decode(errors='backslashreplace')!r}"
            )
    return False


def _headers(file: BinaryIO, name: str, number: int) -> dict[str, str]:
    """Names in lower case; a line that begins with a blank goes on with the one before."""
    found: dict[str, str] = {}
    last = ""
    for _ in range(1000):
        line = file.readline(_LINE)
        if line.endswith(b"\n"):
            text = line.decode(errors="replace").rstrip("\r\n")
            if not text:
                return found
            if text[0] in " \t" and last:
                found[last] += " " + text.strip()
                continue
            last, colon, value = text.partition(":")
            last = last.strip().lower()
            if colon and last:
                found[last] = value.strip()
                continue
        break
    raise FormatError(f"{name} is damaged: record {number} has a broken header")


def _content(file: BinaryIO, length: int, wanted: bool) -> bytes | None:
    """None: the file ends before. A false length does not ask for its memory at once."""
    parts = []
    while length:
        part = file.read(min(length, _CHUNK))
        if not part:
            return None
        length -= len(part)
        if wanted:
            parts.append(part)
    return b"".join(parts)
