"""tokenizer.json files of published families: ids of `tokenizers` and transformers, and back."""

from __future__ import annotations

import base64
import functools
import json
import unicodedata
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from lexigram import Tokenizer
from lexigram.errors import FormatError, InvalidInputError
from tokenizer_families import (
    FAMILIES,
    added,
    byte_level,
    corpus,
    instance,
    model,
    processors,
    sequence,
    special,
    split,
    template,
)

# Characters that every Unicode version in use by any of the libraries has, of the same class: old
# ones, without those whose class was changed since.
STABLE = [
    chr(c)
    for c in range(0x2FA20)
    if unicodedata.ucd_3_2_0.category(chr(c)) not in ("Cn", "Cs", "Co")
    and unicodedata.ucd_3_2_0.category(chr(c)) == unicodedata.category(chr(c))
]
HARD = [
    *"'sStTdDmMlLvVrReE\u017f\u212a/’", *"  \t\n\r\x0b\x0c\x85\xa0\u1680\u2003\u2028\u3000",
    "'ll", "'VE", "\r\n", "  \n", "don't", "123", "1234567", "Ⅷ", "½", "²", "٣", "ò", "e\u0301",
    "\u200d", "中文", "あ", "!?", "xx", "a.", "THE", " the", "ß", "İ", "Σ", "<a>", "<a><b>", "<É>",
]  # fmt: skip
TOKENS = sorted(
    {token["content"] for family in FAMILIES.values() for token in family.get("added", [])}
)
TEXT = st.lists(
    st.sampled_from(HARD) | st.sampled_from(TOKENS) | st.sampled_from(STABLE), max_size=30
).map("".join)


@functools.cache
def both(name: str) -> tuple[Tokenizer, tokenizers.Tokenizer]:
    content = instance(FAMILIES[name])
    return Tokenizer.from_json(content), tokenizers.Tokenizer.from_str(content)


@pytest.mark.parametrize("name", list(FAMILIES))
@settings(max_examples=150, deadline=None)
@given(text=TEXT)
def test_ids_are_those_of_tokenizers(name: str, text: str) -> None:
    ours, twin = both(name)
    bare = twin.encode(text, add_special_tokens=False).ids
    assert ours.encode(text, allowed_special="all") == bare
    assert (
        ours.encode(text, allowed_special="all", add_special_tokens=True) == twin.encode(text).ids
    )


@pytest.mark.parametrize("name", list(FAMILIES))
def test_ids_on_real_text(name: str) -> None:
    ours, twin = both(name)
    text = corpus()[:40_000] + " ".join(TOKENS) + corpus()[-500:]
    ids = ours.encode(text, allowed_special="all", add_special_tokens=True)
    assert ids == twin.encode(text).ids
    flat = ours.encode_to_numpy(text, allowed_special="all", add_special_tokens=True)
    assert flat.tolist() == ids
    batch = ours.encode_batch([text, ""], allowed_special="all", add_special_tokens=True)
    assert batch == [ids, twin.encode("").ids]
    # Long enough to be taken apart where that is possible.
    options = {"allowed_special": "all", "add_special_tokens": True}
    long = ours.encode_to_numpy(text * 5, num_threads=3, **options)
    assert long.tolist() == ours.encode(text * 5, **options)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_a_saved_file_is_the_same_file(name: str, tmp_path: Path) -> None:
    ours, _ = both(name)
    ours.save(tmp_path / "tokenizer.json")
    before, after = json.loads(instance(FAMILIES[name])), json.loads(ours.to_json())
    assert json.loads((tmp_path / "tokenizer.json").read_bytes()) == after
    # Added tokens stand in the vocabulary too, so that no reader numbers them otherwise.
    for token in before["added_tokens"]:
        assert after["model"]["vocab"].pop(token["content"]) == token["id"]
    assert after == before
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert again == ours
    assert again.fingerprint == ours.fingerprint


@pytest.mark.parametrize("name", list(FAMILIES))
@settings(max_examples=60, deadline=None)
@given(parts=st.lists(TEXT, max_size=5))
def test_a_stream_has_the_same_ids(name: str, parts: list[str]) -> None:
    ours, _ = both(name)
    arrays = ours.encode_stream(parts, allowed_special="all")
    ids = [token for array in arrays for token in array.tolist()]
    assert ids == ours.encode("".join(parts), allowed_special="all")


def test_families_differ() -> None:
    prints = {both(name)[0].fingerprint for name in FAMILIES}
    assert len(prints) == len(FAMILIES)


@pytest.mark.parametrize("name", ["qwen2", "llama3", "deepseek_v3", "starcoder", "roberta"])
def test_transformers_gives_the_same_ids(name: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    ours, _ = both(name)
    ours.save(tmp_path / "tokenizer.json")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    text = corpus()[:5_000] + "".join(TOKENS) + corpus()[-300:]
    assert fast.encode(text) == ours.encode(text, allowed_special="all", add_special_tokens=True)
    bare = fast.encode(text, add_special_tokens=False)
    assert bare == ours.encode(text, allowed_special="all")


def test_special_tokens_are_found_only_on_request() -> None:
    ours, _ = both("roberta")
    mask = ours.encode_single_token("<mask>")
    assert mask not in ours.encode_ordinary("a <mask>")
    with pytest.raises(InvalidInputError, match="<mask>"):
        ours.encode("a <mask>")
    assert ours.encode("a  <mask>", allowed_special={"<mask>"})[-1] == mask
    # Not even one that is looked for in normalized text.
    gpt2, _ = both("gpt2")
    end = gpt2.encode_single_token("<|endoftext|>")
    assert end not in gpt2.encode_ordinary("a<|endoftext|>")
    with pytest.raises(InvalidInputError, match="endoftext"):
        gpt2.encode("a<|endoftext|>")


def test_offsets_only_where_the_text_is_kept() -> None:
    for name in ("qwen2", "roberta", "words", "blenderbot"):
        with pytest.raises(InvalidInputError, match="no place in the text"):
            both(name)[0].encode_with_offsets("a b")
    ids, spans = both("deepseek_v3")[0].encode_with_offsets("a1 中")
    assert spans[-1] == (3, 4)
    assert len(ids) == len(spans)


def test_steps_are_no_pattern() -> None:
    pattern = both("starcoder")[0].pattern
    assert pattern is not None
    assert pattern.startswith("Sequence(Digits(")
    with pytest.raises(InvalidInputError, match="names the steps"):
        Tokenizer.train(["a"], 300, pattern=pattern)
    assert both("llama3")[0].pattern == "cl100k"
    assert both("gpt4o")[0].pattern == "o200k"
    assert both("gpt4_by_match")[0].pattern == "cl100k"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalizer": {"type": "Precompiled"}}, "normalizer Precompiled is not supported"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "pre_tokenizer Metaspace is not supported"),
        (
            {"pre_tokenizer": sequence({"type": "UnicodeScripts"}, byte_level())},
            "UnicodeScripts is not supported, only ByteLevel, Split",
        ),
        ({"pre_tokenizer": sequence(split(r"(?x) a"), byte_level())}, r"flags \(\?x\)"),
        ({"pre_tokenizer": sequence(split("("), byte_level())}, "expression"),
        ({"pre_tokenizer": sequence(split("[[:cntrl:]]"), byte_level())}, ":cntrl:"),
        ({"decoder": {"type": "Metaspace"}}, "decoder Metaspace is not supported"),
        ({"added_tokens": [{"id": 5, "content": "<x>"}]}, "would give it 1200"),
    ],
)
def test_what_is_not_supported_is_named(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    file = json.loads(instance(FAMILIES["gpt2"])) | change
    (tmp_path / "other.json").write_text(json.dumps(file))
    with pytest.raises(FormatError, match=message) as caught:
        Tokenizer.load(tmp_path / "other.json")
    assert "other.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_post_processor_that_cannot_be_applied_is_named_when_asked_for() -> None:
    twice = processors(template(before=("<s>",)), template(after=("<s>",)))
    family = {"pre_tokenizer": byte_level(), "added": [special("<s>")], "post_processor": twice}
    ours = Tokenizer.from_json(instance(family))
    assert ours.encode_ordinary("a")
    with pytest.raises(InvalidInputError, match=r"add_special_tokens.*Sequence of two"):
        ours.encode("a", add_special_tokens=True)
    unknown = json.loads(instance(FAMILIES["roberta"]))
    unknown["post_processor"]["cls"][1] = 99_999
    with pytest.raises(InvalidInputError, match="99999"):
        Tokenizer.from_json(json.dumps(unknown)).encode("a", add_special_tokens=True)
    with pytest.raises(InvalidInputError, match="99999"):
        Tokenizer.from_json(json.dumps(unknown)).encode_batch(["a"], add_special_tokens=True)


def test_tokens_that_no_merge_makes() -> None:
    """In the vocabulary only: made of bytes they may be a whole piece, otherwise they are inert."""
    file = json.loads(instance(FAMILIES["llama3"]))
    vocab = file["model"]["vocab"]
    first = len(vocab) + len(file["added_tokens"])
    vocab |= {"zqzq": first, "你好": first + 1, "<unused> 1": first + 2, "你": first + 3}
    for number, token in enumerate(file["added_tokens"]):
        vocab[token["content"]] = token["id"] = 1200 + number
    for ignore_merges in (True, False):
        file["model"]["ignore_merges"] = ignore_merges
        content = json.dumps(file)
        ours, twin = Tokenizer.from_json(content), tokenizers.Tokenizer.from_str(content)
        for text in ("zqzq", "你好 你", "<unused> 1", "zqzq zqzq"):
            assert ours.encode_ordinary(text) == twin.encode(text, add_special_tokens=False).ids
        assert ours.decode([first, first + 1, first + 2]) == "zqzq你好<unused> 1"
        assert json.loads(ours.to_json())["model"]["vocab"] == vocab
        assert Tokenizer.from_json(ours.to_json()) == ours


def test_a_merge_listed_twice_counts_where_it_is_last() -> None:
    file = json.loads(instance(FAMILIES["gpt2"]))
    file["model"]["merges"].append(file["model"]["merges"][0])
    content = json.dumps(file)
    ours, twin = Tokenizer.from_json(content), tokenizers.Tokenizer.from_str(content)
    assert ours.encode_ordinary(corpus()[:5000]) == twin.encode(corpus()[:5000]).ids


@settings(max_examples=300, deadline=None)
@given(
    tokens=st.lists(
        st.tuples(
            st.text(alphabet="ab <", min_size=1, max_size=3),
            st.sets(st.sampled_from(["lstrip", "rstrip", "single_word", "normalized", "special"])),
        ),
        max_size=4,
        unique_by=lambda token: token[0],
    ),
    text=st.text(alphabet="ab <\n_", max_size=20),
)
def test_added_tokens_of_any_kind(tokens: list[tuple[str, set[str]]], text: str) -> None:
    flags = [added(content, **dict.fromkeys(names, True)) for content, names in tokens]
    known = [token for token in flags if token["content"] not in model()["vocab"]]
    content = instance({"pre_tokenizer": byte_level(), "added": known})
    ours, twin = Tokenizer.from_json(content), tokenizers.Tokenizer.from_str(content)
    ids = ours.encode(text, allowed_special="all")
    try:
        expected = twin.encode(text).ids
    except BaseException as panic:
        if type(panic).__name__ != "PanicException":
            raise
        # It panics where blanks that one token took are another token.
        return
    assert ids == expected


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[a-z]+$|\s",
        r"\p{N}{1,2}+|.",
        r"\w+|\W",
        r"(?s).{3}",
        r"(?m)^ +|\S+$",
        r"\bthe\b|\Be",
        r"x*",
    ],
)
def test_a_pattern_of_ours_means_the_same_to_readers_of_the_file(pattern: str) -> None:
    ours = Tokenizer.train([corpus()], 500, pattern=pattern)
    twin = tokenizers.Tokenizer.from_buffer(ours.to_json())
    again = Tokenizer.from_json(ours.to_json())
    assert again == ours
    for text in (corpus()[:20_000], "abc", "a\nb\n\n", "the 12345\n  x the\u200dno ½²", "\n"):
        assert ours.encode_ordinary(text) == twin.encode(text).ids == again.encode_ordinary(text)


BYTES = "".join(f"{base64.b64encode(bytes([byte])).decode()} {byte}\n" for byte in range(256))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BYTES + "YWI= 256\nYWI= 257\n", r'"ab" has the ids 256 and 257'),
        (BYTES + "YWI= 255\n", "token id = 255: it stands for both"),
        (BYTES + "YWI= 4294967295\n", "number the tokens without large gaps"),
        (BYTES + "YWI= 99999999999999\n", "line 257: the rank is not a number"),
        (BYTES + "YWI= -1\n", "line 257: the rank is not a number"),
        (BYTES + "YWI 256\n", "line 257: the token is not base64"),
        (BYTES + "Y-I= 256\n", "line 257: the token is not base64"),
        (BYTES + "256\n", "line 257: there is no space"),
        (BYTES.replace("YQ== 97\n", ""), "255 of 256 bytes"),
        ("\n\n", "the file is empty"),
        ('{"version": "1.0"}', "line 1: the token is not base64"),
    ],
)
def test_hostile_rank_files(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.tiktoken").write_text(content)
    with pytest.raises(FormatError, match=message) as caught:
        Tokenizer.from_tiktoken(tmp_path / "bad.tiktoken", "gpt2")
    assert "bad.tiktoken" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rank_files_with_other_blanks(tmp_path: Path) -> None:
    (tmp_path / "x.tiktoken").write_text(BYTES.replace(" ", "\t ").replace("\n", " \r\n\r\n"))
    assert Tokenizer.from_tiktoken(tmp_path / "x.tiktoken", None).encode("ab") == [97, 98]


@pytest.mark.parametrize(
    ("encoder", "merges", "message"),
    [
        ("[]", "", "encoder.json: .*must map tokens to ids"),
        ('{"a": -1}', "", "encoder.json: .*must map tokens to ids"),
        ('{"a": 0}', "#version: 0.2\na b\n", 'vocab.bpe: line 2: "b" is not in'),
        ('{"a": 0}', "ab\n", "vocab.bpe: line 1: there is no space"),
        ('{"a": 0}', "", "1 of 256 bytes"),
    ],
)
def test_hostile_files_of_gpt2(encoder: str, merges: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "encoder.json").write_text(encoder)
    (tmp_path / "vocab.bpe").write_text(merges)
    with pytest.raises(FormatError, match=message) as caught:
        Tokenizer.from_gpt2(tmp_path / "encoder.json", tmp_path / "vocab.bpe")
    assert "\n" not in str(caught.value)
