"""Training on a mixture: `data.mixture` instead of `data.train`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lexigram.data import Mixture, TokenDataset, TokenLoader
from lexigram.errors import ConfigError, InvalidInputError
from training_runs import texts, tiny, write_dataset

pytest.importorskip("torch")
from lexigram.train import steps_for, train, with_vocabulary

pytestmark = pytest.mark.torch


def test_training_on_a_mixture_and_going_on(tmp_path: Path) -> None:
    base = tiny(tmp_path)
    other = TokenDataset(write_dataset(tmp_path / "other", texts(40, seed=3)))
    sources = {"first": TokenDataset(tmp_path / "train"), "other": other}
    file = tmp_path / "mixture.toml"
    Mixture(sources, {"first": 0.25, "other": 0.75}).save(file)

    data = dataclasses.replace(base.data, train="", mixture=str(file))
    config = dataclasses.replace(base, data=data, out=str(tmp_path / "run"))
    assert with_vocabulary(config) == config
    assert steps_for(config, 1.0) >= 1
    whole = train(config)
    again = train(dataclasses.replace(config, out=str(tmp_path / "again")))
    assert whole.loss == again.loss
    alone = dataclasses.replace(base, out=str(tmp_path / "alone"))
    assert train(alone).loss != whole.loss

    loader = TokenLoader(Mixture.load(file), batch_size=4, seq_len=32, seed=0)
    assert {n: rows for n, (rows, _) in loader.source_epochs(12).items()} == {
        "first": 12,
        "other": 36,
    }

    half = dataclasses.replace(config, out=str(tmp_path / "half"), checkpoint_every=6)
    train(half)
    for checkpoint in sorted((tmp_path / "half" / "checkpoints").iterdir())[1:]:
        for path in checkpoint.iterdir():
            path.unlink()
        checkpoint.rmdir()
    assert train(half, resume=True).loss == whole.loss

    both = dataclasses.replace(config, data=dataclasses.replace(data, train="x"))
    with pytest.raises(ConfigError, match="set one of them"):
        train(both)
    Mixture(sources, {"first": 0.5, "other": 0.5}).save(file)
    with pytest.raises(InvalidInputError, match="dataset = "):
        train(half, resume=True)
