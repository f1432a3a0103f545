"""Attention recomputed outside of the graph is the one that the graph's operator computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from tiny_decoder import FP32, W4A16, build, load_golden

from model.graph import GRAPH_FILE
from model.provenance import attention_weights
from model.session import Interrupt, load_decoder


def with_attended_as_outputs(folder: Path) -> None:
    """Make the operators' own results outputs of the graph, which only tests ask for."""
    model = onnx.load(folder / GRAPH_FILE, load_external_data=False)
    for node in model.graph.node:
        if node.op_type in {"GroupQueryAttention", "If"}:
            dtype = model.graph.output[0].type.tensor_type.elem_type
            model.graph.output.append(helper.make_tensor_value_info(node.output[0], dtype, None))
    (folder / GRAPH_FILE).write_bytes(model.SerializeToString())


@pytest.mark.parametrize(("quantization", "tolerance"), [(FP32, 5e-6), (W4A16, 2e-3)], ids=["fp32", "fp16"])
def test_weights_times_values_are_what_the_operator_gives(quantization, tolerance, tmp_path):
    golden = load_golden()
    with_attended_as_outputs(build(golden, quantization, tmp_path))
    session = load_decoder(tmp_path, golden.config, quantization, provider="cpu")
    cache, ids, n_past = session.new_cache(40), golden.token_ids, 27
    arguments = {"rows": [], "interrupt": Interrupt()}
    session.run(cache, ids[:n_past], n_past=0, positions=range(n_past), **arguments)
    n_new, width = 40 - n_past, golden.config.n_heads * golden.config.head_dim
    dtype = cache.get(0, 0)[0].dtype.type
    attended = np.empty((len(session.query_layers), n_new, width), dtype)
    for layer, part in zip(session.query_layers, attended, strict=True):
        place = (dtype, (1, *part.shape), part.ctypes.data)
        binding = cache.query_binding.ready(n_past, n_new)
        binding.bind_output(f"layers.{layer}.attended", "cpu", 0, *place)
    new = {"n_past": n_past, "positions": range(n_past, 40)}
    _, queries = session.run_with_queries(cache, ids[n_past:], **new, **arguments)
    _, values = cache.get(0, 40)
    per_group = golden.config.n_heads // golden.config.n_kv_heads
    for index, layer in enumerate(session.query_layers):
        weights = attention_weights(queries[index], cache.keys(layer, 0, 40), range(n_past + 1, 41))
        recomputed = weights @ np.repeat(values[layer].astype(np.float32), per_group, axis=0)
        rows = recomputed.transpose(1, 0, 2).reshape(n_new, width)
        np.testing.assert_allclose(rows, attended[index], atol=tolerance)
