"""The tiny Qwen2 of `tests/golden`, as weights and as loaded decoders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.blockwise import BlockQuantized, quantize_blocks
from model.graph import build_decoder
from model.quantize import rotated
from model.session import DecoderSession, load_decoder
from model.types import DecoderConfig, Quantization

GOLDEN = Path(__file__).parents[1] / "golden" / "qwen2.npz"

FP32 = Quantization("fp32", 8, rotated=False)
W8A8 = Quantization("w8a8", 8, rotated=True)
W8A8_UNROTATED = Quantization("w8a8", 8, rotated=False)
W7A8 = Quantization("w8a8", 7, rotated=True)
W4A16 = Quantization("w4a16", 4, rotated=False)


@dataclass(frozen=True)
class Golden:
    """Weights, and what transformers computes with them (`make_qwen2.py`)."""

    config: DecoderConfig
    tensors: dict[str, npt.NDArray[np.float32]]
    token_ids: list[int]
    logits: npt.NDArray[np.float32]
    gapped_positions: list[int]
    gapped_logits: npt.NDArray[np.float32]

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        return self.tensors[name].copy()


def load_golden() -> Golden:
    with np.load(GOLDEN) as arrays:
        prefix = "weights/"
        *sizes, n_positions = (int(size) for size in arrays["sizes"])
        config = DecoderConfig(
            *sizes,
            rope_theta=float(arrays["rope_theta"]),
            rms_norm_eps=float(arrays["rms_norm_eps"]),
            max_positions=n_positions,
        )
        return Golden(
            config,
            {k.removeprefix(prefix): arrays[k].astype(np.float32) for k in arrays.files if prefix in k},
            arrays["token_ids"].tolist(),
            arrays["logits"],
            arrays["positions_gapped"].tolist(),
            arrays["logits_gapped"],
        )


def with_block_weights(golden: Golden) -> Golden:
    """Round the matrices of all layers to what 4-bit blocks hold."""
    tensors = dict(golden.tensors)
    for name, weight in golden.tensors.items():
        if name.startswith("layers.") and weight.ndim == 2:
            tensors[name] = dequantize(quantize_blocks(weight))[:, : weight.shape[1]]
    return replace(golden, tensors=tensors)


def dequantize(blocks: BlockQuantized) -> npt.NDArray[np.float32]:
    """Return (out, n_blocks * block size), as `MatMulNBits` is documented to read its operands."""
    n_out, n_blocks = blocks.scales.shape
    values = np.stack([blocks.values & 15, blocks.values >> 4], axis=-1).reshape(n_out, n_blocks, -1)
    points = np.stack([blocks.zero_points & 15, blocks.zero_points >> 4], axis=-1).reshape(n_out, -1)
    centred = values.astype(np.float32) - points[:, :n_blocks, None].astype(np.float32)
    return (centred * blocks.scales[:, :, None]).reshape(n_out, -1)


def build(golden: Golden, quantization: Quantization, folder: Path) -> Path:
    weights = rotated(golden) if quantization.rotated else golden
    build_decoder(weights, quantization, folder, lambda _: None)
    return folder


def load(golden: Golden, quantization: Quantization, folder: Path, n_threads: int = 2) -> DecoderSession:
    build(golden, quantization, folder)
    return load_decoder(folder, golden.config, quantization, provider="cpu", n_threads=n_threads)
