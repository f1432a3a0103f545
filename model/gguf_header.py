"""Reads the header of a GGUF file: its metadata and where each tensor lies.

Knows the container format only (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): not what the
metadata means, not how tensors are quantized. Reading a header with a vocabulary of 150,000 tokens takes a
fraction of a second and touches nothing after it, so a wrong file is refused before any work is done on it.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.errors import ConversionError

MAGIC = b"GGUF"
SUPPORTED_VERSIONS = (2, 3)
_DEFAULT_ALIGNMENT = 32
_MAX_DIMENSIONS = 4
_STRING, _ARRAY = 8, 9
_SCALARS: Mapping[int, tuple[str, str]] = {  # type id -> struct code, numpy dtype
    0: ("<B", "<u1"),
    1: ("<b", "<i1"),
    2: ("<H", "<u2"),
    3: ("<h", "<i2"),
    4: ("<I", "<u4"),
    5: ("<i", "<i4"),
    6: ("<f", "<f4"),
    7: ("<?", "?"),
    10: ("<Q", "<u8"),
    11: ("<q", "<i8"),
    12: ("<d", "<f8"),
}

MetadataValue = str | int | float | bool | list[str] | list[int] | list[float]


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """Where one tensor lies."""

    shape: tuple[int, ...]
    """Slowest dimension first, as numpy counts; the file counts the other way round."""
    type_id: int
    """The `GGMLQuantizationType`."""
    offset: int
    """In bytes from the start of the file."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """Everything a GGUF file says before its tensors' bytes."""

    path: Path
    n_bytes: int
    """The size of the whole file."""
    metadata: Mapping[str, MetadataValue]
    tensors: Mapping[str, GgufTensor]


def read_gguf_header(path: Path) -> GgufHeader:
    """Return the header of the file at `path`.

    Raises:
        ConversionError: The file cannot be read, is no GGUF file, has a version that is not supported,
            ends inside its header, or its header makes no sense.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ConversionError(f"{path} is not a GGUF file (it does not begin with {MAGIC.decode()})")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                return _Cursor(view).header(path)
    except (struct.error, IndexError) as error:
        size = path.stat().st_size
        raise ConversionError(
            f"{path} is cut short: its header does not end within {size:,} bytes"
        ) from error
    except OSError as error:
        raise ConversionError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # text that is not UTF-8, or a type number that does not exist
        raise ConversionError(f"{path} cannot be read as GGUF: {error}") from error


class _Cursor:
    """A position in the header that moves on as values are read."""

    def __init__(self, view: mmap.mmap) -> None:
        self._view = view
        self._at = len(MAGIC)

    def header(self, path: Path) -> GgufHeader:
        version = self._number("<I")
        if version not in SUPPORTED_VERSIONS:
            raise ConversionError(f"{path} has GGUF version {version}; supported are {SUPPORTED_VERSIONS}")
        n_tensors, n_values = self._number("<Q"), self._number("<Q")
        metadata: dict[str, MetadataValue] = {}
        for _ in range(n_values):
            key = self._string()
            metadata[key] = self._value(self._number("<I"))
        tensors = dict(self._tensor() for _ in range(n_tensors))
        alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError(f"alignment {alignment!r}")
        data_start = -(-self._at // alignment) * alignment
        placed = {
            name: GgufTensor(tensor.shape, tensor.type_id, tensor.offset + data_start)
            for name, tensor in tensors.items()
        }
        return GgufHeader(path, len(self._view), metadata, placed)

    def _number(self, code: str) -> int:
        value: int = struct.unpack_from(code, self._view, self._at)[0]
        self._at += struct.calcsize(code)
        return value

    def _bytes(self, n_bytes: int) -> bytes:
        if n_bytes > len(self._view) - self._at:
            raise IndexError(n_bytes)
        taken = self._view[self._at : self._at + n_bytes]
        self._at += n_bytes
        return taken

    def _string(self) -> str:
        return self._bytes(self._number("<Q")).decode()

    def _value(self, type_id: int) -> MetadataValue:
        if type_id == _STRING:
            return self._string()
        if type_id == _ARRAY:
            return self._array()
        if type_id not in _SCALARS:
            raise ValueError(f"unknown metadata type {type_id}")
        return self._number(_SCALARS[type_id][0])

    def _array(self) -> list[str] | list[int] | list[float]:
        item_type, n_items = self._number("<I"), self._number("<Q")
        if item_type == _STRING:
            return [self._string() for _ in range(n_items)]
        if item_type not in _SCALARS:
            raise ValueError(f"an array of metadata type {item_type}")
        dtype = np.dtype(_SCALARS[item_type][1])
        items: list[int] = np.frombuffer(self._bytes(dtype.itemsize * n_items), dtype).tolist()
        return items

    def _tensor(self) -> tuple[str, GgufTensor]:
        name = self._string()
        n_dimensions = self._number("<I")
        if not 1 <= n_dimensions <= _MAX_DIMENSIONS:
            raise ValueError(f"tensor {name} has {n_dimensions} dimensions")
        shape = tuple(self._number("<Q") for _ in range(n_dimensions))
        type_id, offset = self._number("<I"), self._number("<Q")
        return name, GgufTensor(shape[::-1], type_id, offset)
