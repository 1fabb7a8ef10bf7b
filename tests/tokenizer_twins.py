"""Real and hard text, and the same tokenizer as an object of tiktoken and of tokenizers."""

from __future__ import annotations

import pickle
import sys
import unicodedata
from pathlib import Path

import tiktoken
import tokenizers
from hypothesis import strategies as st

from lexigram import Tokenizer

EOT = "<|endoftext|>"
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "o200k": (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}


def sources(limit: int) -> str:
    """Real text that is on every machine: the standard library's sources."""
    paths = sorted(Path(pickle.__file__).parent.glob("*.py"))
    return "".join(path.read_text("utf-8", errors="replace") for path in paths[:40])[:limit]


CORPUS = (
    sources(200_000) + " naïve café straße Ελληνικά русский 中文字符 日本語 한국어 😀👍🏽 " * 20
)


def as_tiktoken(tokenizer: Tokenizer) -> tiktoken.Encoding:
    special = tokenizer.special_tokens
    ranks = {token: tokenizer.encode_single_token(token) for token in tokenizer.token_byte_values()}
    assert tokenizer.pattern is not None
    return tiktoken.Encoding(
        "x", pat_str=PATTERNS[tokenizer.pattern], mergeable_ranks=ranks, special_tokens=special
    )


def as_hugging_face(tokenizer: Tokenizer) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_buffer(tokenizer.to_json())


def assigned(limit: int = sys.maxunicode) -> list[str]:
    """Characters that every Unicode version in use here classifies alike: those assigned in this
    Python's version."""
    return [chr(c) for c in range(limit + 1) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]


HARD = [
    *"'sStTdDmMlLvVrReE\u017f\u212a/’", *"  \t\n\r\x0b\x0c\x85\xa0\u1680\u2003\u2028\u3000",
    "'ll", "'VE", "'Re", "\r\n", "  \n", "don't", "123", "1234567", "ǅ", "ʰ", "ª", "あ", "e\u0301",
    "\u200d", "٣", "Ⅷ", "½", "𝟘", "😀", "👍🏽", "🇩🇪", "\x00", EOT, "<|", "the", " the", "中文",
]  # fmt: skip
TEXT = st.lists(st.sampled_from(HARD) | st.sampled_from(assigned()), max_size=40).map("".join)


_RIVALS: dict[str, tuple[tiktoken.Encoding, tokenizers.Tokenizer]] = {}


def rivals(tokenizer: Tokenizer) -> tuple[tiktoken.Encoding, tokenizers.Tokenizer]:
    key = tokenizer.fingerprint
    if key not in _RIVALS:
        _RIVALS[key] = (as_tiktoken(tokenizer), as_hugging_face(tokenizer))
    return _RIVALS[key]
