"""The corpora of benchmarks/ngram.py: all natural text of LEXIGRAM_DATA, once, cut into documents.

Words: what stands between white space, one sentence a line, without KenLM's own symbols. Ids: the
same text in a 32k BPE trained on a part of it, one document a line where a rival needs text.
Every 200th document is held out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import corpora
from lexigram import Tokenizer

HELD_OUT = 200
SYMBOLS = {"<s>", "</s>", "<unk>", "<|endoftext|>"}
SEPARATOR = "<|endoftext|>"


@dataclass(frozen=True)
class Corpus:
    """Files of a training text, those of the held-out text, and what they hold."""

    name: str
    text: Path
    """What KenLM reads: words or ids with blanks between, one sentence a line."""
    held_out: Path
    ids: Path | None
    """.npy of the same as ids (uint16), a separator behind each document."""
    held_out_ids: Path | None
    vocab_size: int
    separator: int
    units: int
    """Words, or ids without separators."""
    lines: int

    @property
    def title(self) -> str:
        return f"{self.units / 1e6:.2f} M {self.name}, {self.lines:,} lines"


def pieces(limit: int | None) -> Iterator[tuple[int, str]]:
    """Documents of about 8 KB with their numbers, of the first `limit` bytes or of everything."""
    total = 0
    for number, piece in enumerate(
        itertools.chain.from_iterable(map(corpora.split, corpora.everything()))
    ):
        yield number, piece
        total += len(piece.encode())
        if limit is not None and total >= limit:
            return


def words(folder: Path, limit: int | None) -> Corpus:
    """The corpus of words."""
    paths = folder / "words.txt", folder / "words.held-out.txt"
    count = lines = 0
    with paths[0].open("w") as train, paths[1].open("w") as held_out:
        for number, piece in pieces(limit):
            held = number % HELD_OUT == HELD_OUT - 1
            for line in piece.splitlines():
                kept = [word for word in line.replace("\0", " ").split() if word not in SYMBOLS]
                if not kept:
                    continue
                (held_out if held else train).write(f"{' '.join(kept)}\n")
                count += 0 if held else len(kept)
                lines += 0 if held else 1
    return Corpus("words", *paths, None, None, 0, 0, count, lines)


def ids(folder: Path, limit: int | None) -> Corpus:
    """The corpus of ids of a BPE of 32,768, which is trained on every eighth document."""
    texts: dict[bool, list[str]] = {True: [], False: []}
    for number, piece in pieces(limit):
        texts[number % HELD_OUT == HELD_OUT - 1].append(piece)
    tokenizer = Tokenizer.train(texts[False][::8], 32_768, special_tokens=[SEPARATOR])
    tokenizer.save(folder / "tokenizer.json")
    separator = tokenizer.encode_single_token(SEPARATOR)
    names = {False: "ids", True: "ids.held-out"}
    for held, name in names.items():
        flat, offsets = tokenizer.encode_ordinary_batch_to_numpy(texts[held])
        ends = np.asarray(offsets)[1:].astype(np.int64)
        np.save(folder / f"{name}.npy", np.insert(flat, ends, separator).astype(np.uint16))
        with (folder / f"{name}.txt").open("w") as file:
            for document in np.split(flat, ends[:-1]):
                file.write(" ".join(map(str, document.tolist())) + "\n")
        if not held:
            count, lines = len(flat), len(ends)
    paths = folder / "ids.txt", folder / "ids.held-out.txt"
    arrays = folder / "ids.npy", folder / "ids.held-out.npy"
    return Corpus("ids", *paths, *arrays, tokenizer.n_vocab, separator, count, lines)
