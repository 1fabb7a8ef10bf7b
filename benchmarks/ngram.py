"""The n-gram models against KenLM: training, files, scores, distributions.

    python benchmarks/ngram.py [--only build,score] [--rounds 5] [--quick] [--record]

Needs LEXIGRAM_DATA and Linux; KenLM's programs and module as `kenlm_tools.py` says. Where they are
missing, the rows show ours alone, and `build` compares with KenLM's times measured before.

The rows, of 5-gram modified Kneser-Ney models of all natural text of LEXIGRAM_DATA, once, as
words and as ids of a 32k BPE, are
  build      text (or ids) to a saved model that can be queried, each step a fresh process on all
             cores: wall and CPU time, peak memory; `lmplz -S 4G`, then `build_binary`
  size       bytes on disk, without quantisation
  load       a fresh process opens the model of ids and answers once
  score      an array of held-out ids on one core; KenLM's score() of each document
  threads    the same on one thread and on two
  next       the distribution over all ids after a context; KenLM's BaseScore of each
  equal      the perplexity of held-out text is KenLM's

`score` is in seconds of the processor, the others in wall seconds. A figure is the median of the
rounds (`build` has half as many), "2.00x" the median of the rounds' ratios. `--record` writes
everything to benchmarks/records/ngram-DATE.json. On a machine that does other work too, wall times
suffer: look at the CPU times.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

import kenlm_tools
import lexigram
import ngram_build
import ngram_query
from corpora import data_folder
from measure import Table, machine, pin, show
from ngram_build import Bench

RECORDS = Path(__file__).parent / "records"

ROWS: dict[str, Callable[[Bench], list[Table]]] = {
    "build": ngram_build.build_rows,
    "size": ngram_build.size_rows,
    "load": ngram_build.load_rows,
    "score": ngram_query.score_rows,
    "threads": ngram_query.thread_rows,
    "next": ngram_query.next_rows,
    "equal": ngram_query.equal_rows,
}
JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    "train": ngram_build.train_job,
    "load": ngram_build.load_job,
}


def names(allowed: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """Reads names with commas between them."""
    known = tuple(allowed)

    def read(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no {name!r}; there are {', '.join(known)}")
        return chosen

    return read


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=names(ROWS), default=tuple(ROWS), metavar="ROW[,ROW]")
    corpora = ("words", "ids")
    parser.add_argument("--corpora", type=names(corpora), default=corpora, metavar="NAME[,NAME]")
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 2")
    parser.add_argument("--quick", action="store_true", help="8 MB of text, fewer rounds")
    parser.add_argument("--record", action="store_true", help="write the figures to records/")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--folder", type=Path, help="keep corpora and models here, to use again")
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:  # in a process that a row started
        print(json.dumps(JOBS[args.job[0]](**json.loads(args.job[1]))))
        return
    pin()
    data_folder()
    before = machine()
    tables: list[Table] = []
    with tempfile.TemporaryDirectory(prefix="lexigram-benchmark-") as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rounds = args.rounds or (2 if args.quick else 5)
        bench = Bench(folder, rounds, args.quick, args.corpora)
        for row in args.only:
            for table in ROWS[row](bench):
                tables.append(table)
                if not args.json:
                    show(table)
    record = {
        "command": " ".join(["python", "benchmarks/ngram.py", *sys.argv[1:]]).replace(
            str(args.folder), "FOLDER"
        ),
        "date": date.today().isoformat(),
        **before,
        "versions": {
            "lexigram": lexigram.__version__,
            "numpy": np.__version__,
            **kenlm_tools.versions(),
        },
        "tables": [table.as_json() for table in tables],
    }
    if args.json:
        print(json.dumps(record, indent=1))
    if args.record:
        path = RECORDS / f"ngram-{record['date']}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(f"recorded in {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
