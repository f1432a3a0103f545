"""Writes the decoder of a Qwen2-architecture model as one ONNX graph, from its sizes and weights.

One graph serves prefill, decode and verify: any number S of new tokens over any past, logits only for the R
rows asked for (none is allowed). Positions are an input of their own, apart from the order in the cache, so
that they may have gaps; causality is by the order in the cache.

    inputs   input_ids, position_ids (1, S) int64          rows (R,) int64, each below S
             and those of the form of attention (`attention.py`)
    outputs  logits (1, R, vocab) fp32; of a decoder with a shortlist (`shortlist.py`), (1, R, n_listed), and
             final (1, R, hidden) uint8: the normalized rows that they were computed from
             and those of the form of attention
             queries.{i} (1, S, n_heads * head_dim), with the rotary embedding, for i in `query_layers`;
             heads are in the order that the form of attention has them in

The last layer computes keys and values for all S tokens, and everything after them for the R rows only.
How products are stored is the business of `schemes.py`. This file knows no run time and reads no model file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from model.attention import Attention, FusedAttention, ProductAttention
from model.cache_graphs import write_cache_graphs
from model.graph_writer import GraphWriter
from model.schemes import NORMED_SCALE, Matrix, Scheme, make_scheme
from model.shortlist import Shortlist, save_projection
from model.types import DecoderConfig, Quantization
from model.weights import Weights

GRAPH_FILE: Final = "decoder.onnx"
DATA_FILE: Final = "decoder.data"

MAX_POSITIONS: Final = 32_768
"""Rows of the rotary tables at most, whatever the model allows: 8 MB for heads of 64."""


def build_decoder(
    weights: Weights,
    quantization: Quantization,
    folder: Path,
    on_progress: Callable[[float], None],
    shortlist: Shortlist | None = None,
) -> None:
    """Write `decoder.onnx` and `decoder.data` into `folder`, with a shortlist also the whole projection.

    Takes one tensor at a time from `weights` and writes it at once, so the peak of memory is a few copies of
    the largest one (the embedding), not the model.

    Args:
        weights: Under the names of `weights.tensor_shapes`; rotated already if `quantization` says so.
        quantization: Decides the scheme; also noted in the graph's metadata.
        folder: Exists; files of these names are overwritten.
        on_progress: Called with the part done, 0 to 1.
        shortlist: The tokens that the graph's own projection knows; all if None. It needs rows that are bytes
            with a constant scale, which only rotated W8A8 has.

    Raises:
        OSError: A file could not be written.
    """
    with (folder / DATA_FILE).open("wb") as data:
        graph = GraphWriter(data, DATA_FILE)
        decoder = _Decoder(graph, weights, make_scheme(quantization))
        decoder.write(on_progress, shortlist)
    properties = {"scheme": quantization.scheme, "weight_bits": str(quantization.weight_bits)}
    properties |= {"rotated": str(quantization.rotated), "n_positions": str(_n_positions(weights.config))}
    properties |= {"query_layers": " ".join(str(layer) for layer in query_layers(weights.config))}
    properties["head_order"] = " ".join(map(str, decoder.attention.head_order))
    properties |= decoder.attention.properties
    if shortlist is not None:
        if quantization.scheme != "w8a8" or not quantization.rotated:
            raise ValueError(f"{quantization} has no rows that a shortlist could be completed from")
        properties["shortlist"] = f"{shortlist.n_first} {shortlist.last_from}"
        save_projection(weights.tensor("lm_head"), quantization.weight_bits, NORMED_SCALE, folder)
    (folder / GRAPH_FILE).write_bytes(graph.finish("decoder", opset=23, properties=properties))
    write_cache_graphs(weights.config, make_scheme(quantization).float_type, folder)
    on_progress(1.0)


class _Decoder:
    """The architecture: embedding, layers of attention and feed-forward, output projection."""

    def __init__(self, graph: GraphWriter, weights: Weights, scheme: Scheme) -> None:
        self._graph = graph
        self._weights = weights
        self._scheme = scheme
        self._config = weights.config
        fused = FusedAttention(weights.config, scheme.float_type)
        self.attention: Final[Attention] = fused if scheme.on_device else ProductAttention(weights.config)

    def write(self, on_progress: Callable[[float], None], shortlist: Shortlist | None) -> None:
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
            attended = self._attend(layer, hidden)
            if layer == config.n_layers - 1:
                attended = graph.op("Gather", [attended, "rows"], "last.attended", axis=1)
                residual = graph.op("Gather", [residual, "rows"], "last.residual", axis=1)
            hidden, residual = self._feed_forward(layer, attended, residual)
        on_progress((config.n_layers + 2) / n_steps)
        self._add_logits(hidden, shortlist)

    def _add_logits(self, hidden: str, shortlist: Shortlist | None) -> None:
        """Add the output projection of the rows asked for."""
        config, graph = self._config, self._graph
        operand = self._scheme.operand(graph, hidden, normed=True, maybe_empty=True)
        weight = self._weights.tensor("lm_head")
        if shortlist is not None:
            weight = shortlist.rows(weight)
            final = graph.op("Identity", [operand.values], "final")
            graph.add_output(final, np.uint8, [1, "n_rows", config.hidden_size])
        self._scheme.logits(graph, operand, weight, "logits")
        graph.add_output("logits", np.float32, [1, "n_rows", len(weight)])

    def _declare_inputs(self) -> None:
        config, graph = self._config, self._graph
        graph.add_input("input_ids", np.int64, [1, "n_tokens"])
        graph.add_input("position_ids", np.int64, [1, "n_tokens"])
        graph.add_input("rows", np.int64, ["n_rows"])
        self.attention.declare(graph)
        cosines, sines = _rotary_tables(config)
        graph.constant("rotary.cos", cosines.astype(self._scheme.float_type))
        graph.constant("rotary.sin", sines.astype(self._scheme.float_type))

    def _attend(self, layer: int, hidden: str) -> str:
        """Add queries, keys, values and attention over past and new tokens: (1, S, n_heads * head_dim)."""
        graph, prefix = self._graph, f"layers.{layer}"
        packed = self._scheme.linear(
            graph,
            self._scheme.operand(graph, hidden, normed=True),
            self._stacked([f"{prefix}.{part}" for part in "qkv"]),
            f"{prefix}.qkv",
            self._stacked([f"{prefix}.{part}_bias" for part in "qkv"]),
        )
        return self.attention.add(graph, layer, packed, self._query_name(layer))

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
        is_last = layer == self._config.n_layers - 1  # of which rows are asked for, or none
        operand = scheme.operand(graph, attended, normed=False, maybe_empty=is_last)
        weight = self._weights.tensor(f"{prefix}.o")[:, self._head_rows]
        output = scheme.linear(graph, operand, weight, f"{prefix}.o")
        hidden, residual = self._add_and_norm(residual, output, f"{prefix}.ffn_norm")
        operand = scheme.operand(graph, hidden, normed=True, maybe_empty=is_last)
        gate = scheme.linear(graph, operand, self._weights.tensor(f"{prefix}.gate"), f"{prefix}.gate")
        up = scheme.linear(graph, operand, self._weights.tensor(f"{prefix}.up"), f"{prefix}.up")
        # QuickGelu with alpha 1 is x * sigmoid(x), SiLU, in one node.
        gate = graph.op("com.microsoft:QuickGelu", [gate], f"{prefix}.silu", alpha=1.0)
        gated = graph.op("Mul", [gate, up], f"{prefix}.gated")
        operand = scheme.operand(graph, gated, normed=False, maybe_empty=is_last)
        output = scheme.linear(graph, operand, self._weights.tensor(f"{prefix}.down"), f"{prefix}.down")
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
        """Return the weights of queries, keys and values as one, queries as the attention wants them."""
        query, key, value = (self._weights.tensor(name) for name in names)
        return np.concatenate([query[self._head_rows], key, value])

    @property
    def _head_rows(self) -> npt.NDArray[np.int64]:
        """Which numbers of a token's query heads stand where, (n_heads * head_dim,)."""
        width = self._config.head_dim
        rows: npt.NDArray[np.int64] = self.attention.head_order[:, None] * width + np.arange(width)
        return rows.ravel()


def query_layers(config: DecoderConfig) -> tuple[int, ...]:
    """Return the layers whose queries are outputs: four, spread over the upper two thirds."""
    n_layers = config.n_layers
    return tuple(sorted({round((n_layers - 1) * part) for part in (0.44, 0.61, 0.78, 0.91)}))


def _n_positions(config: DecoderConfig) -> int:
    return min(config.max_positions, MAX_POSITIONS)


def _rotary_tables(config: DecoderConfig) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return cosines and sines (positions, head_dim / 2), RoPE (arXiv 2104.09864)."""
    frequencies = config.rope_theta ** (-np.arange(0, config.head_dim, 2) / config.head_dim)
    angles = np.outer(np.arange(_n_positions(config)), frequencies)
    return np.cos(angles), np.sin(angles)


def probe_graph() -> bytes:
    """Return a serialized model of one node, to learn whether a provider works at all."""
    graph = GraphWriter()
    graph.add_input("x", np.float32, [1])
    graph.op("Add", ["x", "x"], "y")
    graph.add_output("y", np.float32, [1])
    return graph.finish("probe")
