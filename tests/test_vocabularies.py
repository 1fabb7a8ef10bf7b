"""Named vocabularies: where they are looked for, how they are fetched, and what can go wrong."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tiktoken_ext import openai_public

from lexigram import Tokenizer, downloads, vocabularies
from lexigram.downloads import RemoteFile
from lexigram.errors import (
    DownloadError,
    FormatError,
    InvalidInputError,
    LexigramError,
    MissingFileError,
)
from lexigram.vocabularies import Vocabulary, source_path


@dataclass
class Server:
    address: str
    answers: dict[str, tuple[int, bytes, int]] = field(default_factory=dict)
    """Of a path: the status, the body, and the length that is announced."""
    asked: list[str] = field(default_factory=list)

    def holds(self, path: str, body: bytes, *, status: int = 200, length: int = -1) -> str:
        self.answers[path] = (status, body, len(body) if length < 0 else length)
        return self.address + path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            status, body, length = state.answers.get(self.path, (404, b"", 0))
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state = Server(f"http://127.0.0.1:{http.server_port}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the folders that a test fills: no data, no cache, not even tiktoken's."""
    monkeypatch.delenv("LEXIGRAM_DATA", raising=False)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "tiktoken"))
    monkeypatch.setattr(downloads, "_PAUSES", (0.01, 0.01))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def small(tmp_path: Path) -> tuple[Tokenizer, bytes]:
    """A vocabulary and its .tiktoken file."""
    tokenizer = Tokenizer.train(["low lower lowest newer wider"] * 9, 300)
    tokenizer.to_tiktoken(tmp_path / "made.tiktoken")
    return tokenizer, (tmp_path / "made.tiktoken").read_bytes()


def source(address: str, body: bytes) -> RemoteFile:
    digest = hashlib.sha256(body).hexdigest()
    return RemoteFile(file="tiktoken/small.tiktoken", address=address, sha256=digest)


def cached() -> list[str]:
    """The files that were fetched; those in `compiled` are made of them, and what has come of a
    file that could not be fetched is kept in a hidden part."""
    folder = Path("cache")
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    whole = (file for file in files if file.suffix != ".part")
    return sorted(str(file) for file in whole if file.parts[0] != "compiled")


def test_a_name_is_fetched_once(
    server: Server, small: tuple[Tokenizer, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, body = small
    sources = (source(server.holds("/small.tiktoken", body), body),)
    special = {"<|endoftext|>": 300}
    known = Vocabulary(name="small", sources=sources, pattern="cl100k", special_tokens=special)
    monkeypatch.setattr(vocabularies, "_VOCABULARIES", (known,))
    calls: list[tuple[int, int]] = []
    loaded = Tokenizer.load("small", progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (len(body), len(body))
    assert loaded.name == "small"
    assert loaded.pattern == "cl100k"
    assert loaded.eot_token == 300
    assert loaded.encode("the lowest of all") == tokenizer.encode("the lowest of all")
    assert cached() == ["tokenizers/tiktoken/small.tiktoken"]
    assert Tokenizer.load("small", name="other").name == "other"
    assert len(server.asked) == 1
    # What is damaged in the cache is fetched again.
    Path("cache/tokenizers/tiktoken/small.tiktoken").write_bytes(body[:-5])
    assert Tokenizer.load("small") == loaded
    assert len(server.asked) == 2


def test_what_lies_in_another_place_is_not_fetched(
    server: Server,
    small: tuple[Tokenizer, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, body = small
    wanted = source(server.address + "/x", body)
    theirs = tmp_path / "tiktoken" / hashlib.sha1(wanted.address.encode()).hexdigest()
    theirs.parent.mkdir()
    theirs.write_bytes(body)
    assert source_path(wanted) == theirs
    given = tmp_path / "data" / "tokenizers" / "tiktoken" / "small.tiktoken"
    given.parent.mkdir(parents=True)
    given.write_bytes(body)
    monkeypatch.setenv("LEXIGRAM_DATA", str(tmp_path / "data"))
    assert source_path(wanted) == given
    given.write_bytes(body + b"\n")
    with pytest.raises(FormatError, match="not the published file: its SHA-256 is"):
        source_path(wanted)
    assert server.asked == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"body": b"abc", "length": 30}, "(connection ended after 3 of 30|IncompleteRead)"),
        ({"body": b"another file"}, "what came has the SHA-256 [0-9a-f]{64};"),
        ({"body": b"", "status": 404}, "the server answers 404"),
        ({"body": b"", "status": 503}, "the server answers 503"),
        ({"body": b"", "status": 302}, "the server answers 302"),
    ],
)
def test_what_may_go_wrong_on_the_way(
    server: Server, answer: dict[str, object], message: str
) -> None:
    wanted = source(server.holds("/file", **answer), b"the file")  # type: ignore[arg-type]
    with pytest.raises(DownloadError, match=message) as caught:
        source_path(wanted)
    assert isinstance(caught.value, OSError)
    for named in (wanted.address, "small.tiktoken", wanted.sha256, "LEXIGRAM_DATA"):
        assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert cached() == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:9/none", "no connection"),
        ("http://name.invalid/none", "no connection"),
        ("nonsense", "ValueError"),
    ],
)
def test_no_network(address: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DownloadError, match=message):
        source_path(source(address, b"x"))
    assert cached() == []


def test_a_cache_that_cannot_be_written(server: Server) -> None:
    Path("cache").write_text("not a folder")
    with pytest.raises(LexigramError, match="cannot fetch"):
        source_path(source(server.holds("/x", b"x"), b"x"))


def test_a_progress_that_raises_ends_the_download(server: Server) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        source_path(source(server.holds("/x", b"x"), b"x"), progress=stop)
    assert cached() == []


def test_a_path_that_exists_wins(small: tuple[Tokenizer, bytes]) -> None:
    tokenizer, _ = small
    tokenizer.save("gpt2")
    assert Tokenizer.load("gpt2") == tokenizer
    Path("gpt2").unlink()
    Path("gpt2").mkdir()
    tokenizer.save("gpt2/tokenizer.json")
    assert Tokenizer.load("gpt2") == tokenizer
    assert Tokenizer.load("gpt2").name == "gpt2"


def test_what_is_no_name(small: tuple[Tokenizer, bytes]) -> None:
    with pytest.raises(MissingFileError, match=r"gpt-2 does not exist.*gpt2, r50k_base.*o200k"):
        Tokenizer.load("gpt-2")
    with pytest.raises(InvalidInputError, match="from_tiktoken"):
        Tokenizer.load("made.tiktoken")
    with pytest.raises(LexigramError):
        Tokenizer.load(".")


def test_names_special_tokens_and_hashes_are_those_of_tiktoken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, str | None]] = []

    def ranks(file: str, expected_hash: str | None = None) -> dict[bytes, int]:
        asked.append((file, expected_hash))
        return {}

    def gpt2(**kwargs: str) -> dict[bytes, int]:
        asked.append((kwargs["encoder_json_file"], kwargs["encoder_json_hash"]))
        asked.append((kwargs["vocab_bpe_file"], kwargs["vocab_bpe_hash"]))
        return {}

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", ranks)
    monkeypatch.setattr(openai_public, "data_gym_to_mergeable_bpe_ranks", gpt2)
    assert set(vocabularies.vocabularies()) == openai_public.ENCODING_CONSTRUCTORS.keys() - {
        "o200k_harmony"  # two of its special tokens have the same id
    }
    for name, ours in vocabularies.vocabularies().items():
        asked.clear()
        theirs = openai_public.ENCODING_CONSTRUCTORS[name]()
        assert ours.special_tokens == theirs["special_tokens"], name
        assert [(s.address, s.sha256) for s in ours.sources] == asked, name
    copy = replace(vocabularies.vocabularies()["gpt2"], name="x")
    assert copy.sources[0].file == "gpt2/encoder.json"
