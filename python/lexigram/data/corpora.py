"""Corpora that have a name: what they are, and where their file is.

A corpus lies in the folder `text` of `LEXIGRAM_DATA`, or else of the cache (`LEXIGRAM_CACHE`, by
default `~/.cache/lexigram`). "stdlib" is on every machine: it is the running Python's own library.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lexigram.errors import MissingFileError
from lexigram.folders import cache_folder, data_folder

__all__ = ["Corpus", "corpora", "corpus_path", "stdlib_files"]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A named corpus."""

    name: str
    description: str
    licence: str
    origin: str
    """The repository and path that the file comes from."""
    file: str | None = None
    """The file's name; None: made on this machine."""
    sha256: str | None = None
    """The file's SHA-256."""


_CORPORA = (
    Corpus(
        name="stdlib",
        description="the running Python's standard library, one file a document, without tests",
        licence="PSF-2.0",
        origin="python/cpython:Lib",
    ),
    Corpus(
        name="tinyshakespeare",
        description="tiny Shakespeare, 1.1 MB of plays in one document",
        licence="public domain",
        origin="karpathy/char-rnn:data/tinyshakespeare/input.txt",
        file="tinyshakespeare.txt",
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    Corpus(
        name="english_novels",
        description="63 English novels, 1847-1927, 50 MB, one novel a document",
        licence="public domain",
        origin="computationalstylistics/100_english_novels:corpus",
        file="english_novels.jsonl.zst",
        sha256="522d765195f217ce6d85899898240ad41ab8995436a4a15d8fa12cf8c747e863",
    ),
    Corpus(
        name="german_novels",
        description="51 German novels, 22 MB, one novel a document",
        licence="public domain",
        origin="computationalstylistics/68_german_novels:corpus",
        file="german_novels.jsonl.zst",
        sha256="39d60c6e35f5882b37bae3ce584a2eb7a727dbc7f0379b3a1ba503273182b9f3",
    ),
    Corpus(
        name="grimm_tales",
        description="Grimm's fairy tales in English, 0.5 MB in one document",
        licence="public domain",
        origin="CeeeeeDZ/mt-exercise-03:data/grimm/raw/tales.txt",
        file="grimm_tales.txt",
        sha256="21823f1ae97ed9d3c45f3a10474cbb322bc13b1c9d9aa8f29c516878e97af5ae",
    ),
    Corpus(
        name="tinystories_sample",
        description="the first stories of TinyStories, 0.2 MB in one document",
        licence="CDLA-Sharing-1.0",
        origin="Niklas6/Mini_GPT:tinystories.txt",
        file="tinystories_sample.txt",
        sha256="727e8b228375be3075114c20729c93ed6e81ae5d8fe7faf7cb54b304f0322d70",
    ),
    Corpus(
        name="wikipedia_en_sample",
        description="105 English Wikipedia articles of 2016, 2.8 MB, one article a document",
        licence="CC-BY-SA-3.0",
        origin="RaRe-Technologies/gensim:gensim/test/test_data",
        file="wikipedia_en_sample.jsonl.gz",
        sha256="2df7acb1afe45d54e6bcb2c1f436fb148dc9c4dca60fd29b74d256e73403aed5",
    ),
    Corpus(
        name="us_state_union",
        description="65 State of the Union addresses, 2.1 MB, one address a document",
        licence="public domain",
        origin="nltk/nltk_data:packages/corpora/state_union.zip",
        file="us_state_union.jsonl.gz",
        sha256="cb30bd81f2466ad6b3ca40303a65b29ec69f80ab875b9c9d06a29ba730a96087",
    ),
)

# Tests are a third of the library's bytes and hold files that are broken on purpose.
_LEFT_OUT = frozenset(
    {"__pycache__", "dist-packages", "idle_test", "site-packages", "test", "tests"}
)


def corpora() -> dict[str, Corpus]:
    """All named corpora, whether their file is on this machine or not."""
    return {corpus.name: corpus for corpus in _CORPORA}


def corpus_path(corpus: Corpus) -> Path:
    """Where the corpus is on this machine: a file, or the library's folder for "stdlib". Raises
    `MissingFileError`."""
    if corpus.file is None:
        return _stdlib()
    folders = []
    if data := data_folder():
        folders.append(data / "text")
    folders.append(cache_folder() / "text")
    for folder in folders:
        if (folder / corpus.file).is_file():
            return folder / corpus.file
    raise MissingFileError(
        f"corpus {corpus.name!r} is not on this machine: there is no {corpus.file} in "
        f"{' or '.join(str(folder) for folder in folders)}; put it there (from {corpus.origin}) "
        "or set LEXIGRAM_DATA to the folder that holds text/"
    )


def _stdlib() -> Path:
    folder = Path(sysconfig.get_path("stdlib"))
    if not (folder / "os.py").is_file():
        raise MissingFileError(
            f"corpus 'stdlib' is not on this machine: there are no sources in {folder}; "
            "use a Python that is installed with its library's source files"
        )
    return folder


def stdlib_files() -> Iterator[Path]:
    """The sources of the standard library without its tests: the files of a folder in the order
    of their names, then its folders."""
    for root, folders, names in os.walk(_stdlib()):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        yield from (Path(root, name) for name in sorted(names) if name.endswith(".py"))
