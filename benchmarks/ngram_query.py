"""Rows of benchmarks/ngram.py in one process, rivals taking turns: scores, distributions, equality.

KenLM's sentences are made into strings before the clock starts, which spares it that work; our
ids are an array.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import kenlm_tools
from measure import CORES, OURS, Goal, Table, interleave, pin
from ngram_build import Bench

LN10 = math.log(10)


def _rivals(bench: Bench, name: str) -> dict[str, Any]:
    """KenLM's models of a corpus, opened."""
    module = kenlm_tools.module()
    found = {}
    for kind in ("probing", "trie") if module is not None else ():
        path = bench.kenlm_model(name, kind)
        if path is not None:
            found[f"kenlm {kind}"] = module.Model(str(path))
    return found


def _ours(bench: Bench, name: str, *, in_memory: bool = False) -> Any:
    from lexigram import NgramModel

    return NgramModel.load(bench.model(name), in_memory=in_memory)


def _held_out(bench: Bench) -> tuple[Any, list[str]]:
    """The held-out ids as an array, and as sentences of text."""
    corpus = bench.corpus("ids")
    assert corpus.held_out_ids is not None
    return np.load(corpus.held_out_ids), corpus.held_out.read_text().splitlines()


def score_rows(bench: Bench) -> list[Table]:
    """Scoring an array of ids on one core: ours in one call, KenLM's a call for each sentence.

    KenLM's module reads all of a model into memory when it opens it (POPULATE_OR_READ, its
    default), as ours does when it is asked; the model that is only mapped is a row of its own."""
    ids, sentences = _held_out(bench)
    model, rivals = _ours(bench, "ids", in_memory=True), _rivals(bench, "ids")
    mapped = _ours(bench, "ids")
    works: dict[str, Callable[[], Any]] = {
        OURS: lambda: model.score(ids, num_threads=1),
        f"{OURS}, mapped": lambda: mapped.score(ids, num_threads=1),
    }
    for name, rival in rivals.items():
        works[name] = lambda rival=rival: [rival.score(sentence) for sentence in sentences]
    seconds = interleave(works, bench.rounds * 3)
    title = f"{len(ids):,} held-out ids, one core"
    table = Table("score", title, "M ids a CPU second", seconds, amount=len(ids) / 1e6)
    table.remarks[OURS] = "load(in_memory=True); one call, float32 of every id"
    table.remarks[f"{OURS}, mapped"] = "load()"
    for name in rivals:
        table.remarks[name] = "score() of each document, its sum only"
    table.against(None, 1.5, 3.0)
    table.against("kenlm trie", 1.0, 1.0)
    return [table]


def thread_rows(bench: Bench) -> list[Table]:
    """Scoring on two threads and on one."""
    if len(CORES) < 2:
        return []
    ids, sentences = _held_out(bench)
    model, rivals = _ours(bench, "ids"), _rivals(bench, "ids")
    halves = sentences[::2], sentences[1::2]
    works: dict[str, Callable[[], Any]] = {
        f"{OURS}, {n} thread{'s' * (n > 1)}": lambda n=n: model.score(ids, num_threads=n)
        for n in (1, 2)
    }
    probing = rivals.get("kenlm probing")
    with ThreadPoolExecutor(2) as pool:
        if probing is not None:

            def half(part: list[str]) -> list[float]:
                return [probing.score(sentence) for sentence in part]

            works["kenlm probing, 1 thread"] = lambda: [half(part) for part in halves]
            works["kenlm probing, 2 threads"] = lambda: list(pool.map(half, halves))
        pin(2)
        try:
            seconds = interleave(works, bench.rounds * 3, time.perf_counter)
        finally:
            pin()
    title = f"{len(ids):,} held-out ids, one thread and two"
    table = Table("threads", title, "M ids a second", seconds, amount=len(ids) / 1e6)
    table.ours = f"{OURS}, 2 threads"
    pairs = zip(seconds[f"{OURS}, 1 thread"], seconds[table.ours], strict=True)
    more = statistics.median(one / two for one, two in pairs)
    table.goals.append(Goal("times one thread's speed on two", more, 1.7, 1.9))
    return [table]


def next_rows(bench: Bench) -> list[Table]:
    """The distribution over all 32,768 ids after contexts of the held-out text."""
    ids, _ = _held_out(bench)
    model, rivals = _ours(bench, "ids"), _rivals(bench, "ids")
    corpus = bench.corpus("ids")
    places = np.random.default_rng(0).integers(4, len(ids), 400)
    contexts = [ids[place - 4 : place] for place in places]
    contexts = [context for context in contexts if corpus.separator not in context]
    each: list[float] = []
    for context in contexts * bench.rounds:
        began = time.perf_counter()
        model.next_logprobs(context)
        each.append(time.perf_counter() - began)
    seconds = {OURS: each}
    table = Table(
        "next", f"distribution over {corpus.vocab_size:,} ids", "µs, median", seconds, scale=1e6
    )
    probing = rivals.get("kenlm probing")
    if probing is not None:
        words = [str(number) for number in range(corpus.vocab_size)]
        seconds["kenlm probing"] = [_loop(probing, words, c) for c in contexts[: 4 * bench.rounds]]
        table.remarks["kenlm probing"] = "BaseScore of each id from one state"
    table.limit(300, 30, smaller=True)
    return [table]


def _loop(model: Any, words: list[str], context: Any) -> float:
    """Seconds of KenLM's way to a distribution: a call for each word."""
    import kenlm

    state, after = kenlm.State(), kenlm.State()
    model.NullContextWrite(state)
    for token in context:
        model.BaseScore(state, str(token), after)
        state, after = after, state
    began = time.perf_counter()
    base = model.BaseScore
    for word in words:
        base(state, word, after)
    return time.perf_counter() - began


def equal_rows(bench: Bench) -> list[Table]:
    """The perplexity of the held-out text is KenLM's for words; for ids nearly, since KenLM's
    vocabulary has only those that were seen."""
    tables = []
    for name in bench.names:
        corpus = bench.corpus(name)
        rivals = _rivals(bench, name)
        if "kenlm probing" not in rivals:
            continue
        sentences = corpus.held_out.read_text().splitlines()
        theirs = tokens = 0.0
        for sentence in sentences:
            theirs -= rivals["kenlm probing"].score(sentence) * LN10
            tokens += len(sentence.split()) + 1
        model = _ours(bench, name)
        if name == "words":
            ours = -sum(float(model.score_words(sentence).sum()) for sentence in sentences)
        else:
            assert corpus.held_out_ids is not None
            front = np.array([corpus.separator], np.uint16)
            ids = np.concatenate([front, np.load(corpus.held_out_ids)])
            ours = -float(model.score(ids, dtype=np.float64)[1:].sum())
        figures = {
            OURS: [math.exp(ours / tokens)],
            "kenlm probing": [math.exp(theirs / tokens)],
        }
        title = f"perplexity of {int(tokens):,} held-out {name}"
        table = Table("equal", title, "perplexity", figures)
        apart = abs(figures[OURS][0] / figures["kenlm probing"][0] - 1) * 1e6
        if name == "words":
            table.goals.append(Goal("millionths of difference", apart, 100, 10, smaller=True))
        else:
            table.remarks[OURS] = f"{apart:.0f} millionths apart: ids never seen have a share too"
        tables.append(table)
    return tables
