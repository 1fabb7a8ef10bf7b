"""`lexigram data` and `lexigram corpus`, called as the command line calls them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

import lexigram
from fake_tokenizer import ByteTokenizer
from lexigram.cli import corpus, data
from lexigram.data import TokenDataset
from lexigram.errors import FormatError, InvalidInputError, MissingFileError


class LoadedTokenizer(ByteTokenizer):
    @classmethod
    def load(cls, path: Path) -> LoadedTokenizer:
        assert path.exists()
        return cls()


@pytest.fixture(autouse=True)
def _fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lexigram, "Tokenizer", LoadedTokenizer, raising=False)
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "a.jsonl").write_text("".join(f'{{"text": "text {i}"}}\n' for i in range(40)))


def run(*argv: object) -> int:
    top = argparse.ArgumentParser()
    subparsers = top.add_subparsers()
    data.add_parser(subparsers)
    corpus.add_parser(subparsers)
    args = top.parse_args([str(a) for a in argv])
    status: int = args.run(args)
    return status


def tokenize(folder: Path, *options: object) -> int:
    common = ["--tokenizer", folder / "tokenizer.json", "--out", folder / "set"]
    return run("data", "tokenize", folder / "a.jsonl", *common, *options)


def test_tokenize_inspect_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tokenize(tmp_path) == 0
    shown = capsys.readouterr().out
    assert "documents" in shown
    assert "40" in shown
    for action in ("inspect", "verify"):
        assert run("data", action, tmp_path / "set", "--json") == 0
        row: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert row["tokens"] == len(TokenDataset(tmp_path / "set")) == 10 * 7 + 30 * 8
    assert run("data", "verify", tmp_path / "set") == 0
    assert "every checksum holds" in capsys.readouterr().out
    with pytest.raises(InvalidInputError, match="already holds a dataset"):
        tokenize(tmp_path)
    assert tokenize(tmp_path, "--overwrite", "--max-documents", 3, "--json") == 0
    assert json.loads(capsys.readouterr().out)["documents"] == 3
    shard = tmp_path / "set" / "shard-00000.tokens"
    raw = bytearray(shard.read_bytes())
    raw[200] ^= 1
    shard.write_bytes(raw)
    with pytest.raises(FormatError, match=r"shard-00000\.tokens is damaged at byte"):
        run("data", "verify", tmp_path / "set")


def test_held_out_documents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tokenize(tmp_path, "--validation", 0.3, "--json") == 0
    train, validation = json.loads(capsys.readouterr().out)
    assert train["documents"] + validation["documents"] == 40
    sides = [
        {document.tobytes() for document in TokenDataset(tmp_path / "set" / side).documents()}
        for side in ("train", "validation")
    ]
    assert not sides[0] & sides[1]
    with pytest.raises(InvalidInputError, match="none of the 40 documents falls to validation"):
        tokenize(tmp_path, "--validation", 1e-9, "--overwrite")
    with pytest.raises(InvalidInputError, match=r"--validation 1.0: must be"):
        tokenize(tmp_path, "--validation", 1)


def test_three_sides_without_duplicates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "a.jsonl").open("a") as file:
        file.writelines(f'{{"text": "text {i}"}}\n' for i in range(40))
    options = ("--validation", 0.3, "--test", 0.2, "--deduplicate", "--seed", 3)
    assert tokenize(tmp_path, *options, "--resume", "--num-threads", 2, "--json") == 0
    shown = capsys.readouterr()
    rows: list[dict[str, Any]] = json.loads(shown.out)
    assert [Path(row["directory"]).name for row in rows] == ["train", "validation", "test"]
    assert sum(row["documents"] for row in rows) == 40
    assert "40 documents were equal to an earlier one and were left out" in shown.err
    with pytest.raises(InvalidInputError, match="already holds a dataset"):
        tokenize(tmp_path, *options)
    assert tokenize(tmp_path, *options, "--overwrite") == 0
    with pytest.raises(InvalidInputError, match="leave nothing to train on"):
        tokenize(tmp_path, "--validation", 0.5, "--test", 0.5, "--overwrite")


def test_resuming_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write("not json\n")
    with pytest.raises(FormatError):
        tokenize(tmp_path, "--resume", "--shard-tokens", 100)
    assert not (tmp_path / "set").exists(), "the bad line came before any document was encoded"
    source = tmp_path / "texts"
    source.mkdir()
    (source / "a.jsonl").write_bytes((tmp_path / "a.jsonl").read_bytes()[: -len("not json\n")])
    (source / "b.jsonl").write_text("not json\n")
    argv = ("--tokenizer", tmp_path / "tokenizer.json", "--out", tmp_path / "set")
    more = ("--resume", "--shard-tokens", 100)
    with pytest.raises(FormatError):
        run("data", "tokenize", source, *argv, *more)
    (source / "b.jsonl").unlink()  # three shards of 14, 13 and 13 documents are full
    assert run("data", "tokenize", source, *argv, *more) == 0
    assert "going on after 40 documents of the interrupted run" in capsys.readouterr().err
    assert TokenDataset(tmp_path / "set").num_documents == 40


def test_skipped_documents_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write("not json\n")
    with pytest.raises(FormatError, match=r"a\.jsonl:41"):
        tokenize(tmp_path)
    assert tokenize(tmp_path, "--errors", "skip") == 0
    assert "1 documents could not be read" in capsys.readouterr().err


def test_corpus_list_and_show(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LEXIGRAM_DATA", raising=False)
    assert run("corpus", "list") == 0
    assert "tinyshakespeare" in capsys.readouterr().out
    assert run("corpus", "list", "--json") == 0
    rows = {row["name"]: row["path"] for row in json.loads(capsys.readouterr().out)}
    assert rows["stdlib"]
    assert rows["tinyshakespeare"] is None
    (tmp_path / "a.txt").write_text("[bold]\x1b[31mred")
    assert run("corpus", "show", tmp_path / "a.txt") == 0
    assert "[bold]\\x1b[31mred" in capsys.readouterr().out
    assert run("corpus", "show", tmp_path / "a.jsonl", "--documents", 2, "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["text 0", "text 1"]
    with pytest.raises(MissingFileError, match="no corpus of that name"):
        run("corpus", "show", "shakespear")


def test_mix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        common = ["--tokenizer", tmp_path / "tokenizer.json", "--out", tmp_path / name]
        run("data", "tokenize", tmp_path / "a.jsonl", *common)
    sources = [f"{name}={tmp_path / name}" for name in ("a", "b")]
    capsys.readouterr()
    weights = ["--weight", "a=0.7", "--weight", "b=3/10", "--seq-len", 10]
    file = tmp_path / "mixture.toml"
    assert run("data", "mix", *sources, *weights, "--tokens", 1e3, "--json", "--out", file) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["source"], row["weight"], row["rows"]) for row in rows] == [
        ("a", "7/10", 70),
        ("b", "3/10", 30),
    ]
    assert rows[0]["epochs"] == round(70 / (310 // 10), 4)
    assert run("data", "mix", file, "--seq-len", 10) == 0
    assert "7/10" in capsys.readouterr().out
    for argv, message in [
        ([*sources, "--weight", "a=x"], "--weight a=x: must be a number"),
        ([*sources, "--weight", "a"], "--weight 'a': must be NAME=VALUE"),
        ([*sources, *sources], "source 'a' is named twice"),
        ([file, "--weight", "a=1"], "has weights; change them there"),
        ([*sources, "--tokens", 10], "must be at least one row of 1024 tokens"),
        ([*sources, "--weight", "a=1"], "'b' of the mixture has a dataset but no weight"),
    ]:
        with pytest.raises(InvalidInputError) as caught:
            run("data", "mix", *argv, "--seq-len", 10 if "row" not in message else 1024)
        assert message in str(caught.value) or "fill no row" in str(caught.value)
