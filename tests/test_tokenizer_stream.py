"""Text and ids in parts: what comes out is what one call gives, wherever the parts end."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexigram import Tokenizer
from lexigram.decode.text import StreamedText
from lexigram.errors import EncodingError, InvalidInputError, MissingFileError, TokenIdError
from lexigram.reference import bpe
from tokenizer_twins import CORPUS, EOT, TEXT

FIM = "<|endoftext|><|fim|>"  # begins with another special token
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@pytest.fixture(scope="module", params=["gpt2", "cl100k", "o200k", None, r"\p{L}+|\s+(?!\S)"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.train([CORPUS], 700, pattern=request.param, special_tokens=[EOT, FIM])


def parts(whole: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    at = 0
    while at < len(whole):
        for size in sizes:
            yield whole[at : at + size]
            at += size


def joined(arrays: Iterable[np.ndarray]) -> list[int]:
    arrays = list(arrays)
    assert all(array.dtype == np.uint32 and array.size for array in arrays)
    return [int(i) for array in arrays for i in array]


@settings(max_examples=80)
@given(texts=st.lists(st.sampled_from([EOT, FIM, EOT[:-3]]) | TEXT, max_size=8), sizes=SIZES)
def test_any_parts_give_the_ids_of_one_call(
    tokenizer: Tokenizer, texts: list[str], sizes: list[int]
) -> None:
    text = "".join(texts)
    for allowed in (set(), {EOT}, "all"):
        kwargs = {"allowed_special": allowed, "disallowed_special": ()}
        whole = tokenizer.encode(text, **kwargs)
        assert joined(tokenizer.encode_stream(parts(text.encode(), sizes), **kwargs)) == whole
        characters = (text[at : at + sizes[0]] for at in range(0, len(text), sizes[0]))
        assert joined(tokenizer.encode_stream(characters, **kwargs)) == whole


@settings(max_examples=60)
@given(text=TEXT, sizes=SIZES)
def test_parts_give_the_ids_of_the_definition(
    tokenizer: Tokenizer, text: str, sizes: list[int]
) -> None:
    byte_ids = [tokenizer.encode_single_token(bytes([byte])) for byte in range(256)]
    slow = [
        token
        for piece in tokenizer.pretokenize(text)
        for token in bpe.encode(piece.encode(), byte_ids, tokenizer.merges)
    ]
    stream = tokenizer.encode_stream(parts(text.encode(), sizes), disallowed_special=())
    assert joined(stream) == slow


@settings(max_examples=100)
@given(
    data=st.lists(
        st.sampled_from([b"a", b" ", b"\xff", b"\xe4", b"\xe4\xb8", "中😀".encode()])
    ).map(b"".join),
    sizes=SIZES,
)
def test_bytes_that_are_not_utf8(tokenizer: Tokenizer, data: bytes, sizes: list[int]) -> None:
    replaced = tokenizer.encode_stream(parts(data, sizes), errors="replace")
    assert joined(replaced) == tokenizer.encode(data.decode(errors="replace"))
    skipped = tokenizer.encode_stream(parts(data, sizes), errors="skip")
    assert joined(skipped) == tokenizer.encode(data.decode(errors="ignore"))
    try:
        data.decode()
    except UnicodeDecodeError as error:
        with pytest.raises(EncodingError, match=f"the input is not UTF-8 at byte {error.start};"):
            joined(tokenizer.encode_stream(parts(data, sizes)))


def test_sources(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(CORPUS.encode())
    whole = tokenizer.encode_ordinary(CORPUS)
    sources = (path, io.BytesIO(CORPUS.encode()), io.StringIO(CORPUS), [CORPUS], iter([CORPUS]))
    for source in sources:
        assert joined(tokenizer.encode_stream(source, chunk_size=1000)) == whole
    with path.open("rb", buffering=0) as raw, path.open() as text:
        assert joined(tokenizer.encode_stream(raw)) == whole
        assert joined(tokenizer.encode_stream(text, chunk_size=777)) == whole
    reader, writer = os.pipe()
    os.write(writer, b"a pipe")
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert joined(tokenizer.encode_stream(pipe)) == tokenizer.encode("a pipe")
    assert joined(tokenizer.encode_stream([])) == []
    encoder = tokenizer.stream_encoder()
    for _ in range(2):  # one text, and the next
        ids = [*encoder.push("a te"), *encoder.push(b"xt"), *encoder.finish()]
        assert ids == tokenizer.encode("a text")
        assert encoder.waiting_bytes == 0


def test_what_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    for text in ("a text", b"a text"):
        with pytest.raises(InvalidInputError, match=r"pass \[text\]"):
            tokenizer.encode_stream(text)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="chunk_size = 0"):
        tokenizer.encode_stream(["a"], chunk_size=0)
    with pytest.raises(InvalidInputError, match="errors"):
        tokenizer.encode_stream(["a"], errors="ignore")  # type: ignore[arg-type]
    with pytest.raises(MissingFileError, match="none"):
        joined(tokenizer.encode_stream(tmp_path / "none"))
    with pytest.raises(TypeError, match="str or bytes"):
        joined(tokenizer.encode_stream([5]))  # type: ignore[list-item]
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"a" * 5000 + b"\xff")
    with pytest.raises(EncodingError, match=r"bad\.txt is not UTF-8 at byte 5000;"):
        joined(tokenizer.encode_stream(bad, chunk_size=64))
    for kwargs in ({}, {"allowed_special": {FIM}}, {"disallowed_special": ["xt<|"]}):
        with pytest.raises(InvalidInputError, match="special token"):
            joined(tokenizer.encode_stream(parts(f"text{EOT}".encode(), [3]), **kwargs))


def test_normalization_reaches_across_parts(tokenizer: Tokenizer) -> None:
    content = tokenizer.to_json()
    assert content.count(b'"normalizer":null') == 1
    nfc = Tokenizer.from_json(content.replace(b'"normalizer":null', b'"normalizer":{"type":"NFC"}'))
    text = "cafe\u0301 \u1100\u1161\u11a8 o\u0323\u0302" * 3 + "e"
    whole = nfc.encode_ordinary(text)
    assert whole != tokenizer.encode_ordinary(text)
    for size in range(1, 9):
        assert joined(nfc.encode_stream(parts(text.encode(), [size]))) == whole


@pytest.mark.corpus
@pytest.mark.parametrize(("name", "pattern"), [("r50k_base", "gpt2"), ("cl100k_base", "cl100k")])
def test_real_files_of_many_scripts(lexigram_data: Path, name: str, pattern: str) -> None:
    ranks = lexigram_data / "tokenizers" / "tiktoken" / f"{name}.tiktoken"
    real = Tokenizer.from_tiktoken(ranks, pattern)
    files = sorted((lexigram_data / "multilingual" / "lipsum").glob("*.txt"))
    assert files
    for file in files:
        whole = real.encode_ordinary(file.read_bytes())
        for size in (7, 4096, 100_000):
            assert joined(real.encode_stream(file, chunk_size=size)) == whole, (file.name, size)


MEMORY = """
import resource, sys
from lexigram import Tokenizer
tokenizer = Tokenizer.load(sys.argv[1])
unit = (sys.argv[2] * (1 << 20))[: 1 << 20].encode()
def peak(megabytes):
    for ids in tokenizer.encode_stream(unit for _ in range(megabytes)):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
first = peak(4)
print(peak(64) - first)
"""


@pytest.mark.parametrize("unit", ["to be, or not to be\n", "0123456789", "-----\n", "中文。"])
def test_memory_does_not_grow_with_the_text(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "tokenizer.json"
    Tokenizer.train([CORPUS], 700).save(path)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path), unit], capture_output=True, text=True, check=True
    )
    kilobytes = int(done.stdout) // (1024 if sys.platform == "darwin" else 1)
    assert kilobytes < 12_000, "64 MB of text"


@settings(max_examples=150)
@given(
    data=st.one_of(TEXT.map(str.encode), st.binary(max_size=60)),
    sizes=SIZES,
    errors=st.sampled_from(["replace", "ignore", "backslashreplace", "surrogateescape"]),
)
def test_decoding_in_parts(
    tokenizer: Tokenizer, data: bytes, sizes: list[int], errors: str
) -> None:
    ids = tokenizer.encode_ordinary(data)
    decoder = tokenizer.decode_stream(errors=errors)
    for at in range(0, len(ids), sizes[0]):  # twice: the decoder is as new after `finish`
        decoder.push(ids[at : at + sizes[0]])
    decoder.finish()
    pushed = [decoder.push(token) for token in ids]
    assert "".join(pushed) + decoder.finish() == tokenizer.decode(ids, errors)
    together = StreamedText()  # generation's, which looks for stop strings as well
    shown = [together.push(piece) for piece in tokenizer.decode_tokens_bytes(ids)]
    assert "".join(shown) + together.close() == tokenizer.decode(ids)


def test_a_character_is_never_halved(tokenizer: Tokenizer) -> None:
    decoder = tokenizer.decode_stream()
    ids = tokenizer.encode_single_piece("a👍🏽b".encode())
    byte_ids = [tokenizer.encode_single_token(bytes([byte])) for byte in "a👍🏽b".encode()]
    for sequence in (ids, byte_ids):
        text = [decoder.push(np.uint32(token)) for token in sequence]
        assert "".join(text) == "a👍🏽b"
        assert not any("\ufffd" in part for part in text)
        assert decoder.finish() == ""
    assert decoder.push(np.array(byte_ids[:3])) == "a"
    assert decoder.finish() == "\ufffd"
    assert decoder.push(iter(byte_ids)) == "a👍🏽b"
    with pytest.raises(TokenIdError):
        decoder.push(10**6)
    strict = tokenizer.decode_stream(errors="strict")
    assert strict.push(byte_ids[:3]) == "a"
    with pytest.raises(UnicodeDecodeError):
        strict.finish()
    assert strict.push(byte_ids[:1]) == "a"
