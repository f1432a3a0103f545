"""Reads single tensors out of a safetensors file as fp32.

The only file that imports safetensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes  # its bfloat16 is registered with numpy, by which safetensors looks it up
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from model.errors import ConversionError


class SafetensorsFile:
    """One open safetensors file; its tensors are read one by one."""

    def __init__(self, path: Path) -> None:
        """Open `path`; raises `ConversionError` if it is no whole safetensors file."""
        self.path = path
        try:
            file: Any = safe_open(path, framework="numpy")
        except (SafetensorError, OSError) as error:
            raise ConversionError(f"{path} cannot be read as safetensors: {error}") from error
        self._file = file
        self.metadata: Mapping[str, str] = file.metadata() or {}
        self.names: frozenset[str] = frozenset(file.keys())

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor without reading it."""
        return tuple(self._file.get_slice(name).get_shape())

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """Return a tensor as fp32, a copy; raises `ConversionError` for types that are not floats."""
        dtype = self._file.get_slice(name).get_dtype()
        if dtype not in {"BF16", "F16", "F32"}:
            raise ConversionError(f"{self.path}: tensor {name} is {dtype}; supported are BF16, F16 and F32")
        values: npt.NDArray[np.float32] = np.require(self._file.get_tensor(name), np.float32, ["C", "W"])
        return values


def write_safetensors(
    path: Path, tensors: Mapping[str, npt.NDArray[np.float32]], metadata: Mapping[str, str]
) -> None:
    """Write tensors as bf16; raises `OSError`."""
    rounded = {
        name: np.ascontiguousarray(tensor).astype(ml_dtypes.bfloat16) for name, tensor in tensors.items()
    }
    path.write_bytes(save(rounded, dict(metadata)))
