"""Run folders: made, found, opened; and the commands `train` and `runs`."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lexigram
from fake_tokenizer import ByteTokenizer
from lexigram import config as plain
from lexigram import runs
from lexigram.cli import main
from lexigram.errors import FormatError, InvalidInputError, MissingFileError
from lexigram.model import Transformer
from lexigram.train import RunResult, StepReport, TrainConfig, train
from training_runs import texts, tiny, write_dataset

pytestmark = pytest.mark.torch

SEPARATOR = "<|endoftext|>"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainConfig, RunResult, list[str]]:
    """A run with a real tokenizer, and its held-out documents."""
    folder = tmp_path_factory.mktemp("real")
    train_texts, held_out = texts(60, seed=1), texts(12, seed=2)
    tokenizer = lexigram.Tokenizer.train(train_texts, 300, special_tokens=[SEPARATOR])
    tokenizer.save(folder / "tokenizer.json")
    write_dataset(folder / "train", train_texts, tokenizer)
    write_dataset(folder / "held_out", held_out, tokenizer)
    base = tiny(folder)
    config = plain.override(
        base,
        [
            f"model.vocab_size={tokenizer.n_vocab}",
            f"model.document_separator={tokenizer.eot_token}",
            f"data.tokenizer='{folder / 'tokenizer.json'}'",
            f"out='{folder / 'run'}'",
            "eval_tokens=100000",
        ],
    )
    return config, train(config), held_out


def test_bits_per_byte_are_those_of_the_text(
    real: tuple[TrainConfig, RunResult, list[str]],
) -> None:
    """Recomputed from the run folder alone: rows of the validation stream, bytes of the text."""
    config, result, held_out = real
    loaded = lexigram.load(result.run)
    model = loaded.lm
    assert isinstance(model, Transformer)
    separator = loaded.tokenizer.eot_token
    assert separator is not None
    bits = 0.0
    stream = [i for t in held_out for i in [*loaded.tokenizer.encode_ordinary(t), separator]]
    for at in range(0, len(stream), config.seq_len):
        row = [stream[at - 1], *stream[at : at + config.seq_len]]
        begin = 0
        while begin < len(row) - 1:  # one document after the other, as if alone
            end = row.index(separator, begin + 1) if separator in row[begin + 1 :] else len(row) - 1
            with torch.no_grad():
                logits = model(torch.tensor([row[begin:end]]))[0]
            logprobs = logits.log_softmax(-1)
            targets = row[begin + 1 : end + 1]
            for t, target in enumerate(targets):
                if target != separator:
                    bits -= logprobs[t, target].item() / math.log(2)
            begin = end
    assert result.validation_bits_per_byte == pytest.approx(
        bits / sum(len(t.encode()) for t in held_out), rel=1e-4
    )


def test_load_gives_the_trained_model(real: tuple[TrainConfig, RunResult, list[str]]) -> None:
    config, result, held_out = real
    for path in (result.run, str(result.run), runs.checkpoints(result.run)[0]):
        loaded = lexigram.load(path, device="cpu")
        assert loaded.config["optim"]["lr"] == config.optim.lr
        assert loaded.lm.vocab_size == loaded.tokenizer.n_vocab
    ids = loaded.tokenizer.encode_ordinary(held_out[0])[:20]
    assert loaded.tokenizer.decode(ids) in held_out[0]
    fresh = Transformer(config.model)
    assert loaded.lm.score(ids).sum() > fresh.score(ids).sum() + 5


def test_an_ngram_model_carries_its_tokenizer(
    real: tuple[TrainConfig, RunResult, list[str]], tmp_path: Path
) -> None:
    config, result, held_out = real
    loaded = lexigram.load(result.run)
    dataset = lexigram.data.TokenDataset(config.data.train)
    model = lexigram.NgramModel.train(dataset, order=2, tokenizer=loaded.tokenizer)
    model.save(tmp_path / "two.ngram")
    again = lexigram.load(tmp_path / "two.ngram")
    ids = loaded.tokenizer.encode_ordinary(held_out[0])
    assert again.tokenizer.encode_ordinary(held_out[0]) == ids
    np.testing.assert_array_equal(again.lm.score(ids), model.score(ids))
    lexigram.NgramModel.train(dataset, order=1).save(tmp_path / "bare.ngram")
    with pytest.raises(FormatError, match="carries no tokenizer"):
        lexigram.load(tmp_path / "bare.ngram")


def test_a_wrong_tokenizer_is_refused(
    real: tuple[TrainConfig, RunResult, list[str]], tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    lexigram.Tokenizer.train(["abc " * 50], 262, special_tokens=[SEPARATOR]).save(other)
    config = plain.override(real[0], [f"data.tokenizer='{other}'", f"out='{tmp_path / 'no'}'"])
    with pytest.raises(InvalidInputError, match="is not the tokenizer that made"):
        train(config)
    assert not (tmp_path / "no").exists()


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("text")
    for path, error, message in [
        (tmp_path / "none", MissingFileError, "neither a run folder"),
        (tmp_path / "none.ngram", MissingFileError, "none.ngram"),
        (tmp_path / "empty", MissingFileError, "not a run folder"),
        (tmp_path / "file.txt", FormatError, "neither a run folder"),
    ]:
        with pytest.raises(error, match=message) as caught:
            lexigram.load(path)
        assert "\n" not in str(caught.value)


def test_a_model_that_is_not_its_config(tmp_path: Path) -> None:
    result = train(tiny(tmp_path, steps=1))
    config = runs.read_config(result.run)
    config["model"]["d_ff"] += 1
    runs.write_json(result.run / "config.json", config)
    with pytest.raises(FormatError, match=r"model\.safetensors is not the model"):
        lexigram.load(result.run)


def test_run_folders_are_new_and_newest_is_found(tmp_path: Path) -> None:
    assert runs.newest_run() is None
    assert runs.list_runs() == []
    first, second = runs.new_run_dir("a"), runs.new_run_dir("a")
    assert first != second
    assert first.parent == second.parent == runs.runs_root()
    for name in ("", "../a", "a/b", ".hidden", "-x"):
        with pytest.raises(InvalidInputError, match="run name"):
            runs.new_run_dir(name)
    assert runs.list_runs() == []  # folders without a config are no runs yet

    older = train(tiny(tmp_path, steps=1)).run
    time.sleep(0.01)
    newer = train(tiny(tmp_path, steps=1)).run
    assert runs.list_runs() == [newer, older]
    assert runs.newest_run() == newer
    for path in runs.checkpoints(newer)[0].iterdir():
        path.unlink()
    runs.checkpoints(newer)[0].rmdir()
    assert runs.newest_run() == older  # the newest that has a checkpoint


def test_environment_says_what_made_the_run(tmp_path: Path) -> None:
    run = train(tiny(tmp_path, steps=1)).run
    environment = runs.read_json(run / "environment.json")
    assert environment["lexigram"] == lexigram.__version__
    assert environment["torch"] == torch.__version__.partition("+")[0]
    assert environment["device"] == "cpu"
    saved = runs.read_config(run)
    assert Path(saved["data"]["train"]).is_absolute()


# The commands


def command(capsys: pytest.CaptureFixture[str], *argv: Any) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in argv])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(plain.to_dict(tiny(tmp_path))), encoding="utf-8")
    return path


def test_train_show_and_list(capsys: pytest.CaptureFixture[str], config_file: Path) -> None:
    status, printed, _ = command(capsys, "train", config_file, "--set", "steps=3", "--json")
    assert status == 0
    result = json.loads(printed)
    assert (result["reason"], result["step"]) == ("finished", 3)
    status, printed, _ = command(capsys, "runs", "list", "--json")
    assert [line["name"] for line in json.loads(printed)] == [Path(result["run"]).name]
    status, printed, _ = command(capsys, "runs", "list")
    assert Path(result["run"]).name in printed
    status, printed, _ = command(capsys, "runs", "show", Path(result["run"]).name)
    shown = json.loads(printed)
    assert shown["config"]["steps"] == shown["summary"]["step"] == 3
    assert shown["checkpoints"] == ["step-00000003"]
    assert json.loads(command(capsys, "runs", "show")[1]) == shown
    status, printed, complaint = command(capsys, "train", config_file, "--set", "steps=2")
    assert status == 0
    assert "nats/token" in printed
    assert "step 2/2" in complaint  # no terminal: lines instead of a bar


def test_a_recipe_takes_the_vocabulary_of_its_data(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_dataset(tmp_path / "shards", texts(80, seed=1), ByteTokenizer(260))
    sets = ["steps=2", "batch_size=2", "seq_len=16", f"data.train={tmp_path / 'shards'}"]
    words = [word for text in sets for word in ("--set", text)]
    status, printed, _ = command(capsys, "train", "stdlib-cpu", *words, "--json")
    assert status == 0
    assert runs.read_config(json.loads(printed)["run"])["model"]["vocab_size"] == 260


def test_interrupted_and_resumed(
    capsys: pytest.CaptureFixture[str],
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import lexigram.cli.train as cli

    real_numbers = cli.numbers

    def interrupting(report: StepReport) -> str:
        if report.step == 5 and report.validation_loss is None:
            os.kill(os.getpid(), signal.SIGINT)
        return real_numbers(report)

    monkeypatch.setattr(cli, "numbers", interrupting)
    out = tmp_path / "my run"
    status, printed, complaint = command(capsys, "train", config_file, "--set", f"out={out}")
    assert status == 130
    assert printed == ""
    assert complaint.splitlines()[-1] == (
        f"lexigram: stopped at step 5 of 12 and saved; go on with: lexigram train --resume '{out}'"
    )
    monkeypatch.undo()
    status, printed, _ = command(capsys, "train", "--resume", out, "--json")
    assert status == 0
    assert json.loads(printed)["step"] == 12


def test_minutes_fix_the_steps(capsys: pytest.CaptureFixture[str], config_file: Path) -> None:
    status, printed, complaint = command(
        capsys, "train", config_file, "--minutes", "0.02", "--json"
    )
    assert status == 0
    result = json.loads(printed)
    assert f"{result['step']} steps fit in 0.02 minutes" in complaint
    assert runs.read_config(result["run"])["steps"] == result["step"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name a recipe (stdlib-cpu)"),
        (["nonsense"], "no recipe 'nonsense'"),
        (["none.toml"], "there is no config file none.toml"),
        (["stdlib-cpu"], "data.train names no dataset"),
        (["stdlib-cpu", "--set", "optim.lrr=1"], "unknown config key 'optim.lrr'; did you mean"),
        (["stdlib-cpu", "--set", "steps"], "not of the form key=value"),
        (["stdlib-cpu", "--minutes", "0", "--set", "data.train=x"], "x"),
        (["--resume", "nowhere"], "nowhere is not a run folder"),
        (["--resume", "nowhere", "--set", "steps=3"], "give --resume DIR alone"),
    ],
)
def test_train_complains_in_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    status, printed, complaint = command(capsys, "train", *words)
    assert (status, printed) == (1, "")
    assert message in complaint
    assert len(complaint.splitlines()) == 1
    assert "internal error" not in complaint


def test_runs_complains_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(capsys, "runs", "list")[0] == 0
    for words in (["show"], ["show", "nothing"]):
        status, printed, complaint = command(capsys, "runs", *words)
        assert (status, printed) == (1, "")
        assert len(complaint.splitlines()) == 1
