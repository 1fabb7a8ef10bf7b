"""The texts and vocabularies that benchmarks/tokenizer.py measures on, from LEXIGRAM_DATA.

Texts are split into documents of about 8 KB. Vocabularies come as rank files, checked by their
published hashes, and as `tokenizer.json` files made from them, for rivals that read only those.
o200k_base is not among the data: it is taken from the package `bpe-openai`, which ships it.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import os
import random
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lexigram import Tokenizer
from lexigram.data.compression import open_bytes

DOCUMENT = 8192
"""About how many characters a document has."""

TIKTOKEN_URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
SHA256 = {
    "r50k_base": "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}


def data_folder() -> Path:
    """The folder that LEXIGRAM_DATA names."""
    folder = os.environ.get("LEXIGRAM_DATA")
    if not folder:
        sys.exit("LEXIGRAM_DATA is not set: set it to the folder that holds text/ and tokenizers/")
    if not (Path(folder) / "tokenizers" / "tiktoken").is_dir():
        sys.exit(f"LEXIGRAM_DATA = {folder}: there is no folder tokenizers/tiktoken in it")
    return Path(folder)


@dataclass(frozen=True)
class Vocabulary:
    """A published vocabulary: "gpt2", "cl100k" or "o200k" (also the name of its pattern)."""

    name: str
    encoding: str
    """Its name in tiktoken."""
    ranks: Path
    json: Path
    """Made from the ranks, without special tokens."""


ENCODINGS = {"gpt2": "r50k_base", "cl100k": "cl100k_base", "o200k": "o200k_base"}


def vocabulary(name: str, folder: Path) -> Vocabulary:
    """A vocabulary whose files lie in `folder`, where they are put the first time. The folder is
    also tiktoken's cache, so that tiktoken loads without a network."""
    encoding = ENCODINGS[name]
    cached = folder / hashlib.sha1(TIKTOKEN_URL.format(encoding).encode()).hexdigest()
    found = Vocabulary(name, encoding, folder / f"{encoding}.tiktoken", folder / f"{name}.json")
    if not found.json.exists():
        content = _rank_file(encoding)
        digest = hashlib.sha256(content).hexdigest()
        if digest != SHA256[encoding]:
            sys.exit(f"{encoding}.tiktoken has the sha256 {digest}, but must have the published")
        cached.write_bytes(content)
        found.ranks.write_bytes(content)
        Tokenizer.from_tiktoken(found.ranks, name).save(found.json)
    return found


def _rank_file(encoding: str) -> bytes:
    path = data_folder() / "tokenizers" / "tiktoken" / f"{encoding}.tiktoken"
    if path.exists():
        return path.read_bytes()
    spec = importlib.util.find_spec("bpe_openai")
    for place in spec.submodule_search_locations or () if spec else ():
        packed = Path(place) / "data" / f"{encoding}.tiktoken.gz"
        if packed.exists():
            return gzip.decompress(packed.read_bytes())
    sys.exit(f"there is no {path}; put it there or pip install bpe-openai, which ships it")


def _lines(name: str) -> Iterator[str]:
    """The text of each row of a .jsonl file, or a whole file of another kind."""
    path = data_folder() / name
    with open_bytes(path) as file:
        if ".jsonl" not in path.name:
            yield file.read().decode()
            return
        for line in file:
            row = json.loads(line)
            parts = [row[key] for key in ("text", "prompt", "response", "code") if key in row]
            yield "\n".join(part if isinstance(part, str) else "\n".join(part) for part in parts)


def split(text: str) -> list[str]:
    """Documents of about 8 KB that end at a line's end where there is one near."""
    documents, start = [], 0
    while start < len(text):
        end = start + DOCUMENT
        newline = text.rfind("\n", start + DOCUMENT // 2, end)
        end = newline + 1 if end < len(text) and newline > 0 else end
        documents.append(text[start:end])
        start = end
    return documents


def num_bytes(texts: list[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def sample(texts: list[str], size: int, seed: int = 0) -> list[str]:
    """Documents drawn from all of `texts` until they have `size` bytes."""
    documents = [document for text in texts for document in split(text)]
    random.Random(seed).shuffle(documents)
    taken, total = [], 0
    for document in documents:
        if total >= size:
            break
        taken.append(document)
        total += len(document.encode())
    return taken


ENGLISH = (
    "text/english_novels.jsonl.zst",
    "text/us_state_union.jsonl.gz",
    "text/wikipedia_en_sample.jsonl.gz",
)
OTHER_TEXT = (
    "text/us_inaugural.jsonl.gz",
    "text/german_novels.jsonl.zst",
    "text/tinystories_ru.jsonl.gz",
    "text/sft_dolly_hhrlhf_small.jsonl.gz",
    "text/tinyshakespeare.txt",
    "text/wikitext2/valid.txt",
    "text/wikitext2/test.txt",
    "text/grimm_tales.txt",
    "text/tinystories_sample.txt",
    "text/wikisplit_sentences.txt.gz",
)
SCRIPTS = tuple(
    f"multilingual/lipsum/{name}.txt"
    for name in ("Arabic", "Chinese", "Emoji", "Hebrew", "Hindi", "Japanese", "Korean", "Russian")
)
MULTILINGUAL = (
    "multilingual/ntrex128.jsonl.zst",
    "multilingual/wikipedia_mars.jsonl.zst",
    "multilingual/chinese_poetry.jsonl.zst",
    "multilingual/wagahai_ja.txt.gz",
    "multilingual/botchan_en.txt",
    "multilingual/emoji-test.txt.gz",
    "multilingual/lipsum/Latin.txt",
    *SCRIPTS,
)
CODE = ("code/source_sample.jsonl.zst", "code/mbpp.jsonl")


def english(size: int | None = None) -> list[str]:
    """English prose: all of it (over 50 MB), or a sample."""
    texts = [text for name in ENGLISH for text in _lines(name)]
    return [part for text in texts for part in split(text)] if size is None else sample(texts, size)


def code(size: int) -> list[str]:
    """Source code in five languages."""
    return sample(list(_lines(CODE[0])), size)


def multilingual(size: int) -> list[str]:
    """Text in 44 languages and all big scripts, equal shares of sentences and articles."""
    rows = list(_lines(MULTILINGUAL[0]))
    half = ["\n".join(rows[start : start + 60]) for start in range(0, len(rows), 60)]
    rest = [text for name in (MULTILINGUAL[1], *SCRIPTS) for text in _lines(name)]
    return sample(half, size // 2) + sample(rest, size // 2)


def everything() -> Iterator[str]:
    """Every natural text of LEXIGRAM_DATA, once. Left out: eval/, and the XML dump of the articles
    that text/wikipedia_en_sample.jsonl.gz holds."""
    for name in (*ENGLISH, *OTHER_TEXT, *MULTILINGUAL, *CODE):
        yield from _lines(name)
    with zipfile.ZipFile(data_folder() / "multilingual" / "udhr2.zip") as archive:
        for entry in sorted(archive.namelist()):
            if entry.endswith(".txt"):
                yield archive.read(entry).decode(errors="replace")
    with tarfile.open(data_folder() / "multilingual" / "tatoeba_laser.tar.gz") as packed:
        for member in packed:
            file = packed.extractfile(member)
            if file is not None:
                yield file.read().decode()


PIECES = ("a", "spaces", "digits", "emoji", "random letters", "punctuation", "random bytes")


def piece(kind: str, size: int, seed: int) -> str | bytes:
    """One piece of `size` bytes and a little more, differing with the seed."""
    length = size + 4 * seed
    runs = {"a": "a", "spaces": " ", "digits": "7", "emoji": "\N{GRINNING FACE}"}
    if kind in runs:
        return runs[kind] * (length // len(runs[kind].encode()))
    draw = random.Random(seed)
    if kind == "random bytes":
        return draw.randbytes(length)
    letters = "abcdefghijklmnopqrstuvwxyz" if kind == "random letters" else '!"#$%&()*+,-./:;<=>?@'
    return "".join(draw.choices(letters, k=length))
