"""`NgramModel`: made from ids, words or an ARPA file, saved, loaded, made smaller."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from lexigram import _core
from lexigram.arguments import SavesTokenizer, integer, optional_integer, tokenizer_json
from lexigram.lm import TokenIds
from lexigram.ngram.scores import NgramScores
from lexigram.ngram.streams import Progress, Smoothing, TokenStream, ids_of, meaning
from lexigram.ngram.words import (
    FilePath,
    WordPerplexity,
    paths_of,
    sentence_bytes,
    token_words,
)
from lexigram.outputs import file_to_write

__all__ = ["NgramModel"]


class NgramModel(NgramScores):
    """An n-gram model of orders 1 to N; satisfies `lexigram.lm.LanguageModel`.

    Made by `train` or `load`, never changed afterwards. Log-probabilities are natural logarithms,
    float64 inside. A state is the array (B, n) of the ids that the next step can still see.
    """

    def __init__(self, core: _core.NgramModel, notes: Sequence[str] = ()) -> None:
        """Use `train`, `train_words`, `from_arpa` or `load`."""
        super().__init__(core)
        self._notes = tuple(notes)

    @classmethod
    def train(
        cls,
        tokens: TokenIds | TokenStream,
        *,
        order: int = 5,
        smoothing: Smoothing = "modified_kneser_ney",
        vocab_size: int | None = None,
        document_separator: int | None = None,
        prune: Sequence[int] = (),
        prune_entropy: float | None = None,
        pseudocount: float = 1.0,
        memory_limit: int | None = None,
        num_threads: int | None = None,
        progress: Progress | None = None,
        tokenizer: SavesTokenizer | str | None = None,
    ) -> NgramModel:
        """Counts the stream and estimates a model.

        `tokens`: ids (n,) of any integer type, or a `TokenDataset`, which brings its own
        `vocab_size` and `document_separator`. `document_separator`: the id that ends every
        document; n-grams never cross it, and it stands for both ends of a document. `prune`: the
        n-grams of order k with a raw count of at most `prune[k - 1]` are dropped, the last entry
        holding for longer ones; the first is 0 and none is below the one before. `prune_entropy`:
        see `prune`. `pseudocount`: k of "additive". `tokenizer`: the `Tokenizer` that the ids
        belong to, or the text of its tokenizer.json; the saved model carries it. The result does
        not depend on `num_threads`. `progress(done, total)` counts tokens times passes.

        "stupid_backoff" gives scores that do not sum to one, so no perplexity;
        "normalized_stupid_backoff" divides them by their sums.

        Raises `TokenIdError` for an id outside the vocabulary, `InvalidInputError` for an
        argument outside its limits or an empty stream.
        """
        vocab_size, document_separator = meaning(tokens, vocab_size, document_separator)
        core = _core.NgramModel.train(
            ids_of(tokens, vocab_size),
            order=integer("order", order),
            vocab_size=vocab_size,
            document_separator=document_separator,
            smoothing=smoothing,
            pseudocount=float(pseudocount),
            prune=[integer("prune", threshold) for threshold in prune],
            memory_limit=optional_integer("memory_limit", memory_limit, 1, 2**63 - 1),
            num_threads=optional_integer("num_threads", num_threads),
            progress=progress,
            tokenizer=tokenizer_json(tokenizer),
        )
        model = cls(core)
        return model if prune_entropy is None else model.prune(prune_entropy)

    @classmethod
    def train_words(
        cls,
        paths: FilePath | Iterable[FilePath],
        *,
        order: int = 5,
        smoothing: Smoothing = "modified_kneser_ney",
        kenlm_compatible: bool = False,
        prune: Sequence[int] = (),
        prune_entropy: float | None = None,
        pseudocount: float = 1.0,
        min_count: int = 1,
        skip_symbols: bool = False,
        memory_limit: int | None = None,
        num_threads: int | None = None,
        progress: Progress | None = None,
    ) -> NgramModel:
        """Trains on text files (gzip too) as KenLM's lmplz reads them: a line is a sentence, an
        empty one too; words are bytes between space, tab, CR and NUL.

        Id 0 is `<unk>`, id 1 the `document_separator`, which is `<s>` and `</s>`; the words
        follow in the order of their first appearance. The model carries the words.
        `kenlm_compatible`: the discounts of lmplz, which counts the suffixes of one n-gram
        otherwise than the textbook does (`docs/ngram.md`); the difference is seen in small texts
        only. `min_count`: words that occur less often are `<unk>`. `skip_symbols`: reads
        `<s>`, `</s>`, `<unk>` and `<UNK>` in the text as white space. `prune_entropy`: see `prune`.
        `progress(done, total)` counts bytes while reading, then as `train`.

        Raises `FormatError` where the text has one of these symbols and `skip_symbols` is
        not set, `MissingFileError`, and `InvalidInputError` for an argument outside its limits.
        """
        core = _core.NgramModel.train_words(
            paths_of(paths),
            order=integer("order", order),
            smoothing=smoothing,
            pseudocount=float(pseudocount),
            kenlm_compatible=kenlm_compatible,
            prune=[integer("prune", threshold) for threshold in prune],
            min_count=integer("min_count", min_count),
            skip_symbols=skip_symbols,
            memory_limit=optional_integer("memory_limit", memory_limit, 1, 2**63 - 1),
            num_threads=optional_integer("num_threads", num_threads),
            progress=progress,
        )
        model = cls(core)
        return model if prune_entropy is None else model.prune(prune_entropy)

    @classmethod
    def from_arpa(cls, path: FilePath, *, progress: Progress | None = None) -> NgramModel:
        """Reads a word model from an ARPA file (gzip too) of KenLM, SRILM or this package.

        N-grams may come in any order; a back-off weight that is not given is 1. An `<unk>` that
        is not given has log₁₀ p = −100, as in KenLM. `notes` says what was not as expected.
        `progress(done, total)` counts bytes. Raises `FormatError` with the line at fault.
        """
        core, notes = _core.NgramModel.from_arpa(os.fspath(path), progress)
        return cls(core, notes)

    def to_arpa(self, path: FilePath, *, progress: Progress | None = None) -> None:
        """Writes an ARPA file, which KenLM and SRILM read, in one step.

        The words of a token model are its tokens as its tokenizer.json spells them, or `<id:N>`
        where that has white space, is one of `<s>`, `</s>`, `<unk>` or is not unique; without a
        tokenizer they are the ids. `progress(done, total)` counts n-grams.

        Raises `InvalidInputError` for "stupid_backoff", and for "additive" above order 1: they
        are no back-off models.
        """
        target, tokens = file_to_write(path), None
        if self.words is None and self.tokenizer is not None:
            tokens = token_words(self.tokenizer, self.vocab_size, self.document_separator)
        self._core.to_arpa(str(target), tokens, progress)

    def prune(self, threshold: float) -> NgramModel:
        """The model without the n-grams whose removal raises the perplexity by a factor of less
        than 1 + `threshold` each (Stolcke 1998); back-off weights are computed anew.

        Contexts and suffixes of the n-grams that stay, stay. Raises `InvalidInputError` for
        "stupid_backoff" and "additive".
        """
        return NgramModel(self._core.prune(float(threshold)), self._notes)

    def normalized(self) -> NgramModel:
        """The scores of "stupid_backoff" divided by their sum over the vocabulary: probabilities,
        with a perplexity. An id never seen has the score 0.4/V as a unigram. The same as training
        with "normalized_stupid_backoff"."""
        return NgramModel(self._core.normalized(), self._notes)

    @classmethod
    def load(cls, path: FilePath, verify: bool = False, *, in_memory: bool = False) -> NgramModel:
        """Opens a saved model, mapped into memory, in a time that does not depend on its size.

        With `in_memory` it is copied into memory in huge pages where the system has them, which
        takes as long as reading the file: for scoring millions of tokens, several times as fast.

        The headers are compared with their checksums; the rest is with `verify`, which reads the
        whole file. Without it a damaged file gives wrong numbers, but never an error or a crash.
        Raises `MissingFileError`, or `FormatError` for what is not as written.
        """
        model = cls(_core.NgramModel.load(os.fspath(path), in_memory))
        if verify:
            model.verify()
        return model

    def verify(self) -> None:
        """Reads the whole file that the model was loaded from; raises `FormatError` when any
        byte of it is not as written, or when the n-grams make no sorted trie."""
        self._core.verify()

    def save(self, path: FilePath, quantize: int | None = None) -> None:
        """Writes the model, and its tokenizer if it has one, to one file in one step.

        `quantize`: 2 to 16, the bits of a log-probability of order 2 and more in the file; without
        it the file is exact. Each becomes the nearest of 2^bits values that its order shares, and
        so do the weights of contexts if the bits are at most 8. A distribution then sums to one
        only nearly (`docs/ngram.md` has figures); `next_logprobs(normalize=True)` mends that.
        """
        self._core.save(str(file_to_write(path)), optional_integer("quantize", quantize))

    @property
    def num_tokens(self) -> int:
        """How many ids the model was trained on."""
        return self._core.num_tokens

    @property
    def num_ngrams(self) -> tuple[int, ...]:
        """The number of n-grams of each order, after pruning; of order 1, the ids seen."""
        return tuple(self._core.num_ngrams)

    @property
    def num_parameters(self) -> int:
        """How many numbers the model holds: a value for each n-gram, a weight for each that is
        shorter than N."""
        return 2 * sum(self.num_ngrams) - self.num_ngrams[-1]

    @property
    def quantized(self) -> int | None:
        """The bits of a log-probability, if the model was saved quantised."""
        return self._core.quantized

    @property
    def discounts(self) -> tuple[tuple[float, float, float], ...]:
        """D₁, D₂, D₃₊ of each order; empty for smoothings other than Kneser-Ney."""
        return tuple(self._core.discounts)

    @property
    def discount_fallbacks(self) -> tuple[int, ...]:
        """The orders whose counts of counts gave no discounts, so that ½, 1, 1½ stand in."""
        return tuple(self._core.discount_fallbacks)

    @property
    def tokenizer(self) -> str | None:
        """The text of the tokenizer.json that the ids belong to, if the model carries one."""
        return self._core.tokenizer

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not as expected in the ARPA file that the model was read from."""
        return self._notes

    @functools.cached_property
    def words(self) -> tuple[bytes, ...] | None:
        """The words of a word model by id, `<unk>` and `</s>` first; for a token model none."""
        words = self._core.words()
        return None if words is None else tuple(words)

    def score_words(self, sentence: str | bytes) -> npt.NDArray[np.float64]:
        """ln p (n + 1,) of each of the n words of a sentence, after `<s>`, and of its `</s>`.

        Words that the vocabulary lacks are `<unk>`; so is a `<s>`, `</s>` or `<unk>` in the
        sentence. Raises `InvalidInputError` for a token model, `EncodingError` for a string with
        half a surrogate pair, which has no UTF-8.
        """
        return self._core.score_words(sentence_bytes(sentence))

    def perplexity_words(
        self, paths: FilePath | Iterable[FilePath], *, progress: Progress | None = None
    ) -> WordPerplexity:
        """The perplexity of text files (gzip too), one sentence a line, with and without the
        words that the vocabulary lacks. `progress(done, total)` counts bytes.

        Raises `InvalidInputError` for a token model, "stupid_backoff", or no line.
        """
        self._check_probabilities()
        return WordPerplexity.of(self._core.score_text(paths_of(paths), progress))

    def counts_of_counts(self) -> npt.NDArray[np.int64]:
        """n₁ … n₄ of each order, (N, 4), before pruning: how many n-grams have the count 1, 2,
        3, 4; the adjusted count for Kneser-Ney, else the count."""
        return self._core.counts_of_counts().astype(np.int64)

    def __repr__(self) -> str:
        return (
            f"NgramModel(order={self.order}, smoothing={self.smoothing!r}, "
            f"vocab_size={self.vocab_size}, num_ngrams={self.num_ngrams})"
        )
