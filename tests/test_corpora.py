"""Named corpora: what is listed, where it is looked for, and how it is fetched and checked."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from http_files import FileServer, file_server
from lexigram.cli import corpus as command
from lexigram.data import Corpus, Document, catalogue, corpora, corpus_path, documents, fetch_corpus
from lexigram.data.corpora import corpus_sha256
from lexigram.downloads import RemoteFile, stream
from lexigram.errors import DownloadError, FormatError, MissingFileError

STORIES = b"\n\nOne day.\n\nTwo.\n<|endoftext|>\n\nOnce upon\na time.\n<|endoftext|>\n"


def texts(source: object) -> list[str]:
    return [document.text for document in documents(source)]  # type: ignore[arg-type]


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEXIGRAM_DATA", raising=False)
    monkeypatch.setattr(stream, "_PAUSES", (0.01, 0.01))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with file_server() as found:
        yield found


def listed(monkeypatch: pytest.MonkeyPatch, *files: RemoteFile, **more: Any) -> Corpus:
    """The only named corpus there is."""
    corpus = Corpus(
        name="small", description="a test", licence="MIT", origin="me/it:x", files=files, **more
    )
    monkeypatch.setattr(catalogue, "_CORPORA", (corpus,))
    return corpus


def remote(address: str, body: bytes, **more: Any) -> RemoteFile:
    return replace(RemoteFile(file="small/a.txt", address=address, sha256=sha256(body)), **more)


def test_what_is_listed() -> None:
    found = corpora()
    for name in ("stdlib", "tinyshakespeare", "tinystories", "wikitext2", "wikitext103"):
        assert name in found
    seen = set()
    for corpus in found.values():
        assert corpus.description
        assert corpus.licence
        assert corpus.origin
        for file in corpus.files:
            assert file.file not in seen
            seen.add(file.file)
            assert file.address.startswith("https://") or not file.address
            if file.sha256 is None:  # believed when it first comes
                assert file.address
            else:
                assert len(bytes.fromhex(file.sha256)) == 32
                assert not file.address or file.num_bytes
    assert [c.name for c in found.values() if not c.files] == ["stdlib"]


def test_the_places_of_a_file_in_their_order(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"the text"
    corpus = listed(monkeypatch, remote(server.holds("/a", body), body))
    with pytest.raises(MissingFileError, match=r"there is no a\.txt in .*corpus fetch small"):
        corpus_path(corpus)
    assert server.asked == [], "to look is not to fetch"
    calls: list[tuple[int, int]] = []
    (kept,) = fetch_corpus(corpus, progress=lambda *a: calls.append(a))
    assert kept == tmp_path / "cache" / "text" / "small" / "a.txt" == corpus_path(corpus)
    assert calls[-1] == (8, 8)
    assert texts("small") == ["the text"]
    given = tmp_path / "data" / "text" / "small" / "a.txt"
    given.parent.mkdir(parents=True)
    given.write_bytes(body)
    monkeypatch.setenv("LEXIGRAM_DATA", str(tmp_path / "data"))
    assert fetch_corpus(corpus) == [given]
    assert len(server.asked) == 1
    given.write_bytes(b"another text")
    with pytest.raises(FormatError, match="not the published file: its SHA-256 is"):
        texts("small")


def test_a_damaged_file_in_the_cache_is_fetched_again(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"the text"
    corpus = listed(monkeypatch, remote(server.holds("/a", body), body))
    (kept,) = fetch_corpus(corpus)
    kept.write_bytes(b"the tex?")
    assert texts("small") == ["the text"]
    assert len(server.asked) == 2


def test_a_corpus_is_fetched_when_it_is_read(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = server.holds("/a", STORIES, cuts=[20])
    listed(monkeypatch, remote(address, STORIES), document_delimiter="<|endoftext|>", strip=True)
    assert texts("small") == ["One day.\n\nTwo.", "Once upon\na time."]
    assert [asked for _, asked in server.asked] == ["", "bytes=20-"]


def test_without_a_published_hash_the_first_file_is_believed(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body = b"the first"
    file = remote(server.holds("/a", body), body, sha256=None)
    corpus = listed(monkeypatch, file)
    assert corpus_sha256(file) is None
    run("corpus", "list")
    assert "first use" in capsys.readouterr().out
    run("corpus", "fetch", "small")
    assert sha256(body) in capsys.readouterr().out
    (kept,) = fetch_corpus(corpus)
    sidecar = kept.with_name("a.txt.sha256")
    assert sidecar.read_text() == f"{sha256(body)}  a.txt\n", "as sha256sum -c reads it"
    assert corpus_sha256(file) == sha256(body)
    # From now on, another file is an error, whether it lies in the cache or comes.
    kept.write_bytes(b"changed!!")
    assert texts("small") == ["the first"]
    kept.unlink()
    server.holds("/a", b"new version")
    with pytest.raises(DownloadError, match=rf"SHA-256 {sha256(body)}, remembered in .*a\.txt\.s"):
        fetch_corpus(corpus)
    sidecar.unlink()
    assert texts("small") == ["new version"]


def test_several_files_are_one_corpus(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [b"one" * 100, b"two" * 200]
    files = [
        remote(server.holds(f"/{i}", body), body, file=f"small/{i}.txt", num_bytes=len(body))
        for i, body in enumerate(bodies)
    ]
    corpus = listed(monkeypatch, *files)
    assert corpus.num_bytes == 900
    calls: list[tuple[int, int]] = []
    paths = fetch_corpus(corpus, progress=lambda *a: calls.append(a))
    assert [path.name for path in paths] == ["0.txt", "1.txt"]
    assert corpus_path(corpus) == paths[0].parent
    assert {total for _, total in calls} == {900}
    assert calls[-1] == (900, 900)
    assert texts("small") == [body.decode() for body in bodies]


def test_articles_begin_with_their_heading(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ["", " = One = \n", "", " Text \n", " = = Part = = \n", " More \n", ""]
    lines = [*first, " = Two = \n", " x \n"]
    pq.write_table(pa.table({"text": lines}), tmp_path / "a.parquet")
    body = (tmp_path / "a.parquet").read_bytes()
    file = remote(server.holds("/a", body), body, file="small/a.parquet")
    listed(monkeypatch, file, headings=True)
    assert texts("small") == [
        " = One = \n \n Text \n = = Part = = \n More \n \n",
        " = Two = \n x \n",
    ]
    assert [d.name.rpartition("#")[2] for d in documents("small")] == ["1", "7"]


def test_no_network_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    listed(monkeypatch, remote("http://name.invalid/x", b"x"))
    for run_it in (lambda: texts("small"), lambda: run("corpus", "fetch", "small")):
        with pytest.raises(DownloadError, match=r"no connection .*put the file there") as caught:
            run_it()
        assert "\n" not in str(caught.value)
        assert sha256(b"x") in str(caught.value)


def test_what_nobody_publishes(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = listed(monkeypatch, remote("", b"x"))
    for call in (corpus_path, fetch_corpus):
        with pytest.raises(MissingFileError, match="made from me/it:x and is published nowhere"):
            call(corpus)


# The command


def run(*argv: object) -> int:
    top = argparse.ArgumentParser()
    command.add_parser(top.add_subparsers())
    args = top.parse_args([str(a) for a in argv])
    status: int = args.run(args)
    return status


def test_fetch_and_list(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body = b"the text"
    corpus = listed(monkeypatch, remote(server.holds("/a", body), body))
    run("corpus", "list", "--json")
    (row,) = json.loads(capsys.readouterr().out)
    assert row["path"] is None
    assert row["files"] == [
        {"address": server.address + "/a", "sha256": sha256(body), "hash": "pinned"}
    ]
    assert run("corpus", "fetch", "small") == 0
    shown = capsys.readouterr().out
    assert sha256(body) in shown
    assert str(corpus_path(corpus)) in shown
    assert run("corpus", "fetch", "small", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["files"]
    assert row == {
        "path": str(corpus_path(corpus)), "bytes": 8, "sha256": sha256(body), "hash": "pinned",
    }  # fmt: skip
    run("corpus", "list")
    assert "yes" in capsys.readouterr().out
    with pytest.raises(MissingFileError, match="no corpus 'other'; corpora are small"):
        run("corpus", "fetch", "other")


def test_the_library_needs_no_fetching(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("corpus", "fetch", "stdlib") == 0
    assert str(corpus_path(corpora()["stdlib"])) in capsys.readouterr().out


def test_show_takes_the_options_of_documents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows"
    path.write_bytes(b'{"body": "a"}\nbroken\n{"body": "b"}\n')
    options = ["--format", "jsonl", "--text-field", "body", "--errors", "skip"]
    assert run("corpus", "show", path, *options, "--json") == 0
    said = capsys.readouterr()
    assert [json.loads(line)["text"] for line in said.out.splitlines()] == ["a", "b"]
    assert f"{path}:2 is not JSON" in said.err


# With the big corpora


@pytest.mark.corpus
@pytest.mark.parametrize("name", corpora())
def test_named_corpora_are_what_they_say(
    lexigram_data: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("LEXIGRAM_DATA", str(lexigram_data))
    corpus = corpora()[name]
    try:
        path = corpus_path(corpus)
    except MissingFileError:
        assert corpus.files[0].address, "what nobody publishes must be there"
        pytest.skip(f"{name} is not in LEXIGRAM_DATA, and tests fetch nothing")
    fetched = fetch_corpus(corpus)
    assert fetched == [path] or {file.parent for file in fetched} == {path} or name == "stdlib"
    assert len(fetched) == len(corpus.files)
    found: list[Document] = list(documents(name))
    assert all(document.text for document in found) or name == "stdlib"
