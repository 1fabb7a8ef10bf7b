"""Where any run of tokens stands in a corpus, how often, and what follows it: the ∞-gram.

    index = SuffixIndex.build(dataset, "index", tokenizer=tokenizer)
    index.count(ids), index.find(ids, 10), index.trace(generated, min_length=20)

`docs/suffix.md` has the definitions, their source and what to expect.
"""

from __future__ import annotations

from lexigram.suffix.index import Place, Span, SuffixIndex
from lexigram.suffix.model import InfinigramModel

__all__ = ["InfinigramModel", "Place", "Span", "SuffixIndex"]
