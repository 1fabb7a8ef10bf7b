"""The command line: its surface is frozen, and every kind of bad input ends in one clear line."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lexigram.cli import main, parser
from lexigram.data import tokenize
from lexigram.errors import LexigramError
from lexigram.tokenizer import Tokenizer

SEPARATOR = "<|endoftext|>"


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in argv])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def fails(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line that a command which must fail prints."""
    status, printed, complaint = run(capsys, *argv)
    assert status == 1
    assert printed == ""
    lines = complaint.splitlines()
    assert lines, "nothing was said"
    assert lines[-1].startswith("lexigram: ")
    assert "Traceback" not in complaint
    assert "internal error" not in complaint
    return lines[-1]


@pytest.fixture
def corpus(tmp_path: Path, stdlib_text: str) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text(stdlib_text, encoding="utf-8")
    return path


@pytest.fixture
def vocabulary(tmp_path: Path, stdlib_text: str) -> Path:
    path = tmp_path / "tokenizer.json"
    Tokenizer.train([stdlib_text], 400, special_tokens=[SEPARATOR]).save(path)
    return path


@pytest.fixture
def shards(tmp_path: Path, stdlib_text: str, vocabulary: Path) -> Path:
    folder = tmp_path / "shards"
    texts = [stdlib_text[i : i + 5000] for i in range(0, 50_000, 5000)]
    tokenize(texts, Tokenizer.load(vocabulary), folder)
    return folder


def _subcommands(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def test_surface_is_frozen() -> None:
    surface = {name: sorted(_subcommands(sub)) for name, sub in _subcommands(parser()).items()}
    assert surface == {
        "quickstart": [],
        "corpus": ["fetch", "list", "show"],
        "tokenizer": ["compare", "convert", "decode", "encode", "inspect", "train", "view"],
        "ngram": [
            "convert",
            "count",
            "curve",
            "evaluate",
            "generate",
            "merge",
            "prune",
            "query",
            "train",
        ],
        "index": ["build", "count", "find", "trace"],
        "data": ["inspect", "tokenize", "verify"],
        "train": [],
        "runs": ["list", "show"],
        "generate": [],
        "evaluate": [],
    }


def test_every_command_shows_an_example() -> None:
    def leaves(sub: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
        children = _subcommands(sub)
        return [leaf for child in children.values() for leaf in leaves(child)] or [sub]

    for leaf in leaves(parser()):
        _, example, commands = leaf.format_help().partition("\nexample")
        assert example, leaf.prog
        assert f"{leaf.prog} " in f"{commands} ".replace("\n", " "), leaf.prog


@pytest.mark.parametrize(
    "command", [("ngram", "train"), ("ngram", "count"), ("ngram", "merge"), ("index", "build")]
)
@pytest.mark.parametrize("size", ["inf", "nan", "-1G", "0", "1e9", "9" * 400 + "T", "²"])
def test_sizes_that_are_none_are_usage_errors(
    capsys: pytest.CaptureFixture[str], command: tuple[str, str], size: str
) -> None:
    status, _, said = run(capsys, *command, "x", "--out", "y", f"--memory-limit={size}")
    assert status == 2
    assert "argument --memory-limit" in said


def test_usage_errors_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "no-such-command")[0] == 2
    assert run(capsys)[0] == 2


def test_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lexigram", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("lexigram ")


# Bad input


def test_missing_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "t.json"
    argv = ("tokenizer", "train", str(tmp_path / "none.txt"), "--vocab-size", "300")
    assert "none.txt" in fails(capsys, *argv, "--out", str(out))
    assert not out.exists()


def test_empty_corpus(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    out = tmp_path / "t.json"
    argv = ("tokenizer", "train", str(empty), "--vocab-size", "300", "--out", str(out))
    assert "empty" in fails(capsys, *argv)
    assert not out.exists()
    assert "empty.txt" in fails(capsys, "quickstart", "--corpus", str(empty))


def test_invalid_utf8(capsys: pytest.CaptureFixture[str], tmp_path: Path, vocabulary: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"good " * 10 + b"\xff bad")
    out = tmp_path / "out"
    complaint = fails(
        capsys, "data", "tokenize", str(bad), "--tokenizer", str(vocabulary), "--out", str(out)
    )
    assert "bad.txt" in complaint
    assert "byte 50" in complaint
    assert not out.exists()
    assert [p.name for p in tmp_path.iterdir() if "tmp" in p.name] == []


def test_vocabulary_too_small(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, corpus: Path
) -> None:
    out = tmp_path / "t.json"
    argv = ("tokenizer", "train", str(corpus), "--vocab-size", "100", "--out", str(out))
    complaint = fails(capsys, *argv)
    assert "100" in complaint
    assert "256" in complaint
    assert not out.exists()


def test_damaged_shard(capsys: pytest.CaptureFixture[str], shards: Path) -> None:
    assert run(capsys, "data", "verify", str(shards))[0] == 0
    shard = next(p for p in sorted(shards.iterdir()) if p.suffix != ".json")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 4
    shard.write_bytes(content)
    assert shard.name in fails(capsys, "data", "verify", str(shards))
    shard.write_bytes(content[: len(content) // 2])
    assert shard.name in fails(capsys, "data", "verify", str(shards))


def test_damaged_shards_are_never_learnt_from(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, shards: Path, vocabulary: Path
) -> None:
    shard = next(p for p in sorted(shards.iterdir()) if p.suffix != ".json")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 4
    shard.write_bytes(content)
    model = tmp_path / "m.ngram"
    assert shard.name in fails(capsys, "ngram", "train", str(shards), "--out", str(model))
    assert not model.exists()
    run_folder = tmp_path / "run"
    argv = ("train", "stdlib-cpu", "--set", f"data.train={shards}", "--set", f"out={run_folder}")
    assert shard.name in fails(capsys, *argv)
    assert not run_folder.exists()


def test_numbers_out_of_range(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, corpus: Path
) -> None:
    argv = ("tokenizer", "train", str(corpus), "--out", str(tmp_path / "t.json"))
    for size in ("-5", "0", str(10**20)):
        assert f"vocab_size = {size}" in fails(capsys, *argv, "--vocab-size", size)
    assert "num_threads = -1" in fails(capsys, *argv, "--vocab-size", "300", "--threads", "-1")


def test_text_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    hostile = tmp_path / "e\x1b[31mx\u202e.txt"
    hostile.write_text("a\x1b]0;title\x07b")
    for argv in (("corpus", "show", str(hostile)), ("corpus", "show", f"{hostile}.none")):
        _, printed, complaint = run(capsys, *argv)
        assert "\x1b" not in printed + complaint
        assert "\u202e" not in printed + complaint


def test_output_that_the_terminal_cannot_encode(corpus: Path) -> None:
    corpus.write_text("naïve ∞")
    done = subprocess.run(
        [sys.executable, "-m", "lexigram", "corpus", "show", str(corpus)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert rb"na\xefve \u221e" in done.stdout


def test_a_damaged_run_does_not_hide_the_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, config in (("good", "{}"), ("bad", "{")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.json").write_text(config)
    status, printed, complaint = run(capsys, "runs", "list")
    assert status == 0
    assert "good" in printed
    assert "bad cannot be read" in complaint


@pytest.fixture
def trained(tmp_path: Path, shards: Path, vocabulary: Path) -> Path:
    from lexigram.model import ModelConfig
    from lexigram.train import DataConfig, TrainConfig, train

    tokenizer = Tokenizer.load(vocabulary)
    config = TrainConfig(
        model=ModelConfig.preset(
            "qwen3",
            vocab_size=tokenizer.n_vocab,
            document_separator=tokenizer.eot_token,
            num_layers=1,
            d_model=32,
            num_heads=2,
            num_kv_heads=1,
            d_ff=64,
            context_length=32,
        ),
        data=DataConfig(train=str(shards), tokenizer=str(vocabulary)),
        out=str(tmp_path / "run"),
        steps=2,
        batch_size=2,
        seq_len=32,
        num_threads=1,
    )
    return train(config).run


@pytest.mark.torch
def test_damaged_checkpoint(capsys: pytest.CaptureFixture[str], trained: Path) -> None:
    weights = next(trained.glob("checkpoints/step-*/model.safetensors"))
    good = weights.read_bytes()
    argv = ("generate", "--model", str(trained), "--prompt", "def", "--max-new-tokens", "3")
    assert run(capsys, *argv)[0] == 0
    flipped = bytearray(good)
    flipped[len(flipped) // 2] ^= 1
    for damaged in (bytes(flipped), good[:-10]):
        weights.write_bytes(damaged)
        assert "model.safetensors" in fails(capsys, *argv)


@pytest.mark.torch
def test_unknown_config_key(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, trained: Path
) -> None:
    config = json.loads((trained / "config.json").read_text())
    config["learning_rate"] = 1
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    assert "learning_rate" in fails(capsys, "train", str(path))
    del config["learning_rate"]
    path.write_text(json.dumps(config))
    assert "optim.lrr" in fails(capsys, "train", str(path), "--set", "optim.lrr=1")


@pytest.mark.torch
def test_prompt_longer_than_the_context(capsys: pytest.CaptureFixture[str], trained: Path) -> None:
    complaint = fails(capsys, "generate", "--model", str(trained), "--prompt", "word " * 200)
    assert "32" in complaint


@pytest.mark.torch
def test_out_of_range_ids(trained: Path) -> None:
    import lexigram
    from lexigram.decode import generate

    loaded = lexigram.load(trained)
    size = loaded.lm.vocab_size
    for call in (
        lambda: loaded.tokenizer.decode([size]),
        lambda: loaded.lm.score(np.array([size])),
        lambda: generate(loaded.lm, [size], strategy="greedy", max_new_tokens=1, seed=0),
        lambda: lexigram.NgramModel.train([size], order=2, vocab_size=size),
    ):
        with pytest.raises(LexigramError, match=str(size)) as raised:
            call()
        assert "\n" not in str(raised.value)
