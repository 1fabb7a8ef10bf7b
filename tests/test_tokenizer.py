"""The tokenizer against its definition, tiktoken and Hugging Face's tokenizers."""

from __future__ import annotations

import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

import lexigram
from lexigram import Tokenizer
from lexigram.errors import (
    EncodingError,
    FormatError,
    InvalidInputError,
    MissingFileError,
    TokenIdError,
    TokenRangeError,
    UnknownTokenError,
)
from lexigram.reference import bpe
from tokenizer_twins import (
    CORPUS,
    EOT,
    PATTERNS,
    TEXT,
    as_hugging_face,
    as_tiktoken,
    rivals,
    sources,
)


@pytest.fixture(scope="module", params=list(PATTERNS))
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.train([CORPUS], 1500, pattern=request.param, special_tokens=[EOT])


@pytest.fixture(scope="module")
def gpt2_like() -> Tokenizer:
    return Tokenizer.train([CORPUS], 800, pattern="gpt2", special_tokens=[EOT, "<|pad|>"])


@settings(max_examples=200, deadline=None)
@given(text=TEXT)
def test_ids_are_those_of_tiktoken_and_tokenizers(tokenizer: Tokenizer, text: str) -> None:
    cache = rivals(tokenizer)
    ids = tokenizer.encode_ordinary(text)
    assert ids == cache[0].encode_ordinary(text)
    # Hugging Face always recognizes special tokens.
    assert tokenizer.encode(text, allowed_special="all") == cache[1].encode(text).ids
    assert tokenizer.encode(text, allowed_special="all") == cache[0].encode(
        text, allowed_special="all"
    )
    assert tokenizer.decode(ids) == text


@settings(max_examples=100, deadline=None)
@given(text=TEXT)
def test_ids_are_those_of_the_definition(tokenizer: Tokenizer, text: str) -> None:
    byte_ids = [tokenizer.encode_single_token(bytes([byte])) for byte in range(256)]
    pieces = tokenizer.pretokenize(text)
    assert "".join(pieces) == text
    slow = [
        token
        for piece in pieces
        for token in bpe.encode(piece.encode(), byte_ids, tokenizer.merges)
    ]
    assert tokenizer.encode_ordinary(text) == slow


@settings(max_examples=200, deadline=None)
@given(text=st.text(), data=st.binary(max_size=200))
def test_round_trip(tokenizer: Tokenizer, text: str, data: bytes) -> None:
    ids = tokenizer.encode(text, disallowed_special=())
    assert tokenizer.decode(ids, errors="strict") == text
    assert tokenizer.decode_bytes(tokenizer.encode_ordinary(data)) == data
    assert tokenizer.encode_ordinary(text.encode()) == ids
    assert b"".join(tokenizer.decode_tokens_bytes(ids)) == text.encode()


@settings(max_examples=200, deadline=None)
@given(
    data=st.lists(
        st.sampled_from([b"\xff", b"\xe4\xb8", b"\xe4", b" ", b"\n", b"a", b"'t", "中".encode()]),
        max_size=20,
    ).map(b"".join)
)
def test_bytes_are_encoded_as_by_tiktoken(tokenizer: Tokenizer, data: bytes) -> None:
    assert tokenizer.encode(data, disallowed_special=()) == rivals(tokenizer)[0]._encode_bytes(data)


def test_a_real_text(tokenizer: Tokenizer) -> None:
    tiktoken_twin, hugging_face = rivals(tokenizer)
    text = sources(1_000_000)[200_000:]
    ids = tokenizer.encode_ordinary(text)
    assert ids == tiktoken_twin.encode_ordinary(text)
    assert ids == hugging_face.encode(text).ids
    assert np.array_equal(tokenizer.encode_to_numpy(text, disallowed_special=()), ids)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(np.array(ids, dtype=np.uint32)) == text
    assert tokenizer.decode(np.array(ids, dtype=np.uint16)) == text
    assert tokenizer.decode(np.array(ids, dtype=np.int64)) == text


def train_hugging_face(
    texts: list[str], vocab_size: int, pattern: str, special: list[str]
) -> tokenizers.Tokenizer:
    twin = tokenizers.Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PATTERNS[pattern]), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    twin.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    twin.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    twin.train_from_iterator(texts, trainer)
    return twin


@pytest.mark.parametrize("pattern", list(PATTERNS))
@pytest.mark.parametrize("num_threads", [1, 3])
def test_training_gives_the_merges_of_tokenizers(pattern: str, num_threads: int) -> None:
    special = [EOT, "<|pad|>"]
    ours = Tokenizer.train(
        [CORPUS, "a text\n", ""],
        1200,
        pattern=pattern,
        special_tokens=special,
        num_threads=num_threads,
    )
    theirs = train_hugging_face([CORPUS, "a text\n"], 1200, pattern, special)
    mine = as_hugging_face(ours)
    assert mine.get_vocab() == theirs.get_vocab()
    assert ours.encode_ordinary(CORPUS) == theirs.encode(CORPUS).ids


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(st.text(alphabet="ab c", max_size=30), min_size=1, max_size=6),
    num_merges=st.integers(0, 30),
)
def test_training_ties_fall_as_in_tokenizers(texts: list[str], num_merges: int) -> None:
    if not any(texts):
        return
    ours = Tokenizer.train(texts, 257 + num_merges, pattern="gpt2", special_tokens=[EOT])
    theirs = train_hugging_face(texts, 257 + num_merges, "gpt2", [EOT])
    assert as_hugging_face(ours).get_vocab() == theirs.get_vocab()
    # And as in the readable definition.
    pieces = Counter(piece.encode() for text in texts for piece in ours.pretokenize(text))
    assert bpe.train(pieces, 257 + num_merges, num_special=1)[1] == ours.merges


def test_training_options(tmp_path: Path) -> None:
    longest = Tokenizer.train([CORPUS], 1000, max_token_length=3)
    assert max(map(len, longest.token_byte_values())) == 3
    frequent = Tokenizer.train(["ab ab cd"], 1000, min_frequency=2, pattern="gpt2")
    assert {t for t in frequent.token_byte_values() if len(t) > 1} == {b"ab"}
    calls: list[tuple[int, int]] = []
    Tokenizer.train([CORPUS], 500, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (244, 244)

    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        Tokenizer.train([CORPUS], 500, progress=stop)
    # A special token in the text ends a piece and is not counted.
    apart = Tokenizer.train(["ab" + EOT + "cd"] * 5, 300, special_tokens=[EOT], pattern=None)
    assert {t for t in apart.token_byte_values() if len(t) > 1} == {b"ab", b"cd"}


def test_training_may_go_on(tmp_path: Path) -> None:
    base = Tokenizer.train([CORPUS], 700, pattern="gpt2", special_tokens=[EOT])
    assert Tokenizer.train([CORPUS], 900, base=base) == Tokenizer.train(
        [CORPUS], 900, pattern="gpt2", special_tokens=[EOT]
    )
    path = tmp_path / "more.txt"
    path.write_text("zyzzyva zyzzyvas " * 9)
    more = Tokenizer.train_files(path, 710, base=base, special_tokens=["<|user|>"])
    assert more.special_tokens == {EOT: 0, "<|user|>": 700}
    assert len(more.encode(" zyzzyvas")) < len(base.encode(" zyzzyvas"))
    assert more.merges[: len(base.merges)] == base.merges
    assert more.pattern == "gpt2"
    twin = rivals(more)[1]
    assert twin.encode(CORPUS[:5000]).ids == more.encode_ordinary(CORPUS[:5000])
    with pytest.raises(InvalidInputError, match="vocab_size = 700"):
        Tokenizer.train([CORPUS], 700, base=base, special_tokens=["<|user|>"])
    with pytest.raises(InvalidInputError, match=r"memory_limit = 5000: the .* distinct pieces"):
        Tokenizer.train([CORPUS], 900, memory_limit=5000)
    with pytest.raises(TypeError, match=r"base must be a lexigram.Tokenizer, not int: 5"):
        Tokenizer.train([CORPUS], 900, base=5)  # type: ignore[arg-type]


def test_training_on_files_is_training_on_their_texts(tmp_path: Path) -> None:
    halves = [CORPUS[: len(CORPUS) // 2], CORPUS[len(CORPUS) // 2 :]]
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path, text in zip(paths, halves, strict=True):
        path.write_bytes(text.encode())
    from_files = Tokenizer.train_files(paths, 900)
    assert from_files == Tokenizer.train(halves, 900)
    assert from_files == Tokenizer.train([half.encode() for half in halves], 900)
    assert from_files == Tokenizer.train_files(map(str, paths), 900, num_threads=1)
    (tmp_path / "bad.txt").write_bytes(b"abc\xff" + CORPUS.encode())
    with pytest.raises(EncodingError, match=r"bad\.txt is not UTF-8 at byte 3"):
        Tokenizer.train_files(tmp_path / "bad.txt", 900)
    skipped = Tokenizer.train_files(tmp_path / "bad.txt", 900, errors="skip")
    assert skipped == Tokenizer.train(["abc" + CORPUS], 900)


def test_files_give_the_same_tokenizer(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    again = Tokenizer.load(path)
    assert again == tokenizer
    assert hash(again) == hash(tokenizer)
    assert again.fingerprint == tokenizer.fingerprint
    assert tokenizers.Tokenizer.from_file(str(path)).encode(CORPUS).ids == again.encode_ordinary(
        CORPUS
    )
    tokenizer.to_tiktoken(tmp_path / "x.tiktoken")
    ranks = Tokenizer.from_tiktoken(tmp_path / "x.tiktoken", tokenizer.pattern, {EOT: 0})
    assert ranks.encode(CORPUS + EOT, allowed_special="all") == tokenizer.encode(
        CORPUS + EOT, allowed_special="all"
    )
    assert ranks.name == "x"
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy == tokenizer
    assert copy.name == tokenizer.name
    assert type(copy) is Tokenizer
    other = Tokenizer.train([CORPUS], 300)
    assert other != tokenizer
    assert other.fingerprint != tokenizer.fingerprint
    assert tokenizer != "a string"


def test_transformers_reads_our_file(gpt2_like: Tokenizer, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    gpt2_like.save(tmp_path / "tokenizer.json")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    assert fast.encode(CORPUS + EOT) == gpt2_like.encode(CORPUS + EOT, allowed_special="all")
    assert fast.decode(gpt2_like.encode(CORPUS), clean_up_tokenization_spaces=False) == CORPUS
    assert fast.convert_tokens_to_ids(EOT) == gpt2_like.eot_token == 0


def test_special_tokens_as_in_tiktoken(gpt2_like: Tokenizer) -> None:
    twin = as_tiktoken(gpt2_like)
    text = f"a{EOT}b<|pad|>c"
    for kwargs in (
        {"disallowed_special": ()},
        {"allowed_special": "all"},
        {"allowed_special": {EOT}, "disallowed_special": ()},
        {"allowed_special": {EOT, "<|pad|>"}},
        {"allowed_special": frozenset({"<|pad|>"}), "disallowed_special": []},
    ):
        assert gpt2_like.encode(text, **kwargs) == twin.encode(text, **kwargs)
        assert gpt2_like.encode(text.encode(), **kwargs) == twin.encode(text, **kwargs)
        assert gpt2_like.encode_batch([text] * 3, **kwargs) == twin.encode_batch(
            [text] * 3, **kwargs
        )
    for kwargs in ({}, {"allowed_special": {EOT}}, {"disallowed_special": {"<|pad|>"}}):
        with pytest.raises(ValueError, match="special token"):
            twin.encode(text, **kwargs)
        with pytest.raises(InvalidInputError, match="special token"):
            gpt2_like.encode(text, **kwargs)
        with pytest.raises(InvalidInputError, match="special token"):
            gpt2_like.encode_batch([text], **kwargs)
        with pytest.raises(InvalidInputError, match="special token"):
            gpt2_like.encode(text.encode(), **kwargs)
    assert gpt2_like.special_tokens_set == {EOT, "<|pad|>"}
    assert gpt2_like.is_special_token(0)
    assert not gpt2_like.is_special_token(5)
    assert gpt2_like.eot_token == 0
    with pytest.raises(UnknownTokenError, match="no special token"):
        _ = Tokenizer.train([CORPUS], 300).eot_token


def test_the_rest_of_the_interface_is_tiktokens(gpt2_like: Tokenizer) -> None:
    twin = as_tiktoken(gpt2_like)
    assert gpt2_like.n_vocab == twin.n_vocab == gpt2_like.max_token_value + 1
    assert gpt2_like.token_byte_values() == sorted(twin.token_byte_values())
    for token in (b"\xff", b" the", "e", EOT):
        assert gpt2_like.encode_single_token(token) == twin.encode_single_token(token)
    for token in range(0, gpt2_like.n_vocab, 7):
        assert gpt2_like.decode_single_token_bytes(token) == twin.decode_single_token_bytes(token)
    lone = "a\ud83d\ude00b\ud800c"
    assert gpt2_like.encode_ordinary(lone) == twin.encode_ordinary(lone)
    assert gpt2_like.encode(lone) == twin.encode(lone)
    texts = [CORPUS[i : i + 300] for i in range(0, 9000, 300)]
    batch = gpt2_like.encode_ordinary_batch(texts, num_threads=3)
    assert batch == twin.encode_ordinary_batch(texts)
    flat, offsets = gpt2_like.encode_ordinary_batch_to_numpy(texts)
    assert flat.dtype == np.uint32
    assert offsets.dtype == np.int64
    assert [flat[a:b].tolist() for a, b in pairwise(offsets)] == batch
    assert gpt2_like.decode_batch(batch, num_threads=2) == texts
    assert gpt2_like.decode_bytes_batch(batch) == [text.encode() for text in texts]
    assert gpt2_like.encode_ordinary_batch([]) == []
    assert gpt2_like.encode_ordinary("") == []
    assert gpt2_like.decode([]) == ""


@settings(max_examples=100, deadline=None)
@given(text=TEXT)
def test_offsets(tokenizer: Tokenizer, text: str) -> None:
    ids, spans = tokenizer.encode_with_offsets(text, disallowed_special=())
    assert ids == tokenizer.encode_ordinary(text)
    twin = rivals(tokenizer)[0]
    decoded, starts = tokenizer.decode_with_offsets(ids)
    assert (decoded, starts) == twin.decode_with_offsets(ids)
    assert [start for start, _ in spans] == starts
    # Each span is the smallest range of characters around the token's bytes.
    ends = [0]
    for character in text:
        ends.append(ends[-1] + len(character.encode()))
    at = 0
    for token, (start, end) in zip(tokenizer.decode_tokens_bytes(ids), spans, strict=True):
        assert ends[start] <= at < ends[start + 1]
        at += len(token)
        assert ends[end - 1] < at <= ends[end]


def test_errors_of_ids(gpt2_like: Tokenizer) -> None:
    with pytest.raises(TokenIdError, match="id 800 at position 1 is not in the vocabulary of 800"):
        gpt2_like.decode([1, 800])
    with pytest.raises(KeyError):
        gpt2_like.decode_single_token_bytes(10**6)
    with pytest.raises(KeyError):
        gpt2_like.decode_bytes([10**12])
    with pytest.raises(TokenRangeError, match="id -1 at position 1 must be"):
        gpt2_like.decode([0, -1])
    with pytest.raises(TypeError):
        gpt2_like.decode(["a"])  # type: ignore[list-item]
    with pytest.raises(UnknownTokenError, match="not a token"):
        gpt2_like.encode_single_token("no such token in there")
    with pytest.raises(UnicodeDecodeError):
        gpt2_like.decode(gpt2_like.encode_ordinary(b"\xff"), errors="strict")
    assert gpt2_like.decode(gpt2_like.encode_ordinary(b"a\xff")) == "a\ufffd"
    with pytest.raises(TypeError, match="str or bytes, not int"):
        gpt2_like.encode(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="allowed_special"):
        gpt2_like.encode("a", allowed_special="<|pad|>")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"vocab_size": 255}, InvalidInputError, r"vocab_size = 255.*at least 256"),
        ({"special_tokens": [EOT], "vocab_size": 256}, InvalidInputError, "= 257"),
        ({"pattern": "("}, InvalidInputError, "pattern"),
        ({"special_tokens": ["x", "x"]}, InvalidInputError, "special_tokens"),
        ({"special_tokens": [""]}, InvalidInputError, "empty"),
        ({"texts": []}, InvalidInputError, "training text is empty"),
        ({"texts": [""]}, InvalidInputError, "training text is empty"),
        ({"texts": "a string"}, InvalidInputError, "iterable of texts"),
        ({"texts": ["ok", b"ab\xff"]}, EncodingError, "text 1 is not UTF-8 at byte 2"),
        ({"errors": "ignore"}, InvalidInputError, "errors"),
        ({"max_token_length": 0}, InvalidInputError, "max_token_length"),
        ({"texts": [3]}, TypeError, "str or bytes"),
    ],
)
def test_bad_training_input(kwargs: dict[str, object], error: type, message: str) -> None:
    given_arguments = {"texts": ["some text"], "vocab_size": 300} | kwargs
    with pytest.raises(error, match=message) as caught:
        Tokenizer.train(**given_arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_bad_files(gpt2_like: Tokenizer, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    for load in (
        Tokenizer.load,
        lambda path: Tokenizer.from_tiktoken(path, "gpt2"),
        lambda path: Tokenizer.from_gpt2(path, path),
        lambda path: Tokenizer.train_files(path, 300),
    ):
        with pytest.raises(MissingFileError, match="missing"):
            load(missing)
    empty = tmp_path / "empty"
    empty.touch()
    for load in (Tokenizer.load, lambda path: Tokenizer.from_tiktoken(path, "gpt2")):
        with pytest.raises(FormatError, match="empty"):
            load(empty)
    with pytest.raises(InvalidInputError, match="training text is empty"):
        Tokenizer.train_files(empty, 300)
    (tmp_path / "bad.tiktoken").write_text("YQ== 0\nYg==\n")
    with pytest.raises(FormatError, match="line 2"):
        Tokenizer.from_tiktoken(tmp_path / "bad.tiktoken", "gpt2")
    (tmp_path / "bad.tiktoken").write_text("YQ== 0\n")
    with pytest.raises(FormatError, match="256 bytes"):
        Tokenizer.from_tiktoken(tmp_path / "bad.tiktoken", "gpt2")
    # A truncated file is refused wherever it ends; a failed save leaves no file.
    content = gpt2_like.to_json()
    for end in range(0, len(content), len(content) // 50):
        with pytest.raises(FormatError):
            Tokenizer.from_json(content[:end])
    with pytest.raises(OSError, match="no such"):
        gpt2_like.save(tmp_path / "no such" / "tokenizer.json")
    wordpiece = content.replace(b'"type":"BPE"', b'"type":"WordPiece"')
    with pytest.raises(FormatError, match="WordPiece"):
        Tokenizer.from_json(wordpiece)


def test_threads_share_a_tokenizer(tokenizer: Tokenizer) -> None:
    texts = [CORPUS[i : i + 5000] for i in range(0, 100_000, 5000)]
    expected = [tokenizer.encode_ordinary(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert list(pool.map(tokenizer.encode_ordinary, texts)) == expected


@pytest.mark.parametrize("unit", ["a", " ", "1", "!", "ab", "😀", "\n", "中"])
def test_one_long_piece(gpt2_like: Tokenizer, unit: str) -> None:
    text = unit * 300_000
    assert gpt2_like.decode(gpt2_like.encode_ordinary(text)) == text


def test_custom_patterns() -> None:
    for pattern in (None, r"\p{L}+|\p{N}", r"[a-z]+(?=\s)"):
        ours = Tokenizer.train([CORPUS], 400, pattern=pattern)
        assert ours.decode(ours.encode_ordinary(CORPUS)) == CORPUS
        assert as_hugging_face(ours).encode(CORPUS[:5000]).ids == ours.encode_ordinary(
            CORPUS[:5000]
        )
        assert Tokenizer.from_json(ours.to_json()) == ours


def test_it_is_exported() -> None:
    assert lexigram.Tokenizer is Tokenizer


def test_any_text_may_be_disallowed_as_in_tiktoken(gpt2_like: Tokenizer) -> None:
    with pytest.raises(InvalidInputError, match="zzz"):
        gpt2_like.encode("a zzz b", disallowed_special={"zzz"})
    assert gpt2_like.encode("a zz b", disallowed_special={"zzz"})
