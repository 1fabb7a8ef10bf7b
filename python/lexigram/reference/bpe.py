"""Byte-pair encoding in a page of Python.

Definition. A vocabulary has a token for every byte and a list of merges `(left, right) -> token`
in the order of their ranks. To encode a piece of text, start with its bytes; as long as two
neighbours are a merge, join the pair of lowest rank, the leftmost of equals. To train, join the
most frequent pair of the corpus, again and again.

Sources: Gage 1994, "A New Algorithm for Data Compression"; Sennrich, Haddow, Birch 2016, "Neural
Machine Translation of Rare Words with Subword Units". The order of ties is the one of Hugging
Face's tokenizers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

__all__ = ["byte_alphabet", "encode", "encode_by_ranks", "train"]

Pair = tuple[int, int]


def byte_alphabet() -> dict[int, str]:
    """The printable character that files write for each byte: itself if Latin-1 prints it, else
    the next one from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    other = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(0x100 + i) for i, byte in enumerate(other)
    }


def encode(
    piece: bytes, byte_ids: Sequence[int], merges: Sequence[tuple[int, int, int]]
) -> list[int]:
    """The tokens of a piece; `byte_ids[b]` is the token of byte b, `merges` are triples `(left,
    right, token)` in the order of their ranks."""
    ranks = {(left, right): rank for rank, (left, right, _) in enumerate(merges)}
    tokens = [byte_ids[byte] for byte in piece]
    while True:
        candidates = [
            (ranks[pair], at) for at, pair in enumerate(pairwise(tokens)) if pair in ranks
        ]
        if not candidates:
            return tokens
        rank, at = min(candidates)
        tokens[at : at + 2] = [merges[rank][2]]


def encode_by_ranks(piece: bytes, ranks: Mapping[bytes, int]) -> list[int]:
    """The tokens of a piece by a rank file: two neighbours may be joined if their bytes are a
    token, whose id is the rank; a piece that is a token is that token."""
    if piece in ranks:
        return [ranks[piece]]
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while True:
        candidates = [
            (ranks[left + right], at)
            for at, (left, right) in enumerate(pairwise(parts))
            if left + right in ranks
        ]
        if not candidates:
            return [ranks[part] for part in parts]
        _, at = min(candidates)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def train(
    pieces: Mapping[bytes, int], vocab_size: int, *, num_special: int = 0
) -> tuple[list[int], list[tuple[int, int, int]]]:
    """The ids of the 256 bytes and the merges that a corpus gives; `pieces` maps each piece of
    the corpus to its count.

    Ids: special tokens first, then the bytes in the order of their characters in the byte
    alphabet, then one a merge. Of equally frequent pairs the one with the lowest ids wins.
    """
    alphabet = byte_alphabet()
    byte_ids = [0] * 256
    for i, byte in enumerate(sorted(range(256), key=alphabet.__getitem__)):
        byte_ids[byte] = num_special + i
    words = [([byte_ids[byte] for byte in piece], count) for piece, count in pieces.items()]
    merges: list[tuple[int, int, int]] = []
    while num_special + 256 + len(merges) < vocab_size:
        frequency: Counter[Pair] = Counter()
        for tokens, count in words:
            for pair in pairwise(tokens):
                frequency[pair] += count
        if not frequency:
            break
        best = min(frequency, key=lambda pair: (-frequency[pair], pair))
        token = num_special + 256 + len(merges)
        merges.append((*best, token))
        for tokens, _ in words:
            at = 0
            while at < len(tokens) - 1:
                if (tokens[at], tokens[at + 1]) == best:
                    tokens[at : at + 2] = [token]
                at += 1
    return byte_ids, merges
