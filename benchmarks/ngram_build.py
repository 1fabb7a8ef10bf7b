"""Rows of benchmarks/ngram.py in fresh processes: text to a saved model, its size, opening it."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import kenlm_tools
import ngram_corpora
from kenlm_tools import NOTES, Cost
from measure import OURS, FreshFailure, Goal, Table, reset_peak, resident
from ngram_corpora import Corpus

ORDER = 5
SCRIPT = Path(__file__).with_name("ngram.py")


@dataclass
class Bench:
    """One run: its settings, its folder, and the models that rows share."""

    folder: Path
    rounds: int
    quick: bool
    names: tuple[str, ...] = ("words", "ids")
    """The corpora of the rows that have both."""
    _corpora: dict[str, Corpus] = field(default_factory=dict)
    _costs: dict[tuple[str, str], list[Cost]] = field(default_factory=dict)

    def corpus(self, name: str) -> Corpus:
        if name not in self._corpora:
            limit = 8_000_000 if self.quick else None
            self._corpora[name] = getattr(ngram_corpora, name)(self.folder, limit)
            print(f"corpus: {self._corpora[name].title}", file=sys.stderr, flush=True)
        return self._corpora[name]

    def model(self, name: str) -> Path:
        """Our saved model of a corpus."""
        if not (self.folder / f"{name}.ngram").exists():
            self._train(name)
        return self.folder / f"{name}.ngram"

    def kenlm_model(self, name: str, kind: str) -> Path | None:
        """KenLM's model of a corpus, probing or trie."""
        path = self.folder / f"{name}.{kind}"
        if not path.exists():
            if kenlm_tools.program("lmplz") is None:
                return None
            if not (self.folder / f"{name}.arpa").exists():
                self._lmplz(name)
            self._binary(name, kind)
        return path

    def costs(self, name: str, what: str) -> list[Cost]:
        """What each round of a step took."""
        return self._costs.get((name, what), [])

    def measure(self, name: str, rounds: int) -> None:
        """Takes the costs of every step, in rounds."""
        rival = kenlm_tools.program("lmplz") is not None
        while len(self.costs(name, OURS)) < rounds:
            self._train(name)
            if rival:
                self._lmplz(name)
                for kind in ("probing", "trie"):
                    self._binary(name, kind)

    def _add(self, name: str, what: str, cost: Cost) -> None:
        self._costs.setdefault((name, what), []).append(cost)
        line = f"  {name} {what}: {cost.wall:.1f} s, CPU {cost.cpu:.1f} s, {cost.peak:.0f} MB"
        print(line, file=sys.stderr, flush=True)

    def _train(self, name: str) -> None:
        corpus = self.corpus(name)
        source = corpus.text if corpus.ids is None else corpus.ids
        out = self.folder / f"{name}.ngram"
        job = {"source": str(source), "out": str(out), "order": ORDER}
        job |= {"vocab_size": corpus.vocab_size, "separator": corpus.separator}
        command = [sys.executable, str(SCRIPT), "--job", "train", json.dumps(job)]
        self._add(name, OURS, kenlm_tools.process(command))

    def _lmplz(self, name: str) -> None:
        arpa = self.folder / f"{name}.arpa"
        self._add(name, "lmplz", kenlm_tools.lmplz(self.corpus(name).text, arpa, ORDER))

    def _binary(self, name: str, kind: str) -> None:
        arpa, out = self.folder / f"{name}.arpa", self.folder / f"{name}.{kind}"
        out.unlink(missing_ok=True)
        self._add(name, kind, kenlm_tools.build_binary(arpa, out, kind))


def train_job(source: str, out: str, order: int, vocab_size: int, separator: int) -> dict[str, Any]:
    """Trains our model and saves it, in a process of its own."""
    from lexigram import NgramModel

    if source.endswith(".npy"):
        ids = np.load(source, mmap_mode="r")
        model = NgramModel.train(
            ids, order=order, vocab_size=vocab_size, document_separator=separator
        )
    else:
        model = NgramModel.train_words([source], order=order, kenlm_compatible=True)
    model.save(out)
    return {}


def build_rows(bench: Bench) -> list[Table]:
    """From text to a saved 5-gram model that can be queried: wall, CPU, memory."""
    tables = []
    for name in bench.names:
        corpus = bench.corpus(name)
        try:
            bench.measure(name, max(1, bench.rounds // 2))
        except FreshFailure as error:
            print(f"  {name}: {error}", file=sys.stderr, flush=True)
        ours = bench.costs(name, OURS)
        if not ours:
            continue
        steps = {kind: _sums(bench, name, kind) for kind in ("probing", "trie")}
        for column, title in (("wall", "wall time"), ("cpu", "CPU time"), ("peak", "peak memory")):
            unit = "MB" if column == "peak" else "s"
            figures = {OURS: [getattr(cost, column) for cost in ours]}
            for kind, costs in steps.items():
                if costs:
                    figures[f"lmplz + {kind}"] = [getattr(cost, column) for cost in costs]
            table = Table("build", f"{title}: {corpus.title} to a saved 5-gram", unit, figures)
            if not steps["probing"] and column == "wall":
                _from_notes(table, name, corpus)
            if column != "cpu":
                _smaller(
                    table, 0.5 if column == "wall" else 1.0, 1 / 6 if column == "wall" else 0.5
                )
            tables.append(table)
    return tables


def _sums(bench: Bench, name: str, kind: str) -> list[Cost]:
    """The costs of lmplz and then build_binary; of their peaks the larger."""
    pairs = zip(bench.costs(name, "lmplz"), bench.costs(name, kind), strict=False)
    return [Cost(a.wall + b.wall, a.cpu + b.cpu, max(a.peak, b.peak)) for a, b in pairs]


def _from_notes(table: Table, name: str, corpus: Corpus) -> None:
    known = NOTES[name]
    seconds = (known["lmplz"] + known.get("probing", 0.0)) * corpus.units / 1e6
    table.seconds["lmplz (measured before)"] = [seconds] * len(table.seconds[OURS])
    table.remarks["lmplz (measured before)"] = "KenLM is not here: its earlier time for each word"


def _smaller(table: Table, required: float, aimed: float) -> None:
    """The goal to need at most so many times what the best rival needs."""
    rival = table.best_rival()
    if rival is not None:
        part = 1 / table.ratio(rival)[0]
        table.goals.append(Goal(f"times what {rival} needs", part, required, aimed, smaller=True))


def size_rows(bench: Bench) -> list[Table]:
    """Bytes on disk, against KenLM's files without quantisation."""
    tables = []
    for name in bench.names:
        ngrams = _num_ngrams(bench.model(name))
        files = {OURS: bench.model(name)}
        for kind in ("trie", "probing"):
            path = bench.kenlm_model(name, kind)
            if path is not None:
                files[f"kenlm {kind}"] = path
        sizes = {key: [path.stat().st_size / 1e6] for key, path in files.items()}
        table = Table("size", f"{ngrams / 1e6:.1f} M n-grams of {name} on disk", "MB", sizes)
        for key, size in sizes.items():
            table.remarks[key] = f"{size[0] * 1e6 / ngrams:.2f} bytes an n-gram"
        if "kenlm trie" in sizes:
            part = sizes[OURS][0] / sizes["kenlm trie"][0]
            table.goals.append(Goal("times the size of kenlm trie", part, 1.0, 0.7, smaller=True))
        tables.append(table)
    return tables


def _num_ngrams(path: Path) -> int:
    from lexigram import NgramModel

    return sum(NgramModel.load(path).num_ngrams)


def load_job(kind: str, path: str, context: list[int] | str) -> dict[str, Any]:
    """Seconds to open a model and to answer a first query, in a process of its own."""
    if kind == OURS:
        from lexigram import NgramModel as Model

        def answer(model: Any) -> Any:
            return model.score(context)
    else:
        import kenlm

        Model = kenlm.Model

        def answer(model: Any) -> Any:
            return model.score(context)

    before = reset_peak()
    began = time.perf_counter()
    model = Model.load(path) if kind == OURS else Model(path)
    opened = time.perf_counter() - began
    answer(model)
    return {
        "opened": opened,
        "answered": time.perf_counter() - began,
        "megabytes": resident("VmHWM") - before,
    }


def load_rows(bench: Bench) -> list[Table]:
    """Opening a model that the system has in memory already, and the first answer."""
    import subprocess

    files: dict[str, Path] = {OURS: bench.model("ids")}
    for kind in ("probing", "trie"):
        path = bench.kenlm_model("ids", kind)
        if path is not None and kenlm_tools.module() is not None:
            files[f"kenlm {kind}"] = path
    seconds: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(bench.rounds):
        for name, path in files.items():
            context: Any = [17, 300, 4000] if name == OURS else "17 300 4000"
            job = {"kind": name, "path": str(path), "context": context}
            done = subprocess.run(
                [sys.executable, str(SCRIPT), "--job", "load", json.dumps(job)],
                capture_output=True,
                text=True,
                check=True,
            )
            seconds[name].append(json.loads(done.stdout.splitlines()[-1])["answered"])
    table = Table("load", "open the model of ids and answer once", "ms", seconds, scale=1e3)
    return [table]
