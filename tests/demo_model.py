"""A small model for the demo's tests: quick, never certain, and with hostile tokens in it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from models import Model, Shelf

HOSTILE = (
    "${alert(1)}",
    "<img src=x onerror=alert(1)>",
    "{{#each this}}{{alert}}{{/each}}",
    "\u202egnp.exe",
    "</span><script>alert(1)</script>",
)
SEPARATOR = 256 + len(HOSTILE)


class ByteTokenizer:
    """Ids 0 to 255 are bytes; after them the hostile texts and the separator."""

    n_vocab = SEPARATOR + 1
    eot_token = SEPARATOR

    def encode_ordinary(self, text: str) -> list[int]:
        return list(text.encode())

    def decode_single_token_bytes(self, token: int) -> bytes:
        if token == SEPARATOR:
            return b"<|endoftext|>"
        return bytes([token]) if token < 256 else HOSTILE[token - 256].encode()

    def is_special_token(self, token: int) -> bool:
        return token == SEPARATOR


class Bigram:
    """A bigram model with random scores; `favourite` ids stand out, the separator never comes."""

    document_separator = SEPARATOR
    context_length = None

    def __init__(self, *, favourites: range = range(97, 123), delay: float = 0.0) -> None:
        rng = np.random.default_rng(0)
        self.vocab_size = ByteTokenizer.n_vocab
        self.scores = rng.normal(size=(self.vocab_size, self.vocab_size))
        self.scores[:, favourites] += 6.0
        self.scores[:, SEPARATOR] = -30.0
        self.delay, self.steps = delay, 0

    def start(self, batch_size: int = 1) -> npt.NDArray[np.int64]:
        return np.full(batch_size, SEPARATOR)

    def step(self, state: Any, ids: Any) -> tuple[Any, Any]:
        time.sleep(self.delay)
        self.steps += 1
        ids = np.asarray(ids)
        last = ids[:, -1] if ids.shape[1] else state
        return self.scores[last], last

    def score(self, ids: Any) -> Any:
        rows = self.scores[np.concatenate([[SEPARATOR], np.asarray(ids)[:-1]]).astype(int)]
        norm = np.log(np.exp(rows).sum(axis=1))
        return rows[np.arange(len(rows)), ids] - norm


def model(**options: Any) -> Model:
    return Model(lm=Bigram(**options), tokenizer=ByteTokenizer())


def shelf() -> Shelf:
    """A plain model, one that likes hostile tokens, and one that takes its time."""
    return Shelf(
        {
            "plain": model,
            "hostile": lambda: model(favourites=range(256, SEPARATOR)),
            "slow": lambda: model(delay=0.02),
        }
    )
