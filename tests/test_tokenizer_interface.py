"""`lexigram.Tokenizer` in the place of a `tiktoken.Encoding`: the same calls on both."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from lexigram import LexigramError, Tokenizer
from lexigram.errors import InvalidInputError
from tokenizer_twins import CORPUS, EOT, PATTERNS, TEXT, as_tiktoken

PAD = "<|pad|>"
LONE = "a\ud83d\ude00b\ud800c"


class Text(str):
    """A subclass of str."""


@pytest.fixture(scope="module", params=list(PATTERNS))
def ours(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.train([CORPUS], 900, pattern=request.param, special_tokens=[EOT, PAD])


_TWINS: dict[str, tiktoken.Encoding] = {}


@pytest.fixture
def theirs(ours: Tokenizer) -> tiktoken.Encoding:
    return twin(ours)


def twin(ours: Tokenizer) -> tiktoken.Encoding:
    if ours.fingerprint not in _TWINS:
        _TWINS[ours.fingerprint] = as_tiktoken(ours)
    return _TWINS[ours.fingerprint]


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, as plain values, or the exception that it raises."""
    try:
        result = call()
    except Exception as error:
        return error
    return plain(result)


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.tolist())
    return value


# Positional arguments by keyword and not, good and bad; `e` is the encoding.
CALLS: dict[str, Callable[[Any], Any]] = {
    "encode": lambda e: e.encode(CORPUS[:2000]),
    "encode, keyword": lambda e: e.encode(text="naïve 😀"),
    "encode, empty": lambda e: e.encode(""),
    "encode, subclass of str": lambda e: e.encode(Text("the text")),
    "encode, lone surrogate": lambda e: e.encode(LONE),
    "encode, special": lambda e: e.encode(f"a{EOT}"),
    "encode, allowed": lambda e: e.encode(f"a{EOT}b{PAD}", allowed_special={EOT, PAD}),
    "encode, all allowed": lambda e: e.encode(f"a{EOT}b{PAD}{PAD}", allowed_special="all"),
    "encode, one allowed": lambda e: e.encode(f"a{EOT}b{PAD}", allowed_special={EOT}),
    "encode, one disallowed": lambda e: e.encode(f"a{EOT}b{PAD}", disallowed_special={PAD}),
    "encode, the other": lambda e: e.encode(f"a{EOT}b", disallowed_special=(PAD,)),
    "encode, none disallowed": lambda e: e.encode(f"a{EOT}b", disallowed_special=()),
    "encode, any text disallowed": lambda e: e.encode("a zz b", disallowed_special=["zz"]),
    "encode, unknown allowed": lambda e: e.encode("a <|x|>", allowed_special={"<|x|>"}),
    "encode, positional special": lambda e: e.encode("a", {EOT}),
    "encode, no str": lambda e: e.encode(5),
    "encode, None": lambda e: e.encode(None),
    "encode, nothing": lambda e: e.encode(),
    "encode_ordinary": lambda e: e.encode_ordinary(f"a{EOT}b the"),
    "encode_ordinary, lone surrogate": lambda e: e.encode_ordinary(text=LONE),
    "encode_to_numpy": lambda e: e.encode_to_numpy("the text"),
    "encode_to_numpy, special": lambda e: e.encode_to_numpy(EOT),
    "encode_to_numpy, allowed": lambda e: e.encode_to_numpy(EOT, allowed_special="all"),
    "encode_batch": lambda e: e.encode_batch(["a", "", "the"], num_threads=2),
    "encode_batch, keyword": lambda e: e.encode_batch(text=("a", f"b{EOT}"), allowed_special="all"),
    "encode_batch, special": lambda e: e.encode_batch(["a", EOT]),
    "encode_batch, no threads": lambda e: e.encode_batch(["a"], num_threads=0),
    "encode_batch, negative threads": lambda e: e.encode_batch(["a"], num_threads=-1),
    "encode_batch, no str": lambda e: e.encode_batch(["a", 5]),
    "encode_ordinary_batch": lambda e: e.encode_ordinary_batch(["a", EOT], num_threads=3),
    "encode_ordinary_batch, empty": lambda e: e.encode_ordinary_batch(text=[]),
    "encode_single_token": lambda e: e.encode_single_token("the"),
    "encode_single_token, bytes": lambda e: e.encode_single_token(b"\xff"),
    "encode_single_token, special": lambda e: e.encode_single_token(text_or_bytes=PAD),
    "encode_single_token, unknown": lambda e: e.encode_single_token("no such token"),
    "encode_single_token, empty": lambda e: e.encode_single_token(""),
    "decode": lambda e: e.decode([300, 301, 260]),
    "decode, keyword": lambda e: e.decode(tokens=(300, 301), errors="strict"),
    "decode, empty": lambda e: e.decode([]),
    "decode, special": lambda e: e.decode([0, 1]),
    "decode, array": lambda e: e.decode(np.array([300, 301], np.int64)),
    "decode, numpy ids": lambda e: e.decode([np.int32(300), np.uint16(301)]),
    "decode, half a character": lambda e: e.decode(half(e)),
    "decode, ignored": lambda e: e.decode(half(e), "ignore"),
    "decode, backslashes": lambda e: e.decode(half(e), "backslashreplace"),
    "decode, strict": lambda e: e.decode(half(e), errors="strict"),
    "decode, unknown handler": lambda e: e.decode(half(e), errors="no such"),
    "decode, unknown id": lambda e: e.decode([300, 900]),
    "decode, unknown far id": lambda e: e.decode([2**32 - 1]),
    "decode, too large an id": lambda e: e.decode([2**32]),
    "decode, huge id": lambda e: e.decode([10**40]),
    "decode, negative id": lambda e: e.decode([-1]),
    "decode, float": lambda e: e.decode([1.0]),
    "decode, str": lambda e: e.decode(["a"]),
    "decode, None": lambda e: e.decode(None),
    "decode_bytes": lambda e: e.decode_bytes([300, 0]),
    "decode_bytes, keyword": lambda e: e.decode_bytes(tokens=half(e)),
    "decode_bytes, unknown id": lambda e: e.decode_bytes([900]),
    "decode_single_token_bytes": lambda e: e.decode_single_token_bytes(300),
    "decode_single_token_bytes, special": lambda e: e.decode_single_token_bytes(token=1),
    "decode_single_token_bytes, numpy": lambda e: e.decode_single_token_bytes(np.int64(300)),
    "decode_single_token_bytes, unknown": lambda e: e.decode_single_token_bytes(900),
    "decode_single_token_bytes, negative": lambda e: e.decode_single_token_bytes(-1),
    "decode_single_token_bytes, str": lambda e: e.decode_single_token_bytes("a"),
    "decode_tokens_bytes": lambda e: e.decode_tokens_bytes([300, 0, 301]),
    "decode_tokens_bytes, keyword": lambda e: e.decode_tokens_bytes(tokens=[]),
    "decode_tokens_bytes, unknown": lambda e: e.decode_tokens_bytes([300, 900]),
    "decode_with_offsets": lambda e: e.decode_with_offsets(e.encode("naïve 😀 text")),
    "decode_with_offsets, keyword": lambda e: e.decode_with_offsets(tokens=[0, 300]),
    "decode_with_offsets, half": lambda e: e.decode_with_offsets(half(e)),
    "decode_batch": lambda e: e.decode_batch([[300], [], half(e)]),
    "decode_batch, strict": lambda e: e.decode_batch([[300], half(e)], errors="strict"),
    "decode_batch, threads": lambda e: e.decode_batch(batch=[[300]] * 9, num_threads=2),
    "decode_batch, no threads": lambda e: e.decode_batch([[300]], num_threads=0),
    "decode_batch, unknown": lambda e: e.decode_batch([[300], [900]]),
    "decode_bytes_batch": lambda e: e.decode_bytes_batch([[300], half(e)], num_threads=2),
    "decode_bytes_batch, keyword": lambda e: e.decode_bytes_batch(batch=[]),
    "n_vocab": lambda e: e.n_vocab,
    "max_token_value": lambda e: e.max_token_value,
    "eot_token": lambda e: e.eot_token,
    "special_tokens_set": lambda e: e.special_tokens_set,
    "is_special_token": lambda e: [e.is_special_token(token=t) for t in (0, 1, 2, 900, -1)],
    "token_byte_values": lambda e: sorted(e.token_byte_values()),
    "_special_tokens": lambda e: e._special_tokens,
    "_mergeable_ranks": lambda e: e._mergeable_ranks,
    "_pat_str": lambda e: e._pat_str,
    "pickle": lambda e: pickle.loads(pickle.dumps(e)).encode("a text"),
    "name": lambda e: (isinstance(e.name, str), pickle.loads(pickle.dumps(e)).name == e.name),
    "copy": lambda e: copy.copy(e).encode("a text"),
    "hash": lambda e: len({e, e}),
    "equal": lambda e: (e == e, e != e, e == 5),
}


def half(e: Any) -> list[int]:
    """Ids that end in the first byte of a character."""
    return [*e.encode("the"), e.encode_single_token(b"\xe4")]


@pytest.mark.parametrize("call", list(CALLS))
def test_the_same_call_on_both(ours: Tokenizer, theirs: tiktoken.Encoding, call: str) -> None:
    mine, other = (outcome(lambda e=e: CALLS[call](e)) for e in (ours, theirs))
    if not isinstance(other, Exception):
        assert mine == other
        return
    # The same class or one of its descendants; ours says it in its own words, in one line.
    assert isinstance(mine, type(other)), (mine, other)
    if not isinstance(mine, TypeError | UnicodeError | LookupError | OverflowError):
        assert isinstance(mine, LexigramError)
    assert "\n" not in str(mine)


def test_nothing_public_is_missing(ours: Tokenizer, theirs: tiktoken.Encoding) -> None:
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert public - set(dir(ours)) == set()
    called = {name.split(",")[0] for name in CALLS} | {"encode_with_unstable"}
    assert public - called == set(), "not in the table"
    for name in public:
        method = getattr(tiktoken.Encoding, name, None)
        if not inspect.isfunction(method):
            continue
        wanted = inspect.signature(method).parameters
        given = inspect.signature(getattr(Tokenizer, name)).parameters
        assert list(given)[1 : len(wanted)] == list(wanted)[1:], name
        for parameter in list(wanted)[1:]:
            assert given[parameter].kind == wanted[parameter].kind, (name, parameter)
        # What is ours comes after, by name only.
        for parameter in list(given)[len(wanted) :]:
            assert given[parameter].kind == inspect.Parameter.KEYWORD_ONLY, (name, parameter)


def test_without_an_end_of_text(ours: Tokenizer) -> None:
    bare = Tokenizer.train(["some text"], 260, pattern="gpt2")
    theirs = as_tiktoken(bare)
    for e in (bare, theirs):
        with pytest.raises(KeyError):
            _ = e.eot_token
    assert bare.special_tokens.get(EOT) is None


@settings(max_examples=60)
@given(text=TEXT)
def test_with_unstable(ours: Tokenizer, text: str) -> None:
    text = text[-12:]
    stable, completions = ours.encode_with_unstable(text, disallowed_special=())
    wanted_stable, wanted = twin(ours).encode_with_unstable(text, disallowed_special=())
    assert stable == wanted_stable
    assert completions == sorted(map(list, wanted))


@pytest.mark.parametrize(
    "text",
    ["", "hello fanta", "a\n \n ", "a   ", "\n\n", " ", "a" + EOT, EOT + " ", "12", "中", "x!\n "],
)
def test_with_unstable_at_special_places(ours: Tokenizer, text: str) -> None:
    for allowed in (set(), {EOT}, "all"):
        kwargs: dict[str, Any] = {"allowed_special": allowed, "disallowed_special": ()}
        stable, completions = ours.encode_with_unstable(text, **kwargs)
        wanted_stable, wanted = twin(ours).encode_with_unstable(text, **kwargs)
        assert (stable, completions) == (wanted_stable, sorted(map(list, wanted)))
    with pytest.raises(InvalidInputError, match="special token"):
        ours.encode_with_unstable(EOT)
    with pytest.raises(InvalidInputError, match="must be a str"):
        ours.encode_with_unstable(b"a")  # type: ignore[arg-type]


@settings(max_examples=100)
@given(piece=st.one_of(TEXT.map(str.encode), st.binary(max_size=40)))
def test_single_pieces(ours: Tokenizer, piece: bytes) -> None:
    if piece:
        assert ours.encode_single_piece(piece) == twin(ours)._encode_single_piece(piece)
    assert ours.decode_bytes(ours.encode_single_piece(piece)) == piece


@settings(max_examples=100)
@given(text=TEXT, limit=st.integers(0, 40))
def test_counting_and_cutting(ours: Tokenizer, text: str, limit: int) -> None:
    ids = ours.encode_ordinary(text)
    assert ours.count(text, disallowed_special=()) == len(ids)
    part = ours.truncate(text, limit)
    assert text.startswith(part)
    assert ours.count(part, disallowed_special=()) <= limit
    if len(ids) <= limit:
        assert part == text
    # Not shorter than it must be: the first ids, without an unfinished character.
    elif ours.count(whole := ours.decode(ids[:limit], "ignore"), disallowed_special=()) <= limit:
        assert part == whole


def test_counting_has_encodes_errors(ours: Tokenizer) -> None:
    with pytest.raises(InvalidInputError, match="special token"):
        ours.count(EOT)
    assert ours.count(EOT, allowed_special="all") == 1
    with pytest.raises(InvalidInputError, match="max_tokens = -1"):
        ours.truncate("a", -1)


def test_copies_share_and_keep_the_name(ours: Tokenizer) -> None:
    named = Tokenizer(ours, name="mine")
    for other in (copy.copy(named), copy.deepcopy(named), pickle.loads(pickle.dumps(named))):
        assert other == named == ours
        assert hash(other) == hash(ours)
        assert other.name == "mine"
        assert repr(other).startswith("<Tokenizer 'mine'")


@settings(max_examples=100)
@given(text=TEXT)
def test_offsets_against_a_count_of_characters(ours: Tokenizer, text: str) -> None:
    """Each byte knows its character; a token's span goes from its first byte's to its last's."""
    ids, spans = ours.encode_with_offsets(text, disallowed_special=())
    character_of = [i for i, c in enumerate(text) for _ in c.encode()]
    at = 0
    for token, span in zip(ours.decode_tokens_bytes(ids), spans, strict=True):
        assert span == (character_of[at], character_of[at + len(token) - 1] + 1)
        at += len(token)
    assert at == len(character_of)
