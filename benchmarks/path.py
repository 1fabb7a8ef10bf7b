"""How long each stage between raw text and token batches takes, on one corpus.

    python benchmarks/path.py [--corpus stdlib] [--vocab-size 4096] [--repeats 5] [--record]

Every stage runs `--repeats` times; the table shows medians of the processor's seconds (which
hold on a machine that does other work too) and of wall seconds. `--record` writes the table with
hardware, date, versions and command to benchmarks/records/. No rival is measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import lexigram
from lexigram import NgramModel, Tokenizer
from lexigram.data import TokenLoader, documents, tokenize

RECORDS = Path(__file__).parent / "records"


def measure(work: Callable[[], Any], repeats: int) -> tuple[float, float, Any]:
    """Median CPU and wall seconds of `work`, and what it last returned."""
    cpu, wall, result = [], [], None
    for _ in range(repeats):
        began = time.process_time(), time.perf_counter()
        result = work()
        cpu.append(time.process_time() - began[0])
        wall.append(time.perf_counter() - began[1])
    return statistics.median(cpu), statistics.median(wall), result


def processor() -> str:
    """The processor's name where the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def run(corpus: str, vocab_size: int, repeats: int, folder: Path) -> list[dict[str, Any]]:
    texts = [text for text, _ in documents(corpus)]
    num_bytes = sum(len(text.encode()) for text in texts)
    rows: list[dict[str, Any]] = []

    def stage(name: str, amount: float, unit: str, work: Callable[[], Any]) -> Any:
        cpu, wall, result = measure(work, repeats)
        row = {"stage": name, "cpu_s": cpu, "wall_s": wall, "rate": amount / cpu, "unit": unit}
        rows.append(row)
        print(f"{name:42} {cpu:9.4f} {wall:9.4f} {amount / cpu:14,.1f} {unit}", flush=True)
        return result

    print(f"{'stage':42} {'CPU s':>9} {'wall s':>9} {'per CPU s':>14}")
    special = ["<|endoftext|>"]
    tokenizer = stage(
        f"train a tokenizer of {vocab_size:,}",
        num_bytes / 1e6,
        "MB",
        lambda: Tokenizer.train(texts, vocab_size, special_tokens=special),
    )
    flat, _ = stage(
        "encode to a flat array",
        num_bytes / 1e6,
        "MB",
        lambda: tokenizer.encode_ordinary_batch_to_numpy(texts),
    )
    stage("decode the array", num_bytes / 1e6, "MB", lambda: tokenizer.decode_bytes(flat))
    dataset = stage(
        "text to shards",
        num_bytes / 1e6,
        "MB",
        lambda: tokenize(texts, tokenizer, folder / "shards", overwrite=True),
    )
    stage("verify the shards", len(dataset) / 1e6, "M tokens", dataset.verify)
    model = stage(
        "train a 5-gram Kneser-Ney model",
        len(dataset) / 1e6,
        "M tokens",
        lambda: NgramModel.train(dataset, order=5),
    )
    ids = dataset[: min(len(dataset), 500_000)]
    stage("score with it", len(ids) / 1e6, "M tokens", lambda: model.score(ids))
    contexts = [ids[i : i + 4] for i in range(0, 40_000, 40)]
    stage(
        "distributions over the vocabulary",
        len(contexts),
        "calls",
        lambda: [model.next_logprobs(context) for context in contexts],
    )
    for packing in ("contiguous", "best_fit"):
        batch_size = min(32, len(dataset) // 2048)
        loader = TokenLoader(dataset, batch_size=batch_size, seq_len=1024, seed=0, packing=packing)

        def epoch(loader: TokenLoader = loader) -> int:
            return sum(batch.inputs.size for batch in loader)

        amount = len(loader) * batch_size * 1024 / 1e6
        stage(f"load an epoch, {packing}", amount, "M tokens", epoch)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", default="stdlib")
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = run(args.corpus, args.vocab_size, args.repeats, Path(folder))
    if args.record:
        record = {
            "command": " ".join(["python", "benchmarks/path.py", *sys.argv[1:]]),
            "date": date.today().isoformat(),
            "processor": processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "lexigram": lexigram.__version__,
            "rows": rows,
        }
        path = RECORDS / f"path-{args.corpus}-{record['date']}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(f"recorded in {path}")


if __name__ == "__main__":
    main()
