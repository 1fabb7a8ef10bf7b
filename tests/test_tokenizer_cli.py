"""`lexigram tokenizer …`, and what it prints with: descriptions, measurements, views."""

from __future__ import annotations

import html.parser
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexigram import Tokenizer
from lexigram.tokenizer.report import Meter, describe, measure, script_of
from lexigram.tokenizer.view import html_page, tokens_of
from test_cli import fails, run
from tokenizer_twins import CORPUS, EOT, TEXT

HOSTILE = "<script>alert(1)</script>\"'&<!--\x1b[31m\u202e\u2066\r\n\x00\ud83d"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([CORPUS], 600, special_tokens=[EOT])


@pytest.fixture
def path(tokenizer: Tokenizer, tmp_path: Path) -> str:
    tokenizer.save(tmp_path / "tokenizer.json")
    return str(tmp_path / "tokenizer.json")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "corpus.txt"
    file.write_bytes(CORPUS.encode())
    return file


def piped(path: str, *argv: str, stdin: bytes = b"") -> bytes:
    """Standard output of a real process, in bytes."""
    command = [sys.executable, "-m", "lexigram", "tokenizer", argv[0], path, *argv[1:]]
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout


def test_encode_and_decode(
    capsys: pytest.CaptureFixture[str], tokenizer: Tokenizer, path: str, corpus: Path
) -> None:
    text = f"naïve 👍🏽{EOT}"
    ids = tokenizer.encode_ordinary(text)
    assert run(capsys, "tokenizer", "encode", path, "--text", text)[1] == (
        " ".join(map(str, ids)) + "\n"
    )
    as_json = run(capsys, "tokenizer", "encode", path, "--text", text, "--json")[1]
    assert json.loads(as_json) == ids
    special = run(capsys, "tokenizer", "encode", path, "--text", text, "--allow-special")[1]
    assert [*map(int, special.split())] == tokenizer.encode(text, allowed_special="all")
    assert run(capsys, "tokenizer", "decode", path, *map(str, ids))[1] == text
    assert run(capsys, "tokenizer", "encode", path, "--text", "")[1] == "\n"
    from_file = run(capsys, "tokenizer", "encode", path, "--file", str(corpus))[1]
    assert [*map(int, from_file.split())] == tokenizer.encode_ordinary(CORPUS)


@pytest.mark.parametrize("form", ["text", "json", "bin", "npy"])
def test_pipes_there_and_back(
    tokenizer: Tokenizer, path: str, corpus: Path, tmp_path: Path, form: str
) -> None:
    ids = tokenizer.encode_ordinary(CORPUS)
    out = tmp_path / "ids"
    if form == "npy":
        piped(path, "encode", "--format", form, "--out", str(out), stdin=CORPUS.encode())
        encoded = out.read_bytes()
        array = np.load(out)
        assert array.dtype == np.uint16
        assert array.tolist() == ids
    else:
        encoded = piped(path, "encode", "--format", form, stdin=CORPUS.encode())
        piped(path, "encode", "--format", form, "--file", str(corpus), "--out", str(out))
        assert out.read_bytes() == encoded
    if form == "bin":
        assert np.frombuffer(encoded, "<u2").tolist() == ids
        wide = piped(path, "encode", "--format", form, "--dtype", "uint32", stdin=b"a text")
        assert np.frombuffer(wide, "<u4").tolist() == tokenizer.encode("a text")
    assert piped(path, "decode", "--format", form, stdin=encoded) == CORPUS.encode()
    assert piped(path, "decode", "--format", form, "--file", str(out)) == CORPUS.encode()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus.txt", "ids", "tokenizer.json"]


def test_a_long_pipe_is_not_held_in_memory(path: str) -> None:
    script = (
        "import resource, sys\n"
        "from lexigram.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )

    def peak(megabytes: int) -> int:
        command = [sys.executable, "-c", script, "tokenizer", "encode", path, "--format", "bin"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            for _ in range(megabytes):
                process.stdin.write(b"line after line of a long text\n" * 33_826)
            process.stdin.close()
            kilobytes = int(process.stderr.read())
        assert process.returncode == 0
        return kilobytes // (1024 if sys.platform == "darwin" else 1)

    assert peak(100) - peak(4) < 12_000


def test_bad_input(
    capsys: pytest.CaptureFixture[str],
    path: str,
    tmp_path: Path,
) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"good \xff bad")
    table = {
        ("encode", path, "--file", str(bad)): "bad is not UTF-8 at byte 5",
        ("encode", path, "--file", str(tmp_path / "none")): "no file",
        ("encode", path, "--file", str(tmp_path)): "cannot read",
        ("encode", path, "--text", "a", "--file", str(bad)): "choose one",
        ("encode", path, "--text", "a", "--format", "npy"): "--out",
        ("encode", path, "--text", "a", "--format", "bin", "--json"): "choose one",
        ("encode", path, "--text", "a", "--out", str(tmp_path / "no" / "x")): "cannot create",
        ("encode", str(tmp_path / "none.json"), "--text", "a"): "none.json",
        ("encode", str(tmp_path / "x.tiktoken"), "--text", "a"): "--pattern",
        ("decode", path, "100000"): "100000",
        ("decode", path, "1", "--file", str(bad)): "choose one",
        ("decode", path, "--file", str(bad)): "must hold ids",
        ("decode", path, "--file", str(bad), "--format", "npy"): "not a .npy",
        ("decode", path, "--file", str(tmp_path / "none")): "no file",
        ("view", path, "--file", str(bad)): "bad is not UTF-8 at byte 5",
        ("view", path, "--text", "a", "--html", str(tmp_path / "no" / "x")): "cannot create",
        ("inspect", path, "--text", str(bad)): "bad is not UTF-8 at byte 5",
        ("inspect", path, "--top", "-1"): "--top -1",
        ("compare", path, "--text", str(tmp_path / "none")): "none",
        ("convert", path, str(tmp_path / "x.bin")): "must end in",
    }
    for argv, message in table.items():
        assert message in fails(capsys, "tokenizer", *argv), argv
    letter = Tokenizer.load(path).encode_single_token("a")
    bad.write_bytes(letter.to_bytes(2, "little") + b"b")
    _, printed, complaint = run(
        capsys, "tokenizer", "decode", path, "--file", str(bad), "--format", "bin"
    )
    assert printed == "a"
    assert "bad ends within a number of 2 bytes" in complaint
    wide = tmp_path / "wide.npy"
    np.save(wide, np.zeros((2, 2)))
    assert "shape (2, 2)" in fails(
        capsys, "tokenizer", "decode", path, "--file", str(wide), "--format", "npy"
    )
    empty = tmp_path / "empty.txt"
    empty.touch()
    assert "no text to measure" in fails(capsys, "tokenizer", "compare", path, "--text", str(empty))
    # What began to be written is gone.
    out = tmp_path / "out.bin"
    bad.write_bytes(b"good text\n" * 300_000 + b"\xff")
    fails(capsys, "tokenizer", "encode", path, "--file", str(bad), "--out", str(out))
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("out")] == []
    skipped = run(capsys, "tokenizer", "encode", path, "--file", str(bad), "--errors", "skip")
    assert skipped[0] == 0


def test_inspect(capsys: pytest.CaptureFixture[str], tokenizer: Tokenizer, path: str) -> None:
    status, printed, _ = run(capsys, "tokenizer", "inspect", path, "--top", "2")
    assert status == 0
    for part in ("tokens", "600", "cl100k", EOT, "script", "Latin", "first merges", "last merges"):
        assert part in printed
    facts = json.loads(run(capsys, "tokenizer", "inspect", path, "--json")[1])
    assert facts["num_tokens"] == 600
    assert facts["num_merges"] == len(tokenizer.merges) == 343
    assert sum(facts["scripts"].values()) == sum(facts["lengths"].values()) == 599
    left, right, token = tokenizer.merges[0]
    parts = [p.decode() for p in tokenizer.decode_tokens_bytes([left, right])]
    assert facts["first_merges"][0] == [*parts, token]
    assert facts["last_merges"][-1][2] == tokenizer.merges[-1][2]
    longest = max(map(len, tokenizer.token_byte_values()))
    assert len(facts["longest"][0][1].encode()) == longest == max(map(int, facts["lengths"]))
    assert describe(tokenizer, top=0).last_merges == []


def test_languages(
    capsys: pytest.CaptureFixture[str], tokenizer: Tokenizer, path: str, tmp_path: Path
) -> None:
    texts = {"english": "to be, or not to be", "ελληνικά": "Ελληνικά και πάλι Ελληνικά"}
    rows = [{"lang": name, "text": text} for name, text in texts.items() for _ in range(3)]
    lines = tmp_path / "rows.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    facts = json.loads(run(capsys, "tokenizer", "inspect", path, "--text", str(lines), "--json")[1])
    assert list(facts["languages"]) == list(texts)
    for name, text in texts.items():
        numbers = facts["languages"][name]
        assert numbers["num_tokens"] == 3 * len(tokenizer.encode(text))
        assert numbers["num_bytes"] == 3 * len(text.encode())
    printed = run(capsys, "tokenizer", "inspect", path, "--text", str(lines))[1]
    assert printed.index("english") < printed.index("ελληνικά"), "the best compressed first"
    english = tmp_path / "english.txt"
    english.write_text(texts["english"])
    argv = ("tokenizer", "compare", path, path, "--text", str(english))
    both = json.loads(run(capsys, *argv, "--json")[1])
    assert [(row["tokenizer"], row["language"]) for row in both] == [(path, "english")] * 2
    fertility = len(tokenizer.encode(texts["english"])) / 6
    assert both[0]["tokens_per_word"] == pytest.approx(fertility, abs=1e-4)
    assert "english" in run(capsys, *argv)[1]
    lines.write_text('{"lang": "x"}\n')
    assert "rows.jsonl:1 has no text" in fails(capsys, *argv[:4], "--text", str(lines))
    lines.write_text("{\n")
    assert "rows.jsonl:1 is not JSON" in fails(capsys, *argv[:4], "--text", str(lines))


@given(texts=st.lists(TEXT, max_size=5))
def test_measuring_against_a_count_by_hand(tokenizer: Tokenizer, texts: list[str]) -> None:
    meter = Meter(tokenizer)
    for text in texts:
        meter.add([text])
    result = meter.result()
    assert result == measure(tokenizer, texts)
    words = whole = 0
    for text in texts:
        spans = [m.span() for m in re.finditer(rb"[^ \t\n\r\v\f]+", text.encode())]
        ends, at = set(), 0
        for token in tokenizer.decode_tokens_bytes(tokenizer.encode_ordinary(text)):
            at += len(token)
            ends.add(at)
        words += len(spans)
        whole += sum(not any(start < end < stop for end in ends) for start, stop in spans)
    assert (result.num_words, result.whole_words) == (words, whole)
    ids = [i for text in texts for i in tokenizer.encode_ordinary(text)]
    assert (result.num_tokens, result.tokens_used) == (len(ids), len(set(ids)))
    assert result.num_characters == sum(map(len, texts))
    assert result.num_bytes == sum(len(text.encode()) for text in texts)


def test_scripts() -> None:
    cases = {
        " the": "Latin",
        "µ": "Other",
        "ª": "Other",
        "ﬁ": "Latin",
        "и": "Cyrillic",
        "中": "Han",
        "한": "Hangul",
        "ー": "Katakana",
        "ｱ": "Katakana",
        "aи": "Mixed",
        " 12": "Numbers",
        " \n": "White space",
        "!?": "Symbols",
    }
    assert {text: script_of(text.encode()) for text in cases} == cases
    assert script_of(b"\xe4\xb8") == "Part of a character"


class Page(html.parser.HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.main = ""
        self._inside = False
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside |= tag == "main"

    def handle_endtag(self, tag: str) -> None:
        self._inside &= tag != "main"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.main += data


@given(text=TEXT | st.text())
def test_a_page_shows_every_token_and_nothing_acts(tokenizer: Tokenizer, text: str) -> None:
    text += HOSTILE
    ids = tokenizer.encode(text, allowed_special="all")
    tokens = tokens_of(tokenizer, ids)
    content = html_page(tokens, title=text)
    page = Page(content)
    spans = [attributes for tag, attributes in page.tags if tag == "span"]
    assert [int((a["title"] or "").split()[1]) for a in spans] == ids
    assert page.main == "".join(token.shown for token in tokens)
    allowed = {"html", "head", "meta", "title", "style", "body", "h1", "p", "main", "span"}
    assert {tag for tag, _ in page.tags} <= allowed
    assert not any(
        name in {"src", "href"} or name.startswith("on") for _, a in page.tags for name in a
    )
    assert "url(" not in content
    assert "@import" not in content
    for steering in "\x1b\x00\u202e\u2066\r":
        assert steering not in content


def test_tokens_as_they_are_shown(tokenizer: Tokenizer) -> None:
    def shown(content: bytes) -> str:
        return "".join(
            t.shown for t in tokens_of(tokenizer, tokenizer.encode_single_piece(content))
        )

    assert shown(b"a\t\n") == "a⇥\t⏎\n"
    assert shown(b"a\xe4\xb8") == "a\\xe4\\xb8"
    assert shown(b"\x1b[0m\x7f") == "\\x1b[0m\\x7f"
    assert shown("\u202e".encode()) == "\\xe2\\x80\\xae"
    whole = Tokenizer.train(["\u200d" * 50 + "a\u200db" * 50 + "\u202e" * 50], 266, pattern=None)
    pieces = [t.shown for t in tokens_of(whole, whole.encode("\u200d\u200da\u200db\u202e"))]
    assert "\u202e" not in "".join(pieces)
    assert "\\u202e" in "".join(pieces)
    special = tokens_of(tokenizer, tokenizer.encode(f"a{EOT}", allowed_special="all"))
    assert [token.special for token in special] == [False, True]


def test_view(
    capsys: pytest.CaptureFixture[str], tokenizer: Tokenizer, path: str, tmp_path: Path
) -> None:
    text = HOSTILE[:-1] + "naïve"
    argv = ("tokenizer", "view", path, "--text", text)
    status, printed, _ = run(capsys, *argv)
    assert status == 0
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    ids = tokenizer.encode_ordinary(text)
    assert printed.splitlines()[-1].startswith(f"{len(ids)} tokens, {len(text.encode())} bytes")
    rows = json.loads(run(capsys, *argv, "--json")[1])
    assert [row["id"] for row in rows] == ids
    assert b"".join(bytes.fromhex(row["bytes"]) for row in rows) == text.encode()
    page = tmp_path / "page.html"
    assert "page.html" in run(capsys, *argv, "--html", str(page))[1]
    assert len([tag for tag, _ in Page(page.read_text()).tags if tag == "span"]) == len(ids)
    colored = subprocess.run(
        [sys.executable, "-m", "lexigram", "tokenizer", "view", path, "--text", "a\x1b[2Jb"],
        env={**os.environ, "FORCE_COLOR": "1", "COLORTERM": "truecolor"},
        capture_output=True,
        check=True,
    ).stdout
    assert b"\x1b[38;2" in colored
    assert b"\x1b[2J" not in colored


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_contrast_of_the_colours() -> None:
    """WCAG 2.2, 1.4.6: 7 : 1, in both schemes and on the terminal."""
    from lexigram.cli.tokenizer.view import _STYLES

    pairs = [tuple(style.split(" on ")) for style in _STYLES]
    page = html_page([], title="")
    for scheme in re.findall(r":root \{(.*?)\}", page, flags=re.DOTALL):
        colors = dict(re.findall(r"--(\w+): (#\w{6})", scheme))
        pairs += [
            (colors["ink"], colors[name]) for name in ("page", "c0", "c1", "c2", "c3", "special")
        ]
        pairs += [(colors["quiet"], colors["page"])]
    assert len(pairs) == 4 + 14
    for one, other in pairs:
        low, high = sorted((luminance(one), luminance(other)))
        assert (high + 0.05) / (low + 0.05) >= 7, (one, other)
