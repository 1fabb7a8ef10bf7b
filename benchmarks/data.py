"""The loader against its rivals: batches, packing, checksums, resuming, memory.

    LEXIGRAM_DATA=… python benchmarks/data.py [--rounds 5] [--quick] [--record]

Needs the rivals from the package index; those that are missing or refuse are named and left out:

    pip install torch litdata mosaicml-streaming datasets megatron-core

The corpus is every document of the .jsonl files of LEXIGRAM_DATA, in GPT-2's vocabulary, again and
again up to 100 million tokens. B = 32, T = 1,024; the page cache is warm. The rows are
  load       inputs and targets, int64, one core; millions of tokens a second of the processor
  narrow     16-bit inputs and targets, against NumPy's own copies
  workers    with two worker processes; millions of tokens a second of the clock
  checked    an epoch of a dataset just opened, with and without checksums on read
  packing    plan and read an epoch of best-fit rows, against nanochat's algorithm
  resume     a new loader, a state in the middle, its first batch; milliseconds
  memory     what a process holds besides: megabytes of private memory

Figures are medians of the rounds, in which rivals take turns; ratios are medians of the rounds'
own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np

from data_rivals import RIVALS, B, Corpus, T, nanochat
from data_sets import SEPARATOR, encoded, written
from lexigram.data import TokenDataset, TokenLoader
from measure import OURS, Goal, Table, interleave, machine, pin, show

RECORDS = Path(__file__).parent / "records"
ONE = B * T / 1e6  # megatokens of a batch


class Bench:
    def __init__(self, folder: Path, rounds: int, quick: bool, rivals: tuple[str, ...]) -> None:
        self.folder, self.rounds, self.rivals = folder, rounds, rivals
        self.batches = 100 if quick else 300
        texts = encoded(folder)
        self.whole = written(folder / "whole", texts["whole"], 1)
        self.short = written(folder / "short", texts["short"], 1)
        wanted = 10_000_000 if quick else 100_000_000
        self.dataset = written(folder / "set", texts["whole"], wanted)
        self.corpus = self._corpus()

    def _corpus(self) -> Corpus:
        ids = self.dataset.tokens()
        path = self.folder / "ids.bin"
        ids.tofile(path)
        ends = np.flatnonzero(ids == SEPARATOR) + 1
        return Corpus(ids, np.diff(ends, prepend=0), path, self.folder)

    def loader(self, dataset: TokenDataset | None = None, **options: Any) -> TokenLoader:
        return TokenLoader(dataset or self.dataset, batch_size=B, seq_len=T, seed=0, **options)


def reading(batches: Iterator[Any], count: int) -> Callable[[], None]:
    """Work that takes so many batches; the first is taken now, and looked at."""
    first = next(batches)
    assert tuple(first[0].shape) == (B, T), first[0].shape
    inputs, targets = np.asarray(first[0])[:, 1:], np.asarray(first[1])[:, :-1]
    # Not so where a row of best-fit is padded, or a cut document begins.
    assert float((inputs == targets).mean()) > 0.9, "targets are the next inputs"

    def work() -> None:
        for _ in range(count):
            next(batches)

    return work


def endless(loader: TokenLoader) -> Iterator[Any]:
    while True:
        yield loader.next_batch()


def load_rows(bench: Bench, workers: int = 0) -> list[Table]:
    clock = time.perf_counter if workers else time.process_time
    count = bench.batches
    kinds: dict[str, Any] = {OURS: {"documents": False}}
    if workers:
        kinds["lexigram-prefetch"] = {"documents": False, "prefetch": 2}
    else:
        kinds |= {"lexigram-documents": {}, "lexigram-best-fit": {"packing": "best_fit"}}
    works = {name: reading(endless(bench.loader(**kind)), count) for name, kind in kinds.items()}
    left_out = {}
    for name in bench.rivals:
        if workers and name == "nanogpt":
            continue  # it has no workers
        try:
            works[name] = reading(RIVALS[name][1](bench.corpus, workers), count)
        except Exception as error:  # whatever a rival raises is its reason
            lines = str(error).strip().splitlines() or [""]
            left_out[name] = f"{type(error).__name__}: {lines[-1]}"[:200]
    row, title = ("workers", "two worker processes") if workers else ("load", "one core")
    table = Table(
        row,
        f"int64 inputs and targets, {title}",
        "Mtok/s",
        interleave(works, bench.rounds, clock),
        amount=count * ONE,
        left_out=left_out,
        remarks={
            OURS: "documents=False",
            "lexigram-documents": "also document ids and positions, the default",
            "lexigram-best-fit": "the same, whole documents",
        },
    )
    if not workers:
        for rival, times in (
            ("torch-memmap", 5),
            ("litdata", 5),
            ("megatron", 30),
            ("mosaicml-streaming", 30),
        ):
            table.against(rival, times, times)
    return [table]


def narrow_rows(bench: Bench) -> list[Table]:
    ids = np.memmap(bench.corpus.path, np.uint16, mode="r")
    rows = ids[: len(ids) // T * T].reshape(-1, T)
    order = np.random.default_rng(0).permutation(len(rows))
    count = min(bench.batches, len(rows) // B)
    copy = np.empty((B, T), np.uint16)

    def take() -> None:
        for i in range(count):
            rows[order[i * B : (i + 1) * B]]

    def memcpy() -> None:
        for i in range(count):
            copy[:] = rows[i * B : (i + 1) * B]

    options: dict[str, Any] = {"dtype": "uint16", "documents": False}
    works = {
        OURS: reading(endless(bench.loader(**options)), count),
        "numpy-take": take,
        "memcpy": memcpy,
    }
    table = Table(
        "narrow",
        "16-bit inputs and targets, one core",
        "Mtok/s",
        interleave(works, bench.rounds),
        amount=count * ONE,
        remarks={
            "numpy-take": "permuted rows, one array: a ceiling, not a rival",
            "memcpy": "rows in order, one array: a ceiling, not a rival",
        },
    )
    table.limit(1000, 1000, smaller=False)
    return [table]


def checked_rows(bench: Bench) -> list[Table]:
    tables = []
    for kind, options in (
        ("int64", {"documents": False}),
        ("int64 with documents", {}),
        ("uint16", {"documents": False, "dtype": "uint16"}),
    ):

        def epoch(verify: Any, options: dict[str, Any] = options) -> None:
            dataset = TokenDataset(bench.dataset.directory, verify=verify)
            deque(bench.loader(dataset, **options), maxlen=0)

        works = {
            "lexigram-unchecked": lambda epoch=epoch: epoch("off"),
            OURS: lambda epoch=epoch: epoch("on_read"),
        }
        table = Table(
            "checked",
            f"the first epoch, every block checked, {kind}",
            "Mtok/s",
            interleave(works, bench.rounds),
            amount=len(bench.dataset) / 1e6,
        )
        cost = 1 / table.ratio("lexigram-unchecked")[0] - 1
        table.goals.append(Goal("of the time more with checksums", cost, 0.3, 0.1, smaller=True))
        tables.append(table)
    return tables


def packing_rows(bench: Bench) -> list[Table]:
    tables = []
    for name, dataset in (("whole documents", bench.whole), ("pieces of 3 KB", bench.short)):
        lists = [[SEPARATOR, *document.tolist()] for document in dataset.documents()]
        kept = {"kept": 0, "discarded": 0}
        theirs = nanochat(chain.from_iterable(repeat(lists)), kept)
        count = min(50, max(1, len(dataset) // (B * T)))

        def ours(dataset: TokenDataset = dataset) -> None:
            deque(bench.loader(dataset, packing="best_fit", drop_last=False), maxlen=0)

        def rival(theirs: Iterator[Any] = theirs, count: int = count) -> None:
            for _ in range(count):
                next(theirs)

        seconds = interleave({OURS: ours, "nanochat": rival}, bench.rounds)
        scale = 1e9 / len(dataset)
        part = len(dataset) / (count * B * T)  # as if it had delivered as many tokens
        seconds["nanochat"] = [s * part for s in seconds["nanochat"]]
        for T_, goal in ((T, True), (64 * T, False)):
            plan = TokenLoader(
                dataset, batch_size=1, seq_len=T_, seed=0, packing="best_fit", drop_last=False
            )
            padding = 100 * (1 - len(dataset) / (plan.num_rows * T_))
            if goal:
                at_t = padding
        lost = 100 * kept["discarded"] / (kept["kept"] + kept["discarded"])
        table = Table(
            "packing",
            f"best fit, {name}: {dataset.num_documents:,} of {len(dataset):,} tokens",
            "ns a token",
            seconds,
            scale=scale,
            remarks={
                OURS: f"discards nothing, pads {at_t:.3f} % (T = {64 * T}: {padding:.4f} %)",
                "nanochat": f"discards {lost:.1f} %; tokens that it delivers",
            },
        )
        table.against("nanochat", 20, 100)
        table.goals.append(Goal("% of padding", at_t, 0.7, 0.1, smaller=True))
        tables.append(table)
    return tables


def resume_rows(bench: Bench) -> list[Table]:
    loaders = {name: bench.loader(packing=name) for name in ("contiguous", "best_fit")}
    places = random.Random(0)
    kept = []  # ending a loader, which unmaps its files, is no part of beginning one

    def begin(name: Any) -> None:
        loader = bench.loader(TokenDataset(bench.dataset.directory), packing=name)
        state = loaders[name].state_dict()
        loader.load_state_dict({**state, "step": places.randrange(10**9)})
        loader.next_batch()
        kept.append(loader)

    def jump(name: Any) -> None:
        loader = loaders[name]
        loader.load_state_dict({**loader.state_dict(), "step": places.randrange(10**9)})
        loader.next_batch()

    works = {
        OURS: lambda: begin("contiguous"),
        "lexigram-best-fit": lambda: begin("best_fit"),
        "lexigram-jump": lambda: jump("contiguous"),
        "lexigram-best-fit-jump": lambda: jump("best_fit"),
    }
    table = Table(
        "resume",
        "at a random step of 10^9: the first batch",
        "ms",
        interleave(works, 5 * bench.rounds, time.perf_counter),
        scale=1e3,
        remarks={
            OURS: "a dataset just opened: its 32 blocks are checked",
            "lexigram-best-fit": "the same, and all documents are planned",
            "lexigram-jump": "an open loader",
        },
    )
    table.limit(5, 5, smaller=True)
    size = len(json.dumps({**loaders["contiguous"].state_dict(), "step": 10**9}))
    table.goals.append(Goal("bytes of state", size, 256, 256, smaller=True))
    return [table]


MEMORY = """
import json, sys
from lexigram.data import TokenDataset, TokenLoader
def private():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024 / 1e6
before = private()
loader = TokenLoader(TokenDataset(sys.argv[1]), batch_size=32, seq_len=1024, seed=0,
                     **json.loads(sys.argv[2]))
for _ in range(300):
    batch = loader.next_batch()
print(private() - before)
"""


def memory_rows(bench: Bench) -> list[Table]:
    amounts: dict[str, list[float]] = {}
    for name, options in (
        (OURS, {}),
        ("lexigram-prefetch", {"prefetch": 4}),
        ("lexigram-best-fit", {"packing": "best_fit"}),
    ):
        command = [sys.executable, "-c", MEMORY, str(bench.dataset.directory), json.dumps(options)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        amounts[name] = [float(done.stdout)]
    batches = 4 * B * T * 8 / 1e6
    table = Table(
        "memory",
        f"after 300 batches, which take {batches:.2f} MB each",
        "MB",
        amounts,
        remarks={"lexigram-prefetch": "four ahead"},
    )
    table.limit(32, 8, smaller=True)
    return [table]


ROWS: dict[str, Callable[[Bench], list[Table]]] = {
    "load": load_rows,
    "narrow": narrow_rows,
    "workers": lambda bench: load_rows(bench, workers=2),
    "checked": checked_rows,
    "packing": packing_rows,
    "resume": resume_rows,
    "memory": memory_rows,
}


def installed() -> dict[str, str]:
    found = {}
    for package in ("lexigram", "numpy", *{package for package, _ in RIVALS.values()}):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(ROWS), metavar="ROW[,ROW]")
    parser.add_argument("--rivals", default=",".join(RIVALS), metavar="NAME,...")
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 3")
    parser.add_argument("--quick", action="store_true", help="10 million tokens, fewer rounds")
    parser.add_argument("--note", default="", help="what is to be said of the machine's state")
    parser.add_argument("--record", action="store_true", help="write the figures to records/")
    args = parser.parse_args()
    before = machine()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    tables = []
    with tempfile.TemporaryDirectory(prefix="lexigram-benchmark-") as folder:
        rounds = args.rounds or (3 if args.quick else 5)
        os.environ["HF_DATASETS_CACHE"] = f"{folder}/hf-cache"
        bench = Bench(Path(folder), rounds, args.quick, tuple(args.rivals.split(",")))
        for row in args.only.split(","):
            pin(2 if row == "workers" else 1)
            for table in ROWS[row](bench):
                tables.append(table)
                show(table)
        sizes = {"tokens": len(bench.dataset), "documents": bench.dataset.num_documents}
    record = {
        "command": " ".join(["python", "benchmarks/data.py", *sys.argv[1:]]),
        "date": date.today().isoformat(),
        **before,
        "note": args.note,
        "corpus": sizes,
        "versions": installed(),
        "tables": [table.as_json() for table in tables],
    }
    if args.record:
        path = RECORDS / f"data-{record['date']}.json"
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(f"recorded in {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
