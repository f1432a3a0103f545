"""Quantizes matrices to 4 bits in blocks, in the layout of onnxruntime's `MatMulNBits` operator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class BlockQuantized:
    """A matrix (out, in) whose rows are cut into blocks; weight = (q - zero_point) * scale.

    Two numbers share a byte, the earlier one in the low half: values along `in`, zero points along blocks.
    """

    values: npt.NDArray[np.uint8]
    """(out, n_blocks, block_size / 2)"""
    scales: npt.NDArray[np.float32]
    """(out, n_blocks)"""
    zero_points: npt.NDArray[np.uint8]
    """(out, ceil(n_blocks / 2))"""


def quantize_blocks(weight: npt.NDArray[np.float32], block_size: int = 32) -> BlockQuantized:
    """Quantize `weight` (out, in) to unsigned 4-bit values, one scale and one integer zero point a block.

    The range of a block always includes 0, which is kept exactly, so that padding adds nothing. Zero points
    are integers because float ones fall to a path that is 30 times slower.

    Args:
        weight: (out, in); `in` is padded with zeros to whole blocks.
        block_size: a power of two, 16 at least.
    """
    n_out, n_in = weight.shape
    n_blocks = -(-n_in // block_size)
    padded = np.zeros((n_out, n_blocks * block_size), np.float32)
    padded[:, :n_in] = weight
    blocks = padded.reshape(n_out, n_blocks, block_size)
    low = np.minimum(blocks.min(axis=2), 0.0)
    high = np.maximum(blocks.max(axis=2), 0.0)
    # The scale is rounded to fp16, as it is stored, before values are computed from it.
    scales = ((high - low) / 15.0).astype(np.float16).astype(np.float32)
    scales = np.where(scales > 0.0, scales, 1.0).astype(np.float32)
    zero_points = np.clip(np.rint(-low / scales), 0, 15)
    values = np.clip(np.rint(blocks / scales[:, :, None]) + zero_points[:, :, None], 0, 15)
    return BlockQuantized(_pack_nibbles(values), scales, _pack_nibbles(zero_points))


def _pack_nibbles(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Pack pairs along the last axis into bytes, low half first; an odd last one gets a zero beside it."""
    nibbles = values.astype(np.uint8)
    if nibbles.shape[-1] % 2:
        nibbles = np.concatenate([nibbles, np.zeros_like(nibbles[..., :1])], axis=-1)
    return nibbles[..., 0::2] | np.left_shift(nibbles[..., 1::2], 4, dtype=np.uint8)
