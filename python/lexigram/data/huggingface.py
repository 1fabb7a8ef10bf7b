"""Rows of a dataset on the Hugging Face Hub, streamed: nothing but what is read is fetched."""

from __future__ import annotations

import importlib
import os
import re
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from lexigram.errors import DownloadError, InvalidInputError, MissingDependencyError

__all__ = ["is_dataset", "rows"]

_SCHEME = "hf://"
_HUB = "https://huggingface.co"
_NAME = re.compile(
    r"(?P<name>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[\w.-]+))?"
    r"(?:/(?P<config>[\w.+-]+))?(?::(?P<split>[\w.+-]+))?",
    re.ASCII,
)


def is_dataset(source: str) -> bool:
    """Whether this names a dataset. `hf://datasets/OWNER/NAME/FILE` is a file of one instead, which
    fsspec reads."""
    return source.startswith(_SCHEME) and not source.startswith(
        (f"{_SCHEME}datasets/", f"{_SCHEME}buckets/", f"{_SCHEME}spaces/")
    )


def rows(address: str, column: str) -> Iterator[object]:
    """The values of a column of `hf://OWNER/NAME[@REVISION][/CONFIG][:SPLIT]`, by default of the
    split "train", in the order of the dataset. Code that a dataset brings along is never run.

    Raises `InvalidInputError`, `MissingDependencyError`, and `DownloadError` for what the Hub or
    the network refuses."""
    match = _NAME.fullmatch(address.removeprefix(_SCHEME))
    if match is None:
        raise InvalidInputError(
            f"{address!r} is no dataset's name; write hf://OWNER/NAME[@REVISION][/CONFIG][:SPLIT], "
            "for example hf://roneneldan/TinyStories:train"
        )
    try:
        datasets: Any = importlib.import_module("datasets")
    except ImportError:
        raise MissingDependencyError(
            f"reading {address} needs the package datasets; pip install 'lexigram[interop]'"
        ) from None
    found = _rows(datasets, address, column, match)
    while True:
        try:
            row = next(found)
        except StopIteration:
            return
        except (InvalidInputError, MissingDependencyError):
            raise
        except socket.gaierror as error:
            raise DownloadError(
                f"cannot read {address}: no connection ({error.strerror}); it needs the network"
            ) from None
        except Exception as error:  # of the Hub, of its HTTP client, of a reader of some format
            what = " ".join(str(error).split()) or "no reason given"
            raise DownloadError(
                f"cannot read {address}: {type(error).__name__}: {what[:300]}; check the name, the "
                "config and the split, and the network, or name files instead"
            ) from None
        yield row


def _reach() -> None:
    """Fails at once where there is no network: the Hub's client would try for half a minute, and
    say so many times. Behind a proxy, which finds the Hub itself, nothing is tried."""
    proxies = urllib.request.getproxies()
    host = urllib.parse.urlsplit(os.environ.get("HF_ENDPOINT") or _HUB).hostname
    if not host or "https" in proxies or "all" in proxies or os.environ.get("HF_HUB_OFFLINE"):
        return
    socket.getaddrinfo(host, 443)


def _rows(datasets: Any, address: str, column: str, match: re.Match[str]) -> Iterator[object]:
    _reach()
    stream = datasets.load_dataset(
        match["name"],
        match["config"],
        split=match["split"] or "train",
        revision=match["revision"],
        streaming=True,
    )
    columns = stream.column_names
    if columns is not None:
        if column not in columns:
            raise InvalidInputError(
                f"{address} has no column {column!r}; its columns are {', '.join(columns)}"
            )
        stream = stream.select_columns([column])
    for row in stream:
        yield row.get(column)
