"""The cases of `golden/bpe.json`, which the Rust tests read as well, on the fast path and on the
readable twin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lexigram import Tokenizer
from lexigram.reference import bpe

CASES = json.loads((Path(__file__).parent / "golden" / "bpe.json").read_text(encoding="utf-8"))
ALPHABET = bpe.byte_alphabet()


def case(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", CASES[kind], ids=lambda c: c.get("why", c.get("text")))


def tokens_of(case: dict[str, Any], key: str) -> list[bytes]:
    if f"{key}_hex" in case:
        return [bytes.fromhex(token) for token in case[f"{key}_hex"]]
    return [token.encode() for token in case[key]]


def tokenizer_of(vocabulary: dict[bytes, int], merges: list[tuple[bytes, bytes]]) -> Tokenizer:
    """By a tokenizer.json without a pattern."""

    def text(token: bytes) -> str:
        return "".join(ALPHABET[byte] for byte in token)

    model = {
        "type": "BPE",
        "vocab": {text(token): token_id for token, token_id in vocabulary.items()},
        "merges": [[text(left), text(right)] for left, right in merges],
    }
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    content = {"model": model, "pre_tokenizer": byte_level, "decoder": {"type": "ByteLevel"}}
    return Tokenizer.from_json(json.dumps(content))


@case("encode")
def test_encode(case: dict[str, Any]) -> None:
    pairs = [tokens_of({"pair": pair}, "pair") for pair in case.get("merges", [])]
    pairs += [tokens_of({"pair_hex": pair}, "pair") for pair in case.get("merges_hex", [])]
    vocabulary = {bytes([byte]): byte for byte in range(256)}
    merges = []
    for left, right in pairs:
        vocabulary[left + right] = len(vocabulary)
        merges.append((vocabulary[left], vocabulary[right], vocabulary[left + right]))
    wanted = [vocabulary[token] for token in tokens_of(case, "tokens")]
    piece = case["piece"].encode()
    assert bpe.encode(piece, list(range(256)), merges) == wanted
    fast = tokenizer_of(vocabulary, [(left, right) for left, right in pairs])
    assert fast.encode_ordinary(case["piece"]) == wanted
    assert fast.encode_single_piece(piece) == wanted


@case("ranks")
def test_ranks(case: dict[str, Any], tmp_path: Path) -> None:
    import base64

    ranks = {bytes([byte]): byte for byte in range(256)}
    ranks |= {token.encode(): 256 + i for i, token in enumerate(case["tokens"])}
    wanted = [ranks[token.encode()] for token in case["result"]]
    assert bpe.encode_by_ranks(case["piece"].encode(), ranks) == wanted
    path = tmp_path / "x.tiktoken"
    lines = (f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items())
    path.write_text("".join(lines))
    assert Tokenizer.from_tiktoken(path, None).encode_ordinary(case["piece"]) == wanted


@case("train")
def test_train(case: dict[str, Any]) -> None:
    words = {word.encode(): count for word, count in case["words"].items()}
    wanted = [tuple(part.encode() for part in pair) for pair in case["merges"]]
    size = 256 + len(wanted)
    byte_ids, merges = bpe.train(words, size)
    content = {token: bytes([byte]) for byte, token in enumerate(byte_ids)}
    for left, right, token in merges:
        content[token] = content[left] + content[right]
    assert [(content[left], content[right]) for left, right, _ in merges] == wanted
    # One text a word: without a pattern a text is one piece.
    texts = [word for word, count in words.items() for _ in range(count)]
    fast = Tokenizer.train(texts, size, pattern=None)
    assert fast.merges == merges


@case("pieces")
def test_pieces(case: dict[str, Any]) -> None:
    tokenizer = Tokenizer.train(["a"], 256, pattern=case["pattern"])
    assert tokenizer.pretokenize(case["text"]) == case["pieces"]
