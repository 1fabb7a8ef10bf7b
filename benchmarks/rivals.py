"""The rivals of benchmarks/tokenizer.py: one class each, with its fastest call for each ability.

A class has a method for each ability the rival has; `load` makes one, or says why it cannot. A
rival is imported only when it is loaded. Those that read rank files are given these, the others a
`tokenizer.json` made of the same ranks. `flat` and `lists` have the threads that the process was
given (`RAYON_NUM_THREADS`), unless `sets_threads` says that the call chooses.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from corpora import Vocabulary, vocabulary

ALL = ("gpt2", "cl100k", "o200k")


class Rival:
    """Abilities, each a method that a rival may have:

    flat(texts, threads)   ids of all texts end to end, in whatever array it gives
    ids(result)            those as a NumPy array, not timed
    lists(texts)           a list of ids for each text
    one(text)              the list of one text's ids
    single(text)           the same as an array
    raw(data)              ids of bytes that need not be UTF-8
    text_of(ids), bytes_of(ids)    decoding, of an array and of a list
    """

    package: ClassVar[str]
    modules: ClassVar[tuple[str, ...]]
    """What is to be imported."""
    vocabularies: ClassVar[tuple[str, ...]] = ALL
    sets_threads: ClassVar[bool] = False

    def __init__(self, vocabulary: Vocabulary) -> None:
        raise NotImplementedError

    @staticmethod
    def ids(result: Any) -> Any:
        """Of a buffer of uint32 and one of offsets."""
        return np.frombuffer(result[0], np.uint32)


class Lexigram(Rival):
    modules = ("lexigram",)
    package, sets_threads = "lexigram", True
    keeps = True
    """Whether it keeps the tables of a vocabulary for the next time."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        from lexigram import Tokenizer

        self.tok = Tokenizer.from_tiktoken(vocabulary.ranks, vocabulary.name, cache=self.keeps)
        self.lists = lambda texts: self.tok.encode_ordinary_batch(texts, num_threads=1)
        self.one = self.tok.encode_ordinary
        self.single = self.raw = self.tok.encode_to_numpy
        self.text_of, self.bytes_of = self.tok.decode, self.tok.decode_bytes

    def flat(self, texts: list[str], threads: int = 1) -> Any:
        return self.tok.encode_ordinary_batch_to_numpy(texts, num_threads=threads)

    ids = staticmethod(lambda result: result[0])


class Tiktoken(Rival):
    modules = ("tiktoken", "tiktoken_ext.openai_public")
    package, sets_threads = "tiktoken", True

    def __init__(self, vocabulary: Vocabulary) -> None:
        import tiktoken

        self.tok = tiktoken.get_encoding(vocabulary.encoding)
        self.one, self.single = self.tok.encode_ordinary, self.tok.encode_to_numpy
        self.raw = self.tok._encode_bytes
        self.text_of, self.bytes_of = self.tok.decode, self.tok.decode_bytes

    def flat(self, texts: list[str], threads: int = 1) -> Any:
        if threads == 1:
            return [self.one(text) for text in texts]
        return self.tok.encode_ordinary_batch(texts, num_threads=threads)

    def lists(self, texts: list[str]) -> Any:
        return [self.one(text) for text in texts]

    ids = staticmethod(lambda result: np.fromiter((i for ids in result for i in ids), np.uint32))


class Gigatoken(Rival):
    modules = ("gigatoken",)
    package, sets_threads = "gigatoken", True

    def __init__(self, vocabulary: Vocabulary) -> None:
        import gigatoken

        self.tok = gigatoken.Tokenizer.from_tiktoken(vocabulary.ranks)
        self.single = self.raw = self.tok.encode
        self.lists = lambda texts: self.tok.encode_batch_list(texts, parallel=False)
        self.bytes_of = self.tok.decode

    def flat(self, texts: list[str], threads: int = 1) -> Any:
        return self.tok.encode_batch(texts, parallel=threads > 1)

    def one(self, text: str) -> Any:
        return self.tok.encode(text).tolist()  # a fourth of its TiktokenCompat's time

    @staticmethod
    def ids(result: Any) -> Any:
        return np.asarray(importlib.import_module("awkward").flatten(result))


class GigatokenEach(Rival):
    """A call for each text: faster than its batch on a first pass, and to lists."""

    modules = Gigatoken.modules
    package = "gigatoken"

    def __init__(self, vocabulary: Vocabulary) -> None:
        import gigatoken

        self.tok = gigatoken.Tokenizer.from_tiktoken(vocabulary.ranks)

    def flat(self, texts: list[str], threads: int = 1) -> Any:
        return np.concatenate([self.tok.encode(text) for text in texts])

    def lists(self, texts: list[str]) -> Any:
        return [self.tok.encode(text).tolist() for text in texts]

    ids = staticmethod(lambda result: result)


class Snaptokens(Rival):
    modules = ("snaptokens",)
    package = "snaptokens"

    def __init__(self, vocabulary: Vocabulary) -> None:
        import snaptokens

        self.tok = snaptokens.Tokenizer.from_file(str(vocabulary.json))

    def flat(self, texts: list[str], threads: int = 1) -> Any:
        return self.tok.encode_batch_flat(texts)

    def lists(self, texts: list[str]) -> Any:
        return [self.one(text) for text in texts]  # faster than its batch

    def one(self, text: str) -> Any:
        return self.tok.encode(text).ids

    def text_of(self, ids: Any) -> Any:
        return self.tok.decode(ids)


class Fastokens(Snaptokens):
    modules = ("fastokens._native",)
    package = "fastokens"

    def __init__(self, vocabulary: Vocabulary) -> None:
        from fastokens._native import Tokenizer

        if vocabulary.name == "gpt2":  # of which it knows no pattern
            self.tok = Tokenizer.from_file(str(vocabulary.json))
        else:
            self.tok = Tokenizer.from_tiktoken(str(vocabulary.ranks), encoding=vocabulary.encoding)


class Toktok(Rival):
    modules = ("toktok",)
    package, vocabularies, sets_threads = "toktok-rs", ("cl100k", "o200k"), True

    def __init__(self, vocabulary: Vocabulary) -> None:
        from toktok import _toktok

        self.tok = _toktok.Tokenizer(vocabulary.encoding)
        self.one, self.single = self.tok.encode_ordinary, self.tok.encode_to_numpy
        self.raw = self.tok.encode_bytes
        self.text_of, self.bytes_of = self.tok.decode, self.tok.decode_bytes

    def flat(self, texts: list[str], threads: int = 1) -> Any:
        return self.tok.encode_batch_to_numpy(texts, threads)

    def lists(self, texts: list[str]) -> Any:
        return [self.one(text) for text in texts]  # its batch gives buffers

    ids = staticmethod(lambda result: result[0])


class Splintr(Rival):
    modules = ("splintr",)
    package = "splintr-rs"

    def __init__(self, vocabulary: Vocabulary) -> None:
        import splintr

        patterns = {
            "gpt2": splintr.GPT2_PATTERN,
            "cl100k": splintr.CL100K_BASE_PATTERN,
            "o200k": splintr.O200K_BASE_PATTERN,
        }
        self.tok = splintr.Tokenizer(str(vocabulary.ranks), patterns[vocabulary.name])
        self.lists, self.one = self.tok.encode_batch, self.tok.encode
        self.single = self.tok.encode_flat
        self.text_of, self.bytes_of = self.tok.decode, self.tok.decode_bytes

    def flat(self, texts: list[str], threads: int = 1) -> Any:
        return self.tok.encode_batch_flat(texts)


class Tuetoken(Rival):
    modules = ("tuetoken",)
    package, sets_threads = "tuetoken", True

    def __init__(self, vocabulary: Vocabulary) -> None:
        import tuetoken

        self.tok = tuetoken.Tokenizer(str(vocabulary.json))
        self.lists = lambda texts: self.tok.encode_ordinary_batch(texts, 1)
        self.one, self.single = self.tok.encode_ordinary, self.tok.encode_to_bytes

    def flat(self, texts: list[str], threads: int = 1) -> Any:
        if threads == 1:
            return [self.tok.encode_to_bytes(text) for text in texts]
        return self.tok.encode_ordinary_to_buffer(texts, threads)

    def text_of(self, ids: Any) -> Any:
        return self.tok.decode_array(ids) if isinstance(ids, np.ndarray) else self.tok.decode(ids)

    @staticmethod
    def ids(result: Any) -> Any:
        if isinstance(result, dict):
            return result["data"]
        return np.frombuffer(b"".join(result), np.uint32)


class RsBpe(Rival):
    modules = ("rs_bpe.bpe",)
    package, vocabularies = "rs-bpe", ("cl100k", "o200k")

    def __init__(self, vocabulary: Vocabulary) -> None:
        from rs_bpe.bpe import openai

        self.tok = getattr(openai, vocabulary.encoding)()
        self.one, self.text_of = self.tok.encode, self.tok.decode

    def flat(self, texts: list[str], threads: int = 1) -> Any:
        return self.lists(texts)

    def lists(self, texts: list[str]) -> Any:
        return [self.one(text) for text in texts]

    ids = staticmethod(Tiktoken.ids)


class Tokenizers(Rival):
    modules = ("tokenizers",)
    package = "tokenizers"

    def __init__(self, vocabulary: Vocabulary) -> None:
        import tokenizers

        self.tok = tokenizers.Tokenizer.from_file(str(vocabulary.json))
        self.text_of = self.tok.decode

    def flat(self, texts: list[str], threads: int = 1) -> Any:
        return self.tok.encode_batch_fast(texts, add_special_tokens=False)

    def lists(self, texts: list[str]) -> Any:
        return [encoding.ids for encoding in self.flat(texts)]

    def one(self, text: str) -> Any:
        return self.tok.encode(text, add_special_tokens=False).ids

    @staticmethod
    def ids(result: Any) -> Any:
        return np.fromiter((i for encoding in result for i in encoding.ids), np.uint32)


RIVALS: dict[str, type[Rival]] = {
    "lexigram": Lexigram,
    "tiktoken": Tiktoken,
    "gigatoken": Gigatoken,
    "gigatoken-each": GigatokenEach,
    "snaptokens": Snaptokens,
    "fastokens": Fastokens,
    "toktok": Toktok,
    "splintr": Splintr,
    "tuetoken": Tuetoken,
    "rs-bpe": RsBpe,
    "tokenizers": Tokenizers,
}
TRAINERS = ("gigabpe", "gigatoken", "rustbpe", "tokenizers")


class Refused(Exception):
    """Why a rival cannot take part."""


def load(name: str, vocabulary: Vocabulary) -> Any:
    """A rival with a vocabulary, or `Refused`."""
    kind = RIVALS[name]
    if vocabulary.name not in kind.vocabularies:
        raise Refused(f"has no {vocabulary.name}")
    try:
        return kind(vocabulary)
    except ImportError:
        raise Refused("not installed") from None
    except Exception as error:
        raise Refused(f"refuses {vocabulary.name}: {error}"[:120]) from error


def installed() -> dict[str, str]:
    """The version of every rival that is installed."""
    packages = {kind.package for kind in RIVALS.values()} | set(TRAINERS)
    found = {}
    for package in sorted(packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@dataclass
class Bench:
    """One run: its settings, its folder of files, and what is loaded."""

    folder: Path
    rounds: int
    quick: bool
    names: tuple[str, ...] = tuple(RIVALS)
    _loaded: dict[tuple[str, str], Any] = field(default_factory=dict)

    def vocabulary(self, name: str) -> Vocabulary:
        return vocabulary(name, self.folder)

    def able(self, ability: str, vocabulary: str) -> tuple[dict[str, Any], dict[str, str]]:
        """The rivals that have an ability, loaded, and why others that have it are left out."""
        able, left_out = {}, {}
        for name in self.names:
            key = name, vocabulary
            if key not in self._loaded:
                try:
                    self._loaded[key] = load(name, self.vocabulary(vocabulary))
                except Refused as error:
                    self._loaded[key] = error
            if isinstance(self._loaded[key], Refused):
                left_out[name] = str(self._loaded[key])
            elif hasattr(self._loaded[key], ability):
                able[name] = self._loaded[key]
        return able, left_out
