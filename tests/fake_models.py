"""Small models whose probabilities are known in closed form, and a tokenizer for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lexigram.decode.processors import log_softmax
from lexigram.errors import InvalidInputError, TokenIdError


def checked(ids: Any, vocab_size: int) -> np.ndarray:
    array = np.asarray(ids)
    for token in array[(array < 0) | (array >= vocab_size)]:
        raise TokenIdError(f"token id {token} is not below {vocab_size}")
    return array.astype(np.int64)


class Bigram:
    """p(next | last) from a table (V + 1, V) of log-probabilities; row V is for no last token.
    The state is the last id of each row."""

    context_length = None

    def __init__(self, table: np.ndarray, document_separator: int | None = None) -> None:
        self.table = log_softmax(np.asarray(table, dtype=np.float64))
        self.vocab_size = self.table.shape[1]
        self.document_separator = document_separator

    @classmethod
    def random(cls, vocab_size: int, seed: int = 0, **kwargs: Any) -> Bigram:
        rng = np.random.default_rng(seed)
        return cls(2 * rng.normal(size=(vocab_size + 1, vocab_size)), **kwargs)

    def start(self, batch_size: int = 1) -> np.ndarray:
        return np.full(batch_size, self.vocab_size)

    def step(self, state: np.ndarray, ids: Any) -> tuple[Any, np.ndarray]:
        ids = checked(ids, self.vocab_size)
        state = ids[:, -1] if ids.shape[1] else state
        return self.table[state], state

    def score(self, ids: Any) -> Any:
        ids = checked(ids, self.vocab_size)
        return self.table[np.append(self.start(), ids)[:-1], ids]


class TorchBigram(Bigram):
    """The same, in torch float32."""

    def __init__(self, table: np.ndarray, document_separator: int | None = None) -> None:
        super().__init__(table, document_separator)
        import torch

        self.weight = torch.nn.Parameter(torch.tensor(self.table, dtype=torch.float32))

    def step(self, state: np.ndarray, ids: Any) -> tuple[Any, np.ndarray]:
        state = super().step(state, ids)[1]
        return self.weight[state] + 3.0, state  # a constant per row means nothing

    def score(self, ids: Any) -> Any:
        ids = checked(ids, self.vocab_size)
        return self.weight[np.append(self.start(), ids)[:-1], ids]


class Remembering:
    """A model whose scores depend on every id that its state holds, and on their places. The
    state is the ids."""

    def __init__(
        self,
        vocab_size: int,
        context_length: int | None = None,
        document_separator: int | None = None,
    ) -> None:
        self.vocab_size = vocab_size
        self.context_length = context_length
        self.document_separator = document_separator

    def start(self, batch_size: int = 1) -> np.ndarray:
        return np.zeros((batch_size, 0), dtype=np.int64)

    def logprobs(self, ids: Sequence[int]) -> np.ndarray:
        rng = np.random.default_rng([len(ids), *map(int, ids)])
        return log_softmax(2 * rng.normal(size=self.vocab_size))

    def step(self, state: np.ndarray, ids: Any) -> tuple[Any, np.ndarray]:
        state = np.concatenate([state, checked(ids, self.vocab_size)], axis=1)
        if self.context_length is not None and state.shape[1] > self.context_length:
            raise InvalidInputError(f"{state.shape[1]} ids are beyond {self.context_length}")
        return np.stack([self.logprobs(row) for row in state]), state

    def score(self, ids: Any) -> Any:
        ids = checked(ids, self.vocab_size)
        if self.context_length is not None and len(ids) > self.context_length:
            raise InvalidInputError(f"{len(ids)} ids are beyond {self.context_length}")
        return np.array([self.logprobs(ids[:i])[token] for i, token in enumerate(ids)])


class Batching(Remembering):
    """The same, offering `score_batch`; remembers the shapes that it was asked for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shapes: list[tuple[int, int]] = []

    def score_batch(self, ids: np.ndarray) -> np.ndarray:
        self.shapes.append(ids.shape)
        return np.stack([super(Batching, self).score(row) for row in ids])


class Pieces:
    """A tokenizer: the longest piece first. Ids beyond the pieces stand for nothing."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    def encode_ordinary(self, text: str) -> list[int]:
        data, ids = text.encode(), []
        while data:
            piece = max((p for p in self.pieces if p and data.startswith(p)), key=len)
            ids.append(self.pieces.index(piece))
            data = data[len(piece) :]
        return ids

    def decode_single_token_bytes(self, token: int) -> bytes:
        try:
            return self.pieces[token]
        except IndexError:
            raise KeyError(token) from None

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return b"".join(map(self.decode_single_token_bytes, ids))


BYTES = Pieces(*(bytes([b]) for b in range(256)))
