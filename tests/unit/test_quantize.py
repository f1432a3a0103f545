import numpy as np
import pytest
from tiny_model import CONFIG, ArrayWeights, random_tensors, reference_logits

from model.quantize import default_quantization, orthogonal_matrix, quantize_rows, rotated
from model.weights import tensor_shapes

IDS = [5, 17, 300, 17, 2, 250, 99, 4]


def test_a_rotated_model_computes_the_same():
    weights = ArrayWeights(CONFIG, random_tensors())
    plain = reference_logits(weights, IDS)
    turned = reference_logits(rotated(weights), IDS)
    assert np.abs(plain - turned).max() < 1e-4 * np.abs(plain).max()


def test_rotation_spreads_the_outliers_of_the_residual_stream():
    weights = ArrayWeights(CONFIG, random_tensors() | {"embed": np.eye(320, 96, dtype=np.float32)})
    turned = rotated(weights).tensor("embed")
    assert np.abs(turned[:96]).max() < 1.01 / np.sqrt(96)


def test_rotated_keeps_names_shapes_and_types():
    weights = rotated(ArrayWeights(CONFIG, random_tensors()))
    assert weights.config == CONFIG
    for name, shape in tensor_shapes(CONFIG).items():
        assert weights.tensor(name).shape == shape
        assert weights.tensor(name).dtype == np.float32
        if name.endswith("norm"):
            assert (weights.tensor(name) == 1).all()


def test_rotation_is_the_same_every_time():
    assert np.array_equal(orthogonal_matrix(96, 0), orthogonal_matrix(96, 0))
    assert not np.array_equal(orthogonal_matrix(96, 0), orthogonal_matrix(96, 1))


@pytest.mark.parametrize("size", [2, 4, 8, 12, 20, 24, 28, 36, 56, 96, 112, 256, 896, 1536, 3584])
def test_hadamard_sizes_are_orthogonal_with_entries_of_one_size(size):
    matrix = orthogonal_matrix(size, 0)
    assert np.allclose(np.abs(matrix), size**-0.5, rtol=1e-6)
    probes = np.random.default_rng(0).standard_normal((size, 4)).astype(np.float32)
    assert np.abs(matrix @ (matrix.T @ probes) - probes).max() < 1e-5


@pytest.mark.parametrize("size", [1, 3, 10, 33, 70, 92])
def test_other_sizes_are_orthogonal_too(size):
    matrix = orthogonal_matrix(size, 0)
    assert np.abs(matrix @ matrix.T - np.eye(size)).max() < 1e-5


@pytest.mark.parametrize(("bits", "largest"), [(8, 127), (7, 63)])
def test_integers_lie_within_half_a_scale(bits, largest):
    weight = np.random.default_rng(0).standard_normal((9000, 33)).astype(np.float32)
    integers, scales = quantize_rows(weight, bits)
    assert integers.dtype == np.int8
    assert scales.dtype == np.float32
    assert (np.abs(integers.astype(int)).max(axis=1) == largest).all()
    assert (np.abs(integers * scales[:, None] - weight) <= 0.5001 * scales[:, None]).all()


@pytest.mark.parametrize("value", [0.0, 1e-45, 1e-40, 3e38])
def test_extreme_rows_stay_finite_and_in_range(value):
    weight = np.full((2, 4), value, np.float32)
    integers, scales = quantize_rows(weight, 8)
    assert np.isfinite(scales).all()
    assert (scales > 0).all()
    assert (np.abs(integers.astype(int)) <= 127).all()


def test_only_7_and_8_bits_are_known():
    with pytest.raises(ValueError, match="4 bits"):
        quantize_rows(np.ones((1, 1), np.float32), 4)


def test_seven_bits_cannot_saturate_a_16_bit_pair_sum():
    worst = np.full((1, 2), 5.0, np.float32)
    bits = default_quantization(processor_saturates=True).weight_bits
    integers, _ = quantize_rows(worst, bits)
    assert 255 * integers.astype(int).sum() <= np.iinfo(np.int16).max
    assert default_quantization(processor_saturates=False).weight_bits == 8
