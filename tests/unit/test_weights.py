from contextlib import suppress
from dataclasses import replace

import gguf
import numpy as np
import pytest
from tiny_model import CONFIG, gguf_names, random_tensors, write_folder, write_gguf

from model.errors import ConversionError
from model.weights import open_weights, tensor_shapes

Q8, Q5 = gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q5_0


def assert_same(weights, tensors, tolerance=0.0):
    assert weights.config == CONFIG
    for name, shape in tensor_shapes(CONFIG).items():
        found = weights.tensor(name)
        assert found.shape == shape, name
        assert found.dtype == np.float32, name
        assert found.flags.writeable, name
        assert found.flags.c_contiguous, name
        assert np.abs(found - tensors[name]).max() <= tolerance * np.abs(tensors[name]).max(), name


@pytest.mark.parametrize("tied", [True, False])
def test_a_gguf_gives_back_its_tensors(tmp_path, tied):
    tensors = random_tensors(tied=tied)
    leave_out = ("output.weight",) if tied else ()
    assert_same(open_weights(write_gguf(tmp_path / "m.gguf", tensors, leave_out=leave_out)), tensors)


def test_a_folder_with_one_gguf_is_opened(tmp_path):
    tensors = random_tensors()
    write_gguf(tmp_path / "m.gguf", tensors)
    assert_same(open_weights(tmp_path), tensors)


@pytest.mark.parametrize(
    ("dtype", "tied", "n_shards", "tolerance"),
    [
        ("float32", False, 1, 0),
        ("float32", True, 1, 0),
        ("float32", False, 3, 0),
        ("float16", False, 1, 2**-11),
        ("bfloat16", True, 2, 2**-8),
    ],
)
def test_a_folder_gives_back_its_tensors(tmp_path, dtype, tied, n_shards, tolerance):
    tensors = random_tensors(tied=tied)
    write_folder(tmp_path / "m", tensors, dtype=dtype, tied=tied, n_shards=n_shards)
    assert_same(open_weights(tmp_path / "m"), tensors, tolerance)


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "F16", "BF16"])
def test_quantized_gguf_types_are_read(tmp_path, kind):
    tensors = random_tensors()
    types = {name: gguf.GGMLQuantizationType[kind] for name in gguf_names().values() if "ffn_gate" in name}
    weights = open_weights(write_gguf(tmp_path / "m.gguf", tensors, types=types))
    error = weights.tensor("layers.1.gate") - tensors["layers.1.gate"]
    assert np.linalg.norm(error) < 0.12 * np.linalg.norm(tensors["layers.1.gate"])


def test_the_finer_copy_of_a_tied_embedding_serves_both(tmp_path):
    tensors = random_tensors(tied=True)
    types = {"token_embd.weight": Q5, "output.weight": Q8}
    weights = open_weights(write_gguf(tmp_path / "m.gguf", tensors, types=types))
    assert np.array_equal(weights.tensor("embed"), weights.tensor("lm_head"))
    assert np.abs(weights.tensor("embed") - tensors["embed"]).max() < 0.005


def test_an_untied_output_stays_its_own(tmp_path):
    tensors = random_tensors(tied=False)
    types = {"token_embd.weight": Q5, "output.weight": Q8}
    weights = open_weights(write_gguf(tmp_path / "m.gguf", tensors, types=types))
    for name in ("embed", "lm_head"):
        assert np.abs(weights.tensor(name) - tensors[name]).max() < 0.05


def test_another_architecture_is_named(tmp_path):
    path = write_gguf(tmp_path / "m.gguf", random_tensors(), architecture="llama")
    with pytest.raises(ConversionError, match="'llama'"):
        open_weights(path)
    write_folder(tmp_path / "m", random_tensors(), changes={"model_type": "mistral"})
    with pytest.raises(ConversionError, match="'mistral'"):
        open_weights(tmp_path / "m")


@pytest.mark.parametrize("part", [0, 3, 4, 11, 500, 4000, 0.5, 0.99])
def test_a_gguf_cut_short_anywhere_is_one_clear_line(tmp_path, part):
    path = write_gguf(tmp_path / "m.gguf", random_tensors())
    whole = path.read_bytes()
    path.write_bytes(whole[: part if isinstance(part, int) else int(len(whole) * part)])
    with pytest.raises(ConversionError, match=r"cut short|not a GGUF file") as raised:
        open_weights(path)
    assert "\n" not in str(raised.value)


def test_flipped_bytes_in_a_header_never_raise_anything_else(tmp_path):
    path = write_gguf(tmp_path / "m.gguf", random_tensors())
    whole = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for at in rng.integers(0, 3000, 300):
        damaged = whole.copy()
        damaged[at] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        with suppress(ConversionError):
            weights = open_weights(path)
            for name in tensor_shapes(weights.config):
                weights.tensor(name)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"leave_out": ("blk.1.ffn_up.weight",)}, "lacks the tensor blk.1.ffn_up.weight"),
        ({"leave_out": ("token_embd.weight",)}, "lacks the tensor token_embd.weight"),
        ({"extra": {"qwen2.rope.scaling.type": "yarn"}}, "yarn"),
        ({"extra": {"split.count": 2}}, "one of 2 parts"),
        ({"extra": {"qwen2.attention.key_length": float("nan")}}, "key_length is nan"),
        ({"extra": {"qwen2.attention.key_length": 24.0}}, "key_length is 24.0"),
        ({"extra": {"qwen2.attention.key_length": True}}, "key_length is True"),
        ({"extra": {"qwen2.attention.key_length": 0}}, "key_length is 0"),
        ({"config": replace(CONFIG, rms_norm_eps=float("inf"))}, "epsilon is inf"),
    ],
)
def test_a_gguf_that_the_graph_cannot_express_is_refused(tmp_path, kwargs, message):
    with pytest.raises(ConversionError, match=message):
        open_weights(write_gguf(tmp_path / "m.gguf", random_tensors(), **kwargs))


def test_a_tensor_of_another_shape_is_refused(tmp_path):
    tensors = random_tensors() | {"layers.0.k": np.zeros((8, 96), np.float32)}
    with pytest.raises(ConversionError, match=r"attn_k.weight has shape \(8, 96\), expected \(48, 96\)"):
        open_weights(write_gguf(tmp_path / "m.gguf", tensors))
    with pytest.raises(ConversionError, match=r"k_proj.weight has shape \(8, 96\), expected \(48, 96\)"):
        open_weights(write_folder(tmp_path / "m", tensors))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "yarn"),
        ({"use_sliding_window": True, "sliding_window": 128, "max_window_layers": 0}, "sliding window"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "already quantized"),
        ({"hidden_size": "many"}, "cannot be used"),
    ],
)
def test_a_folder_that_the_graph_cannot_express_is_refused(tmp_path, changes, message):
    with pytest.raises(ConversionError, match=message) as raised:
        open_weights(write_folder(tmp_path / "m", random_tensors(), changes=changes))
    assert "\n" not in str(raised.value)


def test_a_damaged_folder_is_one_clear_line(tmp_path):
    folder = write_folder(tmp_path / "m", random_tensors(), n_shards=2)
    shard = folder / "model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(ConversionError, match="cannot be read as safetensors"):
        open_weights(folder)
    shard.unlink()
    with pytest.raises(ConversionError, match="lacks model-00002-of-00002"):
        open_weights(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ConversionError, match=r"config\.json"):
        open_weights(folder)


def test_nothing_to_open_says_what_is_needed(tmp_path):
    with pytest.raises(ConversionError, match="does not exist"):
        open_weights(tmp_path / "absent")
    with pytest.raises(ConversionError, match="needs config"):
        open_weights(tmp_path)
    (tmp_path / "a.gguf").touch()
    (tmp_path / "b.gguf").touch()
    with pytest.raises(ConversionError, match=r"holds 2 \.gguf files"):
        open_weights(tmp_path)
