"""A tiny random Qwen2 model in every form that the importer reads, and a plain numpy forward pass of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import gguf
import ml_dtypes
import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, normalizers

from model.tokenizer import byte_alphabet, save_tokenizer
from model.types import DecoderConfig
from model.vocabulary import Vocabulary
from model.weights import Weights, tensor_shapes

CONFIG = DecoderConfig(
    n_layers=2,
    hidden_size=96,
    intermediate_size=160,
    n_heads=4,
    n_kv_heads=2,
    head_dim=24,
    vocab_size=320,
    rope_theta=10_000.0,
    rms_norm_eps=1e-6,
    max_positions=512,
)
CONTROL_NAMES = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
)
MERGES = (
    ("i", "n"),
    ("Ġ", "Ġ"),
    ("ĠĠ", "ĠĠ"),
    ("r", "e"),
    ("t", "u"),
    ("re", "tu"),
    ("r", "n"),
    ("retu", "rn"),
    ("Ġ", "return"),
    ("f", "in"),
    ("Ã", "©"),
    ("<", "|"),
    ("|", ">"),
    ("č", "Ċ"),
    ("Ċ", "Ċ"),
    ("_", "m"),
)


class ArrayWeights:
    """Weights held in memory."""

    def __init__(self, config: DecoderConfig, tensors: Mapping[str, np.ndarray]) -> None:
        self.config = config
        self.tensors = tensors

    def tensor(self, name: str) -> np.ndarray:
        return self.tensors[name].astype(np.float32)


def random_tensors(
    config: DecoderConfig = CONFIG, *, tied: bool = False, seed: int = 1
) -> dict[str, np.ndarray]:
    """Return random tensors, with one outlier channel in each norm as real models have them."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in tensor_shapes(config).items():
        values = rng.standard_normal(shape) * (0.5 if len(shape) == 1 else 1.5 / np.sqrt(shape[1]))
        if name.endswith("norm"):
            values = 1 + 0.2 * values
            values[3] = 20
        tensors[name] = values.astype(np.float32)
    if tied:
        tensors["lm_head"] = tensors["embed"]
    return tensors


def reference_logits(weights: Weights, ids: list[int]) -> np.ndarray:
    """Run the decoder in float64 as its definition reads; returns logits (len(ids), vocab)."""
    config = weights.config

    def get(name: str) -> np.ndarray:
        return weights.tensor(name).astype(np.float64)

    def norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + config.rms_norm_eps) * weight

    half = config.head_dim // 2
    angles = np.arange(len(ids))[:, None] * config.rope_theta ** (-np.arange(half) / half)[None]
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]

    def turn(x: np.ndarray) -> np.ndarray:
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    x = get("embed")[ids]
    mask = np.triu(np.full((len(ids), len(ids)), -np.inf), 1)
    for i in range(config.n_layers):
        p = f"layers.{i}."
        h = norm(x, get(p + "attn_norm"))
        q, k, v = (
            (h @ get(p + part).T + get(f"{p}{part}_bias")).reshape(len(ids), -1, config.head_dim)
            for part in "qkv"
        )
        group = config.n_heads // config.n_kv_heads
        k, v = (np.repeat(array, group, axis=1) for array in (turn(k), v))
        scores = np.einsum("qhd,khd->hqk", turn(q), k) / np.sqrt(config.head_dim) + mask
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        attended = np.einsum("hqk,khd->qhd", scores / scores.sum(-1, keepdims=True), v)
        x = x + attended.reshape(len(ids), -1) @ get(p + "o").T
        h = norm(x, get(p + "ffn_norm"))
        gate = h @ get(p + "gate").T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ get(p + "up").T)) @ get(p + "down").T
    return norm(x, get("final_norm")) @ get("lm_head").T


def tiny_vocabulary() -> Vocabulary:
    """Return all bytes, a few merges, and control tokens after them."""
    tokens = [*byte_alphabet(), *(first + second for first, second in MERGES)]
    control = {name: len(tokens) + i for i, name in enumerate(CONTROL_NAMES)}
    return Vocabulary({token: i for i, token in enumerate(tokens)}, MERGES, control)


def write_gguf(
    path: Path,
    tensors: Mapping[str, np.ndarray],
    *,
    config: DecoderConfig = CONFIG,
    architecture: str = "qwen2",
    types: Mapping[str, gguf.GGMLQuantizationType] | None = None,
    leave_out: tuple[str, ...] = (),
    extra: Mapping[str, str | float] | None = None,
) -> Path:
    """Write a GGUF file; `types` are quantization types by the file's own tensor names."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.n_layers)
    writer.add_context_length(config.max_positions)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    adders = {
        str: writer.add_string,
        int: writer.add_uint16,
        float: writer.add_float32,
        bool: writer.add_bool,
    }
    for key, value in (extra or {}).items():
        adders[type(value)](key, value)
    _add_vocabulary(writer, config)
    for ours, theirs in gguf_names(config).items():
        if theirs in leave_out:
            continue
        kind = (types or {}).get(theirs, gguf.GGMLQuantizationType.F32)
        values = tensors[ours]
        stored = gguf.quants.quantize(values, kind) if kind != gguf.GGMLQuantizationType.F32 else values
        writer.add_tensor(theirs, stored, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: gguf.GGUFWriter, config: DecoderConfig) -> None:
    vocabulary = tiny_vocabulary()
    names = [*vocabulary.text_tokens, *vocabulary.control_tokens]
    names += [f"[PAD{i}]" for i in range(len(names), config.vocab_size)]
    n_text, n_named = len(vocabulary.text_tokens), len(vocabulary.text_tokens) + len(CONTROL_NAMES)
    kinds = [1 if i < n_text else 3 if i < n_named else 5 for i in range(config.vocab_size)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in MERGES])


def gguf_names(config: DecoderConfig = CONFIG) -> dict[str, str]:
    """Return our tensor names -> those of a GGUF file, by the naming that llama.cpp uses."""
    parts = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output"}
    parts |= {part: f"ffn_{part}" for part in ("gate", "up", "down")}
    names = {"embed": "token_embd.weight", "final_norm": "output_norm.weight", "lm_head": "output.weight"}
    for i in range(config.n_layers):
        names |= {f"layers.{i}.{ours}": f"blk.{i}.{theirs}.weight" for ours, theirs in parts.items()}
        names |= {f"layers.{i}.{part}_bias": f"blk.{i}.attn_{part}.bias" for part in "qkv"}
        names |= {f"layers.{i}.{part}_norm": f"blk.{i}.{part}_norm.weight" for part in ("attn", "ffn")}
    return names


def folder_names(config: DecoderConfig = CONFIG) -> dict[str, str]:
    """Return our tensor names -> those of a transformers checkpoint."""
    attention = {part: f"self_attn.{part}_proj" for part in "qkvo"}
    names = {
        "embed": "model.embed_tokens.weight",
        "final_norm": "model.norm.weight",
        "lm_head": "lm_head.weight",
    }
    for i in range(config.n_layers):
        layer = f"model.layers.{i}."
        names |= {f"layers.{i}.{ours}": f"{layer}{theirs}.weight" for ours, theirs in attention.items()}
        names |= {f"layers.{i}.{part}_bias": f"{layer}self_attn.{part}_proj.bias" for part in "qkv"}
        names |= {f"layers.{i}.{part}": f"{layer}mlp.{part}_proj.weight" for part in ("gate", "up", "down")}
        names[f"layers.{i}.attn_norm"] = f"{layer}input_layernorm.weight"
        names[f"layers.{i}.ffn_norm"] = f"{layer}post_attention_layernorm.weight"
    return names


def write_folder(
    folder: Path,
    tensors: Mapping[str, np.ndarray],
    *,
    config: DecoderConfig = CONFIG,
    dtype: str = "float32",
    tied: bool = False,
    n_shards: int = 1,
    changes: Mapping[str, object] | None = None,
) -> Path:
    """Write a model folder as transformers' `save_pretrained` does, with the tokenizer as Qwen ships it."""
    folder.mkdir(exist_ok=True)
    written = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "vocab_size": config.vocab_size,
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.rms_norm_eps,
        "max_position_embeddings": config.max_positions,
        "tie_word_embeddings": tied,
        "use_sliding_window": False,
    }
    (folder / "config.json").write_text(json.dumps(written | dict(changes or {})))
    element = {"bfloat16": ml_dtypes.bfloat16}.get(dtype, dtype)
    names = {
        ours: theirs for ours, theirs in folder_names(config).items() if not (tied and ours == "lm_head")
    }
    stored = {theirs: tensors[ours].astype(element) for ours, theirs in names.items()}
    if n_shards == 1:
        save_file(stored, folder / "model.safetensors")
    else:
        _save_shards(folder, stored, n_shards)
    write_hub_tokenizer(folder)
    return folder


def _save_shards(folder: Path, stored: Mapping[str, np.ndarray], n_shards: int) -> None:
    weight_map = {}
    for shard in range(n_shards):
        file = f"model-{shard + 1:05}-of-{n_shards:05}.safetensors"
        part = dict(list(stored.items())[shard::n_shards])
        save_file(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def write_hub_tokenizer(folder: Path) -> None:
    """Write tokenizer.json with NFC and added tokens, as a hub's copy has them."""
    save_tokenizer(tiny_vocabulary(), folder)
    (folder / "token_bytes.npz").unlink()
    engine = Tokenizer.from_file(str(folder / "tokenizer.json"))
    engine.normalizer = normalizers.NFC()
    engine.add_tokens([AddedToken(name, special=True, normalized=False) for name in CONTROL_NAMES])
    engine.save(str(folder / "tokenizer.json"))
