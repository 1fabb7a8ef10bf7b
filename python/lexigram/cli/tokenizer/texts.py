"""Texts to measure a tokenizer on, by language."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from lexigram.data.compression import COMPRESSED, open_bytes
from lexigram.errors import EncodingError, FormatError, InvalidInputError
from lexigram.tokenizer import Tokenizer
from lexigram.tokenizer.report import Compression, Meter

_BATCH = 1 << 22  # bytes of text that are encoded at a time


def measure_by_language(
    tokenizers: list[Tokenizer], paths: list[Path], language_field: str
) -> list[dict[str, Compression]]:
    """For each tokenizer what it makes of each language, in the order in which they come. All
    texts are read once. A file is a language named like it; the rows of JSON Lines name theirs in
    `language_field`, if they have it."""
    meters: list[dict[str, Meter]] = [{} for _ in tokenizers]

    def flush(language: str, texts: list[str]) -> None:
        for tokenizer, by_language in zip(tokenizers, meters, strict=True):
            if language not in by_language:
                by_language[language] = Meter(tokenizer)
            by_language[language].add(texts)

    waiting: defaultdict[str, list[str]] = defaultdict(list)
    sizes: defaultdict[str, int] = defaultdict(int)
    for path in paths:
        for language, text in _texts(path, language_field):
            waiting[language].append(text)
            sizes[language] += len(text)
            if sizes[language] >= _BATCH:
                flush(language, waiting[language])
                waiting[language], sizes[language] = [], 0
    for language, texts in waiting.items():
        flush(language, texts)
    measured = [{name: m.result() for name, m in by_name.items()} for by_name in meters]
    if not any(c.num_tokens for c in measured[0].values()):
        raise InvalidInputError(f"{', '.join(map(str, paths))}: no text to measure on")
    return measured


def _texts(path: Path, language_field: str) -> Iterator[tuple[str, str]]:
    inner = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    with open_bytes(path) as file:
        if inner.suffix.lower() not in {".jsonl", ".ndjson"}:
            yield inner.stem, _decoded(file.read(), str(path))
            return
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            name = f"{path}:{number}"
            try:
                row = json.loads(_decoded(line, name))
            except ValueError as error:
                if isinstance(error, EncodingError):
                    raise
                raise FormatError(f"{name} is not JSON: {error}") from None
            text = row.get("text") if isinstance(row, dict) else None
            if not isinstance(text, str):
                raise FormatError(f"{name} has no text in its field 'text'")
            yield str(row.get(language_field, inner.stem)), text


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise EncodingError(
            f"{name} is not UTF-8 at byte {error.start}; convert it first"
        ) from None
