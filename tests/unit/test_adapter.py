import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_model import CONFIG, ArrayWeights, random_tensors

import model
from model.adapter import check_adapter, read_adapter_facts, with_adapter
from model.catalog import DEFAULT_MODEL, load_catalog
from model.errors import ConversionError
from model.quantize import rotated
from model.weights import tensor_shapes

MODULES = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
METADATA = {"r": "4", "alpha": "8"}


def factors(rank=4, layers=(0, 1)):
    rng = np.random.default_rng(3)
    shapes = tensor_shapes(CONFIG)
    made = {}
    for layer in layers:
        for part, module in MODULES.items():
            n_out, n_in = shapes[f"layers.0.{part}"]
            for side, shape in (("A", (rank, n_in)), ("B", (n_out, rank))):
                values = rng.standard_normal(shape).astype(ml_dtypes.bfloat16)
                made[f"model.layers.{layer}.{module}.lora_{side}"] = values
    return made


def save(tmp_path, tensors, metadata=METADATA):
    path = tmp_path / "adapter.safetensors"
    save_file(tensors, path, metadata)
    return path


@pytest.fixture
def weights():
    return ArrayWeights(CONFIG, random_tensors())


def test_every_linear_layer_gets_its_scaled_product(tmp_path, weights):
    made = factors()
    merged = with_adapter(weights, save(tmp_path, made))
    for name in tensor_shapes(CONFIG):
        layer, _, part = name.rpartition(".")
        expected = weights.tensor(name)
        if part in MODULES:
            a, b = (made[f"model.{layer}.{MODULES[part]}.lora_{side}"].astype(np.float32) for side in "AB")
            expected = expected + 2 * b @ a
        assert np.allclose(merged.tensor(name), expected, atol=1e-5), name


def test_layers_that_the_adapter_leaves_out_stay(tmp_path, weights):
    merged = with_adapter(weights, save(tmp_path, factors(layers=(1,))))
    assert np.array_equal(merged.tensor("layers.0.q"), weights.tensor("layers.0.q"))
    assert not np.array_equal(merged.tensor("layers.1.q"), weights.tensor("layers.1.q"))


def test_rotating_a_merged_model_works(tmp_path, weights):
    assert rotated(with_adapter(weights, save(tmp_path, factors()))).tensor("layers.0.q").shape == (96, 96)


def test_rank_and_alpha_come_from_the_notes_beside_if_the_file_has_none(tmp_path):
    path = save(tmp_path, factors(), metadata=None)
    with pytest.raises(ConversionError, match="does not tell its rank and alpha"):
        read_adapter_facts(path)
    path.with_suffix(".json").write_text(json.dumps({"rank": 4, "alpha": 6, "base_sha256": "ab"}))
    facts = read_adapter_facts(path)
    assert (facts.rank, facts.scale, facts.base_sha256) == (4, 1.5, "ab")


@pytest.mark.parametrize("notes", ["{", "[1]"])
def test_notes_that_cannot_be_read_are_named(tmp_path, notes):
    path = save(tmp_path, factors())
    path.with_suffix(".json").write_text(notes)
    with pytest.raises(ConversionError, match=r"adapter\.json, which tells of the adapter"):
        read_adapter_facts(path)


def test_an_adapter_for_other_weights_is_refused(tmp_path):
    path = save(tmp_path, factors(), {**METADATA, "base_sha256": "ab"})
    check_adapter(path, "ab")
    check_adapter(path, None)
    with pytest.raises(ConversionError, match=r"was trained for other weights: their sha256 is ab"):
        check_adapter(path, "cd")


@pytest.mark.parametrize(
    ("change", "metadata", "message"),
    [
        (lambda t: t.popitem(), METADATA, "incomplete"),
        (lambda t: t.clear(), METADATA, "incomplete: no tensors"),
        (lambda t: t.update({"model.embed_tokens.lora_A": np.ones((4, 9))}), METADATA, "not understood"),
        (lambda t: t.update(factors(layers=(2,))), METADATA, "does not fit"),
        (lambda t: t.update(factors(rank=5)), METADATA, "does not fit"),
        (lambda t: None, {"r": "5", "alpha": "8"}, "does not fit"),
        (lambda t: None, {"r": "0", "alpha": "8"}, "rank 0"),
        (lambda t: None, {"r": "four", "alpha": "8"}, "rank 'four'"),
        (lambda t: None, {"r": "4", "alpha": "nan"}, "alpha nan"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(tmp_path, weights, change, metadata, message):
    tensors = factors()
    change(tensors)
    with pytest.raises(ConversionError, match=message) as raised:
        with_adapter(weights, save(tmp_path, tensors, metadata))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_adapter_is_refused(tmp_path, weights):
    path = tmp_path / "adapter.safetensors"
    path.write_bytes(b"not safetensors at all")
    with pytest.raises(ConversionError, match="cannot be read as safetensors"):
        with_adapter(weights, path)
    with pytest.raises(ConversionError, match="cannot be read as safetensors"):
        with_adapter(weights, tmp_path / "absent.safetensors")


def test_the_shipped_adapter_is_for_the_default_model():
    entry = load_catalog()[DEFAULT_MODEL]
    facts = read_adapter_facts(Path(model.__file__).parent / "data" / entry.adapter)
    assert (facts.rank, facts.scale) == (16, 2.0)
    assert facts.base_sha256 == entry.sha256
