"""The Rust core. Users call the classes of `lexigram`; these are the parts they are made of.

Every function releases the GIL while it works and raises exceptions of `lexigram.errors`.
A `progress` argument is called as `progress(done, total)` at most ten times a second, from the
calling thread; an exception that it raises ends the work and nothing is left half-written.
"""

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

__version__: str

_Text: TypeAlias = str | bytes
_Ids: TypeAlias = Sequence[int] | npt.NDArray[np.integer[Any]]
_Path: TypeAlias = str | os.PathLike[str]
_Progress: TypeAlias = Callable[[int, int], object]

class Tokenizer:
    """The working half of `lexigram.Tokenizer`. Immutable; safe to share between threads. Very
    short texts are encoded with the GIL held, all others without it.

    Text is a str, or bytes that need not be UTF-8. Lone surrogates become U+FFFD. Where bytes are
    not UTF-8, everything from the last piece before the first error on is one piece, as in
    tiktoken.

    `allowed_special` (a set of special tokens, or "all"; default none) are encoded as those
    tokens. If the text holds one of `disallowed_special` (a collection, or "all", the default:
    all that are not allowed), `InvalidInputError` (a `ValueError`) is raised. Those in neither are
    ordinary text.
    """

    def __new__(cls, tokenizer: Tokenizer, /) -> Self: ...
    def encode(
        self,
        text: _Text,
        *,
        allowed_special: AbstractSet[str] | Literal["all"] | None = None,
        disallowed_special: Collection[str] | Literal["all"] | None = None,
    ) -> list[int]:
        """The ids of a text."""
    def encode_ordinary(self, text: _Text) -> list[int]:
        """The ids of a text in which special tokens are ordinary text."""
    def encode_to_numpy(
        self,
        text: _Text,
        *,
        allowed_special: AbstractSet[str] | Literal["all"] | None = None,
        disallowed_special: Collection[str] | Literal["all"] | None = None,
    ) -> npt.NDArray[np.uint32]:
        """As `encode`; uint32 of shape (tokens,)."""
    def encode_batch(
        self,
        text: Iterable[_Text],
        *,
        num_threads: int | None = None,
        allowed_special: AbstractSet[str] | Literal["all"] | None = None,
        disallowed_special: Collection[str] | Literal["all"] | None = None,
    ) -> list[list[int]]:
        """The ids of each text, in order; `num_threads` None means one a core. No thread outlives
        the call."""
    def encode_ordinary_batch(
        self, text: Iterable[_Text], *, num_threads: int | None = None
    ) -> list[list[int]]:
        """As `encode_batch`, special tokens being ordinary text."""
    def encode_ordinary_batch_to_numpy(
        self, text: Iterable[_Text], *, num_threads: int | None = None
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """The ids of all texts end to end, uint32 (total,), and int64 offsets (texts + 1,): text
        i has `ids[offsets[i]:offsets[i + 1]]`."""
    def encode_with_offsets(
        self,
        text: _Text,
        *,
        allowed_special: AbstractSet[str] | Literal["all"] | None = None,
        disallowed_special: Collection[str] | Literal["all"] | None = None,
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids, and for each the smallest range `(start, end)` of characters that holds its
        bytes; tokens that share a character share its place. Not for tokenizers that normalize."""
    def encode_single_token(self, text_or_bytes: _Text) -> int:
        """The id of one token, special ones included; `UnknownTokenError` (a `KeyError`)."""
    def decode_bytes(self, tokens: _Ids) -> bytes:
        """The bytes of the tokens, joined; `TokenIdError` (a `KeyError`) for an unknown id."""
    def decode(self, tokens: _Ids, errors: str = "replace") -> str:
        """The text of the tokens; `errors` as in `bytes.decode`."""
    def decode_single_token_bytes(self, token: int) -> bytes:
        """The bytes of one token."""
    def decode_tokens_bytes(self, tokens: _Ids) -> list[bytes]:
        """The bytes of each token."""
    def decode_with_offsets(self, tokens: _Ids) -> tuple[str, list[int]]:
        """The text, and for each token the index of the character that its first byte is part of;
        `UnicodeDecodeError` if the bytes are not UTF-8."""
    def decode_batch(
        self, batch: Iterable[_Ids], *, errors: str = "replace", num_threads: int | None = None
    ) -> list[str]:
        """The text of each sequence of tokens."""
    def decode_bytes_batch(
        self, batch: Iterable[_Ids], *, num_threads: int | None = None
    ) -> list[bytes]:
        """The bytes of each sequence of tokens."""
    def token_byte_values(self) -> list[bytes]:
        """The bytes of all tokens but the special ones, sorted."""
    @property
    def special_tokens(self) -> dict[str, int]:
        """Special tokens and their ids."""
    @property
    def special_tokens_set(self) -> set[str]:
        """The special tokens."""
    def is_special_token(self, token: int) -> bool:
        """Whether an id is that of a special token."""
    @property
    def n_vocab(self) -> int:
        """One more than the largest id."""
    @property
    def max_token_value(self) -> int:
        """The largest id."""
    @property
    def num_tokens(self) -> int:
        """How many ids have a token; less than `n_vocab` if ids have gaps."""
    @property
    def eot_token(self) -> int | None:
        """The id of "<|endoftext|>", or None."""
    @property
    def pattern(self) -> str | None:
        """The short name of a published pattern, otherwise its expression; None for no split."""
    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that stand for everything ids depend on; kept by save and load."""
    @property
    def merges(self) -> list[tuple[int, int, int]]:
        """Triples (left id, right id, id) in the order of their ranks."""
    def pretokenize(self, text: str) -> list[str]:
        """The pieces that a text is cut into, special tokens being ordinary text."""
    def to_json(self) -> bytes:
        """The content of a `tokenizer.json`."""
    def save_json(self, path: _Path) -> None:
        """Writes a `tokenizer.json`."""
    def save_tiktoken(self, path: _Path) -> None:
        """Writes a `.tiktoken` file."""
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...

def tokenizer_from_json(content: bytes, source_name: _Path) -> Tokenizer:
    """Reads the content of a `tokenizer.json`; `source_name` is named in errors."""

def load_tokenizer_json(path: _Path) -> Tokenizer:
    """Reads a `tokenizer.json` file."""

def load_tiktoken(
    path: _Path, pattern: str | None, special_tokens: Sequence[tuple[str, int]]
) -> Tokenizer:
    """Reads a `.tiktoken` file."""

def load_gpt2(encoder_json: _Path, vocab_bpe: _Path) -> Tokenizer:
    """Reads GPT-2's pair of files."""

def train_tokenizer(
    texts: Iterable[_Text],
    vocab_size: int,
    pattern: str | None,
    special_tokens: Sequence[str],
    num_threads: int | None,
    min_frequency: int,
    max_token_length: int | None,
    errors: str,
    progress: _Progress | None,
) -> Tokenizer:
    """See `lexigram.Tokenizer.train`."""

def train_tokenizer_files(
    paths: Sequence[_Path],
    vocab_size: int,
    pattern: str | None,
    special_tokens: Sequence[str],
    num_threads: int | None,
    min_frequency: int,
    max_token_length: int | None,
    errors: str,
    progress: _Progress | None,
) -> Tokenizer:
    """See `lexigram.Tokenizer.train_files`."""
