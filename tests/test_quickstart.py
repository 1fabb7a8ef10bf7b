"""The quickstart, small: the table is what the models say, and the run can be used."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import lexigram
from lexigram.cli import main
from lexigram.errors import InvalidInputError
from lexigram.evaluate import score_dataset

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, stdlib_text: str) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "my text.txt"
    path.write_text(stdlib_text[:150_000], encoding="utf-8")
    return path


class Quiet:
    """An observer that says nothing."""

    @contextmanager
    def stage(self, description: str, unit: str) -> Iterator[object]:
        yield lambda done, total: None

    def note(self, text: str) -> None: ...

    @contextmanager
    def training(self) -> Iterator[object]:
        yield lambda step: None


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_one_command_makes_a_run_that_can_be_used(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    argv = ("quickstart", "--corpus", str(corpus), "--minutes", "0.03", "--out", str(out), "--json")
    status, printed, _ = run(capsys, *argv)
    assert status == 0
    result = json.loads(printed)
    rows = {row["model"]: row for row in result["rows"]}
    assert list(rows) == [
        "uniform",
        "unigram",
        "5-gram Kneser-Ney",
        "5-gram + ∞-gram",
        "transformer",
    ]

    # The table says what the saved models say.
    held_out = lexigram.data.TokenDataset(out / "data" / "validation")
    for label, path in (
        ("unigram", out / "unigram.ngram"),
        ("5-gram Kneser-Ney", out / "5-gram-kneser-ney.ngram"),
        ("transformer", out),
    ):
        score = score_dataset(lexigram.load(path).lm, held_out)
        assert score.bits_per_byte == pytest.approx(rows[label]["bits_per_byte"], rel=1e-6)
    tokens, size = result["held_out"]["tokens"], result["held_out"]["bytes"]
    vocab_size = lexigram.load(out).tokenizer.n_vocab
    uniform = math.log2(vocab_size) * tokens / size
    assert rows["uniform"]["bits_per_byte"] == pytest.approx(uniform)
    assert rows["5-gram Kneser-Ney"]["bits_per_byte"] < rows["unigram"]["bits_per_byte"] < uniform
    assert json.loads((out / "table.json").read_text()) == {
        key: value for key, value in result.items() if key != "run"
    }

    status, printed, _ = run(capsys, "generate", "--model", str(out), "--prompt", "def ")
    assert status == 0
    assert printed


def test_no_held_out_text_is_trained_on(corpus: Path, tmp_path: Path) -> None:
    from lexigram.quickstart import quickstart

    result = quickstart(str(corpus), minutes=0.01, out=tmp_path / "run", observer=Quiet())
    tokenizer = lexigram.load(result.run).tokenizer
    sides = [
        {tokenizer.decode(d.tolist()) for d in lexigram.data.TokenDataset(folder).documents()}
        for folder in (result.run / "data" / "train", result.run / "data" / "validation")
    ]
    assert not sides[0] & sides[1]
    text = corpus.read_text(encoding="utf-8")
    assert sum(map(len, sides[0] | sides[1])) == pytest.approx(len(text), rel=0.01)


def test_bad_input_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = tmp_path / "small.txt"
    small.write_text("a few words")
    for argv, message in (
        (("--corpus", str(small)), "11 bytes"),
        (("--corpus", "no-such-corpus"), "no-such-corpus"),
        (("--minutes", "0"), "minutes = 0"),
        (("--minutes", "nan"), "minutes = nan"),
        (("--minutes", "inf"), "minutes = inf"),
        (("--vocab-size", "100"), "vocab_size = 100"),
    ):
        out = tmp_path / "run"
        status, printed, complaint = run(capsys, "quickstart", *argv, "--out", str(out))
        assert (status, printed) == (1, "")
        assert message in complaint
        assert not out.exists()


def test_equal_documents_leave_nothing_to_measure(tmp_path: Path) -> None:
    from lexigram.quickstart import _split

    for copies in (1, 50):
        with pytest.raises(InvalidInputError, match="all documents of the corpus are equal"):
            _split(["the same"] * copies, seed=0)
    for texts in (["one"] * 9 + ["two"] * 9, ["two", "one", "two"]):
        train, held_out = _split(texts, seed=0)
        assert train
        assert held_out
        assert not set(train) & set(held_out)


def test_a_larger_corpus_is_cut_and_the_table_says_on_what_it_was_measured(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lexigram import quickstart as module

    text = corpus.read_text(encoding="utf-8")
    texts, more = module._first_bytes([module.Document(text, "")], 1000)
    assert (texts, more) == ([text[:1000]], True)
    assert module._first_bytes([module.Document("é" * 10, "")], 5) == (["éé"], True)
    assert module._first_bytes([module.Document("ab", "")], 2) == (["ab"], False)

    monkeypatch.setattr(module, "MAX_HELD_OUT_TOKENS", 300)
    result = module.quickstart(str(corpus), minutes=0.01, out=tmp_path / "run", observer=Quiet())
    assert result.held_out_tokens == 300
    ids = [
        i
        for d in lexigram.data.TokenDataset(result.run / "data" / "validation").documents()
        for i in d
    ]
    tokenizer = lexigram.load(result.run).tokenizer
    assert result.held_out_bytes == len(tokenizer.decode_bytes(ids[:300]))


def test_a_failure_leaves_no_folder(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lexigram import quickstart as module

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "run"
    with pytest.raises(InvalidInputError, match="vocab_size = 10"):
        module.quickstart(str(corpus), vocab_size=10, out=out, observer=Quiet())
    assert not out.exists()
    monkeypatch.setattr(module, "_train_transformer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        module.quickstart(str(corpus), out=out, observer=Quiet())
    assert not out.exists()
    out.mkdir()
    (out / "mine.txt").touch()
    with pytest.raises(InvalidInputError, match="already holds files"):
        module.quickstart(str(corpus), out=out, observer=Quiet())
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
