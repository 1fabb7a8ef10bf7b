"""The training loop.

Invariant: what happens after a checkpoint is a function of the config and the checkpoint alone.
A run that is stopped or killed at any moment and resumed therefore has, on a CPU, the losses and
the final weights of a run that was not, to the last bit. At each step: train, write the metrics
line, save if due, evaluate if due; a checkpoint never waits for an evaluation.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from lexigram import runs
from lexigram.data import TokenLoader
from lexigram.errors import ConfigError, FormatError, TrainingError
from lexigram.train.checkpoint import read_tensors, save_checkpoint
from lexigram.train.config import TrainConfig
from lexigram.train.interrupt import StopRequest, stop_signals
from lexigram.train.learner import Learner, Update
from lexigram.train.metrics import HeldOut, MetricsFile, Progress, StepReport
from lexigram.train.optim import load_optimizer_state, optimizer_state
from lexigram.train.schedule import learning_rate
from lexigram.train.setup import check_same_run, create_run, open_datasets, token_bytes
from lexigram.train.state import own_torch_state, random_state, set_random_state

__all__ = ["RunResult", "train"]


@dataclass(frozen=True)
class RunResult:
    """What a call of `train` came to."""

    run: Path
    reason: Literal["finished", "interrupted"]
    step: int
    loss: float
    """Of the last step's batch, nats per target; NaN before the first step."""
    validation_loss: float | None
    validation_bits_per_byte: float | None
    tokens: int
    """Targets trained on since the run began."""
    seconds: float
    """Of training steps since the run began."""
    num_parameters: int


def train(
    config: TrainConfig, *, resume: bool = False, progress: Progress | None = None
) -> RunResult:
    """Trains a transformer in a run folder, `config.out` or a new runs/NAME-TIME.

    With `resume`, goes on from the newest checkpoint in `config.out`, or from the start when the
    run was killed before its first; its config must be this one. SIGINT and SIGTERM end the run
    after the current step with a checkpoint, and the result says "interrupted"; a second signal
    ends it at once. Nothing is printed; `progress` is called with a `StepReport`.

    Raises `ConfigError` (datasets, tokenizer and model do not agree), `MissingFileError`,
    `FormatError` (a damaged checkpoint) or `TrainingError` (the loss is no number any more).
    """
    checkpoint, state = _find_checkpoint(config) if resume else (None, {})
    with stop_signals() as stop, own_torch_state(config, state.get("num_threads")):
        return _Run(config, resume, checkpoint, state).to_the_end(stop, progress)


def _find_checkpoint(config: TrainConfig) -> tuple[Path | None, dict[str, Any]]:
    if config.out is None:
        raise ConfigError("out = none: name the run folder to resume")
    check_same_run(config, Path(config.out))
    if not runs.checkpoints(config.out):
        return None, {}
    return runs.newest_checkpoint(config.out)


class _Run:
    """A learner, its place in the data, and the folder that both are saved in."""

    def __init__(
        self, config: TrainConfig, resume: bool, checkpoint: Path | None, state: dict[str, Any]
    ) -> None:
        self.config = config
        dataset, held_out = open_datasets(config)
        self.loader = TokenLoader(
            dataset,
            batch_size=config.batch_size,
            seq_len=config.seq_len,
            seed=config.seed,
            packing=config.data.packing,
        )
        self.learner = Learner(config)
        self.step = self.tokens = 0
        self.saved_step = -1
        self.elapsed = 0.0
        self.last = Update(math.nan, math.nan, 0)
        if checkpoint is not None:
            self._restore(checkpoint, state)
        self.folder = Path(config.out or "") if resume else create_run(config, dataset)
        self.metrics = MetricsFile(self.folder / "metrics.jsonl", upto=self.step)
        self.held_out = None
        if held_out is not None:
            sizes = token_bytes(self.folder, dataset.vocab_size) if config.data.tokenizer else None
            self.held_out = HeldOut(held_out, config, sizes)
        self._recent: deque[float] = deque(maxlen=20)  # seconds of the last steps

    def _restore(self, checkpoint: Path, state: dict[str, Any]) -> None:
        model, optimizer = self.learner.model, self.learner.optimizer
        try:
            model.load_state_dict(read_tensors(checkpoint, "model.safetensors"))
        except RuntimeError:
            raise FormatError(f"{checkpoint} holds another model than its run's config") from None
        load_optimizer_state(model, optimizer, read_tensors(checkpoint, "optimizer.safetensors"))
        self.loader.load_state_dict(state["loader"])
        set_random_state(state["random"], self.learner.device)
        self.step = self.saved_step = state["step"]
        self.tokens, self.elapsed = state["tokens"], state["elapsed"]
        if state["last"] is not None:
            self.last = Update(*state["last"])

    def to_the_end(self, stop: StopRequest, progress: Progress | None) -> RunResult:
        saved_at = time.monotonic()
        try:
            while True:
                if self._evaluation_due() and not stop.requested:
                    self._evaluate()
                    self._report(progress)
                if self.step == self.config.steps or stop.requested:
                    break
                self._train_step()
                if self._checkpoint_due((time.monotonic() - saved_at) / 60):
                    self._save()
                    saved_at = time.monotonic()
                self._report(progress)
            if self.saved_step != self.step:
                self._save()
        finally:
            self.metrics.close()
        return self._result()

    def _train_step(self) -> None:
        began = time.perf_counter()
        lr = learning_rate(self.config, self.step + 1)
        update = self.learner.update(self.loader.next_batch(), lr)
        if not update.is_finite:
            raise self._diverged(update)
        seconds = time.perf_counter() - began
        self._recent.append(seconds)
        self.last = update
        self.step += 1
        self.tokens += update.num_targets
        self.elapsed += seconds
        self.metrics.write(
            step=self.step,
            loss=update.loss,
            lr=lr,
            grad_norm=update.grad_norm,
            tokens=self.tokens,
            tokens_per_second=round(update.num_targets / seconds, 1),
            elapsed=round(self.elapsed, 3),
        )

    def _diverged(self, update: Update) -> TrainingError:
        is_loss = not math.isfinite(update.loss)
        what, value = ("loss", update.loss) if is_loss else ("gradient norm", update.grad_norm)
        kept = f"the checkpoint of step {self.saved_step} is kept" if self.saved_step >= 0 else ""
        return TrainingError(
            f"the {what} of step {self.step + 1} is {value}; train again with optim.lr below "
            f"{self.config.optim.lr} or a longer schedule.warmup{'; ' if kept else ''}{kept}"
        )

    def _evaluation_due(self) -> bool:
        if self.held_out is None or self.step == 0 or self.step in self.metrics.evaluated:
            return False
        return self.step % self.config.eval_every == 0 or self.step == self.config.steps

    def _evaluate(self) -> None:
        assert self.held_out is not None
        score = self.held_out.score(self.learner.logits)
        self.metrics.write(
            step=self.step,
            validation_loss=score.loss,
            validation_bits_per_byte=score.bits_per_byte,
        )

    def _checkpoint_due(self, minutes: float) -> bool:
        config = self.config
        if self.step == config.steps:
            return True
        if config.checkpoint_every is not None and self.step % config.checkpoint_every == 0:
            return True
        return config.checkpoint_minutes is not None and minutes >= config.checkpoint_minutes

    def _save(self) -> None:
        learner = self.learner
        self.metrics.force_to_disk()
        save_checkpoint(
            self.folder,
            self.step,
            model=learner.model.state_dict(),
            optimizer=optimizer_state(learner.model, learner.optimizer),
            state={
                "tokens": self.tokens,
                "elapsed": self.elapsed,
                "last": list(self.last) if self.step else None,
                "loader": self.loader.state_dict(),
                "random": random_state(learner.device),
                "num_threads": torch.get_num_threads(),
            },
            keep_last=self.config.keep_last,
        )
        self.saved_step = self.step

    def _newest_validation(self) -> dict[str, Any]:
        evaluated = self.metrics.evaluated
        return evaluated[max(evaluated)] if evaluated else {}

    def _report(self, progress: Progress | None) -> None:
        if progress is None:
            return
        config = self.config
        pace = statistics.median(self._recent) if self._recent else math.nan
        newest = self._newest_validation()
        progress(
            StepReport(
                step=self.step,
                steps=config.steps,
                loss=self.last.loss,
                lr=learning_rate(config, self.step),
                grad_norm=self.last.grad_norm,
                tokens=self.tokens,
                tokens_per_second=config.batch_size * config.seq_len / pace,
                elapsed=self.elapsed,
                remaining=pace * (config.steps - self.step),
                validation_loss=newest.get("validation_loss"),
                validation_bits_per_byte=newest.get("validation_bits_per_byte"),
            )
        )

    def _result(self) -> RunResult:
        newest = self._newest_validation()
        return RunResult(
            run=self.folder,
            reason="finished" if self.step == self.config.steps else "interrupted",
            step=self.step,
            loss=self.last.loss,
            validation_loss=newest.get("validation_loss"),
            validation_bits_per_byte=newest.get("validation_bits_per_byte"),
            tokens=self.tokens,
            seconds=self.elapsed,
            num_parameters=self.learner.model.num_parameters,
        )
