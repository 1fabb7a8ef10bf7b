"""`lexigram generate` and `lexigram evaluate`, with a model that is put in place of the file."""

from __future__ import annotations

import argparse
import io
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import lexigram
from fake_models import BYTES, Bigram, Remembering
from lexigram.cli import evaluate as evaluate_command
from lexigram.cli import generate as generate_command
from lexigram.cli.terminal import visible
from lexigram.decode import Trace, generate
from lexigram.errors import (
    ConfigError,
    EncodingError,
    InvalidInputError,
    MissingFileError,
    TokenIdError,
)
from lexigram.evaluate import bits_per_byte


@dataclass(frozen=True)
class Loaded:
    lm: Any
    tokenizer: Any
    config: Any = None


@pytest.fixture
def lm(monkeypatch: pytest.MonkeyPatch) -> Bigram:
    lm = Bigram.random(256)
    monkeypatch.setattr(lexigram, "load", lambda path: Loaded(lm, BYTES), raising=False)
    return lm


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    generate_command.add_parser(subparsers)
    evaluate_command.add_parser(subparsers)
    args = parser.parse_args(arguments)
    status: int = args.run(args)
    return status


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal with colours is sent."""
    screen = io.StringIO()
    console = Console(
        file=screen,
        force_terminal=True,
        color_system="truecolor",
        markup=False,
        highlight=False,
        soft_wrap=True,
        width=20,
    )
    monkeypatch.setattr(generate_command, "out", console)
    return screen


def test_new_text_goes_to_standard_output(lm: Bigram, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", "m", "--prompt", "ab", "--seed", "3", "--max-new-tokens", "9"]
    assert command("generate", *arguments, "--strategy", "top_k=4") == 0
    expected = generate(
        lm, list(b"ab"), strategy="top_k=4", seed=3, max_new_tokens=9, tokenizer=BYTES
    )
    captured = capfd.readouterr()
    assert captured.out == f"{expected.text}\n"
    assert "9 tokens (length)" in captured.err
    assert "top_k=4, seed 3" in captured.err


def test_json_and_trace_say_the_same(
    lm: Bigram, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace.json"
    command("generate", "--model", "m", "--prompt", "€", "--json", "--trace", str(path))
    result = json.loads(capfd.readouterr().out)
    trace = Trace.from_json(path.read_text())
    expected = generate(lm, list("€".encode()), tokenizer=BYTES)
    assert trace == expected.trace
    assert result == {
        "text": expected.text,
        "ids": expected.ids,
        "finish_reason": "length",
        "trace": trace.to_dict(),
    }
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["trace.json"]


def test_terminal_gets_colours_but_no_control_of_the_model(
    monkeypatch: pytest.MonkeyPatch, terminal: io.StringIO
) -> None:
    says = b"\x1b[2J\r[red]\n\xe2\x82\xac\xff"

    class Saying(Remembering):
        def logprobs(self, ids: Any) -> np.ndarray:
            return 50.0 * (np.arange(256) == says[len(ids) - 1])

    loaded = Loaded(Saying(256), BYTES)
    monkeypatch.setattr(lexigram, "load", lambda path: loaded, raising=False)
    command(
        "generate", "--model", "m", "--prompt", "\x07", "--strategy", "greedy",
        "--max-new-tokens", str(len(says)), "--color", "surprisal",
    )  # fmt: skip
    sent = terminal.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", sent) == "\\x07\\x1b[2J\\r[red]\n€�\n"
    assert "48;2;" in sent  # a background colour


def test_paint_tells_ranges_of_bits_apart() -> None:
    shades = [generate_command._paint(bits) for bits in (0, 0.7, 1.5, 3, 5, 9, math.inf)]
    assert len(set(shades)) == 6
    assert shades[-1] == shades[-2]


@given(text=st.text())
def test_visible_text_cannot_steer_a_terminal(text: str) -> None:
    shown = visible(text)
    assert not any(ord(c) < 32 and c not in "\n\t" for c in shown)
    assert not any(127 <= ord(c) < 160 for c in shown)
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\ufeff") & set(
        shown
    )


def test_visible_text_is_the_text() -> None:
    assert visible("a\tb\n€ \u200d[bold]{x}") == "a\tb\n€ \u200d[bold]{x}"
    assert visible("\x1b]0;\x07\x9b\u202e\r") == r"\x1b]0;\x07\x9b\u202e\r"


def test_stop_and_sliding(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    loaded = Loaded(Remembering(256, context_length=4), BYTES)
    monkeypatch.setattr(lexigram, "load", lambda path: loaded, raising=False)
    arguments = ["generate", "--model", "m", "--prompt", "abc", "--max-new-tokens", "9", "--json"]
    command(*arguments)
    assert len(json.loads(capfd.readouterr().out)["ids"]) == 2
    command(*arguments, "--sliding")
    whole = json.loads(capfd.readouterr().out)
    assert len(whole["ids"]) == 9
    letter = next(c for c in whole["text"] if c.isascii())
    command(*arguments, "--sliding", "--stop", letter, "--stop", "never")
    cut = json.loads(capfd.readouterr().out)
    assert cut["text"] == whole["text"][: whole["text"].index(letter)]
    assert cut["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--strategy", "beam=4"], ConfigError, "supported are"),
        (["--trace", "nowhere/trace.json"], MissingFileError, "no folder nowhere"),
        (["--seed", "-1"], InvalidInputError, "seed=-1"),
        (["--max-new-tokens", "-1"], InvalidInputError, "max_new_tokens=-1"),
        (["--prompt", "z"], TokenIdError, "122"),
    ],
)
def test_bad_arguments(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], error: Any, message: str
) -> None:
    loaded = Loaded(Bigram.random(100), BYTES)
    monkeypatch.setattr(lexigram, "load", lambda path: loaded, raising=False)
    with pytest.raises(error, match=message):
        command("generate", "--model", "m", *arguments)


def test_a_trace_that_cannot_be_written_leaves_nothing(lm: Bigram, tmp_path: Path) -> None:
    (tmp_path / "trace.json").mkdir()
    with pytest.raises(lexigram.errors.FileError, match=r"cannot write .*trace\.json"):
        command("generate", "--model", "m", "--trace", str(tmp_path / "trace.json"))
    assert not [p for p in tmp_path.iterdir() if p.is_file()]


def test_model_without_tokenizer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loaded = Loaded(Bigram.random(4), None)
    monkeypatch.setattr(lexigram, "load", lambda path: loaded, raising=False)
    (tmp_path / "a.txt").write_text("a")
    for arguments in (["generate"], ["evaluate", "--text", str(tmp_path / "a.txt")]):
        with pytest.raises(InvalidInputError, match="words carries no tokenizer"):
            command(*arguments, "--model", "words")


def test_evaluate(lm: Bigram, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    texts = ["a\r\nb", "€uro\n"]
    paths = [tmp_path / "1.txt", tmp_path / "2.txt"]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(text.encode())
    arguments = ["evaluate", "--model", "m", "--text", *map(str, paths)]
    expected = bits_per_byte(lm, BYTES, texts)
    assert command(*arguments, "--json") == 0
    result = json.loads(capfd.readouterr().out)
    assert result["bits_per_byte"] == expected
    assert (result["tokens"], result["bytes"], result["model"]) == (11, 11, "m")
    assert command(*arguments) == 0
    assert f"bits per byte    {expected:.4f}\n" in capfd.readouterr().out


def test_impossible_text_is_null_in_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = np.zeros((257, 256))
    table[:, ord("b")] = -math.inf
    loaded = Loaded(Bigram(table), BYTES)
    monkeypatch.setattr(lexigram, "load", lambda path: loaded, raising=False)
    (tmp_path / "b.txt").write_text("ab")
    command("evaluate", "--model", "m", "--text", str(tmp_path / "b.txt"), "--json")
    result = json.loads(capfd.readouterr().out, parse_constant=pytest.fail)
    assert result["bits_per_byte"] is None


def test_evaluate_bad_files(lm: Bigram, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    for name, error, message in (
        ("none", MissingFileError, "no text file .*none"),
        ("latin", EncodingError, "latin is not UTF-8 at byte 3"),
        ("empty", InvalidInputError, "no text to score"),
        (".", lexigram.errors.FileError, "cannot read"),
    ):
        with pytest.raises(error, match=message):
            command("evaluate", "--model", "m", "--text", str(tmp_path / name))


@pytest.mark.parametrize("name", ["generate", "evaluate"])
def test_help_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command(name, "--help")
    assert end.value.code == 0
    assert f"lexigram {name} --model" in capsys.readouterr().out
