"""Loading: providers, processors, damaged files; and graphs of other kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from tiny_decoder import FP32, W4A16, W7A8, W8A8, build, load, load_golden

from model import session as session_module
from model.errors import DamagedModelError, ProviderError
from model.graph import probe_graph
from model.session import cuda_problem, load_decoder, load_graph
from model.state import DecodeState


def test_the_cpu_is_taken_when_asked_for(tmp_path):
    decoder = load(load_golden(), FP32, tmp_path)
    assert (decoder.provider, decoder.fallback_reason) == ("cpu", None)


@pytest.mark.parametrize("quantization", [W8A8, W4A16], ids=lambda q: q.scheme)
def test_cuda_asked_for_and_absent_is_an_error_with_the_cure(quantization, tmp_path, monkeypatch):
    monkeypatch.setattr(
        session_module.onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"]
    )
    golden = load_golden()
    build(golden, quantization, tmp_path)
    with pytest.raises(ProviderError, match="make gpu"):
        load_decoder(tmp_path, golden.config, quantization, provider="cuda")


def test_auto_falls_back_to_the_cpu_and_says_why(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(
        session_module.onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"]
    )
    golden = load_golden()
    build(golden, W4A16, tmp_path)
    decoder = load_decoder(tmp_path, golden.config, W4A16, provider="auto")
    assert decoder.provider == "cpu"
    assert decoder.fallback_reason is not None
    assert "make gpu" in decoder.fallback_reason
    assert DecodeState(decoder, 8).extend([1, 2, 3]).shape == (1, golden.config.vocab_size)
    assert capfd.readouterr() == ("", "")


def test_a_wheel_that_lists_cuda_but_cannot_use_it_is_found_out(tmp_path, monkeypatch):
    """Only a session tells what it runs on; this one is asked for CUDA and comes up without."""
    opened = []

    def open_without_cuda(path, options, providers):
        opened.append(providers)
        return real_open(path, options, ["CPUExecutionProvider"])

    real_open = session_module._open
    monkeypatch.setattr(session_module, "_open", open_without_cuda)
    monkeypatch.setattr(
        session_module.onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"]
    )
    golden = load_golden()
    build(golden, W4A16, tmp_path)
    with pytest.raises(ProviderError, match="no usable GPU"):
        load_decoder(tmp_path, golden.config, W4A16, provider="cuda")
    assert opened == [["CUDAExecutionProvider", "CPUExecutionProvider"]]


def test_eight_bit_weights_are_refused_where_sums_saturate(tmp_path, monkeypatch):
    monkeypatch.setattr(session_module, "u8s8_saturates", lambda: True)
    golden = load_golden()
    build(golden, W8A8, tmp_path)
    with pytest.raises(ProviderError, match="crosslight model pull --force"):
        load_decoder(tmp_path, golden.config, W8A8, provider="auto")


def test_seven_bit_weights_are_taken_where_sums_saturate(tmp_path, monkeypatch):
    monkeypatch.setattr(session_module, "u8s8_saturates", lambda: True)
    golden = load_golden()
    assert load(golden, W7A8, tmp_path).provider == "cpu"


def test_on_cuda_the_graphs_of_the_cache_are_opened_there_too(tmp_path, monkeypatch):
    class SaysCuda(onnxruntime.InferenceSession):
        def get_providers(self):
            return [*wanted, *super().get_providers()]

    def open_elsewhere(path, options, providers):
        opened.append((path.name, providers))
        return SaysCuda(path, options, providers=["CPUExecutionProvider"])

    wanted, opened = ["CUDAExecutionProvider"], []
    monkeypatch.setattr(session_module, "_open", open_elsewhere)
    monkeypatch.setattr(session_module.onnxruntime, "get_available_providers", lambda: wanted)
    golden = load_golden()
    build(golden, W4A16, tmp_path)
    decoder = load_decoder(tmp_path, golden.config, W4A16, provider="cuda")
    assert decoder.provider == "cuda"
    files = ["decoder.onnx", "cache_put.onnx", "cache_get.onnx"]
    assert opened == [(name, ["CUDAExecutionProvider", "CPUExecutionProvider"]) for name in files]


@pytest.mark.parametrize("damage", ["missing", "cut short", "no data"])
def test_damaged_files_are_named_with_the_cure_and_nothing_is_printed(damage, tmp_path, capfd):
    golden = load_golden()
    wide = load_golden()
    wide.tensors["embed"] = np.tile(wide.tensors["embed"], (40, 1))
    build(wide, FP32, tmp_path)
    graph = tmp_path / "decoder.onnx"
    if damage == "missing":
        graph.unlink()
    elif damage == "cut short":
        graph.write_bytes(graph.read_bytes()[:1000])
    else:
        (tmp_path / "decoder.data").unlink()
    with pytest.raises(DamagedModelError, match=r"decoder\.onnx .*crosslight model pull --force"):
        load_decoder(tmp_path, golden.config, FP32, provider="cpu")
    assert capfd.readouterr() == ("", "")


def test_other_graphs_run_from_arrays_to_arrays(tmp_path: Path):
    node = helper.make_node("Add", ["a", "b"], ["sum"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("a", "b", "sum")]
    graph = helper.make_graph([node], "sum", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, tmp_path / "sum.onnx")
    session = load_graph(tmp_path / "sum.onnx")
    assert (session.input_names, session.output_names) == (("a", "b"), ("sum",))
    (total,) = session.run({"a": np.ones(3, np.float32), "b": np.full(3, 2, np.float32)})
    assert total.tolist() == [3, 3, 3]


def test_a_graph_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DamagedModelError, match="missing"):
        load_graph(tmp_path / "nothing.onnx")


def test_a_wheel_without_cuda_is_told_with_its_cure():
    assert "make gpu" in cuda_problem(probe_graph())


def test_a_probe_that_comes_up_elsewhere_means_no_cuda(monkeypatch):
    class CpuSession(onnxruntime.InferenceSession):
        def __init__(self, model, options, providers, enable_fallback):
            assert providers[0] == "CUDAExecutionProvider"
            super().__init__(model, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(
        session_module.onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"]
    )
    monkeypatch.setattr(session_module.onnxruntime, "InferenceSession", CpuSession)
    assert "no usable GPU" in cuda_problem(probe_graph())
