"""Text out of tokens, byte by byte: what can be shown already, and where it must stop.

Tokens are pieces of UTF-8, not of text: a character may be spread over several, and so may a stop
string. Matching is done on bytes, which is safe because UTF-8 is self-synchronising: a valid
string is found in valid text at character boundaries only.

Definition. The text is cut where the stop string that is *completed first* begins; of several
completed by the same byte, the longest counts. Invariant: what comes out does not depend on how
the bytes were cut into tokens.
"""

from __future__ import annotations

import codecs
from typing import Protocol

__all__ = ["StreamedText", "TextTokenizer", "TokenBytes", "display", "token_bytes"]


class TokenBytes(Protocol):
    """What decoding needs of a tokenizer: `lexigram.Tokenizer` and `tiktoken.Encoding` have it."""

    def decode_single_token_bytes(self, token: int, /) -> bytes:
        """The bytes that token stands for; raises a `KeyError` if it stands for none."""
        ...


class TextTokenizer(TokenBytes, Protocol):
    """What reading text needs of a tokenizer besides."""

    def encode_ordinary(self, text: str, /) -> list[int]:
        """The ids of a text, in which no special token is recognised."""
        ...


def token_bytes(tokenizer: TokenBytes, token: int) -> bytes | None:
    """The bytes of a token id; None for an id that the tokenizer does not have, which happens
    where a model's vocabulary is padded to a round size."""
    try:
        return tokenizer.decode_single_token_bytes(token)
    except KeyError:
        return None


def display(piece: bytes) -> str:
    """A token's bytes as text; bytes that are no whole character are shown as `\\xNN`."""
    return piece.decode("utf-8", errors="backslashreplace")


class StreamedText:
    """Takes the bytes of tokens and gives text as soon as it is certain.

    Held back are the bytes of an unfinished character and those that may become a stop string.
    """

    def __init__(self, stop: tuple[bytes, ...] = ()) -> None:
        self.stopped = False
        self._stop = stop
        self._held = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, piece: bytes) -> str:
        """Reads one token's bytes; the text that became certain. Sets `stopped` when a stop
        string is complete; what is pushed after that is ignored."""
        if self.stopped:
            return ""
        pending = self._held + piece
        cut = _first_completed(pending, self._stop)
        if cut is not None:
            self.stopped, self._held = True, b""
            return self._decoder.decode(pending[:cut], final=True)
        safe = len(pending) - _longest_start(pending, self._stop)
        self._held = pending[safe:]
        return self._decoder.decode(pending[:safe])

    def close(self) -> str:
        """What was held back, at the end of the tokens; an unfinished character as U+FFFD."""
        held, self._held = self._held, b""
        return self._decoder.decode(held, final=True)


def _first_completed(pending: bytes, stop: tuple[bytes, ...]) -> int | None:
    """Where the stop string that ends first begins (of those, the longest), or None."""
    found = [(at + len(s), at) for s in stop if (at := pending.find(s)) >= 0]
    return min(found)[1] if found else None


def _longest_start(pending: bytes, stop: tuple[bytes, ...]) -> int:
    """The length of the longest end of `pending` that a stop string begins with."""
    longest = min(len(pending), max((len(s) for s in stop), default=0))
    for size in range(longest, 0, -1):
        if any(s.startswith(pending[-size:]) for s in stop):
            return size
    return 0
