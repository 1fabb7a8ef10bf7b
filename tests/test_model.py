"""The transformer against the readable reference, against itself with a cache, and its errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_contract import check_language_model

from lexigram.errors import ConfigError, InvalidInputError, TokenIdError
from lexigram.model import ModelConfig, Transformer, pick_device
from lexigram.model.layers import Attention, alibi_slopes, rotate, rotation_angles
from lexigram.reference import attention as reference

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine cost more than these models do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


POSITIONS = ("learned", "sinusoidal", "rope", "alibi", "none")


def small(**changes: Any) -> ModelConfig:
    base: dict[str, Any] = {
        "vocab_size": 23,
        "context_length": 16,
        "num_layers": 2,
        "d_model": 12,
        "num_heads": 4,
        "num_kv_heads": 2,
        "head_dim": 6,
        "d_ff": 20,
        "document_separator": 22,
    }
    return ModelConfig(**{**base, **changes})


def model_of(config: ModelConfig, seed: int = 0, scale: float = 0.5) -> Transformer:
    """Weights large enough that attention and positions matter."""
    torch.manual_seed(seed)
    model = Transformer(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * scale)
    return model


@st.composite
def configs(draw: st.DrawFn) -> ModelConfig:
    kv_heads = draw(st.integers(1, 2))
    return small(
        num_layers=draw(st.integers(1, 3)),
        num_kv_heads=kv_heads,
        num_heads=kv_heads * draw(st.integers(1, 3)),
        head_dim=2 * draw(st.integers(1, 4)),
        d_model=2 * draw(st.integers(2, 8)),
        d_ff=draw(st.integers(1, 16)),
        norm=draw(st.sampled_from(["layernorm", "rmsnorm"])),
        activation=draw(st.sampled_from(["gelu", "relu2", "swiglu"])),
        positions=draw(st.sampled_from(POSITIONS)),
        qk_norm=draw(st.booleans()),
        bias=draw(st.booleans()),
        tie_embeddings=draw(st.booleans()),
        document_separator=draw(st.sampled_from([None, 0, 22])),
    )


@given(configs())
def test_num_parameters_counts_what_torch_counts(config: ModelConfig) -> None:
    model = Transformer(config)
    assert config.num_parameters == sum(p.numel() for p in model.parameters())


def test_presets_have_their_published_sizes() -> None:
    assert ModelConfig.preset("gpt2").num_parameters == 124_439_808
    assert ModelConfig.preset("qwen3").num_parameters == 596_049_920
    scaled = ModelConfig.preset("qwen3", d_model=128, num_heads=4)
    assert (scaled.head_dim, scaled.num_kv_heads, scaled.d_ff) == (32, 2, 384)


@given(
    st.integers(1, 9),
    st.sampled_from([(1, 1), (2, 1), (4, 2), (6, 3), (6, 2)]),
    st.sampled_from(["rope", "alibi", "none"]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_attention_is_the_reference(
    length: int, heads: tuple[int, int], positions: Any, packed: bool, seed: int
) -> None:
    """The layer's matrices are made identities around the reference's loops."""
    num_heads, num_kv_heads = heads
    rng = np.random.default_rng(seed)
    config = small(
        num_layers=1,
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=4,
        d_model=(num_heads + 2 * num_kv_heads) * 4,
        positions=positions,
        qk_norm=False,
        rope_theta=100.0,
    )
    layer = Attention(config)
    assert layer.qkv.weight.shape[0] == layer.qkv.weight.shape[1]
    with torch.no_grad():
        layer.qkv.weight.copy_(torch.eye(config.d_model))
        layer.output.weight.zero_()
        layer.output.weight[: num_heads * 4].copy_(torch.eye(num_heads * 4))
    x = rng.normal(size=(length, config.d_model))
    documents = np.sort(rng.integers(3, size=length)) if packed else None

    document_ids = None if documents is None else torch.from_numpy(documents)[None]
    rotation = None
    if positions == "rope":
        rotation = rotation_angles(torch.arange(length)[None], 4, config.rope_theta)
    mask = Transformer(config)._mask(length, 0, document_ids, torch.device("cpu"))
    given_x = torch.from_numpy(x).float()[None]
    ours = layer(given_x, rotation, mask)[0, :, : num_heads * 4].detach().numpy()

    q, k, v = np.split(x.reshape(length, -1, 4), [num_heads, num_heads + num_kv_heads], axis=1)
    if positions == "rope":
        q, k = (
            np.array(
                [[reference.rotate(h, t, config.rope_theta) for h in x] for t, x in enumerate(part)]
            )
            for part in (q, k)
        )
    slopes = alibi_slopes(num_heads) if positions == "alibi" else None
    expected = reference.attention(q, k, v, document_ids=documents, alibi_slopes=slopes)
    np.testing.assert_allclose(ours, expected.reshape(length, -1), atol=1e-5)


def test_rotated_products_depend_on_the_distance_only() -> None:
    q, k = torch.randn(2, 1, 1, 8, dtype=torch.float64).unbind(0)

    def product(t: int, s: int) -> float:
        angles = [rotation_angles(torch.tensor([p]), 8, 50.0) for p in (t, s)]
        return float((rotate(q, angles[0]) * rotate(k, angles[1])).sum())

    assert product(9, 4) == pytest.approx(product(105, 100), abs=1e-4)
    assert product(9, 4) != pytest.approx(product(9, 5), abs=1e-3)


def test_alibi_slopes_are_the_papers() -> None:
    assert alibi_slopes(8) == [2.0**-h for h in range(1, 9)]
    assert alibi_slopes(6) == [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8, 2.0**-1, 2.0**-3]


@settings(max_examples=50)
@given(configs(), st.integers(0, 2**32 - 1))
def test_no_position_sees_the_future(config: ModelConfig, seed: int) -> None:
    model, rng = model_of(config), np.random.default_rng(seed)
    ids = torch.from_numpy(rng.integers(config.vocab_size, size=(2, 9)))
    changed = ids.clone()
    changed[:, 5:] = torch.from_numpy(rng.integers(config.vocab_size, size=(2, 4)))
    with torch.no_grad():
        torch.testing.assert_close(model(ids)[:, :5], model(changed)[:, :5], atol=1e-5, rtol=1e-5)


@settings(max_examples=50)
@given(configs(), st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_packed_documents_are_as_if_alone(
    config: ModelConfig, lengths: list[int], seed: int
) -> None:
    lengths = [n for i, n in enumerate(lengths) if sum(lengths[: i + 1]) <= 16]
    model, rng = model_of(config), np.random.default_rng(seed)
    parts = [torch.from_numpy(rng.integers(config.vocab_size, size=(1, n))) for n in lengths]
    document_ids = torch.cat([torch.full((1, n), i) for i, n in enumerate(lengths)], dim=1)
    positions = torch.cat([torch.arange(n)[None] for n in lengths], dim=1)
    with torch.no_grad():
        packed = model(torch.cat(parts, dim=1), document_ids=document_ids, positions=positions)
        alone = torch.cat([model(part) for part in parts], dim=1)
    torch.testing.assert_close(packed, alone, atol=1e-4, rtol=1e-4)


@settings(max_examples=50)
@given(configs(), st.lists(st.integers(0, 4), max_size=5), st.integers(0, 2**32 - 1))
def test_cached_is_uncached(config: ModelConfig, cuts: list[int], seed: int) -> None:
    """Any way of feeding the ids gives the scores of one pass; before any id, those after the
    separator alone."""
    model, rng = model_of(config, scale=0.2), np.random.default_rng(seed)
    separator = config.document_separator
    ids = torch.from_numpy(rng.integers(config.vocab_size, size=(3, sum(cuts[:3]))))
    mark = torch.full((3, 0 if separator is None else 1), separator or 0)
    empty = model(mark)[:, -1].detach() if mark.numel() else torch.zeros(3, config.vocab_size)
    state, at = model.start(3), 0
    for n in cuts[:3]:
        scores, state = model.step(state, ids[:, at : at + n])
        at += n
        expected = model(ids[:, :at])[:, -1].detach() if at else empty
        torch.testing.assert_close(scores, expected, atol=1e-5, rtol=1e-5)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=14), st.integers(0, 99))
def test_states_branch_without_touching_each_other(plan: list[tuple[int, int]], seed: int) -> None:
    """A tree of states, each continued from any earlier one, against fresh passes."""
    model, rng = model_of(small(), scale=0.2), np.random.default_rng(seed)
    states = [(model.start(2), torch.zeros(2, 0, dtype=torch.int64))]
    for parent, n in plan:
        state, ids = states[parent % len(states)]
        more = torch.from_numpy(rng.integers(23, size=(2, n)))
        if ids.shape[1] + n <= model.context_length:
            _, new = model.step(state, more)
            states.append((new, torch.cat((ids, more), dim=1)))
    for state, ids in states:
        scores, _ = model.step(state, torch.zeros(2, 0, dtype=torch.int64))
        fresh, _ = model.step(model.start(2), ids)
        torch.testing.assert_close(scores, fresh, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("separator", [None, 22])
def test_it_is_a_language_model(positions: Any, separator: int | None) -> None:
    model = model_of(small(positions=positions, document_separator=separator), scale=0.2)
    check_language_model(model, np.random.default_rng(1))


def test_score_fills_the_context_and_begins_after_the_separator() -> None:
    model = model_of(small(), scale=0.2)
    ids = torch.randint(0, 23, (17,), generator=torch.Generator().manual_seed(1))
    first = model(torch.tensor([[22]]))[0]
    logits = torch.cat((first, model(ids[None, :-1])[0]))
    expected = logits.log_softmax(-1).gather(1, ids[:, None])[:, 0]
    torch.testing.assert_close(model.score(ids), expected.detach())
    uniform = model_of(small(document_separator=None)).score([3, 4])
    assert uniform[0].item() == pytest.approx(-np.log(23))
    assert len(model.score([])) == 0
    assert model.score([3]).shape == (1,)


def test_score_batch_is_score_of_each_row() -> None:
    model = model_of(small(), scale=0.2)
    ids = torch.randint(0, 23, (4, 9), generator=torch.Generator().manual_seed(1))
    rows = torch.stack([model.score(row) for row in ids])
    torch.testing.assert_close(model.score_batch(ids), rows)


def test_reorder_picks_rows_that_go_on_as_before() -> None:
    model = model_of(small(), scale=0.2)
    ids = torch.randint(0, 23, (3, 5), generator=torch.Generator().manual_seed(1))
    _, state = model.step(model.start(3), ids[:, :4])
    rows = [2, 0, 0, 1]
    scores, _ = model.step(model.reorder(state, rows), ids[rows, 4:])
    expected, _ = model.step(model.start(4), ids[rows])
    torch.testing.assert_close(scores, expected)
    assert model.reorder(model.start(2), [1, 1, 0]).batch_size == 3
    for wrong in ([], [3], [-1]):
        with pytest.raises(InvalidInputError):
            model.reorder(state, wrong)


def test_a_prompt_longer_than_the_context_names_both_numbers() -> None:
    model = model_of(small())
    with pytest.raises(InvalidInputError, match=r"17 tokens .* context of 16; .*context_length"):
        model.step(model.start(1), np.zeros((1, 17), dtype=np.int64))
    with pytest.raises(InvalidInputError, match="17 tokens"):
        model(torch.zeros(1, 17, dtype=torch.int64))
    with pytest.raises(InvalidInputError, match="18 tokens"):
        model.score(np.zeros(18, dtype=np.int64))


def test_a_failed_step_leaves_the_state_usable() -> None:
    model = model_of(small(), scale=0.2)
    _, state = model.step(model.start(1), [[1, 2, 3]])
    before, _ = model.step(state, [[4]])
    for wrong in ([[23]], [[-1]], [[0] * 14]):
        with pytest.raises((TokenIdError, InvalidInputError)):
            model.step(state, wrong)
    after, _ = model.step(state, [[4]])
    torch.testing.assert_close(before, after)


@pytest.mark.parametrize("wrong", [[[0.5]], [["a"]], [[True]], [1, 2], [[1, 2], [3]], [[2**70]]])
def test_what_is_no_id_is_refused(wrong: Any) -> None:
    model = model_of(small())
    with pytest.raises(InvalidInputError):
        model.step(model.start(1), wrong)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_layers": 0}, "num_layers = 0"),
        ({"num_kv_heads": 3}, "num_kv_heads = 3 does not divide"),
        ({"head_dim": 5}, "head_dim = 5"),
        ({"positions": "sinusoidal", "d_model": 7}, "d_model = 7"),
        ({"norm_eps": 0.0}, "norm_eps"),
        ({"document_separator": 23}, "document_separator = 23"),
    ],
)
def test_config_errors_name_key_and_value(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 3}, "unknown config key 'model.depth'"),
        ({"d_model": "wide"}, "d_model"),
        ({"d_model": 100, "num_heads": 7}, "not a multiple of num_heads = 7"),
    ],
)
def test_preset_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelConfig.preset("qwen3", **changes)


def test_unknown_names() -> None:
    with pytest.raises(ConfigError, match="gpt2, qwen3"):
        ModelConfig.preset("gpt3")
    with pytest.raises(ConfigError, match="must be auto"):
        pick_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="use auto or cpu"):
            pick_device("cuda")


def test_bfloat16_autocast_runs_without_warnings() -> None:
    model = model_of(small(), scale=0.1)
    ids = torch.randint(0, 23, (2, 8), generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        half = model(ids)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), model(ids), atol=0.1, rtol=0.1)
