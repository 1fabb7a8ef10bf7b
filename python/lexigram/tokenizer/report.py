"""What a tokenizer is made of, and how well it fits a text: the numbers that `lexigram tokenizer
inspect` and `compare` print."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lexigram.tokenizer import Tokenizer

__all__ = ["Compression", "Description", "Meter", "describe", "measure", "script_of", "shown"]

# Bytes that separate words; other scripts' spaces are rare enough to leave out.
_BLANK = np.zeros(256, dtype=bool)
_BLANK[list(b" \t\n\r\v\f")] = True


def shown(token: bytes) -> str:
    """A token's bytes as text; bytes that are no whole character as `\\xNN`."""
    return token.decode("utf-8", errors="backslashreplace")


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a tokenizer is made of."""

    name: str
    fingerprint: str
    num_tokens: int
    n_vocab: int
    num_merges: int
    pattern: str | None
    special_tokens: dict[str, int]
    mean_length: float
    """Bytes of a token, over the vocabulary; no text weighs it."""
    lengths: dict[int, int]
    """How many tokens have so many bytes."""
    scripts: dict[str, int]
    """How many tokens are in which script, see `script_of`; the most frequent first."""
    longest: list[tuple[int, str]]
    """Ids and texts of the longest tokens."""
    first_merges: list[tuple[str, str, int]]
    last_merges: list[tuple[str, str, int]]
    """Left and right part and the id of what they become, in the order of ranks."""


def describe(tokenizer: Tokenizer, *, top: int = 10) -> Description:
    """Looks at the whole vocabulary; `top` of the longest tokens and of the merges at each end."""
    tokens = tokenizer.token_byte_values()
    lengths = Counter(map(len, tokens))
    longest = sorted(tokens, key=lambda token: (-len(token), token))[:top]
    merges = tokenizer.merges

    def merge(left: int, right: int, token: int) -> tuple[str, str, int]:
        parts = tokenizer.decode_tokens_bytes([left, right])
        return shown(parts[0]), shown(parts[1]), token

    return Description(
        name=tokenizer.name,
        fingerprint=tokenizer.fingerprint,
        num_tokens=tokenizer.num_tokens,
        n_vocab=tokenizer.n_vocab,
        num_merges=len(merges),
        pattern=tokenizer.pattern,
        special_tokens=tokenizer.special_tokens,
        mean_length=sum(map(len, tokens)) / max(1, len(tokens)),
        lengths=dict(sorted(lengths.items())),
        scripts=dict(Counter(map(script_of, tokens)).most_common()),
        longest=[(tokenizer.encode_single_token(token), shown(token)) for token in longest],
        first_merges=[merge(*m) for m in merges[:top]],
        last_merges=[merge(*m) for m in merges[-top:]] if top else [],
    )


def script_of(token: bytes) -> str:
    """The script of a token's letters, by the first word of their Unicode names ("Mixed" for
    several); else "Numbers", "White space" or "Symbols"; "Part of a character" for bytes that are
    not UTF-8."""
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return "Part of a character"
    scripts = {_script(c) for c in text if unicodedata.category(c)[0] == "L"}
    if scripts:
        return scripts.pop() if len(scripts) == 1 else "Mixed"
    if any(unicodedata.category(c)[0] == "N" for c in text):
        return "Numbers"
    return "White space" if text.isspace() else "Symbols"


def _script(letter: str) -> str:
    words = unicodedata.name(letter, "OTHER").replace("-", " ").split()
    while words[0] in {"FULLWIDTH", "HALFWIDTH"}:
        words.pop(0)
    if words[0] == "CJK":
        return "Han"
    # Signs that count as letters, such as the micro sign, belong to no script by their name.
    of_script = {"LETTER", "LIGATURE", "SYLLABLE", "SOUND"}.intersection(words[1:])
    return words[0].capitalize() if of_script else "Other"


@dataclass(frozen=True, kw_only=True)
class Compression:
    """How a tokenizer splits a text. Words are what stands between ASCII white space, so their
    numbers say little about scripts without spaces."""

    num_bytes: int
    """UTF-8 bytes."""
    num_characters: int
    num_words: int
    num_tokens: int
    whole_words: int
    """Words in which no token ends before their end."""
    tokens_used: int
    """Different ids."""
    vocabulary: int
    """Ids that there are."""

    @property
    def bytes_per_token(self) -> float:
        """Compression: more is better."""
        return self.num_bytes / max(1, self.num_tokens)

    @property
    def tokens_per_word(self) -> float:
        """Fertility: 1 is a word a token."""
        return self.num_tokens / max(1, self.num_words)

    @property
    def tokens_per_character(self) -> float:
        """Fertility where there are no spaces."""
        return self.num_tokens / max(1, self.num_characters)

    @property
    def share_of_whole_words(self) -> float:
        """0 … 1."""
        return self.whole_words / max(1, self.num_words)

    @property
    def share_of_vocabulary(self) -> float:
        """The part of the vocabulary that the text uses, 0 … 1."""
        return self.tokens_used / max(1, self.vocabulary)


class Meter:
    """Measures a tokenizer on texts that come in batches."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._lengths = np.zeros(tokenizer.n_vocab, dtype=np.int64)
        for token in tokenizer.token_byte_values():
            self._lengths[tokenizer.encode_single_token(token)] = len(token)
        for text, token_id in tokenizer.special_tokens.items():
            self._lengths[token_id] = len(text.encode())
        self._used = np.zeros(tokenizer.n_vocab, dtype=bool)
        self._counts = np.zeros(5, dtype=np.int64)

    def add(self, texts: Sequence[str | bytes]) -> None:
        """Each text is encoded by itself, special tokens in it as ordinary text."""
        ids, offsets = self._tokenizer.encode_ordinary_batch_to_numpy(texts)
        self._used[ids] = True
        contents = [t.encode(errors="replace") if isinstance(t, str) else t for t in texts]
        size = sum(map(len, contents))
        characters = size - sum(_count_continuations(content) for content in contents)
        words = whole = 0
        for start, end in pairwise(offsets):
            of_text = ids[start:end]
            found = _words(self._tokenizer.decode_bytes(of_text), self._lengths[of_text])
            words, whole = words + found[0], whole + found[1]
        self._counts += np.array([size, characters, words, len(ids), whole])

    def result(self) -> Compression:
        """What was measured so far."""
        num_bytes, num_characters, num_words, num_tokens, whole_words = map(int, self._counts)
        return Compression(
            num_bytes=num_bytes,
            num_characters=num_characters,
            num_words=num_words,
            num_tokens=num_tokens,
            whole_words=whole_words,
            tokens_used=int(self._used.sum()),
            vocabulary=self._tokenizer.num_tokens,
        )


def measure(tokenizer: Tokenizer, texts: Iterable[str | bytes]) -> Compression:
    """How `tokenizer` splits `texts`, each encoded by itself."""
    meter = Meter(tokenizer)
    meter.add(list(texts))
    return meter.result()


def _count_continuations(content: bytes) -> int:
    values = np.frombuffer(content, dtype=np.uint8)
    return int(np.count_nonzero((values & 0xC0) == 0x80))


def _words(content: bytes, lengths: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Words of a text, and those of them inside which no token ends; `lengths` of its tokens."""
    blank = np.concatenate([[True], _BLANK[np.frombuffer(content, dtype=np.uint8)], [True]])
    starts = np.flatnonzero(blank[:-1] & ~blank[1:])
    ends = np.flatnonzero(~blank[:-1] & blank[1:])
    token_ends = np.cumsum(lengths)
    after, before = np.searchsorted(token_ends, ends), np.searchsorted(token_ends, starts, "right")
    return len(starts), int(np.count_nonzero(after == before))
