"""Two small graphs that reach entries of a cache on a device.

Each copies and computes nothing, so that what they move stays bit by bit. This file knows nothing of the
decoder but its sizes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from model.graph_writer import Dimension, GraphWriter
from model.types import DecoderConfig

__all__ = ["GET_FILE", "PUT_FILE", "write_cache_graphs"]

PUT_FILE: Final = "cache_put.onnx"
GET_FILE: Final = "cache_get.onnx"


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
    block: list[Dimension] = [config.n_layers, config.n_kv_heads, "capacity", config.head_dim]
    put, get = GraphWriter(), GraphWriter()
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
    (folder / PUT_FILE).write_bytes(put.finish("cache_put", opset=24))
    (folder / GET_FILE).write_bytes(get.finish("cache_get"))
