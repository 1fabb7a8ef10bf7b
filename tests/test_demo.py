"""The demo without a browser: its handlers, its models, its command line, its named API."""

from __future__ import annotations

import gc
import itertools
import json
import math
import re
import unicodedata
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="the extra `demo` is not installed")

import gradio as gr
from hypothesis import assume, given
from hypothesis import strategies as st

import app
import models
import read
import tokens
import views
from demo_model import HOSTILE, SEPARATOR, ByteTokenizer, model, shelf
from lexigram import decode
from lexigram.errors import InvalidInputError, LexigramError

pytestmark = [
    # Of gradio's own dependencies; nothing that this code can change.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left_to_later_tests() -> Iterator[None]:
    """Gradio leaves sockets and event loops to the garbage collector, which warns; whichever test
    ran then would fail for it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


ARGUMENTS = {"model": "plain", "prompt": "ab", "strategy": "sample", "seed": 3, "count": 20}


def shown(**changes: Any) -> list[dict[str, Any]]:
    return list(views.generate(shelf(), **{**ARGUMENTS, **changes}))


# Tokens made visible.


def bytes_of(pieces: list[list[str]]) -> bytes:
    """Reads pieces back."""
    out = b""
    for kind, text in pieces:
        if kind == "byte":
            out += bytes.fromhex(text.replace("<", "").replace(">", ""))
        elif kind == "hidden":
            out += "".join(chr(int(c, 16)) for c in re.findall(r"<U\+([0-9A-F]+)>", text)).encode()
        else:
            mark = {"space": " ", "newline": "\n", "tab": "\t"}.get(kind)
            out += (mark * len(text) if mark else text.removeprefix("◌")).encode()
    return out


@given(st.binary(max_size=40) | st.text(max_size=20).map(lambda s: s.encode("utf-8", "replace")))
def test_pieces_say_every_byte_and_hide_nothing(data: bytes) -> None:
    assume("◌".encode() not in data)
    pieces = tokens.of_bytes(data)
    assert bytes_of(pieces) == data
    for _, text in pieces:
        assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cn", "Co", "Cs"} for c in text)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"  x\n\t", [["space", "␣␣"], ["text", "x"], ["newline", "↵"], ["tab", "⇥"]]),
        ("é".encode()[:1], [["byte", "<C3>"]]),
        (b"a\xe2\x80", [["text", "a"], ["byte", "<E2><80>"]]),
        ("\u202e".encode(), [["hidden", "<U+202E>"]]),
        ("\u0301".encode(), [["text", "◌\u0301"]]),
        (b"", []),
    ],
)
def test_pieces_of_known_tokens(data: bytes, expected: list[list[str]]) -> None:
    assert tokens.of_bytes(data) == expected


def test_special_and_unknown_tokens_are_named() -> None:
    assert tokens.of_token(ByteTokenizer(), SEPARATOR) == [["special", "<|endoftext|>"]]

    class Small(ByteTokenizer):
        def decode_single_token_bytes(self, token: int) -> bytes:
            raise KeyError(token)

    assert tokens.of_token(Small(), 7) == [["hidden", "<id 7>"]]


# Views.


@pytest.mark.parametrize("strategy", read.PRESETS)
def test_a_view_says_what_the_trace_says(strategy: str) -> None:
    plain = model()
    trace = decode.generate(
        plain.lm, [97, 98], strategy=strategy, max_new_tokens=20, seed=3, tokenizer=plain.tokenizer
    ).trace
    last = shown(strategy=strategy)[-1]
    assert last["state"] == "done"
    assert [s["id"] for s in last["steps"]] == [s.id for s in trace.steps]
    for view, step in zip(last["steps"], trace.steps, strict=True):
        assert view["entropy"] == pytest.approx(step.entropy / math.log(2), abs=1e-4)
        assert view["surprisal"] == pytest.approx(step.surprisal / math.log(2), abs=1e-4)
        assert (view["rank"], view["kept"]) == (step.rank, step.kept)
        assert view["p_after"] == pytest.approx(math.exp(step.logprob_after), rel=1e-5)
        assert [a["id"] for a in view["alternatives"]] == [a.id for a in step.alternatives]
        assert view["alternatives"][0]["p"] == pytest.approx(
            math.exp(step.alternatives[0].logprob), rel=1e-5
        )


def test_views_grow_and_travel_as_json() -> None:
    seen = shown(model="slow")
    assert len(seen) > 3, "a slow model's tokens must come as they are made"
    for earlier, later in itertools.pairwise(seen):
        assert later["steps"][: len(earlier["steps"])] == earlier["steps"]
    assert [v["state"] for v in seen[-2:]] == ["running", "done"]
    json.dumps(seen, allow_nan=False)


@pytest.mark.parametrize(
    ("strategy", "cut"), [("greedy", 1), ("top_k=3", 3), ("sample", None), ("top_k=11", None)]
)
def test_the_cut_is_drawn_where_it_can_be(strategy: str, cut: int | None) -> None:
    assert {s["cut"] for s in shown(strategy=strategy)[-1]["steps"]} == {cut}


def test_no_cut_where_the_kept_tokens_are_not_the_first() -> None:
    kept_second = decode.TraceStep(
        id=1,
        logprob=math.log(0.4),
        logprob_after=0.0,
        entropy=0.5,
        rank=2,
        kept=1,
        kept_mass=0.4,
        alternatives=(
            decode.Alternative(0, None, math.log(0.6)),
            decode.Alternative(1, None, math.log(0.4)),
        ),
    )
    assert views._cut(kept_second) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": "x" * (views.MAX_PROMPT + 1)},
        {"prompt": None},
        {"strategy": "no_such=1"},
        {"strategy": "<img src=x onerror=alert(1)>\n${alert(1)}"},
        {"strategy": ""},
        {"strategy": "top_k=1," * 100},
        {"strategy": ["greedy"]},
        {"seed": -1},
        {"seed": 2**32},
        {"seed": 0.5},
        {"seed": None},
        {"seed": math.nan},
        {"seed": math.inf},
        {"count": 0},
        {"count": views.MAX_TOKENS + 1},
        {"count": "many"},
        {"model": "/etc/passwd"},
        {"model": None},
    ],
)
def test_wrong_input_is_one_line(wrong: dict[str, Any]) -> None:
    (view,) = shown(**wrong)
    assert view["state"] == "error"
    assert view["status"]
    assert "\n" not in view["status"]
    assert set(view) == {"state", "run", "status"}


def test_the_end_is_named() -> None:
    assert shown(count=1)[-1]["status"] == "1 token"
    assert views._ending("stop", 5, 9) == "5 tokens; the model ended the document"
    assert views._ending("length", 5, 9) == "5 tokens; the model's context is full"


# The shelf.


def test_the_shelf_opens_late_and_keeps_few() -> None:
    opened: list[str] = []

    def opener(name: str) -> Any:
        return lambda: opened.append(name) or model()  # type: ignore[func-returns-value]

    names = [f"m{i}" for i in range(models.MOST_OPEN + 1)]
    some = models.Shelf({name: opener(name) for name in names})
    assert some.names == names
    assert opened == []
    assert some.open("m0") is some.open("m0")
    for name in names[1:]:
        some.open(name)
    some.open(names[-1])
    assert opened == names
    some.open("m0")
    assert opened == [*names, "m0"], "the one used longest ago had to go"
    with pytest.raises(InvalidInputError, match="menu"):
        some.open("../m0")


def test_runs_and_their_ngram_models_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("trained", "counted", "empty", "without a tokenizer")
    trained, counted, empty, mute = (tmp_path / name for name in names)
    for run in (trained, counted, empty, mute):
        run.mkdir()
    (trained / "tokenizer.json").touch()
    for path in (trained / "5-gram.ngram", trained / "unigram.ngram", counted / "5-gram.ngram"):
        path.touch()
    monkeypatch.setattr(models.runs, "list_runs", lambda: [mute, trained, counted, empty])
    monkeypatch.setattr(models.runs, "checkpoints", lambda run: [run] * (run in (trained, mute)))
    found = models.shelf_of()
    assert found.names == ["trained", "trained · 5-gram", "trained · unigram", "counted · 5-gram"]
    assert found.note == ""
    assert models.shelf_of([counted / "5-gram.ngram"]).names == ["5-gram.ngram"]


def test_without_a_run_it_says_so_and_counts() -> None:
    bare = models.shelf_of()
    assert "No run was found" in bare.note
    *_, view = views.generate(bare, bare.names[0], "import ", "greedy", 0, 8)
    assert view["state"] == "done"
    assert len(view["steps"]) == 8
    assert all(0 < s["entropy"] < math.log2(models.VOCABULARY) for s in view["steps"])


# The page and its command line.


def test_text_never_meets_a_template() -> None:
    assets = Path(views.__file__).parent / "assets"
    for path in assets.glob("*.html"):
        assert not re.search(r"\$\{|\{\{", path.read_text(encoding="utf-8")), path.name
    for path in assets.glob("*.js"):
        forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\("
        assert not re.search(forbidden, path.read_text(encoding="utf-8")), path.name
    for path in assets.iterdir():
        assert not re.search(r"(https?:)?//[a-z0-9-]+\.", path.read_text(encoding="utf-8"))


def test_a_wrong_path_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["--model", str(tmp_path / "none")]) == 1
    message = capsys.readouterr().err
    assert message.startswith("lexigram: ")
    assert message.count("\n") == 1


def test_it_listens_on_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def launch(self: gr.Blocks, **options: Any) -> None:
        seen.update(options)
        raise LexigramError("enough")

    monkeypatch.setattr(gr.Blocks, "launch", launch)
    monkeypatch.setattr(app, "shelf_of", lambda paths: shelf())
    assert app.main([]) == 1
    assert seen["server_name"] == "127.0.0.1"
    assert seen["share"] is False
    assert seen["footer_links"] == []


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    page = app.build(shelf())
    _, address, _ = page.launch(prevent_thread_lock=True, **app.launch_options())
    yield address
    page.close()


def test_the_page_carries_a_sample_and_no_analytics(url: str) -> None:
    import httpx

    config = httpx.get(f"{url}config").json()
    (reader,) = (
        c["props"] for c in config["components"] if c["props"].get("elem_id") == "read-tokens"
    )
    assert reader["value"]["state"] == "done"
    assert len(reader["value"]["steps"]) == read.COUNT
    assert config["analytics_enabled"] is False


def test_the_named_api(url: str) -> None:
    from gradio_client import Client

    client = Client(url, verbose=False)
    arguments = ("plain", "ab", "top_k=5", 3, 12)
    result = client.predict(*arguments, api_name="/generate")
    assert result["state"] == "done"
    assert result["steps"] == shown(strategy="top_k=5", count=12)[-1]["steps"]
    wrong = client.predict("hostile", HOSTILE[1], HOSTILE[0], 3, 12, api_name="/generate")
    assert wrong["state"] == "error"


def test_uploads_are_bounded(url: str) -> None:
    import httpx

    big = {"files": ("big.bin", b"0" * 200_000)}
    assert httpx.post(f"{url}gradio_api/upload", files=big).status_code == 413
