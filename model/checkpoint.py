"""Reads the weights of a Qwen2-architecture model out of a Hugging Face model folder.

Importing this file imports transformers, through `model.folder`, which reads the configuration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from model.errors import ConversionError
from model.folder import read_folder_config
from model.safetensors_file import SafetensorsFile
from model.types import DecoderConfig
from model.weights import Weights, require_layers, tensor_shapes

_LAYER: Final[Mapping[str, str]] = {
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


def open_checkpoint(folder: Path) -> Weights:
    """Open a folder with config.json and *.safetensors.

    Raises:
        ConversionError: It is not a whole qwen2 model, or one that the decoder's graph cannot express.
    """
    config, tied = read_folder_config(folder)
    return CheckpointWeights(folder, config, tied=tied)


class CheckpointWeights:
    """A folder of safetensors files, in one part or sharded, in bf16, fp16 or fp32."""

    def __init__(self, folder: Path, config: DecoderConfig, *, tied: bool) -> None:
        self.config = config
        files = [SafetensorsFile(path) for path in _shards(folder)]
        self._files = {name: file for file in files for name in file.names}
        require_layers(config, len(self._files), folder)
        shapes = tensor_shapes(config)
        self._names = {name: _stored_name(name) for name in shapes}
        if tied:
            self._names["lm_head"] = self._names["embed"]
        for ours, theirs in self._names.items():
            if theirs not in self._files:
                raise ConversionError(f"{folder} lacks the tensor {theirs}")
            shape = self._files[theirs].shape(theirs)
            if shape != shapes[ours]:
                raise ConversionError(f"{folder}: tensor {theirs} has shape {shape}, expected {shapes[ours]}")

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        """Return one tensor; see `Weights.tensor`."""
        stored = self._names[name]
        return self._files[stored].read(stored)


def _stored_name(name: str) -> str:
    if name.startswith("layers."):
        _, layer, part = name.split(".")
        return f"model.layers.{layer}.{_LAYER[part]}"
    names = {
        "embed": "model.embed_tokens.weight",
        "final_norm": "model.norm.weight",
        "lm_head": "lm_head.weight",
    }
    return names[name]


def _shards(folder: Path) -> list[Path]:
    """Return the safetensors files that make up one model: those of its index, or the only one."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return sorted(folder.glob("*.safetensors"))
    try:
        names = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConversionError(f"{index} has no usable weight_map: {error}") from error
    missing = sorted(name for name in names if Path(name).name != name or not (folder / name).is_file())
    if missing:
        raise ConversionError(f"{folder} lacks {', '.join(missing)}, which {index.name} lists")
    return [folder / name for name in sorted(names)]
