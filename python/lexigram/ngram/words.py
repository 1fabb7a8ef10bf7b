"""Words of n-gram models: how well they are predicted, and the words that stand for tokens."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lexigram.errors import EncodingError

__all__ = ["FilePath", "WordPerplexity", "exponential", "paths_of", "sentence_bytes", "token_words"]

FilePath = str | os.PathLike[str]


@dataclass(frozen=True)
class WordPerplexity:
    """How well a word model predicts a text, as KenLM's `query` counts it."""

    including_oov: float
    """Over all tokens."""
    excluding_oov: float
    """Over the tokens that the vocabulary has; not a number if it has none of them."""
    num_tokens: int
    """Words and ends of sentences."""
    num_oov: int
    """Words that the vocabulary lacks."""
    num_sentences: int
    """Lines."""
    logprob: float
    """Σ ln p of all tokens."""

    @classmethod
    def of(cls, sums: tuple[float, float, int, int, int]) -> WordPerplexity:
        """From Σ ln p of all tokens, of the unknown ones, and the three numbers."""
        logprob, oov_logprob, tokens, oov, sentences = sums
        known = tokens - oov
        return cls(
            including_oov=exponential(-logprob / tokens),
            excluding_oov=exponential(-(logprob - oov_logprob) / known) if known else math.nan,
            num_tokens=tokens,
            num_oov=oov,
            num_sentences=sentences,
            logprob=logprob,
        )


def exponential(value: float) -> float:
    """exp, infinite where a float64 cannot hold it."""
    return math.exp(value) if value < 700 else math.inf


def paths_of(paths: FilePath | Iterable[FilePath]) -> list[str]:
    """One path or many, as strings."""
    if isinstance(paths, (str, os.PathLike)):
        return [os.fspath(paths)]
    return [os.fspath(path) for path in paths]


def sentence_bytes(sentence: str | bytes) -> bytes:
    """A sentence as the core takes it."""
    try:
        return sentence.encode() if isinstance(sentence, str) else bytes(sentence)
    except UnicodeEncodeError as error:
        raise EncodingError(
            f"the sentence has half a surrogate pair at character {error.start}, which has no "
            "UTF-8; give bytes"
        ) from None


def token_words(tokenizer: str, vocab_size: int, separator: int | None) -> list[str]:
    """A word for each id: the token's spelling in the tokenizer.json where that can be one."""
    data = json.loads(tokenizer)
    spelled = {id_: token for token, id_ in data.get("model", {}).get("vocab", {}).items()}
    spelled |= {added["id"]: added["content"] for added in data.get("added_tokens", [])}
    taken = Counter(spelled.values()) + Counter(["<s>", "</s>", "<unk>", "<UNK>", ""] * 2)

    def word(id_: int) -> str:
        token = spelled.get(id_, "")
        usable = taken[token] == 1 and not set(token) & set("\0\t\n\r ")
        return token if usable and not token.startswith("<id:") else f"<id:{id_}>"

    return ["</s>" if id_ == separator else word(id_) for id_ in range(vocab_size)]
