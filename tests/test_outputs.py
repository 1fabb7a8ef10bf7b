"""Where files cannot be written: told before the work, with the path that the user named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lexigram import NgramCounts, NgramModel, SuffixIndex, Tokenizer
from lexigram.cli import main
from lexigram.errors import FileError, MissingFileError
from lexigram.outputs import file_to_write, folder_to_write

TEXT = "the cat sat on the mat, the dog sat on the log\n" * 20


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a text, a folder, a tokenizer, counts and a model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "folder").mkdir()
    tokenizer = Tokenizer.train([TEXT], 270, special_tokens=["<|endoftext|>"])
    tokenizer.save(tmp_path / "tokenizer.json")
    ids = tokenizer.encode_ordinary(TEXT)
    NgramCounts.count(ids, order=2, vocab_size=270).save("n.counts")
    NgramModel.train(ids, order=2, vocab_size=270, tokenizer=tokenizer).save("m.ngram")
    return tmp_path


FILES = [
    "ngram train text.txt --tokenizer tokenizer.json --order 2 --out {}",
    "ngram train text.txt --words --order 2 --out words.ngram --arpa {}",
    "ngram count text.txt --tokenizer tokenizer.json --order 2 --out {}",
    "ngram merge n.counts --out {}",
    "ngram merge n.counts --counts {}",
    "ngram convert m.ngram {}",
    "ngram convert m.ngram {}.arpa",
    "ngram prune m.ngram --threshold 1e-7 --out {}",
    "tokenizer train text.txt --vocab-size 270 --out {}",
    "tokenizer convert tokenizer.json {}.json",
    "tokenizer encode tokenizer.json --file text.txt --out {}",
    "tokenizer view tokenizer.json --file text.txt --html {}",
    "generate --model m.ngram --max-new-tokens 1 --trace {}",
]
FOLDERS = [
    "index build text.txt --tokenizer tokenizer.json --out {}",
    "ngram curve text.txt --tokenizer tokenizer.json --out {}",
]


def refused(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command ends with."""
    before = set(Path().rglob("*"))
    with pytest.raises(SystemExit) as ended:
        main(command.split())
    assert ended.value.code == 1
    assert set(Path().rglob("*")) == before, "something was written"
    message = capsys.readouterr().err
    assert message.startswith("lexigram: ")
    assert message.count("\n") == 1
    assert not any(part in message for part in (".tmp", ".part", str(Path().resolve())))
    return message


@pytest.mark.parametrize("command", FILES)
def test_a_command_names_the_path_and_the_remedy(
    here: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = command.format("nowhere/x").split()[-1]
    message = refused(command.format("nowhere/x"), capsys)
    assert f"cannot create {path}: there is no folder nowhere; make it first" in message
    message = refused(command.format("text.txt/x"), capsys)
    assert "cannot create text.txt/x" in message
    assert "text.txt is no folder; name another place" in message
    if command.endswith(" {}"):
        assert "cannot write folder: it is a folder; name a file" in refused(
            command.format("folder"), capsys
        )


@pytest.mark.parametrize("command", FOLDERS)
def test_a_command_makes_folders_but_not_below_a_file(
    here: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(command.format("text.txt/x/y"), capsys)
    assert "cannot create text.txt/x/y: text.txt is no folder; name another place" in message


@pytest.mark.parametrize(
    "save",
    [
        lambda path: NgramModel.load("m.ngram").save(path),
        lambda path: NgramModel.load("m.ngram").to_arpa(path),
        lambda path: NgramCounts.load("n.counts").save(path),
        lambda path: Tokenizer.load("tokenizer.json").save(path),
        lambda path: Tokenizer.load("tokenizer.json").to_tiktoken(path),
    ],
)
def test_so_do_the_methods(here: Path, save: Callable[[str], None]) -> None:
    with pytest.raises(MissingFileError, match=r"create no/where/x: there is no folder no/where;"):
        save("no/where/x")
    with pytest.raises(FileError, match=r"create text\.txt/x: text\.txt is no folder"):
        save("text.txt/x")
    save("folder/x")
    assert (here / "folder" / "x").stat().st_size > 0


def test_an_index_is_not_built_below_a_file(here: Path) -> None:
    with pytest.raises(FileError, match=r"create text\.txt/x: text\.txt is no folder"):
        SuffixIndex.build([1, 2, 3], "text.txt/x")
    SuffixIndex.build([1, 2, 3], "made/with/parents")


def test_places(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert file_to_write("new") == Path("new")
    assert file_to_write(here / "text.txt") == here / "text.txt"  # replaced
    assert folder_to_write("a/b/c") == Path("a/b/c")
    assert folder_to_write("folder") == Path("folder")
    for ask in (file_to_write, folder_to_write):
        with pytest.raises(FileError, match="name another place"):
            ask("x" * 5000 + "/y")
    with pytest.raises(FileError, match=r"cannot write \.: it is a folder"):
        file_to_write("")
    (here / "dangling").symlink_to("nothing")
    with pytest.raises(MissingFileError, match="no folder dangling"):
        file_to_write("dangling/x")
    # The user who runs the tests may be allowed everything.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(FileError, match=r"cannot write folder/x: .* permission .* in folder"):
        file_to_write("folder/x")
    with pytest.raises(FileError, match=r"cannot write a/b: .* permission .* in \.; change it"):
        folder_to_write("a/b")
