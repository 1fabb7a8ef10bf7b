"""How benchmarks are timed: one pinned core, interleaved rounds, fresh processes, memory.

Rivals take turns within a round, and what is reported is the median of a rival's rounds and the
median of the rounds' ratios, so that a machine that is busy with other work slows all alike. The
result of a call is freed after the clock stops, and the garbage collector is off.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

OURS = "lexigram"
CORES = sorted(os.sched_getaffinity(0))

Work = Callable[[], Any]
Seconds = dict[str, list[float]]


def pin(num_cores: int = 1) -> None:
    """Keeps this process on the last of the cores, or on so many of them. To be called before
    rivals are imported: their thread pools have one thread a core."""
    os.sched_setaffinity(0, set(CORES[-num_cores:]))


def timed(work: Work, clock: Callable[[], float] = time.process_time) -> float:
    """Seconds of one call."""
    gc.collect()
    gc.disable()
    try:
        began = clock()
        result = work()
        seconds = clock() - began
    finally:
        gc.enable()
    del result
    return seconds


def interleave(
    works: Mapping[str, Work], rounds: int, clock: Callable[[], float] = time.process_time
) -> Seconds:
    """Seconds of each round of each work. Every round starts with another one."""
    seconds: Seconds = {name: [] for name in works}
    names = list(works)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(timed(works[name], clock))
    return seconds


def digest(ids: Any) -> str:
    """Stands for a sequence of ids."""
    return hashlib.sha256(np.ascontiguousarray(ids, dtype=np.uint32).tobytes()).hexdigest()[:16]


def resident(which: Literal["VmRSS", "VmHWM"] = "VmRSS") -> float:
    """Megabytes (10⁶ bytes) of memory that this process holds, or held at most. (Linux.)"""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(which):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"/proc/self/status has no {which}")


def reset_peak() -> float:
    """Gives free memory back, lets the peak of `resident` begin anew, and returns what is held."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident()


class FreshFailure(Exception):
    """A fresh process that failed, was killed, or took too long; the message says which."""


def fresh(
    job: str, arguments: Mapping[str, Any], *, limit: float = 600, threads: int = 1
) -> dict[str, Any]:
    """What a job of benchmarks/tokenizer.py returns in a process of its own, which has so many
    cores and threads in its pools."""
    script = Path(__file__).with_name("tokenizer.py")
    pools = {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": str(threads > 1).lower()}
    pin(threads)  # is inherited
    try:
        done = subprocess.run(
            [sys.executable, str(script), "--job", job, json.dumps(arguments)],
            env={**os.environ, **pools},
            capture_output=True,
            text=True,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        raise FreshFailure(f"over {limit:g} s") from None
    finally:
        pin()
    if done.returncode < 0:
        raise FreshFailure(f"killed by signal {-done.returncode}")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise FreshFailure(lines[-1].removeprefix("rivals.Refused: ")[:160])
    return dict(json.loads(done.stdout.splitlines()[-1]))


@dataclass
class Goal:
    """A figure that must reach `required` and aims for `aimed`."""

    name: str
    value: float
    required: float
    aimed: float
    smaller: bool = False
    """Whether smaller is better."""

    @property
    def verdict(self) -> str:
        def reached(mark: float) -> bool:
            return self.value <= mark if self.smaller else self.value >= mark

        return "aim met" if reached(self.aimed) else "met" if reached(self.required) else "MISSED"


@dataclass
class Table:
    """The figures of one comparison: seconds of each name in each round, or another amount of
    which less is better."""

    row: str
    title: str
    unit: str
    seconds: Seconds
    amount: float | None = None
    """Megabytes: figures are rates. None: figures are the seconds themselves times `scale`."""
    scale: float = 1.0
    remarks: dict[str, str] = field(default_factory=dict)
    """What is to be said of a name."""
    wrong: set[str] = field(default_factory=set)
    """Names whose result is wrong: no rivals."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Names that were not measured, and why."""
    ours: str = OURS
    goals: list[Goal] = field(default_factory=list)

    def figure(self, name: str) -> float:
        seconds = statistics.median(self.seconds[name])
        return self.amount / seconds if self.amount is not None else seconds * self.scale

    def names(self) -> list[str]:
        """The fastest first."""
        return sorted(self.seconds, key=lambda name: statistics.median(self.seconds[name]))

    def best_rival(self) -> str | None:
        rivals = (n for n in self.names() if not n.startswith(OURS) and n not in self.wrong)
        return next(rivals, None)

    def ratio(self, rival: str) -> tuple[float, float, float]:
        """How many times as fast as a rival we are: median, least and most of the rounds."""
        pairs = zip(self.seconds[rival], self.seconds[self.ours], strict=False)
        ratios = [theirs / max(ours, 1e-9) for theirs, ours in pairs]
        return statistics.median(ratios), min(ratios), max(ratios)

    def against(self, rival: str | None, required: float, aimed: float) -> None:
        """Adds the goal to be so many times as fast as a rival (the faster of its ways), or as the
        best one if None."""
        ways = (name for name in self.names() if rival in (name, name.removesuffix("-each")))
        rival = self.best_rival() if rival is None else next(ways, rival)
        if rival in self.seconds and self.ours in self.seconds and rival not in self.wrong:
            name = f"times as fast as {rival}"
            if any(goal.name == name and goal.required == required for goal in self.goals):
                return
            self.goals.append(Goal(name, self.ratio(rival)[0], required, aimed))

    def limit(self, required: float, aimed: float, *, smaller: bool, ours: str = "") -> None:
        """Adds the goal for our figure itself."""
        if (ours or self.ours) in self.seconds:
            name = f"{self.unit}, {ours or self.ours}"
            self.goals.append(Goal(name, self.figure(ours or self.ours), required, aimed, smaller))

    def as_json(self) -> dict[str, Any]:
        best = self.best_rival()
        both = best is not None and self.ours in self.seconds
        return {
            "row": self.row,
            "title": self.title,
            "unit": self.unit,
            "figures": {name: self.figure(name) for name in self.names()},
            "best_rival": best,
            "ratio_to_best": self.ratio(best) if best is not None and both else None,
            "goals": [{**vars(goal), "verdict": goal.verdict} for goal in self.goals],
            "wrong": sorted(self.wrong),
            "remarks": self.remarks,
            "left_out": self.left_out,
            "rounds": self.seconds,
            "megabytes": self.amount,
        }


def show(table: Table) -> None:
    """Prints a table: each name's figure, how we compare, and which goals are met."""
    print(f"\n{table.row}: {table.title}  [{table.unit}]")
    for name in table.names():
        against = "" if name.startswith(OURS) or table.ours not in table.seconds else "{:.2f}x"
        against = against.format(table.ratio(name)[0]) if against else ""
        remark = ("WRONG: " if name in table.wrong else "") + table.remarks.get(name, "")
        print(f"  {name:30}{table.figure(name):12,.2f} {against:>9}  {remark}".rstrip())
    if table.left_out:
        reasons = "; ".join(f"{name} ({why})" for name, why in table.left_out.items())
        print(f"  left out: {reasons}")
    for goal in table.goals:
        limits = (
            f"{'at most' if goal.smaller else 'at least'} {goal.required:g}, aim {goal.aimed:g}"
        )
        print(f"  = {goal.value:,.2f} {goal.name}; {limits}: {goal.verdict}", flush=True)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(CORES),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
    }
