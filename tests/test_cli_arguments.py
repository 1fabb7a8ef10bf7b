"""Arguments whose bytes are not UTF-8: one error, never another text in their place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lexigram import NgramModel, SuffixIndex, Tokenizer
from lexigram.cli import main
from lexigram.cli.arguments import argument_bytes, argument_text
from lexigram.errors import EncodingError

TEXT = "the cat sat on the mat, the dog sat on the log \ufffd\n" * 20
WRONG = os.fsdecode(b"na\xc3\xafve \xff cat")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a text, a tokenizer, an index and models."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    tokenizer = Tokenizer.train([TEXT], 270, special_tokens=["<|endoftext|>"])
    tokenizer.save("tokenizer.json")
    ids = tokenizer.encode_ordinary(TEXT)
    SuffixIndex.build(ids, "index", vocab_size=270, tokenizer=tokenizer)
    NgramModel.train(ids, order=2, vocab_size=270, tokenizer=tokenizer).save("m.ngram")
    NgramModel.train_words("text.txt", order=2).save("words.ngram")
    return tmp_path


COMMANDS = [
    ("index count index --text", "--text is not UTF-8"),
    ("index find index --text", "--text is not UTF-8"),
    ("generate --model m.ngram --max-new-tokens 1 --prompt", "--prompt is not UTF-8"),
    ("generate --model m.ngram --max-new-tokens 1 --stop", "--stop is not UTF-8"),
    ("ngram query m.ngram", "the text is not UTF-8"),
    ("ngram query m.ngram --prompt", "the text is not UTF-8"),
    ("ngram generate m.ngram --prompt", "the text is not UTF-8"),
    ("ngram generate m.ngram --stop", "--stop is not UTF-8"),
    ("ngram generate words.ngram --stop", "--stop is not UTF-8"),
    ("tokenizer encode tokenizer.json --text", "the input is not UTF-8"),
    ("tokenizer view tokenizer.json --text", "the input is not UTF-8"),
    ("tokenizer train text.txt --vocab-size 270 --out t.json --special", "--special is not UTF-8"),
    ("tokenizer train text.txt --vocab-size 270 --out t.json --pattern", "--pattern is not UTF-8"),
]


@pytest.mark.parametrize(("command", "says"), COMMANDS)
def test_one_error_says_where(
    here: Path, command: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), WRONG])
    found = capsys.readouterr()
    assert (ended.value.code, found.out) == (1, "")
    assert found.err.startswith(f"lexigram: {says} at byte 7")
    assert "convert it" in found.err
    assert found.err.count("\n") == 1


def test_a_process_is_given_bytes(here: Path) -> None:
    command = [sys.executable, "-m", "lexigram", "index", "count", "index", "--text"]
    given = [*map(os.fsencode, command), b"the \xff cat"]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "lexigram: --text is not UTF-8 at byte 4; convert it first\n"


def test_encode_does_with_an_argument_what_it_does_with_a_file(
    here: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (here / "wrong.txt").write_bytes(os.fsencode(WRONG))
    for errors in ("replace", "skip"):
        printed = []
        for given in (["--text", WRONG], ["--file", "wrong.txt"]):
            command = ["tokenizer", "encode", "tokenizer.json", "--errors", errors]
            with pytest.raises(SystemExit) as ended:
                main([*command, *given])
            assert ended.value.code == 0
            printed.append(capfdbinary.readouterr().out)
        assert printed[0] == printed[1] != b"\n"


def test_words_are_bytes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "bytes.txt").write_bytes(b"the \xff cat\nthe \xfe dog\n" * 3)
    NgramModel.train_words("bytes.txt", order=2).save("bytes.ngram")
    with pytest.raises(SystemExit) as ended:
        main(["ngram", "query", "bytes.ngram", os.fsdecode(b"the \xff cat"), "--json"])
    assert ended.value.code == 0
    assert '"oov": 0' in capsys.readouterr().out


def test_what_is_utf_8_stays() -> None:
    for text in ("", "naïve 👍🏽", "\ufffd", "\0"):
        assert argument_text("--text", text) == text
        assert argument_bytes("--text", text) == text.encode()
    assert argument_bytes("--text", WRONG) == b"na\xc3\xafve \xff cat"
    for call in (argument_text, argument_bytes):
        with pytest.raises(EncodingError, match="--text is not UTF-8 at byte 1"):
            call("--text", "a\ud800")
