"""The datasets of benchmarks/data.py: the documents of LEXIGRAM_DATA in GPT-2's vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from corpora import data_folder, vocabulary
from lexigram import Tokenizer
from lexigram._core import ShardWriter
from lexigram.data import TokenDataset, documents
from lexigram.errors import LexigramError

SEPARATOR = 50_256


def encoded(folder: Path) -> dict[str, list[Any]]:
    """The documents as arrays of ids: whole, and in pieces of about 3 KB."""
    tokenizer = Tokenizer.from_tiktoken(vocabulary("gpt2", folder).ranks, "gpt2")
    texts = []
    for path in sorted(data_folder().glob("*/*.jsonl*")):
        try:
            texts += [document.text for document in documents(path)]
        except LexigramError:
            continue  # records of another kind, without a text
    pieces = [text[i : i + 3200] for text in texts for i in range(0, len(text), 3200)]
    found = {}
    for name, chosen in (("whole", texts), ("short", pieces)):
        ids, offsets = tokenizer.encode_ordinary_batch_to_numpy(chosen)
        found[name] = np.split(ids, offsets[1:-1])
    return found


def written(out: Path, arrays: list[Any], at_least: int) -> TokenDataset:
    """A dataset of these documents, again and again up to so many tokens."""
    writer = ShardWriter(
        out,
        vocab_size=SEPARATOR + 1,
        document_separator=SEPARATOR,
        tokenizer="gpt2",
        shard_tokens=2**27,
        overwrite=False,
    )
    sizes = np.array([len(ids) for ids in arrays], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    ids, written = np.concatenate(arrays).astype(np.uint32), 0
    while written < at_least:
        writer.append(ids, offsets, 4 * sizes)
        written += len(ids) + len(sizes)
    writer.finish(0)
    return TokenDataset(out)
