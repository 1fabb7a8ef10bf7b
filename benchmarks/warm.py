"""Rows of benchmarks/tokenizer.py that are measured in one process, rivals taking turns.

Each rival first encodes everything once, which compares its ids with tiktoken's and fills its
caches; the rounds that follow are warm.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import corpora
from measure import OURS, FreshFailure, Goal, Table, digest, fresh, interleave, timed
from rivals import Bench, load

TIKTOKEN = 12.0
"""How many times as fast as tiktoken every encoding to an array must be."""
SLOW = 0.1
"""Seconds from which on a work gets only a third of the rounds."""

QUICK_GUARD, GUARD = 10.0, 60.0
"""Seconds after which a rival that encodes 1 MB is stopped."""


def rounds_of(works: dict[str, Callable[[], Any]], bench: Bench) -> dict[str, list[float]]:
    """Seconds of the rounds; the fast take part in three times as many, being noisier."""
    seconds = interleave(works, bench.rounds)
    fast = {name: work for name, work in works.items() if max(seconds[name]) < SLOW}
    if fast and not bench.quick:
        for name, more in interleave(fast, 2 * bench.rounds).items():
            seconds[name] += more
    return seconds


def compare(table: Table, outputs: dict[str, Any], reference: str = "tiktoken") -> None:
    """Marks the names whose output is not that of the reference, or of the first if it is not
    there."""
    right = outputs.get(reference, next(iter(outputs.values()), None))
    for name, output in outputs.items():
        if output != right:
            table.wrong.add(name)
            table.remarks[name] = f"not what {reference} gives"


def encode_rows(bench: Bench) -> list[Table]:
    """Encoding to a flat array: warm passes over prose, code and many scripts."""
    sizes = (1_000_000, 1_000_000) if bench.quick else (3_000_000, 4_000_000)
    texts = {
        "English": corpora.english(sizes[0]),
        "source code": corpora.code(sizes[0]),
        "44 languages": corpora.multilingual(sizes[1]),
    }
    tables = []
    for vocabulary in ("cl100k", "o200k", "gpt2"):
        for kind, sample in texts.items():
            if vocabulary != "cl100k" and kind == "44 languages":
                continue
            table = _encode(bench, vocabulary, f"{kind}, warm", sample, "flat")
            table.against(None, 1.0, 2.0)
            table.against("tiktoken", TIKTOKEN, TIKTOKEN)
            tables.append(table)
    return tables


def list_rows(bench: Bench) -> list[Table]:
    """Encoding to Python lists."""
    texts = corpora.english(1_000_000 if bench.quick else 3_000_000)
    table = _encode(bench, "cl100k", "English, warm, to lists", texts, "lists")
    table.row = "lists"
    table.against("gigatoken", 1.3, 2.0)
    return [table]


def single_rows(bench: Bench) -> list[Table]:
    """Encoding to arrays, one call for each document of 8 KB."""
    texts = corpora.english(1_000_000 if bench.quick else 3_000_000)
    table = _encode(bench, "cl100k", "English, warm, a call for each 8 KB", texts, "single")
    table.row = "single"
    table.against(None, 1.0, 2.0)
    return [table]


def _encode(bench: Bench, vocabulary: str, title: str, texts: list[str], ability: str) -> Table:
    able, left_out = bench.able(ability, vocabulary)

    def work(rival: Any) -> Callable[[], Any]:
        if ability == "single":
            return lambda: [rival.single(text) for text in texts]
        return lambda: getattr(rival, ability)(texts)

    def ids(name: str, result: Any) -> Any:
        if ability == "flat":
            return able[name].ids(result)
        arrays = (np.frombuffer(r, np.uint32) if isinstance(r, bytes) else r for r in result)
        return np.concatenate([np.asarray(array, np.uint32) for array in arrays])

    works = {name: work(rival) for name, rival in able.items()}
    digests = {name: digest(ids(name, works[name]())) for name in works}
    megabytes = corpora.num_bytes(texts) / 1e6
    title = f"{title}, {vocabulary}, {megabytes:.1f} MB, one core"
    seconds = rounds_of(works, bench)
    table = Table("encode", title, "MB a CPU second", seconds, megabytes, left_out=left_out)
    compare(table, digests)
    return table


def call_rows(bench: Bench) -> list[Table]:
    """One call with a short text, to a list."""
    tables = []
    text = "".join(corpora.english(300_000)).encode().decode("ascii", "ignore")
    for size, calls in ((30, 2000), (1000, 200)):
        texts = [text[start : start + size] for start in range(0, size * calls, size)]
        able, left_out = bench.able("one", "cl100k")

        def loop(call: Callable[[str], Any], texts: list[str] = texts) -> Callable[[], None]:
            def run() -> None:
                for text in texts:
                    call(text)

            return run

        lists = {name: [rival.one(text) for text in texts] for name, rival in able.items()}
        seconds = rounds_of({name: loop(rival.one) for name, rival in able.items()}, bench)
        title = f"a call with {size} bytes of English, to a list, cl100k, one core"
        table = Table(
            "calls", title, "CPU µs a call", seconds, scale=1e6 / calls, left_out=left_out
        )
        compare(table, lists)
        if size == 30:
            table.limit(1.2, 0.5, smaller=True)
        table.against(None, 1.0, 2.0)
        tables.append(table)
    return tables


def encode_piece(rival: Any, content: str | bytes) -> Any:
    """The ids of one piece by the rival's fastest call."""
    return rival.raw(content) if isinstance(content, bytes) else rival.flat([content])


def probe_job(name: str, vocabulary: str, folder: str, kind: str, size: int) -> dict[str, Any]:
    """A first attempt at a piece, in a process of its own since some rivals abort it."""
    rival = load(name, corpora.vocabulary(vocabulary, Path(folder)))
    content = corpora.piece(kind, size, 0)
    result = encode_piece(rival, content)
    ids = result if isinstance(content, bytes) else rival.ids(result)
    return {"seconds": timed(lambda: encode_piece(rival, content)), "digest": digest(ids)}


def piece_rows(bench: Bench) -> list[Table]:
    """One piece of 1 MB. A rival that takes over a second is measured once; others take turns,
    each round with another piece."""
    size = 1_000_000
    tables = []
    for kind in corpora.PIECES:
        able, left_out = bench.able("raw" if kind == "random bytes" else "flat", "cl100k")
        seconds: dict[str, list[float]] = {}
        digests = {}
        for name in able:
            arguments = {
                "name": name,
                "vocabulary": "cl100k",
                "folder": str(bench.folder),
                "kind": kind,
                "size": size,
            }
            try:
                found = fresh("probe", arguments, limit=QUICK_GUARD if bench.quick else GUARD)
            except FreshFailure as failure:
                left_out[name] = str(failure)
                continue
            seconds[name], digests[name] = [found["seconds"]], found["digest"]
        quick = {name: able[name] for name in seconds if seconds[name][0] < 1.0}
        for name in quick:
            seconds[name].clear()
        for turn in range(bench.rounds):
            content = corpora.piece(kind, size, turn)
            for name, rival in quick.items():
                seconds[name].append(timed(lambda r=rival, c=content: encode_piece(r, c)))
        title = f"one piece of 1 MB: {kind}, cl100k, one core"
        table = Table("pieces", title, "MB a CPU second", seconds, size / 1e6, left_out=left_out)
        table.remarks = {name: "once" for name in seconds if name not in quick}
        compare(table, digests)
        if kind == "random letters":
            table.against("rs-bpe", 1.0, 2.0)
        elif kind in ("a", "spaces", "digits", "emoji"):
            table.limit(50, 100, smaller=False)
        tables.append(table)
    return tables


def linearity_rows(bench: Bench) -> list[Table]:
    """Our time per byte of one 10 MB piece over that of a 1 MB piece. gpt2 leaves a run of
    digits in one piece, cl100k does not."""
    tables = []
    for vocabulary in ("cl100k", "gpt2"):
        able, _ = bench.able("flat", vocabulary)
        rival = able[OURS]
        for kind in ("a", "spaces", "digits", "emoji", "random letters", "random bytes"):
            short, long = (corpora.piece(kind, size, 0) for size in (1_000_000, 10_000_000))
            works = {
                "lexigram, 1 MB": lambda r=rival, c=short: encode_piece(r, c),
                "lexigram, 10 MB": lambda r=rival, c=long: encode_piece(r, c),
            }
            for work in works.values():
                work()
            seconds = interleave(works, bench.rounds)
            seconds["lexigram, 10 MB"] = [s / 10 for s in seconds["lexigram, 10 MB"]]
            title = f"a 10 MB piece and a 1 MB piece: {kind}, {vocabulary}, one core"
            table = Table("linearity", title, "CPU ms a MB", seconds, scale=1e3)
            table.ours = "lexigram, 1 MB"
            ratio = table.ratio("lexigram, 10 MB")[0]
            goal = Goal("times the time per byte", ratio, 1.5, 1.1, smaller=True)
            table.goals.append(goal)
            tables.append(table)
    return tables


def decode_rows(bench: Bench) -> list[Table]:
    """Decoding, from an array and from a list, to text and to bytes."""
    texts = corpora.english(1_000_000 if bench.quick else 3_000_000)
    text = "".join(texts)
    ours = bench.able("flat", "cl100k")[0][OURS]
    array = np.array(ours.single(text))
    given = {"an array": array, "a list": array.tolist()}
    tables = []
    for source, ids in given.items():
        for ability, wanted in (("text_of", text), ("bytes_of", text.encode())):
            able, left_out = bench.able(ability, "cl100k")
            works, wrong = {}, {}
            for name, rival in able.items():
                call = getattr(rival, ability)
                try:
                    if call(ids) != wanted:
                        wrong[name] = "not the text"
                except (TypeError, ValueError) as error:
                    left_out[name] = f"refuses {source}: {error}"[:80]
                    continue
                works[name] = lambda call=call, ids=ids: call(ids)
            target = "text" if ability == "text_of" else "bytes"
            megabytes = len(text.encode()) / 1e6
            title = f"{source} to {target}, English, {megabytes:.1f} MB, cl100k, one core"
            seconds = rounds_of(works, bench)
            table = Table("decode", title, "MB a CPU second", seconds, megabytes)
            table.left_out, table.wrong, table.remarks = left_out, set(wrong), wrong
            table.against(None, 1.0, 3.0 if source == "an array" else 2.0)
            tables.append(table)
    return tables
