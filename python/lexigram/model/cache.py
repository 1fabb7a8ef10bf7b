"""Keys and values of the positions already read: the state of a transformer between steps.

A `State` never changes: one state can be continued in several ways. Copying all keys at every
step would cost O(S) a token, so states that continue one another share a `Store` with room to
spare.

Invariant: positions [0, state.length) of a state's store are never written again. A step claims
[length, length + n) of the store; the claim succeeds for the first continuation of the longest
state only, and every other continuation gets a store of its own.

Shapes: L layers, B rows, K key heads, S positions, D head width.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from torch import Tensor

__all__ = ["State", "Store", "extend"]


class Store:
    """Room for keys and values, filled from the left."""

    def __init__(self, keys_LBKSD: Tensor, values_LBKSD: Tensor, claimed: int) -> None:
        self.keys_LBKSD = keys_LBKSD
        self.values_LBKSD = values_LBKSD
        self._claimed = claimed
        self._lock = threading.Lock()

    @property
    def capacity(self) -> int:
        return self.keys_LBKSD.shape[3]

    def claim(self, start: int, stop: int) -> bool:
        """Takes positions [start, stop) for one continuation; False when they are not free."""
        with self._lock:
            if self._claimed != start or stop > self.capacity:
                return False
            self._claimed = stop
            return True

    def write(self, layer: int, start: int, key_BKTD: Tensor, value_BKTD: Tensor) -> None:
        stop = start + key_BKTD.shape[2]
        self.keys_LBKSD[layer, :, :, start:stop] = key_BKTD
        self.values_LBKSD[layer, :, :, start:stop] = value_BKTD

    def read(self, layer: int, stop: int) -> tuple[Tensor, Tensor]:
        """Keys and values (B, K, stop, D) of one layer, as views."""
        return self.keys_LBKSD[layer, :, :, :stop], self.values_LBKSD[layer, :, :, :stop]


@dataclass(frozen=True)
class State:
    """What a transformer has read. Made by `Transformer.start`; opaque to callers."""

    batch_size: int
    length: int = 0
    """Positions read, the begin marker included; 0 before the first token."""
    store: Store | None = None
    scores_BV: Tensor | None = None
    """Scores of the next token; None before the first token."""

    def select(self, rows: Tensor) -> State:
        """The state whose row i is row `rows[i]` of this one."""
        if self.store is None or self.scores_BV is None:
            return State(len(rows))
        keys, values = self.store.keys_LBKSD, self.store.values_LBKSD
        store = Store(
            keys[:, :, :, : self.length].index_select(1, rows),
            values[:, :, :, : self.length].index_select(1, rows),
            self.length,
        )
        return State(len(rows), self.length, store, self.scores_BV.index_select(0, rows))


def extend(state: State, stop: int, like_LBKSD: Tensor, limit: int) -> Store:
    """A store that holds the state's positions and in which [state.length, stop) is claimed.

    `like_LBKSD` gives device, dtype and the sizes L, K and D; `limit` is the most positions that
    a state may ever hold.
    """
    if state.store is not None and state.store.claim(state.length, stop):
        return state.store
    layers, _, heads, _, width = like_LBKSD.shape
    capacity = min(limit, max(64, 2 * stop))  # doubling: O(1) copies a token in the long run
    shape = (layers, state.batch_size, heads, capacity, width)
    store = Store(like_LBKSD.new_empty(shape), like_LBKSD.new_empty(shape), stop)
    if state.store is not None:
        old, new = state.store, store
        new.keys_LBKSD[:, :, :, : state.length] = old.keys_LBKSD[:, :, :, : state.length]
        new.values_LBKSD[:, :, :, : state.length] = old.values_LBKSD[:, :, :, : state.length]
    return store
