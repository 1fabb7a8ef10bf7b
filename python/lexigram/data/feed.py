"""Documents in batches, as the encoder takes them: without a Python string for each.

The documents are those of `lexigram.data.documents`, in the same order and with the same errors; a
property test holds the two together. The rows of JSON Lines are read by the core, on all threads;
what it does not take for certain (`docs/data.md`) is read here, as `documents` does. With
`keep`, `max_chars` and `max_documents`, which speak of single documents, everything is.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

from lexigram._core import TextBatch, read_json_lines, read_pieces
from lexigram.data.corpora import corpora
from lexigram.data.formats import Document, OnSkip, Reader
from lexigram.data.huggingface import is_dataset
from lexigram.data.places import Place, is_address, places
from lexigram.data.sources import Source, documents
from lexigram.errors import LexigramError

__all__ = ["batches"]

_BATCH_BYTES = 4 << 20  # texts are encoded about this many bytes at a time, on all cores
_BATCH_DOCUMENTS = 1 << 14
_BLOCK = 4 << 20
_AHEAD = 2  # blocks that are unpacked before they are asked for
_BOM = b"\xef\xbb\xbf"


def batches(
    source: Source,
    *,
    num_threads: int | None,
    progress: Callable[[int, int], object],
    **options: Any,
) -> Iterator[TextBatch]:
    """The texts of the documents of `source`. `options` and `progress` are those of `documents`,
    but `progress` may be called from another thread."""
    read: Reader | None = None
    found: Iterable[Document | TextBatch | _Piece]
    if _is_plain(source, options):
        documents(source, **{**options, "on_skip": None})  # for what is wrong with the options
        read, found = _read(os.fspath(source), num_threads, progress, options)  # type: ignore[arg-type]
    else:
        found = documents(source, progress=progress, **options)
    texts: list[str] = []
    pieces: list[_Piece] = []
    size = 0
    for item in chain(_to_the_end(found), (None,)):
        if texts and not isinstance(item, Document):
            yield TextBatch(texts)
            texts, size = [], 0
        if pieces and read is not None and not isinstance(item, _Piece):
            yield _decoded(pieces, read)
            pieces, size = [], 0
        if isinstance(item, Document):
            texts.append(item.text)
            size += len(item.text)
            if size >= _BATCH_BYTES or len(texts) >= _BATCH_DOCUMENTS:
                yield TextBatch(texts)
                texts, size = [], 0
        elif isinstance(item, _Piece):
            pieces.append(item)
            size += len(item.content)
            if read is not None and (size >= _BATCH_BYTES or len(pieces) >= _BATCH_DOCUMENTS):
                yield _decoded(pieces, read)
                pieces, size = [], 0
        elif isinstance(item, LexigramError):
            raise item from None
        elif item is not None:
            yield item


def _to_the_end(
    found: Iterable[Document | TextBatch | _Piece],
) -> Iterator[Document | TextBatch | _Piece | LexigramError]:
    """An error comes when it is its turn: what is before it may be wrong as well."""
    try:
        yield from found
    except LexigramError as error:
        yield error


class _Piece(NamedTuple):
    """A document before it is known to be UTF-8; the arguments of `Reader.decoded`."""

    content: bytes
    name: str
    at: int
    line: int | None


def _decoded(pieces: list[_Piece], reader: Reader) -> TextBatch:
    batch, wrong = TextBatch.of_bytes([piece.content for piece in pieces])
    others: list[tuple[int, str]] = []
    for passed, number in enumerate(wrong):
        found = reader.decoded(*pieces[number])
        others.extend((number - passed, document.text) for document in found)
    return batch.insert(others) if others else batch


def _is_plain(source: Source, options: dict[str, Any]) -> bool:
    """Whether this is a path or a pattern of which all documents are wanted as they are."""
    return (
        isinstance(source, str | os.PathLike)
        and source not in corpora()
        and source != "stdlib"
        and not (isinstance(source, str) and (is_dataset(source) or is_address(source)))
        and all(options.get(name) is None for name in ("keep", "max_chars", "max_documents"))
    )


def _read(
    source: str,
    num_threads: int | None,
    progress: Callable[[int, int], object],
    options: dict[str, Any],
) -> tuple[Reader, Iterator[Document | TextBatch | _Piece]]:
    on_skip: OnSkip = options.get("on_skip")
    found = list(places(source, on_skip))
    known = all(place.size for place in found)
    total, done = sum(place.size for place in found), 0

    def count(length: int) -> None:
        nonlocal done
        done += length
        progress(done, max(done, total) if known else 0)

    arguments = (
        options["errors"],
        options["document_delimiter"],
        options["text_field"],
        options["file_format"],
        on_skip,
    )
    plain = Reader(*arguments, None)
    blocks = _Blocks(*arguments, count)
    blocks.plain, blocks.num_threads = plain, num_threads
    return plain, chain.from_iterable(map(blocks.read, found))


class _Blocks(Reader):
    """Gives the rows of JSON Lines as batches, and of all other documents the bytes."""

    plain: Reader
    """Reads what is not plain."""
    num_threads: int | None = None
    _is_packed = False

    def read(self, place: Place) -> Iterator[Any]:
        # A pipe may not give what is asked for until long after the work was interrupted.
        self._is_packed = bool(place.compression) and place.seekable
        return super().read(place)

    def _json_lines(self, file: BinaryIO, path: str) -> Iterator[Any]:
        first = 1
        blocks = _ahead(_blocks(file)) if self._is_packed else _blocks(file)
        for block in blocks:
            batch, doubtful, num_lines = read_json_lines(block, self._text_field, self.num_threads)
            others: list[tuple[int, str]] = []
            for before, line, start, end in doubtful:
                row, number = block[start:end], first + line
                if number == 1:
                    row = row.removeprefix(_BOM)
                if row.strip():
                    rows = self.plain._json_line(row, f"{path}:{number}")
                    others.extend((before, document.text) for document in rows)
            yield batch.insert(others) if others else batch
            first += num_lines

    def _pieces(self, file: BinaryIO, path: str) -> Iterator[Any]:
        if self._delimiter is None:
            if content := file.read():
                yield _Piece(content, path, 0, 1)
            return
        mark = self._delimiter.encode()
        number, at, line = 0, 0, 1
        held: list[bytes] = []
        tail = b""  # the last bytes held, in which a mark may have begun
        while chunk := file.read(_BLOCK):
            held.append(chunk)
            if mark in chunk or mark in tail + chunk[: len(mark) - 1]:
                block = b"".join(held)
                batch, doubtful, pieces, rest, feeds = read_pieces(block, mark, self.num_threads)
                others: list[tuple[int, str]] = []
                for before, piece, start, end in doubtful:
                    where = (at + start, line + block.count(b"\n", 0, start))
                    name = f"{path}#{number + piece}"
                    found = self.plain.decoded(block[start:end], name, *where)
                    others.extend((before, document.text) for document in found)
                yield batch.insert(others) if others else batch
                number, at, line = number + pieces, at + rest, line + feeds
                held, tail = [block[rest:]], b""
                chunk = block[rest:]
            tail = (tail + chunk[-len(mark) :])[-len(mark) :]
        if content := b"".join(held):
            yield _Piece(content, f"{path}#{number}", at, line)

    def decoded(
        self, content: bytes, name: str, at: int = 0, line: int | None = None
    ) -> Iterator[Any]:
        yield _Piece(content, name, at, line)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Whole lines, some megabytes at a time."""
    waiting: list[bytes] = []
    while chunk := file.read(_BLOCK):
        end = chunk.rfind(b"\n") + 1
        if end:
            yield b"".join((*waiting, chunk[:end]))
            waiting = [chunk[end:]] if end < len(chunk) else []
        else:
            waiting.append(chunk)
    if waiting:
        yield b"".join(waiting)


def _ahead(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same, read by a thread of its own: unpacking goes on while others encode."""
    waiting: queue.Queue[bytes | BaseException | None] = queue.Queue(_AHEAD)
    ended = threading.Event()

    def put(item: bytes | BaseException | None) -> bool:
        while not ended.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        try:
            for block in blocks:
                if not put(block):
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=run, name="lexigram-read", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        ended.set()
        thread.join()
