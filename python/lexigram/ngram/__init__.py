"""N-gram language models over token ids: counted in seconds, exact, read as any other model.

`docs/ngram.md` has the equations and their sources; `lexigram.reference.kneser_ney` is the same
model in a page of Python.
"""

from __future__ import annotations

from lexigram.interpolation import fit_weights, interpolate
from lexigram.ngram.model import NgramModel
from lexigram.ngram.streams import TokenStream
from lexigram.ngram.words import WordPerplexity

__all__ = ["NgramModel", "TokenStream", "WordPerplexity", "fit_weights", "interpolate"]
