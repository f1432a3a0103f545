"""Attention over past and new tokens, in the two forms that graphs have it in.

`FusedAttention` is one operator a layer (GroupQueryAttention); on CUDA it is the fastest there is. On the CPU
it multiplies each query head with its keys by itself, so keys and values are read once for each of the heads
that share them, on one core. `ProductAttention` is made of plain products: the query heads that share keys
are rows of one matrix, and all cores share the work. Measured on two cores, a step takes 0.93 of the time of
the fused form over 960 tokens, 0.8 over 3,000 and 0.55 over 9,000.

A row's result must not depend on the rows that share its pass, to the last bit: rounding of activations
amplifies any difference, up to another choice of token. The sum over tokens (weights x values) is where
products could differ, since the run time's matrix product splits long sums into blocks, whose length follows
from how it spreads the work, and so from the number of rows. Therefore few rows are multiplied block by block
and summed up, in the blocks that the product takes by itself when there are many (`sum_block`). What is
masked has weight 0, so how far a pass looks beyond its last token makes no difference either. All this holds
for heads of at most 128 numbers, whose products with keys are never split, and of at least two rows: see
`session.DecoderSession.run` for a lone token whose query heads share no keys.

This file knows nothing of layers' other parts, nor of what lies in the cache.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from model.graph_writer import Dimension, GraphWriter
from model.types import DecoderConfig

__all__ = ["Attention", "FusedAttention", "ProductAttention", "few_tokens", "sum_block"]

_PRODUCT_STRIDE: Final = 128
"""Columns and summands that the run time's fp32 product (MLAS) works on at a time: where half of the columns
are enough, twice as many summands, and so on down to the fewest columns."""
_FEWEST_COLUMNS: Final = 16


def sum_block(config: DecoderConfig) -> int:
    """Return into how many summands the sum over tokens is split: entries are looked at by so many."""
    n_columns = n_summands = _PRODUCT_STRIDE
    while n_columns > _FEWEST_COLUMNS and n_columns // 2 >= config.head_dim:
        n_columns, n_summands = n_columns // 2, n_summands * 2
    return n_summands


def few_tokens(config: DecoderConfig) -> int:
    """Return below how many tokens the run time spreads the columns of a product over cores, not its rows."""
    return -(-config.head_dim // (config.n_heads // config.n_kv_heads))


class Attention(Protocol):
    """One form of attention, for all layers of a graph."""

    @property
    def properties(self) -> dict[str, str]:
        """What the graph's metadata tell whoever runs it."""
        ...

    def declare(self, graph: GraphWriter) -> None:
        """Add inputs and outputs: the cache, and how much of it there is to see."""
        ...

    def add(self, graph: GraphWriter, layer: int, packed: str, queries: str) -> str:
        """Add a layer's attention: (1, S, n_heads * head_dim).

        Args:
            graph: Being written.
            layer: From 0.
            packed: Queries, keys and values (1, S, (n_heads + 2 * n_kv_heads) * head_dim), not rotated.
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
    """Plain products, over views of a cache into which the same run writes the new tokens' entries.

    inputs   past.{i}.key.{g}, past.{i}.value.{g} (n_view, head_dim): the first entries of key-value head g,
             the new tokens' among them; n_view is a multiple of `sum_block`
             mask (S, 1, 1, n_view) fp32: 0 where a token sees an entry, very low where not
             few () bool: S < `few_tokens`     blocked (3,) int64: -1, n_view / sum_block, sum_block
    outputs  present.{i}.key.{g}, present.{i}.value.{g} (1, S, head_dim): to be bound to the memory of the new
             tokens' entries

    A layer's new keys and values are written before its queries are known, since the same nodes give both, so
    the products that need the queries find them in the cache.
    """

    def __init__(self, config: DecoderConfig) -> None:
        self._config = config
        self.properties = {"sum_block": str(sum_block(config)), "few_tokens": str(few_tokens(config))}

    def declare(self, graph: GraphWriter) -> None:
        """See `Attention`."""
        config = self._config
        width, block = config.head_dim, sum_block(config)
        n_shared = config.n_heads // config.n_kv_heads
        graph.add_input("mask", np.float32, ["n_tokens", 1, 1, "n_view"])
        graph.add_input("few", np.bool_, [])
        graph.add_input("blocked", np.int64, [3])
        for layer in range(config.n_layers):
            for name in self._names(layer, "key") + self._names(layer, "value"):
                graph.add_input(f"past.{name}", np.float32, ["n_view", width])
                graph.add_output(f"present.{name}", np.float32, [1, "n_tokens", width])
        graph.constant("shape.grouped", np.array([-1, config.n_kv_heads, n_shared, width], np.int64))
        graph.constant("shape.one_group", np.array([-1, 1, n_shared, width], np.int64))
        graph.constant("shape.joined", np.array([1, -1, config.n_heads * width], np.int64))
        graph.constant("shape.blocks", np.array([-1, block, width], np.int64))
        graph.constant("axis.blocks", np.array([0], np.int64))

    def add(self, graph: GraphWriter, layer: int, packed: str, queries: str) -> str:
        """See `Attention`."""
        config, prefix = self._config, f"layers.{layer}"
        n_groups, width = config.n_kv_heads, config.head_dim
        values = [f"present.{name}" for name in self._names(layer, "value")]
        keys = [f"present.{name}" for name in self._names(layer, "key")]
        sizes = [(config.n_heads + n_groups) * width] + n_groups * [width]
        unrotated, *_ = graph.split(packed, sizes, [f"{prefix}.qk", *values])
        rotated = _rotate(graph, unrotated, config.n_heads + n_groups, f"{prefix}.qk.rotated")
        sizes = [config.n_heads * width] + n_groups * [width]
        query, *_ = graph.split(rotated, sizes, [queries, *keys])
        grouped = graph.op("Reshape", [query, "shape.grouped"], f"{prefix}.q.grouped")
        branches = {
            "then_branch": self._branch(graph, layer, grouped, few=True),
            "else_branch": self._branch(graph, layer, grouped, few=False),
        }
        return graph.op("If", ["few"], f"{prefix}.attended", **branches)

    def _branch(self, graph: GraphWriter, layer: int, grouped: str, *, few: bool) -> GraphWriter:
        """Write a layer's products for few rows, or for many."""
        config = self._config
        branch = graph.branch()
        prefix = f"layers.{layer}.{'few' if few else 'many'}"
        parts = [f"{prefix}.{group}" for group in range(config.n_kv_heads)]
        branch.node("Split", [grouped], [f"{part}.q" for part in parts], axis=1, num_outputs=len(parts))
        pairs = zip(self._names(layer, "key"), self._names(layer, "value"), strict=True)
        for part, (key, value) in zip(parts, pairs, strict=True):
            scores = branch.op(
                "com.microsoft:FusedMatMul",
                [f"{part}.q", f"past.{key}"],
                f"{part}.scores",
                transB=1,
                alpha=float(config.head_dim**-0.5),
            )
            masked = branch.op("Add", [scores, "mask"], f"{part}.masked")
            weights = branch.op("Softmax", [masked], f"{part}.weights", axis=-1)
            if few:
                self._sum_by_blocks(branch, weights, f"past.{value}", part)
            else:
                branch.op("MatMul", [weights, f"past.{value}"], f"{part}.attended")
        joined = branch.op("Concat", [f"{part}.attended" for part in parts], f"{prefix}.groups", axis=1)
        result = branch.op("Reshape", [joined, "shape.joined"], f"{prefix}.attended")
        branch.add_output(result, np.float32, [1, "n_tokens", config.n_heads * config.head_dim])
        return branch

    @staticmethod
    def _sum_by_blocks(branch: GraphWriter, weights: str, values: str, part: str) -> None:
        """Add weights x values, each block of entries by itself."""
        rows = branch.op("Reshape", [weights, "blocked"], f"{part}.by_row")
        blocks = branch.op("Transpose", [rows], f"{part}.by_block", perm=[1, 0, 2])
        values = branch.op("Reshape", [values, "shape.blocks"], f"{part}.values")
        sums = branch.op("MatMul", [blocks, values], f"{part}.sums")
        total = branch.op("ReduceSum", [sums, "axis.blocks"], f"{part}.total", keepdims=0)
        branch.op("Reshape", [total, "shape.one_group"], f"{part}.attended")

    def _names(self, layer: int, part: str) -> list[str]:
        return [f"{layer}.{part}.{group}" for group in range(self._config.n_kv_heads)]


def _rotate(graph: GraphWriter, x: str, n_heads: int, output: str) -> str:
    """Apply the rotary embedding, halves and not pairs, at `position_ids`."""
    inputs = [x, "position_ids", "rotary.cos", "rotary.sin"]
    return graph.op("com.microsoft:RotaryEmbedding", inputs, output, num_heads=n_heads)
