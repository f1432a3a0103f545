"""The files that the graph builder writes: what is in them, where, and of which types."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, shape_inference
from tiny_decoder import FP32, W4A16, W7A8, W8A8, build, load_golden

from model.cache_graphs import GET_FILE, PUT_FILE
from model.graph import DATA_FILE, GRAPH_FILE, build_decoder, query_layers

CONTRIB = {
    "fp32": set(),
    "w8a8": {"MatMulIntegerToFloat"},
    "w4a16": {"MatMulNBits", "GroupQueryAttention"},
}
SHARED = {"RotaryEmbedding", "SkipSimplifiedLayerNormalization", "QuickGelu"}
SCHEMES = pytest.mark.parametrize(
    "quantization", [FP32, W8A8, W7A8, W4A16], ids=lambda q: f"{q.scheme}-{q.weight_bits}"
)


def load_graph(quantization, folder) -> onnx.ModelProto:
    return onnx.load(build(load_golden(), quantization, folder) / GRAPH_FILE)


@SCHEMES
def test_the_operator_set_is_the_one_of_the_scheme(quantization, tmp_path):
    graph = load_graph(quantization, tmp_path).graph
    contrib = {node.op_type for node in graph.node if node.domain == "com.microsoft"}
    assert contrib == SHARED | CONTRIB[quantization.scheme]


@SCHEMES
def test_every_input_of_a_node_is_made_before_it_and_every_name_is_made_once(quantization, tmp_path):
    graph = load_graph(quantization, tmp_path).graph
    made = [entry.name for entry in graph.input] + [tensor.name for tensor in graph.initializer]
    for node in graph.node:
        assert {name for name in node.input if name} <= set(made), node.name
        made += [name for name in node.output if name]
    assert max(Counter(made).values()) == 1
    assert {output.name for output in graph.output} <= set(made)


@SCHEMES
def test_types_and_shapes_of_the_standard_operators_are_consistent(quantization, tmp_path):
    """Contrib operators are onnxruntime's to check; it does in the tests that load these graphs."""
    model = load_graph(quantization, tmp_path)
    del model.metadata_props[:]
    shape_inference.infer_shapes(model, check_type=True, strict_mode=False)


@SCHEMES
def test_inputs_and_outputs_are_typed_as_documented(quantization, tmp_path):
    golden = load_golden()
    graph = load_graph(quantization, tmp_path).graph
    cache_type = TensorProto.FLOAT16 if quantization.scheme == "w4a16" else TensorProto.FLOAT
    types = {entry.name: entry.type.tensor_type.elem_type for entry in [*graph.input, *graph.output]}
    expected = {"input_ids": TensorProto.INT64, "position_ids": TensorProto.INT64, "rows": TensorProto.INT64}
    expected |= {"logits": TensorProto.FLOAT}
    expected |= {f"queries.{layer}": cache_type for layer in query_layers(golden.config)}
    if quantization.scheme == "w4a16":
        expected |= {"seqlens_k": TensorProto.INT32, "total_sequence_length": TensorProto.INT32}
    else:
        expected |= {"mask": TensorProto.FLOAT, "few": TensorProto.BOOL}
    for layer in range(golden.config.n_layers):
        for time in ("past", "present"):
            expected |= {f"{time}.{layer}.{part}": cache_type for part in ("key", "value")}
    assert types == expected


def test_layers_whose_queries_are_outputs_are_spread_over_the_upper_part_and_named(tmp_path):
    model = load_graph(FP32, tmp_path)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["query_layers"] == " ".join(map(str, query_layers(load_golden().config)))
    for n_layers in (1, 2, 3, 24, 28, 36):
        layers = query_layers(replace(load_golden().config, n_layers=n_layers))
        assert list(layers) == sorted(set(layers))
        assert 0 <= layers[0] <= layers[-1] < n_layers


@SCHEMES
def test_the_graphs_of_the_cache_copy_and_compute_nothing(quantization, tmp_path):
    folder = build(load_golden(), quantization, tmp_path)
    for name, operator in ((PUT_FILE, "TensorScatter"), (GET_FILE, "Slice")):
        graph = onnx.load(folder / name).graph
        assert [node.op_type for node in graph.node] == [operator] * 2
        cache_type = TensorProto.FLOAT16 if quantization.scheme == "w4a16" else TensorProto.FLOAT
        floats = [e for e in [*graph.input, *graph.output] if "keys" in e.name or "values" in e.name]
        assert {entry.type.tensor_type.elem_type for entry in floats} == {cache_type}


def test_the_quantized_weights_take_the_type_that_the_operator_reads(tmp_path):
    graph = load_graph(W4A16, tmp_path).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            attributes = {attribute.name: attribute.i for attribute in node.attribute}
            weight, scale, zero_point = (tensors[name] for name in node.input[1:])
            n_blocks = -(-attributes["K"] // attributes["block_size"])
            assert list(weight.dims) == [attributes["N"], n_blocks, attributes["block_size"] // 2]
            assert list(scale.dims) == [attributes["N"], n_blocks]
            assert list(zero_point.dims) == [attributes["N"], -(-n_blocks // 2)]
            assert (weight.data_type, zero_point.data_type) == (TensorProto.UINT8, TensorProto.UINT8)
            assert scale.data_type == TensorProto.FLOAT16


def test_seven_bit_weights_stay_within_63(tmp_path):
    graph = load_graph(W7A8, tmp_path).graph
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    products = [node for node in graph.node if node.op_type == "MatMulIntegerToFloat"]
    assert len(products) == 2 * 5 + 1
    assert max(np.abs(tensors[node.input[1]].astype(int)).max() for node in products) == 63


def test_large_weights_lie_in_the_data_file_at_page_boundaries(tmp_path):
    golden = load_golden()
    wide = np.tile(golden.tensor("embed"), (40, 1))

    class Wide:
        config = golden.config

        def tensor(self, name):
            return wide if name == "embed" else golden.tensor(name)

    build_decoder(Wide(), FP32, tmp_path, lambda _: None)
    model = onnx.load(tmp_path / GRAPH_FILE, load_external_data=False)
    (tensor,) = [t for t in model.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    placed = {entry.key: entry.value for entry in tensor.external_data}
    assert placed == {"location": DATA_FILE, "offset": "0", "length": str(wide.nbytes)}
    assert (tmp_path / DATA_FILE).read_bytes()[: wide.nbytes] == wide.tobytes()


def test_progress_grows_to_one(tmp_path):
    seen = []
    build_decoder(load_golden(), FP32, tmp_path, seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
