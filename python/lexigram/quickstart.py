"""The main job: corpus → tokenizer → shards → n-gram baselines → transformer → one table.

Every model is trained on the same tokens and measured in bits per byte on the same held-out
tokens, so that the rows of the table can be compared: −log₂ of the probability of the held-out
tokens, separators left out, over the UTF-8 bytes that they spell.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lexigram import runs
from lexigram.data import Document, TokenDataset, documents, split_of, tokenize
from lexigram.errors import InvalidInputError, MissingDependencyError
from lexigram.ngram import NgramModel, fit_weights, interpolate
from lexigram.suffix import SuffixIndex
from lexigram.tokenizer import Tokenizer

if TYPE_CHECKING:
    from lexigram.decode import Generation
    from lexigram.evaluate import Score
    from lexigram.lm import LanguageModel
    from lexigram.train import RunResult, StepReport

__all__ = ["MAX_CORPUS_BYTES", "Observer", "Quickstart", "Row", "quickstart"]

MAX_CORPUS_BYTES = 64_000_000
"""The quickstart reads at most this much text; larger corpora go through `lexigram data`."""

MIN_CORPUS_BYTES = 20_000
MAX_HELD_OUT_TOKENS = 200_000
HELD_OUT = 0.05
FEW_DOCUMENTS = 40
SEPARATOR = "<|endoftext|>"
STRATEGY = "temperature=0.8,top_p=0.95"
SAMPLE_TOKENS = 120

Report = Callable[[int, int], None]


class Observer(Protocol):
    """How the quickstart tells what it does: the command line paints it, a test ignores it."""

    def stage(self, description: str, unit: str) -> AbstractContextManager[Report]:
        """Called around each long stage; the result is called as `report(done, total)`."""
        ...

    def note(self, text: str) -> None:
        """One line about what was found or decided."""
        ...

    def training(self) -> AbstractContextManager[Callable[[StepReport], None]]:
        """Called around the training of the transformer; the result gets every step."""
        ...


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model of the table: bits per byte on the held-out tokens, and what it took."""

    model: str
    bits_per_byte: float
    parameters: int
    """Weights of the transformer; n-grams that the model stores; 0 for the uniform model."""
    train_tokens: int
    """Tokens read while training, repetitions counted."""
    seconds: float
    """Of training, measurement left out."""


@dataclass(frozen=True, kw_only=True)
class Quickstart:
    """What the quickstart made."""

    run: Path
    corpus: str
    rows: tuple[Row, ...]
    held_out_tokens: int
    held_out_bytes: int
    prompt: str
    sample: Generation
    interrupted: bool
    """The transformer's training was ended early; the run can be resumed."""

    def as_dict(self) -> dict[str, object]:
        """Plain data, as `table.json` in the run's folder."""
        return {
            "corpus": self.corpus,
            "held_out": {"tokens": self.held_out_tokens, "bytes": self.held_out_bytes},
            "rows": [asdict(row) for row in self.rows],
            "sample": {"prompt": self.prompt, "strategy": STRATEGY, "text": self.sample.text},
            "interrupted": self.interrupted,
        }


def quickstart(
    corpus: str = "stdlib",
    *,
    observer: Observer,
    minutes: float = 3.0,
    out: str | Path | None = None,
    vocab_size: int | None = None,
    seed: int = 0,
) -> Quickstart:
    """Runs the whole path on `corpus`, a name or a path, and leaves a run folder: `out`, or a new
    one where runs are kept.

    `minutes` bounds the training of the transformer; the rest takes about a minute on two CPU
    cores. `vocab_size` None chooses by the corpus: 4,096 from 2 MB of text on, less below.

    Raises `MissingFileError`, `EncodingError`, `InvalidInputError` (the corpus is empty or too
    small, minutes is not above 0).
    """
    if not 0 < minutes < math.inf:
        raise InvalidInputError(f"minutes = {minutes:g}: must be above 0 and finite, such as 3")
    if importlib.util.find_spec("torch") is None:
        raise MissingDependencyError(
            "torch is not installed; the quickstart needs: pip install 'lexigram[torch]'"
        )
    if out is not None and Path(out).exists() and any(Path(out).iterdir()):
        raise InvalidInputError(f"{out} already holds files; name another folder, or remove it")
    name = re.sub(r"[^\w.+-]+", "-", Path(corpus).stem).strip("-.+") or "corpus"
    train_texts, held_out_texts = _split(_read(corpus, observer), seed)

    size = vocab_size
    if size is None:
        size = _vocab_size(sum(len(text) for text in train_texts))
    with observer.stage("Training the tokenizer", "") as report:
        tokenizer = Tokenizer.train(
            train_texts, size, pattern="cl100k", special_tokens=[SEPARATOR], progress=report
        )
    run = runs.create_run_dir(out) if out is not None else runs.new_run_dir(name)
    try:
        return _in_folder(
            corpus, run, tokenizer, train_texts, held_out_texts, minutes, seed, observer
        )
    except BaseException:
        if not (run / "config.json").exists():  # it is no run yet: nothing is left half-made
            shutil.rmtree(run, ignore_errors=True)
        raise


def _in_folder(
    corpus: str,
    run: Path,
    tokenizer: Tokenizer,
    train_texts: list[str],
    held_out_texts: list[str],
    minutes: float,
    seed: int,
    observer: Observer,
) -> Quickstart:
    """The quickstart from the tokenizer on, in the folder of the run."""
    tokenizer.save(run / "tokenizer.json")
    with observer.stage("Tokenizing", "bytes") as report:
        train_set = tokenize(train_texts, tokenizer, run / "data" / "train", progress=report)
        held_out = tokenize(held_out_texts, tokenizer, run / "data" / "validation")
    observer.note(
        f"vocabulary of {tokenizer.n_vocab:,}; {len(train_set):,} tokens to train on, "
        f"{len(held_out):,} held out; {train_set.num_bytes / len(train_set):.2f} bytes per token"
    )

    from lexigram.evaluate import Uniform

    bench = _Bench(tokenizer, held_out, observer)
    rows = [bench.row("uniform", Uniform(tokenizer.n_vocab))]
    for order, label in ((1, "unigram"), (5, "5-gram Kneser-Ney")):
        began = time.perf_counter()
        with observer.stage(f"Counting the {label} model", "") as report:
            counted = NgramModel.train(train_set, order=order, tokenizer=tokenizer, progress=report)
        seconds = time.perf_counter() - began
        counted.save(run / f"{label.replace(' ', '-').lower()}.ngram")
        ngrams = sum(counted.num_ngrams)
        rows.append(bench.row(label, counted, ngrams, len(train_set), seconds))
    began = time.perf_counter()
    mixed = _with_infinigram(run, counted, train_set, tokenizer, observer)
    seconds += time.perf_counter() - began
    rows.append(bench.row("5-gram + ∞-gram", mixed, ngrams, len(train_set), seconds))

    result = _train_transformer(run, tokenizer, minutes, seed, observer)
    lm = runs.load(run).lm
    label = "transformer"
    rows.append(bench.row(label, lm, result.num_parameters, result.tokens, result.seconds))

    prompt = _prompt(held_out_texts, corpus)
    outcome = Quickstart(
        run=run,
        corpus=corpus,
        rows=tuple(rows),
        held_out_tokens=bench.scored.tokens,
        held_out_bytes=bench.scored.bytes,
        prompt=prompt,
        sample=_sample(lm, tokenizer, prompt, seed),
        interrupted=result.reason == "interrupted",
    )
    runs.write_json(run / "table.json", outcome.as_dict())
    return outcome


def _with_infinigram(
    run: Path,
    counted: NgramModel,
    train_set: TokenDataset,
    tokenizer: Tokenizer,
    observer: Observer,
) -> LanguageModel:
    """The mixture of the 5-gram and the ∞-gram of the training tokens.

    Its weights come from training text alone: both models of the first nine tenths of the
    documents, and what they say of the last one.
    """
    with observer.stage("Sorting suffixes for the ∞-gram model", "tokens") as report:
        index = SuffixIndex.build(train_set, run / "index", tokenizer=tokenizer, progress=report)
    with observer.stage("Fitting the weights of 5-gram and ∞-gram", ""):
        tokens, separator = train_set.tokens(), train_set.document_separator
        ends = (tokens == separator).nonzero()[0] + 1
        cut = int(ends[int(len(ends) * 0.9)]) if len(ends) > 1 else len(tokens) // 2
        first, size = tokens[:cut], train_set.vocab_size
        with tempfile.TemporaryDirectory(prefix="lexigram-") as folder:
            part = SuffixIndex.build(
                first, Path(folder) / "index", vocab_size=size, document_separator=separator
            )
            smaller = NgramModel.train(
                first, order=5, vocab_size=size, document_separator=separator
            )
            weights = fit_weights([smaller, part.model()], tokens[cut:])
    return interpolate([counted, index.model()], weights)


def _read(corpus: str, observer: Observer) -> list[str]:
    """The corpus's documents; a corpus of few and long ones, such as one novel, in parts."""
    texts, more = _first_bytes(documents(corpus), MAX_CORPUS_BYTES)
    total = sum(len(text.encode()) for text in texts)
    if total < MIN_CORPUS_BYTES:
        raise InvalidInputError(
            f"the corpus {corpus} has {total:,} bytes of text: the quickstart needs at least "
            f"{MIN_CORPUS_BYTES:,}; add text, or try --corpus stdlib"
        )
    whole = len(texts)
    if whole < FEW_DOCUMENTS:
        part = max(1000, total // (5 * FEW_DOCUMENTS))
        texts = [d.text for d in documents([Document(t, "") for t in texts], max_chars=part)]
    parts = f", read in {len(texts):,} parts" if len(texts) > whole else ""
    observer.note(f"{corpus}: {total / 1e6:.1f} MB of text in {whole:,} documents{parts}")
    if more:
        observer.note(f"the corpus is larger: only its first {total / 1e6:.0f} MB are used")
    return texts


def _first_bytes(source: Iterable[Document], limit: int) -> tuple[list[str], bool]:
    """The documents of the first `limit` bytes, the last one cut, and whether more follow."""
    texts: list[str] = []
    for text, _ in source:
        content = text.encode()
        if len(content) > limit:
            texts.append(content[:limit].decode(errors="ignore"))
            return [text for text in texts if text], True
        texts.append(text)
        limit -= len(content)
    return texts, False


def _split(texts: list[str], seed: int) -> tuple[list[str], list[str]]:
    """Training and held-out documents, chosen by content: duplicates stay on one side."""
    sides: dict[str, list[str]] = {"train": [], "held out": []}
    fractions = {"train": 1 - HELD_OUT, "held out": HELD_OUT}
    for text in texts:
        sides[split_of(text, fractions, seed=seed)].append(text)
    if not sides["held out"]:
        last = texts[-1]
        sides = {
            "train": [text for text in texts if text != last],
            "held out": [text for text in texts if text == last],
        }
    if not sides["train"]:
        raise InvalidInputError(
            "all documents of the corpus are equal: nothing is left to measure on; use another"
        )
    return sides["train"], sides["held out"]


def _vocab_size(num_chars: int) -> int:
    """A power of two, about one token for every 500 characters, from 512 to 4,096."""
    return min(4096, max(512, 1 << (num_chars // 500).bit_length()))


class _Bench:
    """Measures every model on the same held-out tokens; `scored` says on which."""

    scored: Score

    def __init__(self, tokenizer: Tokenizer, held_out: TokenDataset, observer: Observer) -> None:
        self.tokenizer, self.held_out, self.observer = tokenizer, held_out, observer

    def row(
        self,
        label: str,
        lm: LanguageModel,
        parameters: int = 0,
        train_tokens: int = 0,
        seconds: float = 0.0,
    ) -> Row:
        from lexigram.evaluate import score_dataset

        with self.observer.stage(f"Measuring the {label} model", "tokens") as report:
            self.scored = score_dataset(
                lm,
                self.held_out,
                max_tokens=MAX_HELD_OUT_TOKENS,
                tokenizer=self.tokenizer,
                progress=report,
            )
        return Row(
            model=label,
            bits_per_byte=self.scored.bits_per_byte,
            parameters=parameters,
            train_tokens=train_tokens,
            seconds=seconds,
        )


def _train_transformer(
    run: Path, tokenizer: Tokenizer, minutes: float, seed: int, observer: Observer
) -> RunResult:
    from lexigram import recipes
    from lexigram.train import steps_for, train

    config = recipes.stdlib_cpu(
        train=str(run / "data" / "train"),
        validation=str(run / "data" / "validation"),
        tokenizer=str(run / "tokenizer.json"),
        vocab_size=tokenizer.n_vocab,
        document_separator=tokenizer.eot_token,
    )
    config = dataclasses.replace(config, out=str(run), name=run.name, seed=seed)
    with observer.stage("Measuring the speed of a step", ""):
        config = dataclasses.replace(config, steps=steps_for(config, minutes * 60))
    with observer.training() as report:
        return train(config, progress=report)


def _prompt(held_out_texts: list[str], corpus: str) -> str:
    """What the sample begins with: for Python a definition, else a held-out document's words."""
    if corpus == "stdlib":
        return "def"
    return " ".join(held_out_texts[0].split()[:6]) or "The"


def _sample(lm: LanguageModel, tokenizer: Tokenizer, prompt: str, seed: int) -> Generation:
    from lexigram.decode import generate

    ids = tokenizer.encode_ordinary(prompt)
    return generate(
        lm,
        ids,
        strategy=STRATEGY,
        max_new_tokens=SAMPLE_TOKENS,
        seed=seed,
        tokenizer=tokenizer,
    )
