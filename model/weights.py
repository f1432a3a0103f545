"""Opens the weights of a Qwen2-architecture model, from a GGUF file or a folder of safetensors.

Both are offered under one set of names and shapes (`tensor_shapes`), as fp32, one tensor at a time, so that
converting needs room for one tensor and not for a model. Shapes are checked when a model is opened, before
any work is done. Does not know what the tensors are for: graphs, rotation, quantization lie elsewhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import ml_dtypes  # noqa: F401  (registers bfloat16 with numpy, by which safetensors looks it up)
import numpy as np
import numpy.typing as npt
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize
from safetensors import SafetensorError, safe_open

from model.errors import ConversionError
from model.gguf_header import GgufHeader, GgufTensor, MetadataValue, read_gguf_header
from model.types import DecoderConfig

ARCHITECTURE: Final = "qwen2"

_GGUF_LAYER: Final[Mapping[str, str]] = {
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
_FOLDER_LAYER: Final[Mapping[str, str]] = {
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


def open_weights(path: Path) -> Weights:
    """Open a .gguf file, a folder with config.json and safetensors, or a folder that holds one .gguf file.

    Raises:
        ConversionError: Nothing is there that can be opened, or it is not a whole qwen2 model.
    """
    if not path.exists():
        raise ConversionError(f"{path} does not exist")
    if path.is_file():
        return GgufWeights(path)
    if (path / "config.json").is_file() and any(path.glob("*.safetensors")):
        # Its import of transformers takes a second, which a GGUF need not pay.
        from model.folder import read_folder_config  # noqa: PLC0415

        config, tied = read_folder_config(path)
        return FolderWeights(path, config, tied=tied)
    gguf_files = sorted(path.glob("*.gguf"))
    if len(gguf_files) == 1:
        return GgufWeights(gguf_files[0])
    found = f"it holds {len(gguf_files)} .gguf files" if gguf_files else "it holds neither"
    raise ConversionError(f"{path} needs config.json with *.safetensors, or exactly one .gguf file: {found}")


class GgufWeights:
    """A GGUF file; any of its quantization types is turned into fp32.

    Where a file quantized a tied embedding twice (once for the input, more finely for the output), the finer
    copy serves both.
    """

    def __init__(self, path: Path) -> None:
        self._header = read_gguf_header(path)
        self.config = _gguf_config(self._header)
        _require_layers(self.config, len(self._header.tensors), path)
        self._names = {name: _gguf_name(name) for name in tensor_shapes(self.config)}
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


class SafetensorsFile:
    """One open safetensors file; its tensors are read one by one."""

    def __init__(self, path: Path) -> None:
        """Open `path`; raises `ConversionError` if it is no whole safetensors file."""
        self.path = path
        try:
            file: Any = safe_open(path, framework="numpy")
        except (SafetensorError, OSError) as error:
            raise ConversionError(f"{path} cannot be read as safetensors: {error}") from error
        self._file = file
        self.metadata: Mapping[str, str] = file.metadata() or {}
        self.names: frozenset[str] = frozenset(file.keys())

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor without reading it."""
        return tuple(self._file.get_slice(name).get_shape())

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """Return a tensor as fp32, a copy; raises `ConversionError` for types that are not floats."""
        dtype = self._file.get_slice(name).get_dtype()
        if dtype not in {"BF16", "F16", "F32"}:
            raise ConversionError(f"{self.path}: tensor {name} is {dtype}; supported are BF16, F16 and F32")
        values: npt.NDArray[np.float32] = np.require(self._file.get_tensor(name), np.float32, ["C", "W"])
        return values


class FolderWeights:
    """A folder of safetensors files, in one part or sharded, in bf16, fp16 or fp32."""

    def __init__(self, folder: Path, config: DecoderConfig, *, tied: bool) -> None:
        self.config = config
        files = [SafetensorsFile(path) for path in _shards(folder)]
        self._files = {name: file for file in files for name in file.names}
        _require_layers(config, len(self._files), folder)
        shapes = tensor_shapes(config)
        self._names = {name: _folder_name(name) for name in shapes}
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


def _require_layers(config: DecoderConfig, n_tensors: int, path: Path) -> None:
    """Refuse a number of layers, possibly absurd, that the file's tensors cannot make up."""
    if config.n_layers * len(_GGUF_LAYER) > n_tensors:
        raise ConversionError(f"{path} claims {config.n_layers} layers and holds only {n_tensors} tensors")


def _gguf_name(name: str) -> str:
    if name.startswith("layers."):
        _, layer, part = name.split(".")
        return f"blk.{layer}.{_GGUF_LAYER[part]}"
    return {"embed": "token_embd.weight", "final_norm": "output_norm.weight", "lm_head": "output.weight"}[
        name
    ]


def _folder_name(name: str) -> str:
    if name.startswith("layers."):
        _, layer, part = name.split(".")
        return f"model.layers.{layer}.{_FOLDER_LAYER[part]}"
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
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConversionError(f"{index} has no usable weight_map: {error}") from error
    missing = sorted(name for name in names if Path(name).name != name or not (folder / name).is_file())
    if missing:
        raise ConversionError(f"{folder} lacks {', '.join(missing)}, which {index.name} lists")
    return [folder / name for name in sorted(names)]


def _gguf_config(header: GgufHeader) -> DecoderConfig:
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
    if not isinstance(value, int | float) or value <= 0:
        raise ConversionError(
            f"{header.path}: the metadata {ARCHITECTURE}.{key} is {value!r}, expected a number above 0"
        )
    # Stored as fp32: 1e-6 comes back as 9.99999997e-07, so round to the digits that fp32 holds.
    return float(f"{value:.7g}")


def _integer(header: GgufHeader, key: str, default: int | None = None) -> int:
    return int(_number(header, key, default))


def _row_bytes(tensor: GgufTensor) -> int:
    """Return the bytes of one row of a matrix, or of a whole vector."""
    block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(tensor.type_id)]
    return int(-(-tensor.shape[-1] // block) * block_bytes)


def _bits_per_weight(tensor: GgufTensor) -> float:
    return 8 * _row_bytes(tensor) / tensor.shape[-1]
