"""Training: it learns, its parts follow their formulas, and wrong input is named."""

from __future__ import annotations

import dataclasses
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lexigram.data import TokenDataset, TokenLoader

from lexigram import config as plain
from lexigram import runs
from lexigram.errors import ConfigError, InvalidInputError, MissingFileError, TrainingError
from lexigram.model import ModelConfig, Transformer
from lexigram.recipes import RECIPES
from lexigram.train import (
    DataConfig,
    OptimConfig,
    ScheduleConfig,
    StepReport,
    TrainConfig,
    steps_for,
    train,
    with_vocabulary,
)
from lexigram.train.learner import Learner
from lexigram.train.metrics import HeldOut
from lexigram.train.optim import make_optimizer
from lexigram.train.schedule import learning_rate
from training_runs import SEPARATOR, Bytes, texts, tiny, write_dataset

pytestmark = pytest.mark.torch


def test_it_learns_and_writes_a_run_folder(tmp_path: Path) -> None:
    reports: list[StepReport] = []
    config = tiny(tmp_path, steps=60, eval_every=25)
    result = train(config, progress=reports.append)

    assert result.reason == "finished"
    assert result.validation_loss is not None
    assert result.validation_loss < 0.7 * math.log(257)
    assert result.run.parent == runs.runs_root()
    assert {path.name for path in result.run.iterdir()} == {
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "checkpoints",
    }
    assert [path.name for path in runs.checkpoints(result.run)] == ["step-00000060"]
    lines = runs.read_metrics(result.run)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 61))
    assert [line["step"] for line in lines if "validation_loss" in line] == [25, 50, 60]
    assert all(line["tokens"] == 128 * line["step"] for line in lines if "loss" in line)
    assert [r.step for r in reports if r.validation_loss is None] == list(range(1, 26))
    assert reports[-1].remaining == 0
    assert reports[-1].validation_loss == result.validation_loss
    assert runs.read_config(result.run)["steps"] == 60


def test_training_leaves_the_state_of_torch_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    train(tiny(tmp_path, steps=2, num_threads=2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


@given(
    st.integers(1, 400),
    st.floats(0, 0.99),
    st.floats(0, 1),
    st.floats(1e-6, 1),
)
def test_schedule(steps: int, warmup: float, floor: float, lr: float) -> None:
    config = TrainConfig(
        model=ModelConfig(vocab_size=5),
        optim=OptimConfig(lr=lr),
        schedule=ScheduleConfig(warmup=warmup, floor=floor),
        steps=steps,
    )
    rates = [learning_rate(config, step) for step in range(1, steps + 1)]
    top = round(warmup * steps)
    rounding = lr * 1e-12
    assert all(0 <= r <= lr + rounding for r in rates)
    assert all(a < b for a, b in pairwise(rates[:top]))
    assert all(b <= a + rounding for a, b in pairwise(rates[max(top - 1, 0) :]))
    if top:
        assert rates[top - 1] == pytest.approx(lr)
    if top < steps:
        assert rates[-1] == pytest.approx(lr * floor, abs=1e-12)
    middle = top + (steps - top) / 2
    if middle.is_integer() and top < middle < steps:
        assert rates[int(middle) - 1] == pytest.approx(lr * (1 + floor) / 2)


def test_only_matrices_decay() -> None:
    config = ModelConfig.preset("gpt2", vocab_size=11, num_layers=1, d_model=8, num_heads=2)
    model = Transformer(config)
    groups = make_optimizer(model, OptimConfig(weight_decay=0.3)).param_groups
    decayed = {id(p) for g in groups if g["weight_decay"] == 0.3 for p in g["params"]}
    kept = {id(p) for g in groups if g["weight_decay"] == 0.0 for p in g["params"]}
    for name, parameter in model.named_parameters():
        vector = name.endswith("bias") or "norm" in name
        assert (id(parameter) in kept) is vector
        assert (id(parameter) in decayed) is not vector


@pytest.mark.parametrize("packing", ["contiguous", "best_fit"])
@pytest.mark.parametrize("masking", [True, False])
def test_accumulated_updates_are_one_update(tmp_path: Path, packing: Any, masking: bool) -> None:
    """Micro-batches change the memory, not the gradient, also where rows are padded unequally."""
    base = tiny(tmp_path)
    source = dataclasses.replace(base.data, packing=packing, document_masking=masking)
    whole = Learner(dataclasses.replace(base, data=source))
    parts = Learner(dataclasses.replace(base, data=source, grad_accum=4))
    loader = TokenLoader(
        TokenDataset(base.data.train), batch_size=4, seq_len=32, seed=0, packing=packing
    )
    for _ in range(3):
        batch = loader.next_batch()
        one, four = whole.update(batch, 1e-2), parts.update(batch, 1e-2)
        assert four.num_targets == one.num_targets
        assert four.loss == pytest.approx(one.loss, rel=1e-5)
        assert four.grad_norm == pytest.approx(one.grad_norm, rel=1e-4)


def test_masked_training_loss_is_the_score_of_each_document(tmp_path: Path) -> None:
    """The loss of a row that holds whole documents is what the language model says of them."""
    documents = ["one", "two and", "three", "", "four"]
    dataset = TokenDataset(write_dataset(tmp_path / "few", documents))
    config = tiny(tmp_path)
    learner = Learner(config)
    loader = TokenLoader(
        dataset, batch_size=1, seq_len=24, seed=0, packing="best_fit", shuffle=False
    )
    batch = loader.batch(0)
    logits, targets = learner.logits(batch)
    loss = torch.nn.functional.cross_entropy(logits[0], targets[0], reduction="sum").item()
    ids = [[*text.encode(), SEPARATOR] for text in documents]
    assert int((batch.targets != -100).sum()) == sum(map(len, ids))
    scored = -sum(learner.model.score(document).sum().item() for document in ids)
    assert loss == pytest.approx(scored, rel=1e-4)


def test_held_out_loss_counts_every_target_once(tmp_path: Path) -> None:
    config = tiny(tmp_path, eval_tokens=10**6)
    dataset = TokenDataset(str(config.data.validation))
    sizes = np.array([1] * 256 + [10**9])  # the separator must not count
    uniform = HeldOut(dataset, config, sizes).score(
        lambda batch: (torch.zeros(*batch.targets.shape, 257), torch.from_numpy(batch.targets))
    )
    assert uniform.loss == pytest.approx(math.log(257), rel=1e-6)
    assert uniform.bits_per_byte == pytest.approx(math.log2(257), rel=1e-6)  # a byte a token
    only = HeldOut(dataset, config, None).score(
        lambda batch: (
            torch.nn.functional.one_hot(torch.full(batch.targets.shape, SEPARATOR), 257).float()
            * 50.0,
            torch.from_numpy(batch.targets),
        )
    )
    text = len(dataset) - dataset.num_documents
    assert only.loss == pytest.approx(50.0 * text / len(dataset), rel=1e-6)
    assert only.bits_per_byte is None


def test_held_out_tokens_are_bounded(tmp_path: Path) -> None:
    config = tiny(tmp_path, eval_tokens=256)
    seen: list[int] = []

    def logits(batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(batch.targets.size)
        return torch.zeros(*batch.targets.shape, 257), torch.from_numpy(batch.targets)

    HeldOut(TokenDataset(str(config.data.validation)), config, None).score(logits)
    assert sum(seen) == 256


def test_bfloat16_trains_on_the_cpu(tmp_path: Path) -> None:
    full = train(tiny(tmp_path, steps=5))
    half = train(tiny(tmp_path, steps=5, dtype="bfloat16"))
    assert half.loss == pytest.approx(full.loss, rel=0.02)
    assert half.loss != full.loss


def test_steps_for_fits_the_time(tmp_path: Path) -> None:
    config = tiny(tmp_path)
    few, many = steps_for(config, 1.0), steps_for(config, 4.0)
    assert 1 <= few < many
    assert steps_for(config, 1e-9) == 1
    with pytest.raises(InvalidInputError, match="above 0"):
        steps_for(config, 0)
    assert not runs.runs_root().exists()  # nothing written


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    config = tiny(
        tmp_path, checkpoint_every=1, optim=OptimConfig(lr=1e38, weight_decay=0.0), steps=50
    )
    with pytest.raises(TrainingError, match=r"of step \d+ is (nan|inf); .*optim.lr below") as error:
        train(config)
    assert "\n" not in str(error.value)
    run = runs.list_runs()[0]
    _, state = runs.newest_checkpoint(run)
    assert f"the checkpoint of step {state['step']} is kept" in str(error.value)
    assert all(math.isfinite(line["loss"]) for line in runs.read_metrics(run) if "loss" in line)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("steps=0", "steps = 0"),
        ("batch_size=0", "batch_size = 0"),
        ("seq_len=33", "seq_len = 33 is longer than model.context_length = 32"),
        ("grad_accum=3", "batch_size = 4 is not a multiple of grad_accum = 3"),
        ("eval_tokens=5", "eval_tokens = 5"),
        ("optim.lr=0.0", "optim.lr = 0.0"),
        ("optim.lr=nan", "optim.lr = nan"),
        ("optim.betas=[0.9, 1.0]", "optim.betas"),
        ("optim.weight_decay=-1.0", "weight_decay = -1.0"),
        ("optim.grad_clip=-1.0", "grad_clip = -1.0"),
        ("schedule.warmup=1.0", "warmup = 1.0"),
        ("schedule.floor=2.0", "floor = 2.0"),
        ("seed=-1", "seed = -1"),
        ("num_threads=0", "num_threads = 0"),
        ("keep_last=0", "keep_last = 0"),
        ("checkpoint_minutes=-1.0", "checkpoint_minutes = -1.0"),
        ("optim.learning_rate=1.0", "unknown config key 'optim.learning_rate'"),
        ("dtype=float16", "dtype"),
    ],
)
def test_config_errors(tmp_path: Path, assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plain.override(tiny(tmp_path), [assignment])


def refused(tmp_path: Path, error: type[Exception], message: str, **changes: Any) -> None:
    """The run is refused in one line, and leaves no folder behind."""
    with pytest.raises(error, match=message) as caught:
        train(tiny(tmp_path, **changes))
    assert "\n" not in str(caught.value)
    assert runs.list_runs() == []


def test_datasets_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    base = tiny(tmp_path)
    wider = base.model.replace(vocab_size=300)
    refused(tmp_path, ConfigError, "vocab_size = 300, but .* has 257; set", model=wider)
    other = base.model.replace(document_separator=3)
    refused(tmp_path, ConfigError, "document_separator = 3, but .* has 256", model=other)
    refused(tmp_path, ConfigError, "data.train names no dataset", data=DataConfig())
    missing = DataConfig(train=str(tmp_path / "nowhere"))
    refused(tmp_path, MissingFileError, "nowhere", data=missing)

    stranger = Bytes()
    stranger.fingerprint = "other"  # type: ignore[misc]
    write_dataset(tmp_path / "strange", texts(5, seed=3), stranger)
    mixed = dataclasses.replace(base.data, validation=str(tmp_path / "strange"))
    refused(tmp_path, ConfigError, "was not made by the tokenizer", data=mixed)
    refused(tmp_path, InvalidInputError, "batch", batch_size=4000)


def test_with_vocabulary_takes_it_from_the_data(tmp_path: Path) -> None:
    base = tiny(tmp_path)
    blank = dataclasses.replace(
        base, model=base.model.replace(vocab_size=9, document_separator=None)
    )
    assert with_vocabulary(blank) == base


def test_recipes_are_whole_configs() -> None:
    for name, recipe in RECIPES.items():
        config = recipe()
        assert config.name == name
        again = plain.from_dict(TrainConfig, json.loads(json.dumps(plain.to_dict(config))))
        assert again == config
