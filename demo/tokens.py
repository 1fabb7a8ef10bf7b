"""Tokens made visible: the bytes of one token as pieces that hide nothing.

A piece is `[kind, text]`, and its text is what the page shows, as a text node:

    text     characters that show themselves
    space    ␣ for each space        tab   ⇥        newline   ↵ (the page breaks the line after it)
    byte     <E2> for each byte that belongs to no whole character of this token
    hidden   <U+202E> for a character that has no shape of its own or moves others: controls, format
             characters such as bidirectional overrides, unassigned ones, spaces other than U+0020
    special  <|endoftext|>: a special token's name, which no ordinary text can produce

Invariants: the bytes can be read back from the pieces (kinds tell a space's ␣ from a literal one),
except that a dotted circle may have been put before a combining mark; no piece holds a control,
format or unassigned character.
"""

from __future__ import annotations

import itertools
import unicodedata
from typing import Protocol

__all__ = ["Piece", "TokenNames", "of_bytes", "of_token"]

Piece = list[str]
"""`[kind, text]`; a list, because it travels as JSON."""

_MARKS = {" ": ("space", "␣"), "\n": ("newline", "↵"), "\t": ("tab", "⇥")}
_HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})


class TokenNames(Protocol):
    """What is asked of a tokenizer here."""

    def decode_single_token_bytes(self, token: int, /) -> bytes:
        """The bytes that the token stands for; a `KeyError` if it stands for none."""
        ...

    def is_special_token(self, token: int, /) -> bool:
        """Whether the token is special."""
        ...


def of_token(tokenizer: TokenNames, token: int) -> list[Piece]:
    """The pieces of a token id; an id that the tokenizer does not have shows its number."""
    try:
        data = tokenizer.decode_single_token_bytes(token)
    except KeyError:
        return [["hidden", f"<id {token}>"]]
    if tokenizer.is_special_token(token):
        return [["special", "".join(text for _, text in of_bytes(data))]]
    return of_bytes(data)


def of_bytes(data: bytes) -> list[Piece]:
    """The pieces of a token's bytes, neighbours of one kind joined."""
    # surrogateescape turns each byte that is no part of a whole character into U+DC80 … U+DCFF,
    # which valid UTF-8 cannot contain.
    marked = (_mark(c) for c in data.decode("utf-8", errors="surrogateescape"))
    runs = itertools.groupby(marked, key=lambda m: m[0])
    return [[kind, _carried("".join(text for _, text in run))] for kind, run in runs]


def _carried(text: str) -> str:
    """A combining mark would sit on what stands before it; a dotted circle carries it instead."""
    return "◌" + text if unicodedata.category(text[0]).startswith("M") else text


def _mark(character: str) -> tuple[str, str]:
    if character in _MARKS:
        return _MARKS[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return "byte", f"<{code - 0xDC00:02X}>"
    if unicodedata.category(character) in _HIDDEN:
        return "hidden", f"<U+{code:04X}>"
    return "text", character
