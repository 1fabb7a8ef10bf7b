"""The components of published byte-level BPE tokenizers, over one small vocabulary.

Real files are large and not on every machine. What makes one family differ from another is its
normalizer, pre-tokenizer, added tokens and post-processor; these are as published here."""

from __future__ import annotations

import functools
import json
import pickle
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

Json = dict[str, Any]

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
CL100K_TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + CL100K_TAIL
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + CL100K_TAIL
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K_TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTIONS}?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTIONS}?|\p{{N}}{{1,3}}" + O200K_TAIL
)
TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*|\p{{N}}"
    + O200K_TAIL
)
DEEPSEEK_V3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
# As a conversion of tiktoken's own expression writes it; Oniguruma reads `{1,3}+` as a repetition.
TIKTOKEN_CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)


def split(regex: str, behavior: str = "Isolated", *, invert: bool = False) -> Json:
    pattern = {"Regex": regex}
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def split_at(text: str, behavior: str = "Isolated", *, invert: bool = False) -> Json:
    pattern = {"String": text}
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def byte_level(*, prefix: bool = False, use_regex: bool = True) -> Json:
    return {
        "type": "ByteLevel",
        "add_prefix_space": prefix,
        "trim_offsets": True,
        "use_regex": use_regex,
    }


def digits(*, individual: bool) -> Json:
    return {"type": "Digits", "individual_digits": individual}


def sequence(*steps: Json) -> Json:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def by_regex(regex: str) -> Json:
    return sequence(split(regex), byte_level(use_regex=False))


def added(content: str, **flags: bool) -> Json:
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return {"content": content} | dict.fromkeys(names, False) | flags


def special(content: str, **flags: bool) -> Json:
    return added(content, special=True, **flags)


def template(*, before: tuple[str, ...] = (), after: tuple[str, ...] = ()) -> Json:
    """A TemplateProcessing; `instance` puts the ids in."""

    def name(token: str) -> Json:
        return {"SpecialToken": {"id": token, "type_id": 0}}

    middle = {"Sequence": {"id": "A", "type_id": 0}}
    pair = [middle, {"Sequence": {"id": "B", "type_id": 1}}]
    single = [*map(name, before), middle, *map(name, after)]
    return {"type": "TemplateProcessing", "single": single, "pair": pair}


def processors(*steps: Json) -> Json:
    return {"type": "Sequence", "processors": list(steps)}


def normalizers(*steps: Json) -> Json:
    return {"type": "Sequence", "normalizers": list(steps)}


NFC = {"type": "NFC"}
ROBERTA = [
    special("<s>"),
    special("</s>"),
    special("<mask>", lstrip=True),
]

FAMILIES: dict[str, Json] = {
    "gpt2": {"pre_tokenizer": byte_level(), "added": [special("<|endoftext|>", normalized=True)]},
    "gpt_neox": {
        "normalizer": NFC,
        "pre_tokenizer": byte_level(),
        "added": [special("<|endoftext|>"), *(added(" " * n, normalized=True) for n in (9, 4, 3))],
    },
    "qwen2": {
        "normalizer": NFC,
        "pre_tokenizer": by_regex(QWEN2),
        "added": [special("<|endoftext|>"), special("<|im_start|>"), added("<tool_call>")],
    },
    "llama3": {
        "pre_tokenizer": by_regex(LLAMA3),
        "ignore_merges": True,
        "added": [special("<|begin_of_text|>"), special("<|eot_id|>")],
        "post_processor": processors(byte_level(), template(before=("<|begin_of_text|>",))),
    },
    "deepseek_v3": {
        "normalizer": {"type": "Sequence", "normalizers": []},
        "pre_tokenizer": sequence(
            split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK_V3),
            byte_level(use_regex=False),
        ),
        "added": [special("<｜begin▁of▁sentence｜>"), added("<think>"), added("</think>")],
        "post_processor": processors(
            byte_level(prefix=True), template(before=("<｜begin▁of▁sentence｜>",))
        ),
    },
    "deepseek_coder": {
        "pre_tokenizer": sequence(
            split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"),
            split("[一-龥ࠀ-一가-퟿]+"), digits(individual=True), byte_level(use_regex=False),
        ),
        "added": [special("<|EOT|>"), added("<|User|>", normalized=True)],
    },
    "starcoder": {
        "pre_tokenizer": sequence(digits(individual=True), byte_level()),
        "added": [special("<|endoftext|>"), special("<fim_prefix>")],
    },
    "falcon": {
        "pre_tokenizer": sequence(
            {"type": "Punctuation", "behavior": "Contiguous"}, byte_level(),
            digits(individual=False), split("[0-9][0-9][0-9]"),
        ),
        "added": [special(">>TITLE<<"), special("<|endoftext|>")],
    },
    "roberta": {
        "pre_tokenizer": byte_level(),
        "added": ROBERTA,
        "post_processor": {
            "type": "RobertaProcessing", "sep": ["</s>", None], "cls": ["<s>", None],
            "trim_offsets": True, "add_prefix_space": False,
        },
    },
    "blenderbot": {"pre_tokenizer": byte_level(prefix=True), "added": ROBERTA},
    "modernbert": {
        "normalizer": NFC,
        "pre_tokenizer": byte_level(),
        "added": [special("[CLS]"), special("[SEP]"), special("[MASK]", lstrip=True),
                  added("|||IP|||", normalized=True), added("  ", normalized=True)],
        "post_processor": template(before=("[CLS]",), after=("[SEP]",)),
    },
    "mistral_nemo": {
        "pre_tokenizer": by_regex(TEKKEN),
        "ignore_merges": True,
        "added": [special("<s>"), special("[INST]")],
        "post_processor": template(before=("<s>",)),
    },
    "gpt4o": {"pre_tokenizer": by_regex(GPT4O), "added": [special("<|endoftext|>")]},
    "gpt4_by_match": {
        "pre_tokenizer": sequence(
            split(LLAMA3, "Removed", invert=True), byte_level(use_regex=False)
        ),
    },
    "gpt4_by_tiktoken": {"pre_tokenizer": by_regex(TIKTOKEN_CL100K)},
    "bloom": {
        "pre_tokenizer": by_regex(BLOOM),
        "added": [special("<s>"), special("<unk>")],
    },
    "command_r": {
        "normalizer": NFC,
        "pre_tokenizer": sequence(digits(individual=True), byte_level()),
        "added": [special("<BOS_TOKEN>"), special("<EOS_TOKEN>", rstrip=True)],
    },
    # Nobody's, but what the format allows.
    "every_behavior": {
        "normalizer": normalizers(
            {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"},
            {"type": "Strip", "strip_left": True, "strip_right": False},
            {"type": "Replace", "pattern": {"Regex": r"\d{2}"}, "content": "№"},
            {"type": "Replace", "pattern": {"String": "a."}, "content": "b"},
            {"type": "Prepend", "prepend": "▁"},
        ),
        "pre_tokenizer": sequence(
            split_at("the", "MergedWithNext"), split(r"\s", "MergedWithPrevious"),
            split(r"[aeiou]+", "Contiguous", invert=True), split_at("t", "Contiguous"),
            split_at("'", "Removed"), split(r"x*|(?=m)"), byte_level(prefix=True),
        ),
        "added": [added("THE", normalized=True, single_word=True), special("<a>", rstrip=True),
                  added("<É>", normalized=True), special("<a><b>", lstrip=True, rstrip=True)],
    },
    "words": {
        "pre_tokenizer": sequence({"type": "Whitespace"}, byte_level(use_regex=False)),
        "added": [special("the", single_word=True), added(" ", lstrip=True)],
    },
    "blanks": {
        "pre_tokenizer": sequence(
            {"type": "WhitespaceSplit"}, {"type": "CharDelimiterSplit", "delimiter": "l"},
            split(r"^.|.$|\bs|[[:upper:]]{1,2}+|\w\B\W?", invert=True),
            byte_level(prefix=True, use_regex=False),
        ),
    },
}  # fmt: skip


def corpus() -> str:
    """Real text that is on every machine, and some of other scripts."""
    paths = sorted(Path(pickle.__file__).parent.glob("*.py"))[:20]
    text = "".join(path.read_text("utf-8", errors="replace") for path in paths)[:120_000]
    return text + " naïve café straße Ελληνικά русский 中文字符 日本語 한국어 😀👍🏽 " * 20


@functools.cache
def model() -> Json:
    twin = tokenizers.Tokenizer(models.BPE())
    twin.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1200, initial_alphabet=alphabet, show_progress=False)
    twin.train_from_iterator([corpus()], trainer)
    found: Json = json.loads(twin.to_str())["model"]
    return found


def instance(family: Json) -> str:
    """The tokenizer.json of a family."""
    base = model()
    tokens = [
        {"id": len(base["vocab"]) + number} | token
        for number, token in enumerate(family.get("added", []))
    ]
    ids = {token["content"]: token["id"] for token in tokens}
    file = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": tokens,
        "normalizer": family.get("normalizer"),
        "pre_tokenizer": family["pre_tokenizer"],
        "post_processor": with_ids(family.get("post_processor", byte_level()), ids),
        "decoder": byte_level(),
        "model": base | {"ignore_merges": family.get("ignore_merges", False)},
    }
    return json.dumps(file)


def with_ids(processor: Json, ids: dict[str, int]) -> Json:
    if processor["type"] == "Sequence":
        return processors(*(with_ids(step, ids) for step in processor["processors"]))
    if processor["type"] == "TemplateProcessing":
        named = {name: {"id": name, "ids": [i], "tokens": [name]} for name, i in ids.items()}
        return processor | {"special_tokens": named}
    if processor["type"] == "RobertaProcessing":
        return processor | {
            key: [processor[key][0], ids[processor[key][0]]] for key in ("sep", "cls")
        }
    return processor
