"""Reads the weights of a Qwen2-architecture model out of a GGUF file.

The only file that imports gguf, whose numpy code turns any quantization type into floats; the container
itself is read by `model.gguf_header`. Shapes and sizes are checked when a file is opened.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

from model.errors import ConversionError
from model.gguf_header import GgufHeader, GgufTensor, MetadataValue, read_gguf_header
from model.types import DecoderConfig
from model.weights import ARCHITECTURE, require_layers, tensor_shapes

_LAYER: Final[Mapping[str, str]] = {
    "q": "attn_q.weight",
    "k": "attn_k.weight",
    "v": "attn_v.weight",
    "o": "attn_output.weight",
    "gate": "ffn_gate.weight",
    "up": "ffn_up.weight",
    "down": "ffn_down.weight",
    "q_bias": "attn_q.bias",
    "k_bias": "attn_k.bias",
    "v_bias": "attn_v.bias",
    "attn_norm": "attn_norm.weight",
    "ffn_norm": "ffn_norm.weight",
}


class GgufWeights:
    """A GGUF file; any of its quantization types is turned into fp32.

    Where a file quantized a tied embedding twice (once for the input, more finely for the output), the finer
    copy serves both.
    """

    def __init__(self, path: Path) -> None:
        self._header = read_gguf_header(path)
        self.config = _read_config(self._header)
        require_layers(self.config, len(self._header.tensors), path)
        self._names = {name: _stored_name(name) for name in tensor_shapes(self.config)}
        if "output.weight" not in self._header.tensors:
            self._names["lm_head"] = "token_embd.weight"
        for ours, theirs in self._names.items():
            self._check(theirs, tensor_shapes(self.config)[ours])
        self._bytes: npt.NDArray[np.uint8] = np.memmap(path, np.uint8, mode="r")
        finer = self._finer_of_a_tied_pair()
        if finer:
            self._names |= {"embed": finer, "lm_head": finer}

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        """Return one tensor; see `Weights.tensor`."""
        return self._rows(self._names[name])

    def _check(self, name: str, shape: tuple[int, ...]) -> None:
        path = self._header.path
        tensor = self._header.tensors.get(name)
        if tensor is None:
            raise ConversionError(f"{path} lacks the tensor {name}")
        if tensor.shape != shape:
            raise ConversionError(f"{path}: tensor {name} has shape {tensor.shape}, expected {shape}")
        if tensor.type_id not in GGML_QUANT_SIZES:
            raise ConversionError(f"{path}: tensor {name} has the unknown type {tensor.type_id}")
        end = tensor.offset + math.prod(shape[:-1]) * _row_bytes(tensor)
        if end > self._header.n_bytes:
            raise ConversionError(
                f"{path} is cut short: it holds {self._header.n_bytes:,} bytes and needs at least {end:,}"
            )

    def _rows(self, name: str, n_rows: int | None = None) -> npt.NDArray[np.float32]:
        """Return the tensor of that file name, or only its first `n_rows` rows."""
        tensor = self._header.tensors[name]
        row_bytes, rows = _row_bytes(tensor), math.prod(tensor.shape[:-1])
        rows = rows if n_rows is None else min(n_rows, rows)
        raw = self._bytes[tensor.offset : tensor.offset + rows * row_bytes].reshape(rows, row_bytes)
        try:
            values = dequantize(np.ascontiguousarray(raw), GGMLQuantizationType(tensor.type_id))
        except NotImplementedError as error:
            raise ConversionError(f"{self._header.path}: tensor {name}: {error}") from error
        # A vector is read as one row; `require` copies what is a view of the file.
        shape = (rows, tensor.shape[1]) if len(tensor.shape) == 2 else tensor.shape
        result: npt.NDArray[np.float32] = np.require(values, np.float32, ["C", "W"]).reshape(shape)
        return result

    def _finer_of_a_tied_pair(self) -> str | None:
        """Name the finer one of input and output embedding if both are the same matrix, else None.

        The format does not say whether a model ties them. Two quantizations of one matrix differ by a few per
        cent, two different matrices by more than their own size.
        """
        names = ("token_embd.weight", "output.weight")
        if self._names["lm_head"] == self._names["embed"]:
            return None
        first, second = (self._rows(name, n_rows=256) for name in names)
        if np.linalg.norm(first - second) > 0.5 * np.linalg.norm(first):
            return None
        return max(names, key=lambda name: _bits_per_weight(self._header.tensors[name]))


def _stored_name(name: str) -> str:
    if name.startswith("layers."):
        _, layer, part = name.split(".")
        return f"blk.{layer}.{_LAYER[part]}"
    return {"embed": "token_embd.weight", "final_norm": "output_norm.weight", "lm_head": "output.weight"}[
        name
    ]


def _read_config(header: GgufHeader) -> DecoderConfig:
    """Return the sizes that a header tells, or raise for what the decoder's graph cannot express."""
    values, path = header.metadata, header.path
    architecture = values.get("general.architecture")
    if architecture != ARCHITECTURE:
        raise ConversionError(
            f"{path} has the architecture {architecture!r}; only {ARCHITECTURE!r} can be converted"
        )
    n_parts = values.get("split.count", 1)
    if n_parts not in {0, 1}:
        raise ConversionError(
            f"{path} is one of {n_parts} parts; merge them first (llama-gguf-split --merge)"
        )
    scaling = values.get(f"{ARCHITECTURE}.rope.scaling.type", "none")
    if scaling != "none":
        raise ConversionError(f"{path} scales its rotary positions ({scaling}), which is not supported")
    if "token_embd.weight" not in header.tensors:
        raise ConversionError(f"{path} lacks the tensor token_embd.weight")
    hidden, n_heads = _integer(header, "embedding_length"), _integer(header, "attention.head_count")
    return DecoderConfig(
        n_layers=_integer(header, "block_count"),
        hidden_size=hidden,
        intermediate_size=_integer(header, "feed_forward_length"),
        n_heads=n_heads,
        n_kv_heads=_integer(header, "attention.head_count_kv", n_heads),
        head_dim=_integer(header, "attention.key_length", hidden // n_heads),
        vocab_size=header.tensors["token_embd.weight"].shape[0],
        rope_theta=_number(header, "rope.freq_base", 10_000.0),
        rms_norm_eps=_number(header, "attention.layer_norm_rms_epsilon"),
        max_positions=_integer(header, "context_length"),
    )


def _number(header: GgufHeader, key: str, default: float | None = None) -> float:
    value: MetadataValue | None = header.metadata.get(f"{ARCHITECTURE}.{key}", default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise _wrong(header, key, "a number above 0")
    # Stored as fp32: 1e-6 comes back as 9.99999997e-07, so round to the digits that fp32 holds.
    return float(f"{value:.7g}")


def _integer(header: GgufHeader, key: str, default: int | None = None) -> int:
    value: MetadataValue | None = header.metadata.get(f"{ARCHITECTURE}.{key}", default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _wrong(header, key, "an integer above 0")
    return value


def _wrong(header: GgufHeader, key: str, expected: str) -> ConversionError:
    name = f"{ARCHITECTURE}.{key}"
    return ConversionError(f"{header.path}: {name} is {header.metadata.get(name)!r}, expected {expected}")


def _row_bytes(tensor: GgufTensor) -> int:
    """Return the bytes of one row of a matrix, or of a whole vector."""
    block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(tensor.type_id)]
    return int(-(-tensor.shape[-1] // block) * block_bytes)


def _bits_per_weight(tensor: GgufTensor) -> float:
    return 8 * _row_bytes(tensor) / tensor.shape[-1]
