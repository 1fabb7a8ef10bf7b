"""The trainers of benchmarks/tokenizer.py, on one file with the pattern of GPT-2.

A trainer is made with the file and the size of the vocabulary, and returns the work to be timed;
what must be in memory before (rustbpe has no files) is read when it is made. gigabpe and
tokenizers read a file line by line, so that no piece crosses a line break; lexigram and gigatoken
see one text. Merges are compared within these two families: the first with lexigram trained on
the lines. rustbpe orders equally frequent pairs in its own way.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""Its pattern, for rustbpe."""

Pairs = list[tuple[bytes, bytes]]

BY_LINES = "lexigram by lines"
"""Only compared, not shown."""
SLOW = frozenset({"rustbpe", "tokenizers"})


def lexigram(path: Path, vocab_size: int) -> Callable[[], Any]:
    from lexigram import Tokenizer

    return lambda: Tokenizer.train_files(path, vocab_size, pattern="gpt2", num_threads=1)


def lexigram_by_lines(path: Path, vocab_size: int) -> Callable[[], Any]:
    from lexigram import Tokenizer

    def work() -> Any:
        with path.open("rb") as lines:
            return Tokenizer.train(lines, vocab_size, pattern="gpt2", num_threads=1)

    return work


def gigabpe(path: Path, vocab_size: int) -> Callable[[], Any]:
    import gigabpe

    return lambda: gigabpe.train_bpe(
        [str(path)], vocab_size, special_tokens=[], pretokenizer="bytelevel", threads=1
    )


def gigatoken(path: Path, vocab_size: int) -> Callable[[], Any]:
    import gigatoken

    source = gigatoken.TextFileSource([path])
    return lambda: gigatoken.train_bpe(source, vocab_size, [])


def rustbpe(path: Path, vocab_size: int) -> Callable[[], Any]:
    import rustbpe

    tokenizer = rustbpe.Tokenizer()
    text = [path.read_text(encoding="utf-8")]

    def work() -> Any:
        tokenizer.train_from_iterator(iter(text), vocab_size, pattern=GPT2)
        return tokenizer

    return work


def tokenizers(path: Path, vocab_size: int) -> Callable[[], Any]:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )

    def work() -> Any:
        tokenizer.train([str(path)], trainer)
        return tokenizer

    return work


TRAINERS: dict[str, Callable[[Path, int], Callable[[], Any]]] = {
    "lexigram": lexigram,
    BY_LINES: lexigram_by_lines,
    "gigabpe": gigabpe,
    "gigatoken": gigatoken,
    "rustbpe": rustbpe,
    "tokenizers": tokenizers,
}


def _of_lexigram(tokenizer: Any) -> Pairs:
    one = tokenizer.decode_single_token_bytes
    return [(one(left), one(right)) for left, right, _ in tokenizer.merges]


def _letters() -> dict[str, int]:
    """GPT-2's byte alphabet: the printable bytes stand for themselves, others follow 255."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(256 + place): byte for place, byte in enumerate(others)}


def _of_letters(merges: list[Any]) -> Pairs:
    letters = _letters()
    pairs = (pair.split(" ") if isinstance(pair, str) else pair for pair in merges)
    return [
        (bytes(letters[c] for c in left), bytes(letters[c] for c in right)) for left, right in pairs
    ]


def _of_rustbpe(tokenizer: Any) -> Pairs:
    """Its tokens; it does not tell which pairs they were made of."""
    ranks = sorted(tokenizer.get_mergeable_ranks(), key=lambda pair: pair[1])
    return [(bytes(token), b"") for token, _ in ranks[256:]]


MERGES: dict[str, Callable[[Any], Pairs]] = {
    "lexigram": _of_lexigram,
    BY_LINES: _of_lexigram,
    "gigabpe": lambda result: _of_letters(result[1]),
    "gigatoken": lambda result: [(bytes(left), bytes(right)) for left, right in result[1]],
    "rustbpe": _of_rustbpe,
    "tokenizers": lambda tokenizer: _of_letters(json.loads(tokenizer.to_str())["model"]["merges"]),
}


def remarks(merges: dict[str, list[list[str]]]) -> dict[str, str]:
    """How each trainer's merges (in hexadecimal) compare with ours on the same pieces."""
    twins = {"gigatoken": "lexigram", "gigabpe": BY_LINES, "tokenizers": BY_LINES}
    found = {}
    for name, theirs in merges.items():
        ours = merges.get(twins.get(name, "lexigram"))
        if ours is None or name in (BY_LINES, "lexigram"):
            continue
        pieces = "the lines" if twins.get(name) == BY_LINES else "one text"
        same = sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs, strict=False))
        )
        if same == min(len(ours), len(theirs)):
            found[name] = f"{same:,} merges equal ours ({pieces}), then {len(theirs) - same:,} more"
            continue
        shared = {left + right for left, right in ours} & {left + right for left, right in theirs}
        share = len(shared) / max(len(ours), len(theirs), 1)
        found[name] = f"first {same:,} merges equal ours ({pieces}), {share:.2%} of tokens"
        if name == "rustbpe":
            found[name] = f"{share:.2%} of tokens are ours; other order of ties"
    return found
