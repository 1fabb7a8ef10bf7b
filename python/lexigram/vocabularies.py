"""Vocabularies that have a name: what they are, and where their files are.

A file is looked for in the folder `tokenizers` of `LEXIGRAM_DATA`, then of the cache
(`LEXIGRAM_CACHE`, by default `~/.cache/lexigram`), then in tiktoken's cache; otherwise it is
fetched from its publisher into our cache. Whatever the place, its SHA-256 is checked.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from lexigram.downloads import Progress, RemoteFile, download, sha256_of
from lexigram.errors import FormatError
from lexigram.folders import cache_folder, data_folder

__all__ = ["Vocabulary", "source_path", "vocabularies"]

_ORIGIN = "https://openaipublic.blob.core.windows.net"
_LARGEST = 256 << 20
_EOT = "<|endoftext|>"


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """A named vocabulary. One source is a `.tiktoken` file; two are `encoder.json` and
    `vocab.bpe`."""

    name: str
    sources: tuple[RemoteFile, ...]
    pattern: str
    special_tokens: dict[str, int] = field(default_factory=dict)


def _tiktoken(name: str, sha256: str) -> tuple[RemoteFile, ...]:
    file = f"{name}.tiktoken"
    address = f"{_ORIGIN}/encodings/{file}"
    return (RemoteFile(file=f"tiktoken/{file}", address=address, sha256=sha256),)


def _gpt2(file: str, sha256: str) -> RemoteFile:
    address = f"{_ORIGIN}/gpt-2/encodings/main/{file}"
    return RemoteFile(file=f"gpt2/{file}", address=address, sha256=sha256)


# Names, patterns, special tokens, addresses and hashes are those of tiktoken's openai_public.py.
# Its o200k_harmony is left out: there one id has two special tokens.
_R50K = _tiktoken("r50k_base", "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930")
_P50K = _tiktoken("p50k_base", "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069")
_CL100K = _tiktoken(
    "cl100k_base", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
)
_O200K = _tiktoken("o200k_base", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d")

_VOCABULARIES = (
    Vocabulary(
        name="gpt2",
        sources=(
            _gpt2(
                "encoder.json", "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"
            ),
            _gpt2("vocab.bpe", "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"),
        ),
        pattern="gpt2",
        special_tokens={_EOT: 50256},
    ),
    Vocabulary(
        name="r50k_base", sources=_R50K, pattern="gpt2", special_tokens={_EOT: 50256}
    ),
    Vocabulary(
        name="p50k_base", sources=_P50K, pattern="gpt2", special_tokens={_EOT: 50256}
    ),
    Vocabulary(
        name="p50k_edit",
        sources=_P50K,
        pattern="gpt2",
        special_tokens={
            _EOT: 50256, "<|fim_prefix|>": 50281, "<|fim_middle|>": 50282, "<|fim_suffix|>": 50283,
        },
    ),
    Vocabulary(
        name="cl100k_base",
        sources=_CL100K,
        pattern="cl100k",
        special_tokens={
            _EOT: 100257, "<|fim_prefix|>": 100258, "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260, "<|endofprompt|>": 100276,
        },
    ),
    Vocabulary(
        name="o200k_base",
        sources=_O200K,
        pattern="o200k",
        special_tokens={_EOT: 199999, "<|endofprompt|>": 200018},
    ),
)  # fmt: skip


def vocabularies() -> dict[str, Vocabulary]:
    """All named vocabularies, whether their files are on this machine or not."""
    return {vocabulary.name: vocabulary for vocabulary in _VOCABULARIES}


def source_path(source: RemoteFile, *, progress: Progress | None = None) -> Path:
    """Where a file is on this machine, fetched first if it is nowhere. `progress(done, total)`
    counts its bytes (total 0: not known) while it is fetched.

    Raises `DownloadError` if it cannot be fetched, and `FormatError` if the one in `LEXIGRAM_DATA`
    is another file.
    """
    folder = data_folder()
    if folder is not None and (given := folder / "tokenizers" / source.file).is_file():
        found = sha256_of(given)
        if found != source.sha256:
            raise FormatError(
                f"{given} is not the published file: its SHA-256 is {found}, not {source.sha256}; "
                f"replace it by the one from {source.address}"
            )
        return given
    kept = cache_folder() / "tokenizers" / source.file
    for path in (kept, _tiktoken_cache(source)):
        if path is not None and path.is_file() and sha256_of(path) == source.sha256:
            return path
    remedy = (
        f"put the file there yourself (SHA-256 {source.sha256}), or into tokenizers/{source.file} "
        "of a folder that LEXIGRAM_DATA names"
    )
    download(source, kept, remedy=remedy, largest=_LARGEST, progress=progress)
    return kept


def _tiktoken_cache(source: RemoteFile) -> Path | None:
    """The place that tiktoken's `load.py` would have put the file; None: it keeps none."""
    default = str(Path(tempfile.gettempdir()) / "data-gym-cache")
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR", default))
    name = hashlib.sha1(source.address.encode(), usedforsecurity=False).hexdigest()
    return Path(folder) / name if folder else None
