"""Reads the configuration of a Hugging Face model folder, through transformers' `AutoConfig`.

The only file that imports transformers, which is slow to import: import this file where a folder is opened,
not at the top of another file. Reads local files only and runs no code that a folder brings along.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from model.errors import ConversionError
from model.types import DecoderConfig
from model.weights import ARCHITECTURE

# At its import transformers warns that there is no torch, which nobody here wants to have.
logging.getLogger("transformers").addFilter(lambda record: "PyTorch was not found" not in record.getMessage())

from transformers import AutoConfig  # noqa: E402


def read_folder_config(folder: Path) -> tuple[DecoderConfig, bool]:
    """Return the sizes in `folder`'s config.json, and whether input and output embedding are one matrix.

    Raises:
        ConversionError: The file does not parse, tells another architecture than qwen2, or asks for what the
            decoder's graph cannot express (scaled rotary positions, a sliding window, packed weights).
    """
    path = folder / "config.json"
    try:
        written = json.loads(path.read_text("utf-8"))
        architecture = written.get("model_type")
        if architecture != ARCHITECTURE:
            raise ConversionError(
                f"{path} has the architecture {architecture!r}; only {ARCHITECTURE!r} can be converted"
            )
        config = _auto_config(folder)
        unsupported = _unsupported(config)
        if unsupported:
            raise ConversionError(f"{path}: {unsupported} is not supported")
        return _sizes(config), bool(config.tie_word_embeddings)
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise ConversionError(f"{path} cannot be used: {' '.join(str(error).split())}") from error


def _auto_config(folder: Path) -> Any:  # noqa: ANN401  (transformers says nothing of its types)
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # its validators raise types of other packages
        raise ValueError(str(error)) from error


def _sizes(config: Any) -> DecoderConfig:  # noqa: ANN401
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return DecoderConfig(
        n_layers=int(config.num_hidden_layers),
        hidden_size=int(config.hidden_size),
        intermediate_size=int(config.intermediate_size),
        n_heads=int(config.num_attention_heads),
        n_kv_heads=int(config.num_key_value_heads),
        head_dim=int(head_dim),
        vocab_size=int(config.vocab_size),
        rope_theta=float(_rope(config)["rope_theta"]),
        rms_norm_eps=float(config.rms_norm_eps),
        max_positions=int(config.max_position_embeddings),
    )


def _unsupported(config: Any) -> str | None:  # noqa: ANN401
    """Name what the graph cannot express, None if there is nothing."""
    kind = _rope(config).get("rope_type", "default")
    if kind != "default":
        return f"scaling of rotary positions ({kind})"
    if config.use_sliding_window:
        return "a sliding window"
    if config.hidden_act != "silu":
        return f"the activation {config.hidden_act!r}"
    if getattr(config, "quantization_config", None):
        return "a folder of already quantized weights (take the original one, or a GGUF)"
    return None


def _rope(config: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the rotary parameters; transformers 5 keeps them in one dictionary, 4 beside each other."""
    parameters = getattr(config, "rope_parameters", None)
    if parameters:
        return dict(parameters)
    scaling = getattr(config, "rope_scaling", None) or {}
    return {
        "rope_theta": config.rope_theta,
        "rope_type": scaling.get("rope_type", scaling.get("type", "default")),
    }
