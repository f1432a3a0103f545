"""Attention over past and new tokens, in the two forms that graphs have it in.

`FusedAttention` is one operator a layer (GroupQueryAttention); on CUDA it is the fastest there is. On the CPU
it multiplies each query head with its keys by itself, so keys and values are read once for each of the heads
that share them. `ProductAttention` takes the query heads that share keys as rows of one matrix, and both
products of all key-value heads as one node each.

A row's result must not depend on the rows that share its pass, to the last bit: rounding of activations
amplifies any difference, up to another choice of token. The sum over tokens (weights x values) is where
products could differ, since the run time's matrix product splits long sums into blocks, whose length follows
from how many columns a thread gets: all of a head's, unless it has more of them than rows and more threads
than heads. Therefore few rows are left to an operator (ONNX's Attention) that works on each key-value head
with one thread, and many to plain products, which any number of threads share. Both sum up in the same order,
to the last bit; where there are no more threads than key-value heads, the operator takes all rows: it is
faster by a tenth.
What is masked has weight 0, so how far a pass looks beyond its last token makes no difference either. All
this holds for heads of at most 128 numbers, whose products with keys are never split, and of at least two
rows: see `session.DecoderSession.run` for a lone token whose query heads share no keys.

This file knows nothing of layers' other parts, nor of what lies in the cache.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from model.graph_writer import Dimension, GraphWriter
from model.types import DecoderConfig

__all__ = ["VIEW_STEP", "Attention", "FusedAttention", "ProductAttention", "few_tokens"]

VIEW_STEP: Final = 64
"""Entries of the cache are looked at by so many, so that all lengths are multiples of what vectors hold."""


def few_tokens(config: DecoderConfig) -> int:
    """Return below how many tokens the run time spreads the columns of a product over cores, not its rows."""
    return -(-config.head_dim // (config.n_heads // config.n_kv_heads))


class Attention(Protocol):
    """One form of attention, for all layers of a graph."""

    @property
    def properties(self) -> dict[str, str]:
        """What the graph's metadata tell whoever runs it."""
        ...

    @property
    def head_order(self) -> npt.NDArray[np.int64]:
        """In which order a token's query heads lie in the graph, (n_heads,)."""
        ...

    def declare(self, graph: GraphWriter) -> None:
        """Add inputs and outputs: the cache, and how much of it there is to see."""
        ...

    def add(self, graph: GraphWriter, layer: int, packed: str, queries: str) -> str:
        """Add a layer's attention: (1, S, n_heads * head_dim).

        Args:
            graph: Being written.
            layer: From 0.
            packed: Queries in `head_order`, keys and values, not rotated: (1, S, (n_heads + 2 * n_kv_heads) *
                head_dim).
            queries: What the rotated queries are to be called, (1, S, n_heads * head_dim).
        """
        ...


class FusedAttention:
    """One operator a layer, over a cache whose parts are past and present at once.

    inputs   seqlens_k (1,) int32: past + S - 1            total_sequence_length () int32: past + S
             past.{i}.key, past.{i}.value (1, n_kv_heads, capacity, head_dim)
    outputs  present.{i}.key, present.{i}.value: to be bound to the memory of `past`
    """

    def __init__(self, config: DecoderConfig, float_type: type[np.float32 | np.float16]) -> None:
        self._config = config
        self._float_type = float_type
        self.properties: dict[str, str] = {}
        self.head_order = np.arange(config.n_heads)

    def declare(self, graph: GraphWriter) -> None:
        """See `Attention`."""
        config = self._config
        graph.add_input("seqlens_k", np.int32, [1])
        graph.add_input("total_sequence_length", np.int32, [])
        shape: list[Dimension] = [1, config.n_kv_heads, "capacity", config.head_dim]
        for layer in range(config.n_layers):
            for part in ("key", "value"):
                graph.add_input(f"past.{layer}.{part}", self._float_type, shape)
                graph.add_output(f"present.{layer}.{part}", self._float_type, shape)

    def add(self, graph: GraphWriter, layer: int, packed: str, queries: str) -> str:
        """See `Attention`."""
        config, prefix = self._config, f"layers.{layer}"
        sizes = [config.n_heads * config.head_dim] + 2 * [config.n_kv_heads * config.head_dim]
        query, key, value = graph.split(packed, sizes, [f"{prefix}.{part}" for part in "qkv"])
        return graph.node(
            "com.microsoft:GroupQueryAttention",
            [
                _rotate(graph, query, config.n_heads, queries),
                _rotate(graph, key, config.n_kv_heads, f"{key}.rotated"),
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


class ProductAttention:
    """Products of all key-value heads at once, over views of a cache that the same run writes entries into.

    inputs   past.{i}.key, past.{i}.value (n_view, n_kv_heads, head_dim): the first entries, the new tokens'
             among them; n_view is a multiple of `VIEW_STEP`
             mask (S * heads that share keys, n_view) fp32: 0 where a row sees an entry, very low where not
             few () bool: S < `few_tokens`, or there are no more threads than key-value heads
    outputs  present.{i}.key, present.{i}.value (1, S, n_kv_heads * head_dim): to be bound to the memory of
             the new tokens' entries

    A layer's new keys and values are written before its queries are known, since the same nodes give both, so
    the products that need the queries find them in the cache. Of the heads of a token, those that share keys
    lie apart: then rows, key-value heads and numbers are three axes without a transposition.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self._config = config
        self.properties = {"view_step": str(VIEW_STEP), "few_tokens": str(few_tokens(config))}
        self.head_order = np.arange(config.n_heads).reshape(config.n_kv_heads, -1).T.ravel()

    def declare(self, graph: GraphWriter) -> None:
        """See `Attention`."""
        config = self._config
        n_groups, width = config.n_kv_heads, config.head_dim
        graph.add_input("mask", np.float32, ["n_query_rows", "n_view"])
        graph.add_input("few", np.bool_, [])
        for layer in range(config.n_layers):
            for part in ("key", "value"):
                graph.add_input(f"past.{layer}.{part}", np.float32, ["n_view", n_groups, width])
                graph.add_output(f"present.{layer}.{part}", np.float32, [1, "n_tokens", n_groups * width])
        graph.constant("shape.rows", np.array([-1, n_groups, width], np.int64))
        graph.constant("shape.flat_rows", np.array([1, -1, n_groups * width], np.int64))
        graph.constant("shape.joined", np.array([1, -1, config.n_heads * width], np.int64))

    def add(self, graph: GraphWriter, layer: int, packed: str, queries: str) -> str:
        """See `Attention`."""
        config, prefix = self._config, f"layers.{layer}"
        n_groups, width = config.n_kv_heads, config.head_dim
        sizes = [(config.n_heads + n_groups) * width, n_groups * width]
        unrotated, _ = graph.split(packed, sizes, [f"{prefix}.qk", f"present.{layer}.value"])
        rotated = _rotate(graph, unrotated, config.n_heads + n_groups, f"{prefix}.qk.rotated")
        sizes = [config.n_heads * width, n_groups * width]
        query, _ = graph.split(rotated, sizes, [queries, f"present.{layer}.key"])
        branches = {
            "then_branch": self._few(graph.branch(), layer, query),
            "else_branch": self._many(graph.branch(), layer, query),
        }
        return graph.op("If", ["few"], f"{prefix}.attended", **branches)

    def _few(self, branch: GraphWriter, layer: int, query: str) -> GraphWriter:
        """Write a layer's attention for few rows, or few threads."""
        prefix = f"layers.{layer}.few"
        inputs = [query, f"past.{layer}.key", f"past.{layer}.value"]
        flat = [
            branch.op("Reshape", [name, "shape.flat_rows"], f"{prefix}.{part}")
            for name, part in zip(inputs, "qkv", strict=True)
        ]
        heads = {"q_num_heads": self._config.n_kv_heads, "kv_num_heads": self._config.n_kv_heads}
        summed = branch.op("Attention", [*flat, "mask"], f"{prefix}.summed", scale=self._scale, **heads)
        return self._joined(branch, summed, f"{prefix}.attended")

    def _many(self, branch: GraphWriter, layer: int, query: str) -> GraphWriter:
        """Write a layer's attention as products whose work any number of threads share."""
        prefix = f"layers.{layer}.many"
        rows = branch.op("Reshape", [query, "shape.rows"], f"{prefix}.q")
        batched = {"transBatchA": 1, "transBatchB": 1, "transB": 1, "alpha": self._scale}
        product = "com.microsoft:FusedMatMul"
        scores = branch.op(product, [rows, f"past.{layer}.key"], f"{prefix}.scores", **batched)
        masked = branch.op("Add", [scores, "mask"], f"{prefix}.masked")
        weights = branch.op("Softmax", [masked], f"{prefix}.weights", axis=-1)
        sums = branch.op(product, [weights, f"past.{layer}.value"], f"{prefix}.sums", transBatchB=1)
        by_row = branch.op("Transpose", [sums], f"{prefix}.by_row", perm=[1, 0, 2])
        return self._joined(branch, by_row, f"{prefix}.attended")

    def _joined(self, branch: GraphWriter, summed: str, output: str) -> GraphWriter:
        branch.op("Reshape", [summed, "shape.joined"], output)
        branch.add_output(output, np.float32, [1, "n_tokens", self._config.n_heads * self._config.head_dim])
        return branch

    @property
    def _scale(self) -> float:
        return float(self._config.head_dim**-0.5)


def _rotate(graph: GraphWriter, x: str, n_heads: int, output: str) -> str:
    """Apply the rotary embedding, halves and not pairs, at `position_ids`."""
    inputs = [x, "position_ids", "rotary.cos", "rotary.sin"]
    return graph.op("com.microsoft:RotaryEmbedding", inputs, output, num_heads=n_heads)
