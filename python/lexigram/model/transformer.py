"""A decoder-only transformer, and the language model it is.

    h⁰ = embed(ids) (+ positions);   hˡ = block_l(hˡ⁻¹);   logits = norm(h^L) W^T

Blocks normalise their input (pre-norm; arXiv:2002.04745). The same class is GPT-2 and Qwen3,
according to `ModelConfig`; tests hold its logits to the classes of the transformers library.

Names carry their shape: B rows, T positions read, S positions seen, E d_model, H heads,
V vocabulary.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lexigram.errors import InvalidInputError, TokenIdError
from lexigram.model import layers
from lexigram.model.cache import State, Store, extend
from lexigram.model.config import ModelConfig

__all__ = ["Transformer"]


class Transformer(nn.Module):
    """The model of `config`, with fresh weights drawn from torch's generator.

    Satisfies `lexigram.lm.LanguageModel`. The scores of an empty prefix are those after the
    config's `document_separator`, which begins a document; without one they are uniform. A prefix
    that is not empty is read as it is, and no marker is put before it. Scores are float32 logits
    on the model's device. There is no dropout, so that training and evaluation mode are the same
    function.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        if config.positions == "learned":
            self.position_embedding = nn.Embedding(config.context_length, config.d_model)
        self.blocks = nn.ModuleList(layers.Block(config) for _ in range(config.num_layers))
        self.final_norm = layers.make_norm(config, config.d_model)
        if not config.tie_embeddings:
            self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self._initialize()

    def _initialize(self) -> None:
        """Weights N(0, 1 / fan-in), so that every layer keeps the variance of its input (LeCun et
        al. 1998, "Efficient BackProp", section 4.6); the fan-in of an embedding is 1, of a tied one
        d_model, as of the output matrix that it is too. The two matrices of a block that write to
        the residual stream are 0: each block begins as the identity (arXiv:1901.09321). Biases
        are 0, gains 1."""
        tied = self.config.tie_embeddings
        for name, parameter in self.named_parameters():
            if name.endswith(("attention.output.weight", "feed_forward.down.weight", "bias")):
                nn.init.zeros_(parameter)
            elif "embedding" in name:
                nn.init.normal_(parameter, std=self.config.d_model**-0.5 if tied else 1.0)
            elif parameter.dim() > 1:
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)

    # The network

    def forward(
        self,
        ids_BT: Tensor,
        *,
        document_ids: Tensor | None = None,
        positions: Tensor | None = None,
    ) -> Tensor:
        """Logits (B, T, V) of the token after each of `ids_BT` (B, T).

        `document_ids` (B, T): a position sees only earlier ones with its own document id.
        `positions` (B, T): the place of each token in its document; by default 0 … T − 1.
        Under autocast the logits are of the autocast dtype.
        """
        if ids_BT.shape[1] > self.config.context_length:
            raise _too_long(ids_BT.shape[1], self.config.context_length)
        return self._logits(self._hidden(ids_BT, document_ids, positions))

    def _hidden(
        self,
        ids_BT: Tensor,
        document_ids: Tensor | None = None,
        positions: Tensor | None = None,
        store: Store | None = None,
        start: int = 0,
    ) -> Tensor:
        """The last hidden states (B, T, E), normalised. With a store, the row's positions
        [0, start) are read from it and the new ones are written to it."""
        config, length = self.config, ids_BT.shape[1]
        if positions is None:
            positions = torch.arange(start, start + length, device=ids_BT.device)[None]
        x_BTE = self.token_embedding(ids_BT)
        rotation = None
        if config.positions == "learned":
            x_BTE = x_BTE + self.position_embedding(positions)
        elif config.positions == "sinusoidal":
            x_BTE = x_BTE + layers.sinusoids(positions, config.d_model)
        elif config.positions == "rope":
            rotation = layers.rotation_angles(positions, config.head_dim, config.rope_theta)
        mask = self._mask(length, start, document_ids, ids_BT.device)
        for i, block in enumerate(self.blocks):
            cached = None if store is None else (store, i, start)
            x_BTE = block(x_BTE, rotation, mask, cached)
        hidden: Tensor = self.final_norm(x_BTE)
        return hidden

    def _mask(
        self, length: int, start: int, document_ids: Tensor | None, device: torch.device
    ) -> Tensor | None:
        """None where plain causal attention is meant, which has the fastest kernels; else what
        `Attention` takes: booleans, or for ALiBi the penalty −slope · (t − s)."""
        alibi = self.config.positions == "alibi"
        plain = start == 0 or length == 1  # the kernels' own causal mask begins at position 0
        if document_ids is None and plain and not alibi:
            return None
        t = torch.arange(start, start + length, device=device)[:, None]
        s = torch.arange(start + length, device=device)[None, :]
        mask = (s <= t)[None, None]
        if document_ids is not None:
            mask = mask & (document_ids[:, None, :, None] == document_ids[:, None, None, :])
        if not alibi:
            return mask
        slopes = torch.tensor(layers.alibi_slopes(self.config.num_heads), device=device)
        penalty = -slopes[:, None, None] * (t - s)
        return torch.where(mask, penalty, -math.inf)

    def _logits(self, hidden: Tensor) -> Tensor:
        weight = self.token_embedding.weight if self.config.tie_embeddings else self.head.weight
        return F.linear(hidden, weight)

    # The language model

    @property
    def vocab_size(self) -> int:
        return self.config.vocab_size

    @property
    def document_separator(self) -> int | None:
        return self.config.document_separator

    @property
    def context_length(self) -> int:
        """The most tokens a state can hold."""
        return self.config.context_length

    @property
    def num_parameters(self) -> int:
        return self.config.num_parameters

    @property
    def device(self) -> torch.device:
        return self.token_embedding.weight.device

    def start(self, batch_size: int = 1) -> State:
        """The state of `batch_size` empty prefixes."""
        if batch_size < 1:
            raise InvalidInputError(f"batch_size = {batch_size}: must be at least 1")
        return State(batch_size)

    @torch.no_grad()
    def step(self, state: State, ids: Any) -> tuple[Tensor, State]:
        """Reads `ids` (B, n), n ≥ 0; returns the scores (B, V) of the next token and the new
        state. Raises `TokenIdError`, `InvalidInputError`; then `state` can still be used."""
        ids_BT = self._checked(ids, dim=2)
        if len(ids_BT) != state.batch_size:
            raise InvalidInputError(
                f"ids have {len(ids_BT)} rows, the state has {state.batch_size}"
            )
        if ids_BT.shape[1] == 0:
            if state.scores_BV is not None:
                return state.scores_BV.clone(), state
            return self._beginning_V().repeat(state.batch_size, 1), state
        stop = state.length + ids_BT.shape[1]
        if stop > self.config.context_length:
            raise _too_long(stop, self.context_length)
        store = extend(state, stop, self._empty_LBKSD(), self.config.context_length)
        hidden = self._hidden(ids_BT, store=store, start=state.length)
        scores_BV = self._logits(hidden[:, -1]).float()
        return scores_BV, State(state.batch_size, stop, store, scores_BV.clone())

    def score(self, ids: Any) -> Tensor:
        """The natural log-probability (n,) of each of `ids` (n,) given those before it, float32.

        Raises `TokenIdError`; `InvalidInputError` for a text longer than one context:
        `lexigram.evaluate` scores longer texts in windows.
        """
        return self.score_batch(self._checked(ids, dim=1)[None])[0]

    @torch.no_grad()
    def score_batch(self, ids: Any) -> Tensor:
        """The same (B, n) for rows `ids` (B, n) that do not influence each other."""
        ids_BT = self._checked(ids, dim=2)
        if ids_BT.shape[1] > self.context_length + 1:
            raise _too_long(ids_BT.shape[1], self.context_length + 1)
        if ids_BT.numel() == 0:
            return torch.zeros(ids_BT.shape, device=self.device)
        first_B1 = F.log_softmax(self._beginning_V(), dim=0)[ids_BT[:, :1]]
        if ids_BT.shape[1] == 1:
            return first_B1
        logits_BTV = self._logits(self._hidden(ids_BT[:, :-1])).float()
        rest_BT = -F.cross_entropy(logits_BTV.mT, ids_BT[:, 1:], reduction="none")
        return torch.cat((first_B1, rest_BT), dim=1)

    def reorder(self, state: State, rows: Any) -> State:
        """The state whose row i is row `rows[i]` of `state`; rows may repeat or be left out."""
        picked = torch.as_tensor(rows, dtype=torch.int64, device=self.device)
        if picked.dim() != 1 or len(picked) == 0:
            raise InvalidInputError("rows must be a list of at least one row number")
        if bool(((picked < 0) | (picked >= state.batch_size)).any()):
            raise InvalidInputError(
                f"rows {picked.tolist()} are not all in 0 … {state.batch_size - 1}"
            )
        return state.select(picked)

    def _beginning_V(self) -> Tensor:
        """The scores of a document's first token."""
        if self.document_separator is None:
            return torch.zeros(self.vocab_size, device=self.device)
        mark_BT = torch.full((1, 1), self.document_separator, device=self.device)
        return self._logits(self._hidden(mark_BT))[0, 0].float()

    def _checked(self, ids: Any, *, dim: int) -> Tensor:
        """`ids` as int64 on the model's device, or an error that names what is wrong."""
        if not isinstance(ids, Tensor):
            ids = _as_tensor(ids)
        if ids.dim() != dim:
            shape = "(rows, tokens)" if dim == 2 else "(tokens,)"
            raise InvalidInputError(f"ids have {ids.dim()} dimensions; their shape must be {shape}")
        if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
            raise InvalidInputError(f"ids are {ids.dtype}; token ids are integers")
        tensor: Tensor = ids.to(self.device, torch.int64)
        if tensor.numel():
            low, high = (int(x) for x in torch.aminmax(tensor))
            if low < 0 or high >= self.vocab_size:
                raise TokenIdError(
                    f"token id {low if low < 0 else high} is not in the vocabulary: "
                    f"ids are 0 … {self.vocab_size - 1}"
                )
        return tensor

    def _empty_LBKSD(self) -> Tensor:
        config = self.config
        shape = (config.num_layers, 0, config.num_kv_heads, 0, config.head_dim)
        return self.token_embedding.weight.new_empty(shape)


def _as_tensor(ids: Any) -> Tensor:
    """A copy: arrays that may not be written to, as of a memory-mapped file, are fine."""
    try:
        array = np.array(ids)
        return torch.from_numpy(array.astype(np.int64) if array.size == 0 else array)
    except (TypeError, ValueError):
        raise InvalidInputError("ids are not an array of integers of equal rows") from None


def _too_long(length: int, limit: int) -> InvalidInputError:
    return InvalidInputError(
        f"{length} tokens do not fit in a context of {limit}; shorten the prompt or the "
        "generation, or train with a larger model.context_length"
    )
