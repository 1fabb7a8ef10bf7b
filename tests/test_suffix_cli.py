"""`lexigram index`: from text to what stands in it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from lexigram import SuffixIndex, Tokenizer
from lexigram.cli import main

TEXTS = ["the cat sat on the mat", "the cat ate the rat on the mat", "a dog"]


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, argv)])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A tokenizer whose tokens are bytes, text, and its index."""
    (tmp_path / "texts").mkdir()
    for i, text in enumerate(TEXTS):
        (tmp_path / "texts" / f"{i}.txt").write_text(text)
    tokenizer = Tokenizer.train(["x"], 257, pattern=None, special_tokens=["<|endoftext|>"])
    tokenizer.save(tmp_path / "tokenizer.json")
    status, printed, _ = run(
        capsys, "index", "build", tmp_path / "texts", "--tokenizer", tmp_path / "tokenizer.json",
        "--out", tmp_path / "index", "--memory-limit", "100M", "--json",
    )  # fmt: skip
    assert status == 0
    built = json.loads(printed)
    assert (built["documents"], built["tokens"]) == (3, sum(map(len, TEXTS)) + 3)
    return tmp_path


def test_count_and_find(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = folder / "index"
    assert run(capsys, "index", "count", index, "--text", "the cat")[:2] == (0, "2\n")
    status, printed, _ = run(capsys, "index", "find", index, "--text", "the mat", "--json")
    found = json.loads(printed)
    assert (status, found["count"]) == (0, 2)
    for place in found["places"]:
        text = TEXTS[place["document"]]
        at = place["position"]
        assert text[at:].startswith("the mat")
        assert place["before"] == text[max(0, at - 12) : at]
        assert place["after"] == ""
    status, printed, noted = run(capsys, "index", "find", index, "--text", "cat", "--limit", 1)
    assert status == 0
    assert "the ⟦cat⟧" in printed
    assert "1 of 2 places" in noted
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    ids = ",".join(map(str, tokenizer.encode("cat")))
    assert json.loads(run(capsys, "index", "count", index, "--ids", ids, "--json")[1])["count"] == 2


def test_trace(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "I saw the cat ate a mouse"
    (folder / "generated.txt").write_text(text)
    argv = ("index", "trace", folder / "index", "--min-length", 6)
    status, printed, noted = run(capsys, *argv, "--file", folder / "generated.txt")
    assert status == 0
    assert "⟦the cat ate ⟧a mouse" in printed.splitlines()[0]
    assert "tokens stand in runs of 6 or more" in noted
    stdin = io.TextIOWrapper(io.BytesIO(text.encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    status, printed, _ = run(capsys, *argv, "--json")
    result = json.loads(printed)
    assert status == 0
    longest = max(result["spans"], key=lambda span: span["end"] - span["start"])
    assert longest["text"] == "the cat ate "
    assert longest["documents"] == [1]


def test_errors_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = SuffixIndex.build([1, 2, 3], folder / "bare", vocab_size=257)
    for argv, words in (
        (("count", folder, "--text", "x"), "suffix index"),
        (("count", bare.directory, "--text", "x"), "give the run as --ids"),
        (("trace", bare.directory), "carries no tokenizer"),
        (("trace", folder / "index", "--file", folder / "none"), "cannot read"),
        (("find", folder / "index", "--text", "x", "--limit", -1), "--limit -1"),
        (("count", folder / "index", "--ids", "1,999"), "token id 999"),
        (("build", folder / "texts", "--out", folder / "new"), "--tokenizer FILE"),
        (("build", folder / "texts", "--tokenizer", folder / "tokenizer.json", "--out",
          folder / "index"), "already holds files"),
    ):  # fmt: skip
        status, printed, complaint = run(capsys, "index", *argv)
        assert (status, printed) == (1, ""), argv
        assert words in complaint, complaint
        assert complaint.count("\n") == 1
