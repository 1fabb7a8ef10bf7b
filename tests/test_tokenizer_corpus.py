"""The tokenizer with real vocabularies on real text, against tiktoken and tokenizers."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
import tiktoken
import tokenizers
from tiktoken.load import load_tiktoken_bpe

from lexigram import Tokenizer
from lexigram.errors import FormatError

pytestmark = pytest.mark.corpus

DATA = Path(os.environ.get("LEXIGRAM_DATA", "."))
TOKENIZERS = DATA / "tokenizers"
EOT = "<|endoftext|>"


def gpt2() -> Tokenizer:
    return Tokenizer.from_gpt2(
        TOKENIZERS / "gpt2" / "encoder.json", TOKENIZERS / "gpt2" / "vocab.bpe"
    )


def ranks(name: str, pattern: str, eot: int) -> Tokenizer:
    return Tokenizer.from_tiktoken(
        TOKENIZERS / "tiktoken" / f"{name}.tiktoken", pattern, {EOT: eot}
    )


OURS = {
    "gpt2": gpt2,
    "p50k_base": lambda: ranks("p50k_base", "gpt2", 50256),
    "cl100k_base": lambda: ranks("cl100k_base", "cl100k", 100257),
}


def tiktoken_twin(name: str) -> tiktoken.Encoding:
    from tiktoken_ext import openai_public

    pattern = openai_public.r50k_pat_str
    if name == "cl100k_base":
        pattern = (
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
            r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
        )
    file = TOKENIZERS / "tiktoken" / f"{'r50k_base' if name == 'gpt2' else name}.tiktoken"
    return tiktoken.Encoding(
        name, pat_str=pattern, mergeable_ranks=load_tiktoken_bpe(str(file)), special_tokens={}
    )


def texts() -> list[tuple[str, str]]:
    """The first 2 MB of every plain or gzipped text of the corpora."""
    paths = sorted(
        path
        for folder in ("text", "multilingual", "code", "eval")
        for path in (DATA / folder).rglob("*")
        if path.name.endswith((".txt", ".jsonl", ".txt.gz", ".jsonl.gz"))
    )
    found = []
    for path in paths:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8", "replace")
        found.append((str(path.relative_to(DATA)), text[:2_000_000]))
    return found


@pytest.mark.parametrize("name", list(OURS))
def test_fixture_ids(name: str) -> None:
    tokenizer = OURS[name]()
    lines = (TOKENIZERS / "fixtures" / "mixed_input.txt").read_bytes().decode().split("\n")
    expected = (TOKENIZERS / "fixtures" / f"mixed_tokens_{name}.txt").read_text().splitlines()
    assert len(expected) == 120
    for line, ids in zip(lines, expected, strict=False):
        assert tokenizer.encode_ordinary(line) == [int(i) for i in ids.split(",")], line


@pytest.mark.parametrize("name", list(OURS))
def test_ids_of_tiktoken_on_every_corpus(name: str) -> None:
    tokenizer, twin = OURS[name](), tiktoken_twin(name)
    for source, text in texts():
        ids = tokenizer.encode_ordinary(text)
        assert ids == twin.encode_ordinary(text), source
        assert tokenizer.decode(ids) == text, source


@pytest.mark.parametrize("file", ["gpt2/tokenizer.json", "hf/gpt_neox.tokenizer.json"])
def test_ids_of_tokenizers_with_its_files(file: str) -> None:
    path = TOKENIZERS / file
    tokenizer, twin = Tokenizer.load(path), tokenizers.Tokenizer.from_file(str(path))
    saved = tokenizers.Tokenizer.from_buffer(tokenizer.to_json())
    for source, text in texts():
        text = text[:300_000] + "  \n    a   b\t\t\n" + EOT + "e\u0301"
        ids = tokenizer.encode(text, allowed_special="all")
        assert ids == twin.encode(text, add_special_tokens=False).ids, source
        assert ids == saved.encode(text, add_special_tokens=False).ids, source
    assert Tokenizer.from_json(tokenizer.to_json()) == tokenizer


def test_files_of_gpt2_agree() -> None:
    from_json = Tokenizer.load(TOKENIZERS / "gpt2" / "tokenizer.json")
    assert from_json == gpt2()
    assert from_json.fingerprint == gpt2().fingerprint


def test_other_kinds_of_tokenizers_are_named() -> None:
    for file, what in (("mistral01", "byte_fallback"), ("bert_base_cased", "without merges")):
        with pytest.raises(FormatError, match=what):
            Tokenizer.load(TOKENIZERS / "hf" / f"{file}.tokenizer.json")


def test_the_reference_of_another_trainer() -> None:
    """Stanford's CS336 reference breaks ties by the bytes of the pair, the greater first. So merges
    come in another order, and where two equally frequent pairs overlap, or at the end, others are
    chosen: 4 of 243 here."""
    folder = TOKENIZERS / "bpe_train_reference"
    tokenizer = Tokenizer.train_files(
        folder / "corpus.en", 500, pattern="gpt2", special_tokens=[EOT]
    )
    merges = (folder / "train-bpe-reference-merges.txt").read_text().splitlines()
    vocabulary = json.loads((folder / "train-bpe-reference-vocab.json").read_text())
    ours = json.loads(tokenizer.to_json())["model"]
    mine = {" ".join(pair) for pair in ours["merges"]}
    assert len(ours["vocab"]) == len(vocabulary) == 500
    assert len(mine - set(merges)) <= 4
    assert ours["merges"][0] == ["Ġ", "t"]
