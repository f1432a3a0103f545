"""Makes `qwen2.npz`: a tiny random Qwen2 and the logits that transformers computes with it.

Not run by the tests, which only read the file, so that they need no torch:

    python -m venv /tmp/golden && /tmp/golden/bin/pip install torch==2.13.0 "transformers>=4.57"
    /tmp/golden/bin/python tests/golden/make_qwen2.py

Weights are drawn as fp16 numbers, to halve the file; all computing is in fp32, with eager attention.
"""

from pathlib import Path

import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

N_LAYERS, HIDDEN, INNER, N_HEADS, N_KV_HEADS, HEAD_DIM, VOCAB = 2, 48, 80, 4, 2, 16, 101
ROPE_THETA, EPS, N_POSITIONS = 10_000.0, 1e-6, 512
N_TOKENS = 40
GAPS = {12: 7, 25: 100}
"""Token index -> how many positions are left out before it."""

LAYER_NAMES = {
    "q": "self_attn.q_proj.weight",
    "k": "self_attn.k_proj.weight",
    "v": "self_attn.v_proj.weight",
    "o": "self_attn.o_proj.weight",
    "gate": "mlp.gate_proj.weight",
    "up": "mlp.up_proj.weight",
    "down": "mlp.down_proj.weight",
    "q_bias": "self_attn.q_proj.bias",
    "k_bias": "self_attn.k_proj.bias",
    "v_bias": "self_attn.v_proj.bias",
    "attn_norm": "input_layernorm.weight",
    "ffn_norm": "post_attention_layernorm.weight",
}


def main() -> None:
    config = Qwen2Config(
        vocab_size=VOCAB,
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=N_LAYERS,
        num_attention_heads=N_HEADS,
        num_key_value_heads=N_KV_HEADS,
        head_dim=HEAD_DIM,
        max_position_embeddings=N_POSITIONS,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        rms_norm_eps=EPS,
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    assert config.rope_parameters["rope_theta"] == ROPE_THETA
    model = Qwen2ForCausalLM(config).eval()
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        # Norm weights around 1; the rest large enough that attention is far from uniform.
        value = 1.0 + 0.3 * noise if "norm" in name else 0.25 * noise
        parameter.data = value.half().float()
    state = {name: value.numpy().astype(np.float16) for name, value in model.state_dict().items()}

    arrays = {"embed": state["model.embed_tokens.weight"], "lm_head": state["lm_head.weight"]}
    arrays["final_norm"] = state["model.norm.weight"]
    for layer in range(N_LAYERS):
        for ours, theirs in LAYER_NAMES.items():
            arrays[f"layers.{layer}.{ours}"] = state[f"model.layers.{layer}.{theirs}"]

    ids = torch.randint(0, VOCAB, (N_TOKENS,), generator=generator)
    plain = torch.arange(N_TOKENS)
    gapped = plain + sum((plain >= at) * gap for at, gap in GAPS.items())
    sizes = [N_LAYERS, HIDDEN, INNER, N_HEADS, N_KV_HEADS, HEAD_DIM, VOCAB, N_POSITIONS]
    np.savez_compressed(
        Path(__file__).with_name("qwen2.npz"),
        sizes=np.array(sizes),
        rope_theta=ROPE_THETA,
        rms_norm_eps=EPS,
        token_ids=ids.numpy(),
        positions_gapped=gapped.numpy(),
        logits=logits(model, ids, plain),
        logits_gapped=logits(model, ids, gapped),
        **{f"weights/{name}": value for name, value in arrays.items()},
    )


def logits(model: Qwen2ForCausalLM, ids: torch.Tensor, positions: torch.Tensor) -> np.ndarray:
    """Run with a causal mask by order; without one, transformers takes a gap for the start of a text."""
    mask = torch.full((len(ids), len(ids)), torch.finfo(torch.float32).min).triu(1)[None, None]
    with torch.no_grad():
        output = model(ids[None], attention_mask=mask, position_ids=positions[None], use_cache=False)
    return output.logits[0].numpy()


if __name__ == "__main__":
    main()
