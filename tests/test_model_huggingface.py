"""The same weights in the classes of the transformers library give the same logits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lexigram.model import ModelConfig, Transformer

pytestmark = pytest.mark.torch
transformers = pytest.importorskip("transformers")


def random_weights(config: ModelConfig) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def as_gpt2(model: Transformer) -> dict[str, Tensor]:
    """Names of GPT2LMHeadModel; its matrices stand transposed."""
    ours = model.state_dict()
    names = {"token_embedding.weight": "wte.weight", "position_embedding.weight": "wpe.weight"}
    parts = {
        "attention_norm": "ln_1",
        "attention.qkv": "attn.c_attn",
        "attention.output": "attn.c_proj",
        "feed_forward_norm": "ln_2",
        "feed_forward.up": "mlp.c_fc",
        "feed_forward.down": "mlp.c_proj",
    }
    for i in range(model.config.num_layers):
        for part, theirs in parts.items():
            for kind in ("weight", "bias"):
                names[f"blocks.{i}.{part}.{kind}"] = f"h.{i}.{theirs}.{kind}"
    names |= {f"final_norm.{kind}": f"ln_f.{kind}" for kind in ("weight", "bias")}
    linear = {k for k, v in ours.items() if v.dim() == 2 and "embedding" not in k}
    return {f"transformer.{names[k]}": v.T if k in linear else v for k, v in ours.items()}


def as_qwen3(model: Transformer) -> dict[str, Tensor]:
    """Names of Qwen3ForCausalLM; it keeps queries, keys and values apart."""
    config, ours = model.config, model.state_dict()
    theirs = {
        "model.embed_tokens.weight": ours["token_embedding.weight"],
        "model.norm.weight": ours["final_norm.weight"],
    }
    parts = {
        "attention_norm": "input_layernorm",
        "attention.output": "self_attn.o_proj",
        "attention.query_norm": "self_attn.q_norm",
        "attention.key_norm": "self_attn.k_norm",
        "feed_forward_norm": "post_attention_layernorm",
        "feed_forward.gate": "mlp.gate_proj",
        "feed_forward.up": "mlp.up_proj",
        "feed_forward.down": "mlp.down_proj",
    }
    heads = (config.num_heads, config.num_kv_heads, config.num_kv_heads)
    for i in range(config.num_layers):
        for part, name in parts.items():
            theirs[f"model.layers.{i}.{name}.weight"] = ours[f"blocks.{i}.{part}.weight"]
        qkv = ours[f"blocks.{i}.attention.qkv.weight"].split([n * config.head_dim for n in heads])
        for letter, weight in zip("qkv", qkv, strict=True):
            theirs[f"model.layers.{i}.self_attn.{letter}_proj.weight"] = weight
    if not config.tie_embeddings:
        theirs["lm_head.weight"] = ours["head.weight"]
    return theirs


def fill(theirs: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}  # tied to the embedding
    theirs.tie_weights()
    theirs.eval()


def compare(model: Transformer, theirs: torch.nn.Module) -> None:
    config = model.config
    ids = torch.randint(0, config.vocab_size, (3, config.context_length))
    with torch.no_grad():
        expected, ours = theirs(ids).logits, model(ids)
    assert expected.abs().max() > 1  # logits that differ, so that equality says something
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


def test_gpt2() -> None:
    config = ModelConfig.preset(
        "gpt2", vocab_size=97, context_length=33, num_layers=3, d_model=32, num_heads=4
    )
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=97,
            n_positions=33,
            n_embd=32,
            n_layer=3,
            n_head=4,
            n_inner=config.d_ff,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    model = random_weights(config)
    fill(theirs, as_gpt2(model))
    compare(model, theirs)


@pytest.mark.parametrize("tied", [True, False])
def test_qwen3(tied: bool) -> None:
    config = ModelConfig.preset(
        "qwen3",
        vocab_size=97,
        context_length=33,
        num_layers=3,
        d_model=32,
        num_heads=4,
        head_dim=12,
        tie_embeddings=tied,
    )
    theirs = transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=97,
            hidden_size=32,
            intermediate_size=config.d_ff,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=config.num_kv_heads,
            head_dim=12,
            max_position_embeddings=33,
            rms_norm_eps=config.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            tie_word_embeddings=tied,
        )
    )
    model = random_weights(config)
    fill(theirs, as_qwen3(model))
    compare(model, theirs)
