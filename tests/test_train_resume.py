"""A run that was stopped, killed or damaged, and goes on."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import lexigram
import training_runs
from lexigram import config as plain
from lexigram import runs
from lexigram.errors import ConfigError, FormatError, InvalidInputError, MissingFileError
from lexigram.train import OptimConfig, StepReport, TrainConfig, train
from training_runs import tiny

pytestmark = pytest.mark.torch

MEASURED = ("tokens_per_second", "elapsed")


def trace(run: Path) -> list[dict[str, Any]]:
    """The metrics without what a clock measured."""
    return [{k: v for k, v in line.items() if k not in MEASURED} for line in runs.read_metrics(run)]


def weights(run: Path) -> tuple[str, str]:
    """Checksums of the final weights and of the optimizer's state."""
    newest, state = runs.newest_checkpoint(run)
    assert newest.name == "step-00000012"
    files = state["files"]
    return files["model.safetensors"]["sha256"], files["optimizer.safetensors"]["sha256"]


@pytest.fixture
def whole(tmp_path: Path) -> tuple[TrainConfig, Path]:
    """A config and the folder of its uninterrupted run."""
    config = tiny(tmp_path, out=str(tmp_path / "whole"))
    return config, train(config).run


class Stop:
    """Asks for an end at a step, as a signal does."""

    def __init__(self, step: int, number: int = signal.SIGINT) -> None:
        self.step, self.number = step, number

    def __call__(self, report: StepReport) -> None:
        if report.step == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, 5, 7, 11])
def test_stopped_and_resumed_is_uninterrupted(
    tmp_path: Path, whole: tuple[TrainConfig, Path], step: int, number: int
) -> None:
    config = dataclasses.replace(whole[0], out=str(tmp_path / "stopped"))
    before = signal.getsignal(number)
    stopped = train(config, progress=Stop(step, number))
    assert (stopped.reason, stopped.step) == ("interrupted", step)
    assert signal.getsignal(number) is before
    resumed = train(config, resume=True)
    assert resumed.reason == "finished"
    assert trace(resumed.run) == trace(whole[1])
    assert weights(resumed.run) == weights(whole[1])


def test_many_stops(tmp_path: Path, whole: tuple[TrainConfig, Path]) -> None:
    config = dataclasses.replace(whole[0], out=str(tmp_path / "stopped"))
    result = train(config, progress=Stop(2))
    for step in (3, 6, 11):
        result = train(config, resume=True, progress=Stop(step))
    assert result.step == 11
    again = train(config, resume=True)
    assert trace(again.run) == trace(whole[1])
    assert weights(again.run) == weights(whole[1])
    finished = train(config, resume=True)  # nothing is left to do
    assert finished.reason == "finished"
    assert trace(again.run) == trace(whole[1])


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    def twice(report: StepReport) -> None:
        if report.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(tiny(tmp_path), progress=twice)


def test_killed_at_any_moment_and_resumed(tmp_path: Path, whole: tuple[TrainConfig, Path]) -> None:
    """SIGKILL after random times, checkpoints at every second step; then resumed to the end."""
    rng = random.Random(0)
    out = tmp_path / "killed"
    config = dataclasses.replace(whole[0], out=str(out), checkpoint_every=2)
    (tmp_path / "config.json").write_text(json.dumps(plain.to_dict(config)), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": _python_path()}
    script = [sys.executable, training_runs.__file__, str(tmp_path / "config.json")]
    kills = 0
    while kills < 4:
        begun = (out / "config.json").exists()
        process = subprocess.Popen([*script, *(["resume"] if begun else [])], env=environment)
        at = len(runs.read_metrics(out)) + rng.randint(0, 3)
        deadline = time.monotonic() + 120
        while len(runs.read_metrics(out)) <= at and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(rng.random() * 0.02)
        process.kill()
        process.wait()
        kills += 1
        if runs.checkpoints(out):
            runs.newest_checkpoint(out)  # whatever was being written, this one is whole
    result = train(config, resume=True)
    assert result.reason == "finished"
    assert [line for line in trace(out) if "loss" in line] == [
        line for line in trace(whole[1]) if "loss" in line
    ]
    assert trace(out) == trace(whole[1])
    assert weights(out) == weights(whole[1])
    assert not list((out / "checkpoints").glob(".*"))


def _python_path() -> str:
    package = Path(lexigram.__file__).parent.parent
    return os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])


def test_a_run_killed_before_its_first_checkpoint_begins_again(
    tmp_path: Path, whole: tuple[TrainConfig, Path]
) -> None:
    config = dataclasses.replace(whole[0], out=str(tmp_path / "early"))

    def die(report: StepReport) -> None:
        if report.step == 4:
            raise RuntimeError("as if killed")

    with pytest.raises(RuntimeError, match="as if killed"):
        train(config, progress=die)
    assert runs.checkpoints(tmp_path / "early") == []
    train(config, resume=True)
    assert trace(tmp_path / "early") == trace(whole[1])
    assert weights(tmp_path / "early") == weights(whole[1])


def test_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    result = train(tiny(tmp_path, checkpoint_every=3, keep_last=3))
    names = [path.name for path in runs.checkpoints(result.run)]
    assert names == ["step-00000012", "step-00000009", "step-00000006"]


def test_a_checkpoint_does_not_wait_for_an_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory, as it happens in evaluations")

    monkeypatch.setattr("lexigram.train.metrics.HeldOut.score", fail)
    config = tiny(tmp_path, out=str(tmp_path / "run"), checkpoint_every=5)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(config)
    assert [path.name for path in runs.checkpoints(tmp_path / "run")] == ["step-00000005"]


def test_a_failed_write_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lexigram.train.checkpoint as checkpoint

    real, calls = checkpoint.save_file, 0

    def full_disk(tensors: Any, path: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", full_disk)
    config = tiny(tmp_path, out=str(tmp_path / "run"), checkpoint_every=4)
    with pytest.raises(lexigram.errors.FileError, match="No space left") as error:
        train(config)
    assert "\n" not in str(error.value)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000004"]
    runs.newest_checkpoint(tmp_path / "run")


@pytest.fixture
def damaged(tmp_path: Path) -> tuple[TrainConfig, Path]:
    """A finished run with two checkpoints, to be damaged."""
    config = tiny(tmp_path, out=str(tmp_path / "run"), checkpoint_every=6)
    return config, runs.checkpoints(train(config).run)[0]


FILES = ["model.safetensors", "optimizer.safetensors", "state.json"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["bit", "cut", "missing"])
def test_damage_is_named(damaged: tuple[TrainConfig, Path], name: str, damage: str) -> None:
    config, checkpoint = damaged
    path = checkpoint / name
    content = bytearray(path.read_bytes())
    rng = random.Random(name)
    for _ in range(8):
        if damage == "bit":
            at = rng.randrange(len(content))
            changed = bytes([*content[:at], content[at] ^ (1 << rng.randrange(8))])
            path.write_bytes(changed + bytes(content[at + 1 :]))
        elif damage == "cut":
            path.write_bytes(bytes(content[: rng.randrange(len(content))]))
        else:
            path.unlink(missing_ok=True)
        for attempt in (lambda: train(config, resume=True), lambda: runs.load(checkpoint)):
            with pytest.raises(FormatError, match=name) as error:
                attempt()
            assert "\n" not in str(error.value)
        with pytest.raises(FormatError, match="delete step-00000012 to go back to step-00000006"):
            runs.load(checkpoint.parent.parent)
    before = weights_after_going_back(config, checkpoint)
    assert before == "step-00000012"


def weights_after_going_back(config: TrainConfig, checkpoint: Path) -> str:
    shutil.rmtree(checkpoint)
    return runs.checkpoints(train(config, resume=True).run)[0].name


def test_nothing_is_unpickled(damaged: tuple[TrainConfig, Path]) -> None:
    config, checkpoint = damaged
    mark = checkpoint.parent / "executed"
    hostile = b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR."
    (checkpoint / "model.safetensors").write_bytes(hostile)
    state = json.loads((checkpoint / "state.json").read_text())
    state["files"]["model.safetensors"] = {
        "bytes": len(hostile),
        "sha256": runs.sha256(checkpoint / "model.safetensors"),
    }
    (checkpoint / "state.json").write_text(json.dumps(runs.seal(state)))
    with pytest.raises(FormatError, match=r"model\.safetensors"):
        train(config, resume=True)
    assert not mark.exists()


def test_another_config_is_not_resumed(whole: tuple[TrainConfig, Path]) -> None:
    config, _ = whole
    other = dataclasses.replace(config, optim=OptimConfig(lr=0.5))
    with pytest.raises(ConfigError, match=r"optim\.lr = 0\.5, but .* was begun with 0\.01"):
        train(other, resume=True)
    with pytest.raises(ConfigError, match="name the run folder"):
        train(dataclasses.replace(config, out=None), resume=True)
    with pytest.raises(MissingFileError, match="not a run folder"):
        train(dataclasses.replace(config, out="nowhere"), resume=True)
    with pytest.raises(InvalidInputError, match="already holds a run"):
        train(config)
