"""Writes the decoder of a Qwen2-architecture model as one ONNX graph, from its sizes and weights.

One graph serves prefill, decode and verify: any number S of new tokens over any past, logits only for the R
rows asked for (none is allowed). Positions are an input of their own, apart from the order in the cache, so
that they may have gaps; causality is by the order in the cache.

    inputs   input_ids, position_ids (1, S) int64          rows (R,) int64, each below S
             seqlens_k (1,) int32: past + S - 1            total_sequence_length () int32: past + S
             past.{i}.key, past.{i}.value (1, n_kv_heads, capacity, head_dim)
    outputs  logits (1, R, vocab) fp32
             present.{i}.key, present.{i}.value: to be bound to the memory of `past`
             queries.{i} (1, S, n_heads * head_dim), with the rotary embedding, for i in `query_layers`

The last layer computes keys and values for all S tokens, and everything after them for the R rows only.
How products are stored is the business of `schemes.py`. This file knows no run time and reads no model file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from model.schemes import Array, Attribute, Matrix, Scheme, make_scheme
from model.types import DecoderConfig, Quantization
from model.weights import Weights

GRAPH_FILE: Final = "decoder.onnx"
DATA_FILE: Final = "decoder.data"
PUT_FILE: Final = "cache_put.onnx"
GET_FILE: Final = "cache_get.onnx"

MAX_POSITIONS: Final = 32_768
"""Rows of the rotary tables at most, whatever the model allows: 8 MB for heads of 64."""

_EXTERNAL_BYTES: Final = 65_536
"""Arrays from this size on lie in the data file, each at a multiple of it, so that it can be mapped."""


def build_decoder(
    weights: Weights, quantization: Quantization, folder: Path, on_progress: Callable[[float], None]
) -> None:
    """Write `decoder.onnx` and `decoder.data` into `folder`.

    Takes one tensor at a time from `weights` and writes it at once, so the peak of memory is a few copies of
    the largest one (the embedding), not the model.

    Args:
        weights: Under the names of `weights.tensor_shapes`; rotated already if `quantization` says so.
        quantization: Decides the scheme; also noted in the graph's metadata.
        folder: Exists; files of these names are overwritten.
        on_progress: Called with the part done, 0 to 1.

    Raises:
        OSError: A file could not be written.
    """
    with (folder / DATA_FILE).open("wb") as data:
        graph = _GraphWriter(data)
        _Decoder(graph, weights, make_scheme(quantization)).write(on_progress)
    model = graph.finish("decoder")
    properties = {"scheme": quantization.scheme, "weight_bits": str(quantization.weight_bits)}
    properties |= {"rotated": str(quantization.rotated), "n_positions": str(_n_positions(weights.config))}
    properties |= {"query_layers": " ".join(str(layer) for layer in query_layers(weights.config))}
    helper.set_model_props(model, properties)
    (folder / GRAPH_FILE).write_bytes(model.SerializeToString())
    write_cache_graphs(weights.config, make_scheme(quantization).float_type, folder)
    on_progress(1.0)


class _Decoder:
    """The architecture: embedding, layers of attention and feed-forward, output projection."""

    def __init__(self, graph: _GraphWriter, weights: Weights, scheme: Scheme) -> None:
        self._graph = graph
        self._weights = weights
        self._scheme = scheme
        self._config = weights.config

    def write(self, on_progress: Callable[[float], None]) -> None:
        """Add everything to the graph; the embedding and the output projection count as two layers each."""
        config, graph = self._config, self._graph
        self._declare_inputs()
        n_steps = config.n_layers + 4
        residual = self._scheme.embed(graph, self._weights.tensor("embed"), "input_ids", "embed")
        hidden = graph.op(
            "SimplifiedLayerNormalization",
            [residual, self._norm_weight("layers.0.attn_norm")],
            "layers.0.attn_in",
            axis=-1,
            epsilon=config.rms_norm_eps,
            stash_type=1,
        )
        for layer in range(config.n_layers):
            on_progress((layer + 2) / n_steps)
            attended = self._attention(layer, hidden)
            if layer == config.n_layers - 1:
                attended = graph.op("Gather", [attended, "rows"], "last.attended", axis=1)
                residual = graph.op("Gather", [residual, "rows"], "last.residual", axis=1)
            hidden, residual = self._feed_forward(layer, attended, residual)
        on_progress((config.n_layers + 2) / n_steps)
        self._scheme.logits(graph, hidden, self._weights.tensor("lm_head"), "logits")
        graph.add_output("logits", np.float32, [1, "n_rows", config.vocab_size])

    def _declare_inputs(self) -> None:
        config, graph = self._config, self._graph
        graph.add_input("input_ids", np.int64, [1, "n_tokens"])
        graph.add_input("position_ids", np.int64, [1, "n_tokens"])
        graph.add_input("rows", np.int64, ["n_rows"])
        graph.add_input("seqlens_k", np.int32, [1])
        graph.add_input("total_sequence_length", np.int32, [])
        shape: Sequence[int | str] = [1, config.n_kv_heads, "capacity", config.head_dim]
        for name in cache_names(config):
            graph.add_input(f"past.{name}", self._scheme.float_type, shape)
            graph.add_output(f"present.{name}", self._scheme.float_type, shape)
        cosines, sines = _rotary_tables(config)
        graph.constant("rotary.cos", cosines.astype(self._scheme.float_type))
        graph.constant("rotary.sin", sines.astype(self._scheme.float_type))

    def _attention(self, layer: int, hidden: str) -> str:
        """Add queries, keys, values and attention over past and new tokens: (1, S, n_heads * head_dim)."""
        config, graph, prefix = self._config, self._graph, f"layers.{layer}"
        sizes = [config.n_heads * config.head_dim] + 2 * [config.n_kv_heads * config.head_dim]
        packed = self._scheme.linear(
            graph,
            self._scheme.operand(graph, hidden, normed=True),
            self._stacked([f"{prefix}.{part}" for part in "qkv"]),
            f"{prefix}.qkv",
            self._stacked([f"{prefix}.{part}_bias" for part in "qkv"]),
        )
        query, key, value = graph.split(packed, sizes, [f"{prefix}.{part}" for part in "qkv"])
        return graph.node(
            "com.microsoft:GroupQueryAttention",
            [
                self._rotate(query, config.n_heads, self._query_name(layer)),
                self._rotate(key, config.n_kv_heads, f"{key}.rotated"),
                value,
                f"past.{layer}.key",
                f"past.{layer}.value",
                "seqlens_k",
                "total_sequence_length",
            ],
            [f"{prefix}.attended", f"present.{layer}.key", f"present.{layer}.value"],
            num_heads=config.n_heads,
            kv_num_heads=config.n_kv_heads,
            do_rotary=0,
        )

    def _rotate(self, x: str, n_heads: int, output: str) -> str:
        """Apply the rotary embedding, halves and not pairs, at `position_ids`."""
        inputs = [x, "position_ids", "rotary.cos", "rotary.sin"]
        return self._graph.op("com.microsoft:RotaryEmbedding", inputs, output, num_heads=n_heads)

    def _query_name(self, layer: int) -> str:
        """Return the name of a layer's queries, which are an output of the graph in some layers."""
        if layer not in query_layers(self._config):
            return f"layers.{layer}.q.rotated"
        name, width = f"queries.{layer}", self._config.n_heads * self._config.head_dim
        self._graph.add_output(name, self._scheme.float_type, [1, "n_tokens", width])
        return name

    def _feed_forward(self, layer: int, attended: str, residual: str) -> tuple[str, str]:
        """Add everything after the attention; returns the next layer's normalized input and the residual."""
        graph, scheme, prefix = self._graph, self._scheme, f"layers.{layer}"
        operand = scheme.operand(graph, attended, normed=False)
        output = scheme.linear(graph, operand, self._weights.tensor(f"{prefix}.o"), f"{prefix}.o")
        hidden, residual = self._add_and_norm(residual, output, f"{prefix}.ffn_norm")
        operand = scheme.operand(graph, hidden, normed=True)
        gate = scheme.linear(graph, operand, self._weights.tensor(f"{prefix}.gate"), f"{prefix}.gate")
        up = scheme.linear(graph, operand, self._weights.tensor(f"{prefix}.up"), f"{prefix}.up")
        # QuickGelu with alpha 1 is x * sigmoid(x), SiLU, in one node.
        gate = graph.op("com.microsoft:QuickGelu", [gate], f"{prefix}.silu", alpha=1.0)
        operand = scheme.operand(graph, graph.op("Mul", [gate, up], f"{prefix}.gated"), normed=False)
        output = scheme.linear(graph, operand, self._weights.tensor(f"{prefix}.down"), f"{prefix}.down")
        is_last = layer == self._config.n_layers - 1
        return self._add_and_norm(
            residual, output, "final_norm" if is_last else f"layers.{layer + 1}.attn_norm"
        )

    def _add_and_norm(self, residual: str, output: str, norm: str) -> tuple[str, str]:
        """Add `output` to the residual and normalize the sum: (normalized, sum)."""
        summed = f"{norm}.residual"
        hidden = self._graph.node(
            "com.microsoft:SkipSimplifiedLayerNormalization",
            [residual, output, self._norm_weight(norm)],
            [f"{norm}.out", "", "", summed],
            epsilon=self._config.rms_norm_eps,
        )
        return hidden, summed

    def _norm_weight(self, name: str) -> str:
        return self._graph.constant(name, self._weights.tensor(name).astype(self._scheme.float_type))

    def _stacked(self, names: list[str]) -> Matrix:
        return np.concatenate([self._weights.tensor(name) for name in names])


def probe_graph() -> bytes:
    """Return a serialized model of one node, to learn whether a provider works at all."""
    shape = [1]
    node = helper.make_node("Add", ["x", "x"], ["y"])
    graph = helper.make_graph(
        [node], "probe", [_value_info("x", np.float32, shape)], [_value_info("y", np.float32, shape)]
    )
    serialized: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10
    ).SerializeToString()
    return serialized


def write_cache_graphs(config: DecoderConfig, float_type: npt.DTypeLike, folder: Path) -> None:
    """Write `cache_put.onnx` and `cache_get.onnx`: how entries of a cache on a device are reached.

    The cache is two blocks (layers, n_kv_heads, capacity, head_dim), and onnxruntime's Python interface
    copies whole values only. Both graphs copy and compute nothing, so that what they move stays bit by bit.

        put  inputs   past.keys, past.values   keys, values (layers, n_kv_heads, n, head_dim)
                      at (layers,) int64: the first entry to be overwritten, the same for every layer
             outputs  present.keys, present.values: to be bound to the memory of `past`
        get  inputs   past.keys, past.values   start, end (2,) int64: a layer and an entry
             outputs  keys, values (layers, n_kv_heads, n, head_dim)

    Raises:
        OSError: A file could not be written.
    """
    block: Sequence[int | str] = [config.n_layers, config.n_kv_heads, "capacity", config.head_dim]
    put, get = _GraphWriter(io.BytesIO()), _GraphWriter(io.BytesIO())
    for name in ("keys", "values"):
        for graph in (put, get):
            graph.add_input(f"past.{name}", float_type, block)
        put.add_input(name, float_type, [config.n_layers, config.n_kv_heads, "n", config.head_dim])
        put.add_output(f"present.{name}", float_type, block)
        put.op("TensorScatter", [f"past.{name}", name, "at"], f"present.{name}", axis=2)
        get.op("Slice", [f"past.{name}", "start", "end", "axes"], name)
        get.add_output(name, float_type, ["n_layers", config.n_kv_heads, "n", config.head_dim])
    put.add_input("at", np.int64, [config.n_layers])
    get.add_input("start", np.int64, [2])
    get.add_input("end", np.int64, [2])
    get.constant("axes", np.array([0, 2], np.int64))
    (folder / PUT_FILE).write_bytes(put.finish("cache_put", opset=24).SerializeToString())
    (folder / GET_FILE).write_bytes(get.finish("cache_get").SerializeToString())


def query_layers(config: DecoderConfig) -> tuple[int, ...]:
    """Return the layers whose queries are outputs: four, spread over the upper two thirds."""
    n_layers = config.n_layers
    return tuple(sorted({round((n_layers - 1) * part) for part in (0.44, 0.61, 0.78, 0.91)}))


def cache_names(config: DecoderConfig) -> list[str]:
    """Return `{layer}.key` and `{layer}.value` of every layer, in the order of inputs and outputs."""
    return [f"{layer}.{part}" for layer in range(config.n_layers) for part in ("key", "value")]


def _n_positions(config: DecoderConfig) -> int:
    return min(config.max_positions, MAX_POSITIONS)


def _rotary_tables(config: DecoderConfig) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return cosines and sines (positions, head_dim / 2), RoPE (arXiv 2104.09864)."""
    frequencies = config.rope_theta ** (-np.arange(0, config.head_dim, 2) / config.head_dim)
    angles = np.outer(np.arange(_n_positions(config)), frequencies)
    return np.cos(angles), np.sin(angles)


class _GraphWriter:
    """Collects nodes and small arrays; writes large arrays to the data file as they come.

    Knows ONNX and nothing of the architecture.
    """

    def __init__(self, data: BinaryIO) -> None:
        self._data = data
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def add_input(self, name: str, dtype: npt.DTypeLike, shape: Sequence[int | str]) -> None:
        self._inputs.append(_value_info(name, dtype, shape))

    def add_output(self, name: str, dtype: npt.DTypeLike, shape: Sequence[int | str]) -> None:
        self._outputs.append(_value_info(name, dtype, shape))

    def node(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Attribute) -> str:
        """Add a node, `kind` being `Operator` or `domain:Operator`; returns its first output."""
        domain, _, operator = kind.rpartition(":")
        name = f"{outputs[0]}/{operator}"
        self._nodes.append(
            helper.make_node(operator, inputs, outputs, name=name, domain=domain, **attributes)
        )
        return outputs[0]

    def op(self, kind: str, inputs: list[str], output: str, **attributes: Attribute) -> str:
        return self.node(kind, inputs, [output], **attributes)

    def split(self, x: str, sizes: list[int], outputs: list[str]) -> list[str]:
        lengths = self.constant(f"{x}.sizes", np.array(sizes, np.int64))
        self.node("Split", [x, lengths], outputs, axis=-1)
        return outputs

    def constant(self, name: str, value: Array) -> str:
        """Hold an array; one that is large is written to the data file now and not kept."""
        if name in self._constants:
            return name
        tensor = TensorProto(name=name, dims=value.shape)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(value.dtype)
        if value.nbytes < _EXTERNAL_BYTES:
            tensor.raw_data = value.tobytes()
        else:
            self._data.write(b"\0" * (-self._data.tell() % _EXTERNAL_BYTES))
            tensor.data_location = TensorProto.EXTERNAL
            placed = {"location": DATA_FILE, "offset": self._data.tell(), "length": value.nbytes}
            for key, entry in placed.items():
                tensor.external_data.add(key=key, value=str(entry))
            self._data.write(np.ascontiguousarray(value).data)
        self._constants[name] = tensor
        return name

    def finish(self, name: str, opset: int = 21) -> onnx.ModelProto:
        graph = helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, list(self._constants.values())
        )
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="crosslight")


def _value_info(name: str, dtype: npt.DTypeLike, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
