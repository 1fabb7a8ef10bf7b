"""Corpora that have a name: what they are, and where their files are.

A file is looked for in the folder `text` of `LEXIGRAM_DATA`, then of the cache (`LEXIGRAM_CACHE`,
by default `~/.cache/lexigram`); otherwise it is fetched from its publisher into our cache. Whatever
the place, its SHA-256 is checked. Where nobody publishes one, a file of `LEXIGRAM_DATA` is taken
as it is, and the first that is fetched is believed: its hash is written beside it (`NAME.sha256`)
and checked from then on. "stdlib" is on
every machine: it is the running Python's own library.
"""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from lexigram.data.catalogue import Corpus, corpora
from lexigram.downloads import Progress, RemoteFile, download, sha256_of
from lexigram.errors import FormatError, MissingFileError
from lexigram.folders import cache_folder, data_folder

__all__ = ["Corpus", "corpora", "corpus_path", "corpus_sha256", "fetch_corpus", "stdlib_files"]


# Tests are a third of the library's bytes and hold files that are broken on purpose.
_LEFT_OUT = frozenset(
    {"__pycache__", "dist-packages", "idle_test", "site-packages", "test", "tests"}
)
_SIDECAR = re.compile(r"[0-9a-f]{64}\b", re.ASCII)
_known: dict[tuple[str, int, int, int], str] = {}  # hashes of files, by what tells a change


def corpus_path(corpus: Corpus) -> Path:
    """Where the corpus is on this machine: its file, the folder of its files, or the library's
    folder for "stdlib". Looks at names only, and fetches nothing. Raises `MissingFileError`."""
    if not corpus.files:
        return _stdlib()
    found = [next((p for p in _candidates(file) if p.is_file()), None) for file in corpus.files]
    for file, path in zip(corpus.files, found, strict=True):
        if path is None:
            raise _missing(corpus, file)
    paths = [path for path in found if path is not None]
    return paths[0] if len(paths) == 1 else paths[0].parent


def fetch_corpus(corpus: Corpus, *, progress: Progress | None = None) -> list[Path]:
    """The files of a corpus, in the order of reading, checked; what is not on this machine is
    fetched. `progress` counts bytes while something is fetched.

    Raises `DownloadError`; `MissingFileError` for a file that nobody publishes; `FormatError` if
    the one in `LEXIGRAM_DATA` is another file."""
    total = corpus.num_bytes or 0
    paths: list[Path] = []
    for file in corpus.files:
        before = sum(path.stat().st_size for path in paths)
        report: Progress | None = None
        if progress is not None:

            def report(done: int, size: int, before: int = before) -> object:
                return progress(before + done, total or (size and before + size))

        paths.append(_fetched(corpus, file, report))
    return paths


def corpus_sha256(file: RemoteFile) -> str | None:
    """The SHA-256 that a file must have: the published one, or the one that came first; None: no
    such file has come yet."""
    if file.sha256 is not None:
        return file.sha256
    for path in _candidates(file):
        try:
            match = _SIDECAR.match(_sidecar(path).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        if match:
            return match[0]
    return None


def _fetched(corpus: Corpus, file: RemoteFile, progress: Progress | None) -> Path:
    *given, kept = _candidates(file)
    expected = corpus_sha256(file)
    for path in given:
        if path.is_file():
            if expected is not None and (found := _hash(path)) != expected:
                raise FormatError(
                    f"{path} is not the published file: its SHA-256 is {found}, not {expected}; "
                    f"replace it by the one from {file.address or corpus.origin}"
                )
            return path
    if kept.is_file() and (found := _hash(kept)) == (expected or found):
        _remember(file, kept, found)
        return kept
    if not file.address:
        raise _missing(corpus, file)
    remedy = f"put the file there yourself, or into text/{file.file} of a LEXIGRAM_DATA folder"
    if expected is not None:
        known = "published" if file.sha256 else f"remembered in {_sidecar(kept)}"
        remedy += f" (SHA-256 {expected}, {known})"
    found = download(file, kept, sha256=expected, remedy=remedy, progress=progress)
    _remember(file, kept, found)
    return kept


def _remember(file: RemoteFile, path: Path, found: str) -> None:
    """Writes the hash of a file for which nobody publishes one, if it is the first."""
    if file.sha256 is None and not _sidecar(path).exists():
        part = _sidecar(path).with_name(f".{path.name}.sha256.{os.getpid()}")
        part.write_text(f"{found}  {path.name}\n", encoding="ascii")
        part.replace(_sidecar(path))


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _candidates(file: RemoteFile) -> list[Path]:
    """Where a file may be; the last place is where it is fetched to."""
    data = data_folder()
    folders = [data / "text"] if data else []
    return [folder / file.file for folder in [*folders, cache_folder() / "text"]]


def _hash(path: Path) -> str:
    """The file's SHA-256, computed once in a process as long as the file is the same."""
    found = path.stat()
    key = (str(path), found.st_ino, found.st_size, found.st_mtime_ns)
    if key not in _known:
        _known[key] = sha256_of(path)
    return _known[key]


def _missing(corpus: Corpus, file: RemoteFile) -> MissingFileError:
    folders = " or ".join(str(path.parent) for path in _candidates(file))
    remedy = "run: lexigram corpus fetch " + corpus.name
    if not file.address:
        remedy = f"it was made from {corpus.origin} and is published nowhere: put it there"
    return MissingFileError(
        f"corpus {corpus.name!r} is not on this machine: there is no {Path(file.file).name} in "
        f"{folders}; {remedy}, or set LEXIGRAM_DATA to the folder that holds text/"
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
