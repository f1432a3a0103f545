"""Rotation and integer quantization of weights, on the fly and one tensor at a time.

Pure numpy: knows neither file formats nor graphs.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from model.types import DecoderConfig, Quantization
from model.weights import Weights

Float32 = npt.NDArray[np.float32]

_BLOCK_ROWS: Final = 8192
"""Large matrices are worked on in blocks of so many rows, so that no second copy of them is ever held."""


_NORM_BEFORE: Final = {
    "q": "attn_norm",
    "k": "attn_norm",
    "v": "attn_norm",
    "gate": "ffn_norm",
    "up": "ffn_norm",
    "lm_head": "final_norm",
}
"""Linear layer -> the norm whose output it reads."""


def default_quantization(*, processor_saturates: bool) -> Quantization:
    """Return how a model is stored for a CPU.

    Args:
        processor_saturates: Whether pairs of u8 x s8 products are summed in 16 bits there (x86 with AVX2 or
            AVX-512 but without VNNI). Twice 255 x 127 overflows such a sum, twice 255 x 63 does not, so one
            bit of the weights is given up.
    """
    return Quantization(scheme="w8a8", weight_bits=7 if processor_saturates else 8, rotated=True)


def cuda_quantization() -> Quantization:
    """Return how a model is stored for CUDA: 4-bit blocks, whose 16-bit activations need no rotation."""
    return Quantization(scheme="w4a16", weight_bits=4, rotated=False)


def quantize_rows(weight: Float32, bits: int) -> tuple[npt.NDArray[np.int8], Float32]:
    """Round a matrix to symmetric integers with one scale an output channel.

    Args:
        weight: (out, in).
        bits: 8 for integers within ±127, 7 for ±63.

    Returns:
        The integers (out, in) and the scales (out,), so that `integers * scales[:, None]` is the matrix to
        within half a scale. A row of zeros has the scale 1.
    """
    if bits not in {7, 8}:
        raise ValueError(f"weights of {bits} bits; supported are 7 and 8")
    largest = 2 ** (bits - 1) - 1
    integers = np.empty(weight.shape, np.int8)
    scales = np.empty(len(weight), np.float32)
    for start in range(0, len(weight), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        block = weight[rows]
        scale = np.abs(block).max(axis=1, initial=0) / np.float32(largest)
        scale[scale == 0] = 1
        scales[rows] = scale
        # A tiny subnormal scale can put the quotient past the largest integer.
        integers[rows] = np.clip(np.rint(block / scale[:, None]), -largest, largest)
    return integers, scales


def rotated(weights: Weights, seed: int = 0) -> Weights:
    """Return the same model with an orthogonal matrix folded into its residual stream.

    Outputs are unchanged but for rounding, while outliers in activations are spread over all channels, so
    that they survive 8 bits. This is R1 of QuaRot (arXiv 2404.00456): the weights of the norms go into the
    linear layers that follow and become 1; then embed·Q, W·Q for q, k, v, gate, up and lm_head, Qᵀ·W for
    o and down.
    """
    return RotatedWeights(weights, orthogonal_matrix(weights.config.hidden_size, seed))


class RotatedWeights:
    """What `rotated` returns; tensors are rotated when they are asked for."""

    def __init__(self, weights: Weights, rotation: Float32) -> None:
        self._weights = weights
        self._rotation = rotation

    @property
    def config(self) -> DecoderConfig:
        """The sizes of the model, which rotation leaves alone."""
        return self._weights.config

    def tensor(self, name: str) -> Float32:
        """Return one tensor; see `Weights.tensor`."""
        layer, _, part = name.rpartition(".")
        if part in {"attn_norm", "ffn_norm", "final_norm"}:
            return np.ones(self.config.hidden_size, np.float32)
        if part in {"o", "down"}:
            turned: Float32 = self._rotation.T @ self._weights.tensor(name)
            return turned
        if part == "embed":
            return self._times_rotation(name, norm=None)
        if part in _NORM_BEFORE:
            return self._times_rotation(name, norm=f"{layer}.{_NORM_BEFORE[part]}".lstrip("."))
        return self._weights.tensor(name)  # biases are added behind the rotation

    def _times_rotation(self, name: str, *, norm: str | None) -> Float32:
        """Return W·diag(norm)·Q, computed in place."""
        weight = self._weights.tensor(name)
        # Scaling rows of Q instead of columns of W: the smaller of the two.
        rotation = self._rotation if norm is None else self._weights.tensor(norm)[:, None] * self._rotation
        for start in range(0, len(weight), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            weight[rows] = weight[rows] @ rotation
        return weight


def orthogonal_matrix(size: int, seed: int) -> Float32:
    """Return a random orthogonal matrix, the same on every machine for one size and seed.

    A randomized Hadamard matrix (random signs on its columns, QuaRot section 3) where one of that size is at
    hand, which is so for all Qwen2 models; it spreads an outlier evenly. Otherwise Q of a random matrix's QR.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    hadamard = _hadamard(size)
    if hadamard is None:
        q, r = np.linalg.qr(rng.standard_normal((size, size)))
        unique: npt.NDArray[np.float64] = q * np.sign(np.diag(r))
        return unique.astype(np.float32)
    signs = rng.integers(0, 2, size) * 2 - 1
    scaled: npt.NDArray[np.float64] = signs[:, None] * hadamard / np.sqrt(size)
    return scaled.astype(np.float32)


def _hadamard(size: int) -> npt.NDArray[np.int8] | None:
    """Return a matrix of ±1 with orthogonal rows: Paley's of a small order, doubled as Sylvester did."""
    n_doublings = 0
    while size % 2 == 0:
        core = _paley(size)
        if core is not None:
            for _ in range(n_doublings):
                core = np.block([[core, core], [core, -core]])
            return core
        size, n_doublings = size // 2, n_doublings + 1
    return None


def _paley(order: int) -> npt.NDArray[np.int8] | None:
    """Return Paley's Hadamard matrix of that order (J. Math. Phys. 12, 1933), None where it gives none.

    Construction I wants a prime order - 1 that leaves 3 by division by 4, construction II a prime order/2 - 1
    that leaves 1. (Powers of primes would do as well, but are not needed.)
    """
    if order == 2:
        return np.array([[1, 1], [1, -1]], np.int8)
    if (order - 1) % 4 == 3 and _is_prime(order - 1):
        conference = _conference(order - 1)
        return conference + np.eye(order, dtype=np.int8)
    if order % 4 == 0 and (order // 2 - 1) % 4 == 1 and _is_prime(order // 2 - 1):
        conference = _conference(order // 2 - 1)
        on_zero = np.array([[1, -1], [-1, -1]], np.int8)
        on_one = np.array([[1, 1], [1, -1]], np.int8)
        return np.kron(conference, on_one) + np.kron(np.eye(order // 2, dtype=np.int8), on_zero)
    return None


def _conference(prime: int) -> npt.NDArray[np.int8]:
    """Return the conference matrix of order prime + 1: zeros on the diagonal, C·Cᵀ = prime·I."""
    squares = {i * i % prime for i in range(1, prime)}
    character = np.array([0 if i == 0 else 1 if i in squares else -1 for i in range(prime)], np.int8)
    index = np.arange(prime)
    matrix = np.ones((prime + 1, prime + 1), np.int8)
    matrix[0, 0] = 0
    matrix[1:, 1:] = character[(index[:, None] - index[None, :]) % prime]
    if prime % 4 == 3:
        matrix[1:, 0] = -1  # skew-symmetric, which construction I relies on
    return matrix


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))
