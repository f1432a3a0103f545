"""A row's attention, recomputed outside of the graph or beside other rows, is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from tiny_decoder import FP32, W4A16, W8A8_UNROTATED, Golden, build, load_golden

from model.attention import ProductAttention
from model.graph import GRAPH_FILE
from model.provenance import attention_weights
from model.session import Interrupt, load_decoder
from model.types import DecoderConfig
from model.weights import tensor_shapes


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
        order = ProductAttention(golden.config).head_order if quantization is FP32 else np.s_[:]
        rows = recomputed[order].transpose(1, 0, 2).reshape(n_new, width)
        np.testing.assert_allclose(rows, attended[index], atol=tolerance)


HEADS = {
    "as in the default model": (64, 14, 2),
    "one head's keys for all": (128, 2, 1),
    "no shared keys": (64, 2, 2),
    "a length that is no power of two": (80, 6, 2),
    "the shortest": (16, 4, 2),
}
SPREADS = {
    "single tokens behind many": [253, *[1] * 8],
    "a few at a time": [7, 3, 9, 12, 2, 4, 31, 64, 1, 16, 33],
    "on either side of few": [255, 1, 63, 65, 1, 127, 5],
}


def heads_alone(head_dim: int, n_heads: int, n_kv_heads: int) -> Golden:
    """A decoder of one layer, with weights that were thrown."""
    config = DecoderConfig(1, 32, 32, n_heads, n_kv_heads, head_dim, 40, 1e4, 1e-6, 2048)
    random = np.random.default_rng(1)
    shapes = tensor_shapes(config).items()
    tensors = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes}
    token_ids = random.integers(0, config.vocab_size, 1600).tolist()
    nothing = np.empty(0, np.float32)
    return Golden(config, tensors, token_ids, nothing, [], nothing)


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("heads", HEADS.values(), ids=HEADS.keys())
def test_no_row_of_attention_depends_on_the_rows_that_share_its_pass(heads, n_threads, tmp_path):
    decoder = heads_alone(*heads)
    with_attended_as_outputs(build(decoder, W8A8_UNROTATED, tmp_path))
    config, ids = decoder.config, decoder.token_ids
    session = load_decoder(tmp_path, config, W8A8_UNROTATED, provider="cpu", n_threads=n_threads)

    def attended(sizes: list[int]) -> np.ndarray:
        cache, rows, at = session.new_cache(len(ids)), [], 0
        for size in sizes:
            n_rows = 2 if size == 1 and config.n_heads == config.n_kv_heads else size
            part = np.empty((1, n_rows, config.n_heads * config.head_dim), np.float32)
            binding = cache.binding.ready(at, n_rows)
            binding.bind_output("layers.0.attended", "cpu", 0, np.float32, part.shape, part.ctypes.data)
            new = {"n_past": at, "positions": range(at, at + size)}
            session.run(cache, ids[at : at + size], **new, rows=[], interrupt=Interrupt())
            rows.append(part[0, :size])
            at += size
        return np.concatenate(rows)

    expected = attended([256] * 6 + [64])
    for sizes in SPREADS.values():
        rows = attended(
            [*[256] * 4, 10, *sizes]
        )  # some blocks of entries stand before, whatever their length
        np.testing.assert_array_equal(rows, expected[: len(rows)])
