"""The tensors of a Qwen2-architecture model under one set of names and shapes, whatever file they lie in.

Tensors are fp32 and read one at a time, so that converting needs room for one tensor and not for a model. The
readers of the two kinds of files are imported when a file is opened. This file does not know what the tensors
are for: graphs, rotation and quantization lie elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from model.errors import ConversionError
from model.types import DecoderConfig

ARCHITECTURE: Final = "qwen2"
"""As GGUF files and model folders spell it."""


class Weights(Protocol):
    """The tensors of one model under the names of `tensor_shapes`."""

    @property
    def config(self) -> DecoderConfig:
        """The sizes of the model."""
        ...

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        """Return the tensor `name`: fp32, C order, a copy that the caller may write to.

        Raises:
            ConversionError: Its bytes cannot be read.
        """
        ...


_TENSORS_PER_LAYER: Final = 12


def tensor_shapes(config: DecoderConfig) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every tensor of a model; matrices are (out, in).

    Names: `embed` and `lm_head` (vocab, hidden), `final_norm` (hidden,), and for each layer `layers.{i}.`
    with `q`, `k`, `v`, `o`, `gate`, `up`, `down`, `q_bias`, `k_bias`, `v_bias`, `attn_norm`, `ffn_norm`.
    """
    hidden, inner = config.hidden_size, config.intermediate_size
    q_size, kv_size = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    layer: dict[str, tuple[int, ...]] = {
        "q": (q_size, hidden),
        "k": (kv_size, hidden),
        "v": (kv_size, hidden),
        "o": (hidden, q_size),
        "gate": (inner, hidden),
        "up": (inner, hidden),
        "down": (hidden, inner),
        "q_bias": (q_size,),
        "k_bias": (kv_size,),
        "v_bias": (kv_size,),
        "attn_norm": (hidden,),
        "ffn_norm": (hidden,),
    }
    shapes: dict[str, tuple[int, ...]] = {"embed": (config.vocab_size, hidden)}
    for i in range(config.n_layers):
        shapes |= {f"layers.{i}.{part}": shape for part, shape in layer.items()}
    return shapes | {"final_norm": (hidden,), "lm_head": (config.vocab_size, hidden)}


def require_layers(config: DecoderConfig, n_tensors: int, path: Path) -> None:
    """Refuse a number of layers, possibly absurd, that a file of `n_tensors` tensors cannot hold.

    Raises:
        ConversionError: It is not the number of this file's layers.
    """
    if config.n_layers * _TENSORS_PER_LAYER > n_tensors:
        raise ConversionError(f"{path} claims {config.n_layers} layers and holds only {n_tensors} tensors")


def open_weights(path: Path) -> Weights:
    """Open a .gguf file, a folder with config.json and safetensors, or a folder that holds one .gguf file.

    Raises:
        ConversionError: Nothing is there that can be opened, or it is not a whole qwen2 model.
    """
    if not path.exists():
        raise ConversionError(f"{path} does not exist")
    if path.is_dir() and (path / "config.json").is_file() and any(path.glob("*.safetensors")):
        from model.checkpoint import open_checkpoint  # noqa: PLC0415  (transformers takes a second)

        return open_checkpoint(path)
    from model.gguf_weights import GgufWeights  # noqa: PLC0415  (only a conversion needs it)

    if path.is_file():
        return GgufWeights(path)
    gguf_files = sorted(path.glob("*.gguf"))
    if len(gguf_files) == 1:
        return GgufWeights(gguf_files[0])
    found = f"it holds {len(gguf_files)} .gguf files" if gguf_files else "it holds neither"
    raise ConversionError(f"{path} needs config.json with *.safetensors, or exactly one .gguf file: {found}")
