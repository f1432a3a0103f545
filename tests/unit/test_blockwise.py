"""Rounding to 4-bit blocks."""

from __future__ import annotations

import numpy as np
import pytest

from model.blockwise import quantize_blocks


def unpacked(packed: np.ndarray) -> np.ndarray:
    return np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:-1], -1)


@pytest.mark.parametrize(
    ("n_out", "n_in", "block_size"), [(5, 64, 32), (3, 80, 32), (2, 128, 128), (1, 32, 32)]
)
def test_each_weight_is_kept_to_within_half_a_step(n_out, n_in, block_size):
    weight = np.random.default_rng(0).standard_normal((n_out, n_in)).astype(np.float32)
    blocks = quantize_blocks(weight, block_size)
    n_blocks = blocks.scales.shape[1]
    values = unpacked(blocks.values).astype(np.float32)
    points = unpacked(blocks.zero_points)[:, :n_blocks, None].astype(np.float32)
    restored = ((values - points) * blocks.scales[:, :, None]).reshape(n_out, -1)
    steps = np.repeat(blocks.scales, block_size, axis=1)[:, :n_in]
    # Rounding the zero point moves both ends of a block's range, by half a step at most.
    assert (np.abs(restored[:, :n_in] - weight) <= 1.01 * steps).all()
    assert (restored[:, n_in:] == 0).all()


def test_zeros_are_kept_exactly():
    weight = np.zeros((2, 64), np.float32)
    weight[1, ::2] = 3.0
    blocks = quantize_blocks(weight, 32)
    values, points = unpacked(blocks.values), unpacked(blocks.zero_points)[:, :2]
    assert (values[0] == points[0][:, None]).all()
    assert (values[1, :, 1::2] == points[1][:, None]).all()


def test_the_earlier_number_lies_in_the_low_half():
    weight = np.zeros((1, 32), np.float32)
    weight[0, 0] = 15.0
    blocks = quantize_blocks(weight, 32)
    assert blocks.scales[0, 0] == 1.0
    assert blocks.values[0, 0, 0] == 0x0F
