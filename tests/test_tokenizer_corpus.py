"""The tokenizer with real vocabularies on real text, against tiktoken and tokenizers."""

from __future__ import annotations

import bz2
import functools
import gzip
import json
import os
import tarfile
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiktoken
import tokenizers
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken.load import data_gym_to_mergeable_bpe_ranks, load_tiktoken_bpe

from lexigram import Tokenizer
from lexigram.errors import FormatError

pytestmark = pytest.mark.corpus

DATA = Path(os.environ.get("LEXIGRAM_DATA", "."))
TOKENIZERS = DATA / "tokenizers"
EOT = "<|endoftext|>"


NAMES = ("gpt2", "r50k_base", "p50k_base", "p50k_edit", "cl100k_base")
FIXTURES = ("gpt2", "p50k_base", "cl100k_base")


@functools.cache
def ours(name: str) -> Tokenizer:
    """Found in `LEXIGRAM_DATA` by its name; that of o200k has the ranks of cl100k, as its own are
    not there."""
    if name == "o200k":
        file = TOKENIZERS / "tiktoken" / "cl100k_base.tiktoken"
        return Tokenizer.from_tiktoken(file, "o200k")
    return Tokenizer.load(name)


@functools.cache
def twin_of(name: str) -> tiktoken.Encoding:
    """tiktoken's own encoding of that name, its files read from `LEXIGRAM_DATA`."""
    from tiktoken_ext import openai_public

    def ranks(address: str, expected_hash: str | None = None) -> dict[bytes, int]:
        if "o200k" in address:
            return load_tiktoken_bpe(str(TOKENIZERS / "tiktoken" / "cl100k_base.tiktoken"))
        file = TOKENIZERS / "tiktoken" / address.rpartition("/")[2]
        return load_tiktoken_bpe(str(file), expected_hash)

    def gpt2(**kwargs: str) -> dict[bytes, int]:
        for key in ("vocab_bpe_file", "encoder_json_file"):
            kwargs[key] = str(TOKENIZERS / "gpt2" / kwargs[key].rpartition("/")[2])
        return data_gym_to_mergeable_bpe_ranks(**kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openai_public, "load_tiktoken_bpe", ranks)
        patch.setattr(openai_public, "data_gym_to_mergeable_bpe_ranks", gpt2)
        full = "o200k_base" if name == "o200k" else name
        made = openai_public.ENCODING_CONSTRUCTORS[full]()
    if name == "o200k":
        made["special_tokens"] = {}
    return tiktoken.Encoding(**made)


def part(text: str, size: int = 2_000_000) -> str:
    return text[:size]


def texts() -> Iterator[tuple[str, str]]:
    """The first 2 MB of every text of the corpora, plain, compressed or archived."""
    for folder in ("text", "multilingual", "code", "eval", "tokenizers/fixtures"):
        for path in sorted((DATA / folder).rglob("*")):
            if not path.is_file():
                continue
            name = str(path.relative_to(DATA))
            if path.name.endswith(".tar.gz"):
                with tarfile.open(path) as archive:
                    members = [member for member in archive if member.isfile()]
                    parts = (archive.extractfile(member) for member in members)
                    content = b"\n".join(file.read() for file in parts if file is not None)
            elif path.suffix == ".zip":
                with zipfile.ZipFile(path) as packed:
                    content = b"\n".join(map(packed.read, packed.namelist()))
            elif path.suffix == ".zst":
                with zstandard.open(path, "rb") as file:
                    content = file.read(8_000_000)
            elif path.suffix in (".gz", ".bz2"):
                opened = gzip.open if path.suffix == ".gz" else bz2.open
                with opened(path, "rb") as file:
                    content = file.read(8_000_000)
            else:
                content = path.read_bytes()
            yield name, part(content.decode("utf-8", "replace"))


@pytest.mark.parametrize("name", FIXTURES)
def test_fixture_ids(name: str) -> None:
    tokenizer = ours(name)
    lines = (TOKENIZERS / "fixtures" / "mixed_input.txt").read_bytes().decode().split("\n")
    expected = (TOKENIZERS / "fixtures" / f"mixed_tokens_{name}.txt").read_text().splitlines()
    assert len(expected) == 120
    for line, ids in zip(lines, expected, strict=False):
        assert tokenizer.encode_ordinary(line) == [int(i) for i in ids.split(",")], line


@pytest.mark.parametrize("name", ["gpt2", "p50k_base", "cl100k_base", "o200k"])
def test_ids_of_tiktoken_on_every_corpus(name: str) -> None:
    tokenizer, twin = ours(name), twin_of(name)
    count = 0
    for source, text in texts():
        ids = tokenizer.encode_ordinary(text)
        assert ids == twin.encode_ordinary(text), source
        assert tokenizer.decode(ids) == text, source
        count += 1
    assert count > 60


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_tiktokens_encoding_of_that_name(name: str) -> None:
    tokenizer, twin = ours(name), twin_of(name)
    assert tokenizer.name == twin.name == name
    assert tokenizer.n_vocab == twin.n_vocab
    assert tokenizer.max_token_value == twin.max_token_value
    assert tokenizer.eot_token == twin.eot_token
    assert tokenizer.special_tokens_set == twin.special_tokens_set
    assert tokenizer.token_byte_values() == sorted(twin.token_byte_values())
    specials = "".join(sorted(twin.special_tokens_set))
    assert tokenizer.encode(specials, allowed_special="all") == twin.encode(
        specials, allowed_special="all"
    )
    # Each token alone, as a text and as bytes.
    for token in twin.token_byte_values():
        assert tokenizer.encode_ordinary(token) == twin._encode_bytes(token), token


HARD = [
    *"'sStTdDmMlLvVrReE\u017f\u212a/’", *"  \t\n\r\x0b\x0c\x85\xa0\u1680\u2003\u2028\u3000",
    "'ll", "'VE", "'Re", "\r\n", "  \n", "don't", "1234567", "ǅ", "ʰ", "ª", "あ", "e\u0301",
    "\u200d", "Ⅷ", "½", "👍🏽", "<|endoftext|>", " the", "中文",
]  # fmt: skip
ASSIGNED = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
BY_CATEGORY = [
    [c for c in ASSIGNED if unicodedata.category(c) == category]
    for category in sorted({unicodedata.category(c) for c in ASSIGNED})
]
CHARACTER = st.sampled_from(BY_CATEGORY).flatmap(st.sampled_from)
TEXT = st.lists(st.sampled_from(HARD) | CHARACTER, max_size=40).map("".join)


@pytest.mark.parametrize("name", ["gpt2", "p50k_base", "cl100k_base", "o200k"])
@settings(max_examples=1500, deadline=None)
@given(text=TEXT, data=st.binary(max_size=60))
def test_ids_of_tiktoken_on_any_text(name: str, text: str, data: bytes) -> None:
    tokenizer, twin = ours(name), twin_of(name)
    assert tokenizer.encode_ordinary(text) == twin.encode_ordinary(text)
    for mixed in (data, text.encode() + data, data + text.encode()):
        assert tokenizer.encode_ordinary(mixed) == twin._encode_bytes(mixed)


@pytest.mark.parametrize("name", ["r50k_base", "p50k_base", "cl100k_base"])
def test_a_tiktoken_file_is_written_as_it_was(name: str, tmp_path: Path) -> None:
    published = TOKENIZERS / "tiktoken" / f"{name}.tiktoken"
    ours(name).to_tiktoken(tmp_path / "x.tiktoken")
    assert (tmp_path / "x.tiktoken").read_bytes() == published.read_bytes()
    # And the same vocabulary as a tokenizer.json.
    twin = tokenizers.Tokenizer.from_buffer(ours(name).to_json())
    text = (DATA / "multilingual" / "botchan_en.txt").read_text("utf-8")[
        :100_000
    ] + "é中😀<|endoftext|>"
    assert twin.encode(text).ids == ours(name).encode(text, allowed_special="all")
    assert Tokenizer.from_json(ours(name).to_json()) == ours(name)


@pytest.mark.parametrize("file", ["gpt2/tokenizer.json", "hf/gpt_neox.tokenizer.json"])
def test_ids_of_tokenizers_with_its_files(file: str) -> None:
    path = TOKENIZERS / file
    tokenizer, twin = Tokenizer.load(path), tokenizers.Tokenizer.from_file(str(path))
    saved = tokenizers.Tokenizer.from_buffer(tokenizer.to_json())
    for source, text in texts():
        text = part(text, 300_000) + "  \n    a   b\t\t\n" + EOT + "e\u0301"
        ids = tokenizer.encode(text, allowed_special="all")
        assert ids == twin.encode(text, add_special_tokens=False).ids, source
        assert ids == saved.encode(text, add_special_tokens=False).ids, source
    assert Tokenizer.from_json(tokenizer.to_json()) == tokenizer


def test_files_of_gpt2_agree() -> None:
    from_json = Tokenizer.load(TOKENIZERS / "gpt2" / "tokenizer.json")
    assert from_json == ours("gpt2")
    assert from_json.fingerprint == ours("gpt2").fingerprint


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
