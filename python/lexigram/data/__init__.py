"""From anyone's text to batches: sources, token shards, and a loader with an exact order.

from lexigram import data

dataset = data.tokenize("books/", tokenizer, "shards")
for batch in data.TokenLoader(dataset, batch_size=32, seq_len=1024, seed=0):
    ...  # batch.inputs, batch.targets: int64, (32, 1024)
"""

from __future__ import annotations

from lexigram.data.build import TokenizerLike, tokenize
from lexigram.data.corpora import Corpus, corpora, corpus_path, fetch_corpus
from lexigram.data.dataset import TokenDataset
from lexigram.data.loader import IGNORED, Batch, TokenLoader
from lexigram.data.mixture import Mixture
from lexigram.data.sources import TEXT_SUFFIXES, Document, documents
from lexigram.data.split import split_of

__all__ = [
    "IGNORED",
    "TEXT_SUFFIXES",
    "Batch",
    "Corpus",
    "Document",
    "Mixture",
    "TokenDataset",
    "TokenLoader",
    "TokenizerLike",
    "corpora",
    "corpus_path",
    "documents",
    "fetch_corpus",
    "split_of",
    "tokenize",
]
