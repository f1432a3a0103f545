"""A memory as bytes, and back: eight bits a number, with a header that says what it is and a checksum.

    header     magic, format, number type, shape, first position, key, model hash (`_HEADER`)
    token ids  uint32 (T,)
    keys       float32 scales (L, H, 1, D) and centres (L, H, 1, D), then int8 (L, H, T, D)
    values     float32 scales (L, H, T, 1), then int8 (L, H, T, D)
    checksum   CRC-32 of all before

All in the machine's byte order: a machine of the other one sees an unknown format. Values get one scale a
token. Keys get one scale a channel, around the centre of that channel's range: the biases of Qwen's keys put
some channels a hundred times farther from zero than others, and one scale a token would leave those others
nothing (keys by channel, values by token: KIVI, arXiv 2402.02750). The centre takes up what of a bias the
rotary embedding leaves in place over a memory's few positions, so that no table of biases is needed. This
file knows no disk.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from model.errors import DamagedMemoryError
from model.types import Memory

__all__ = ["FORMAT_VERSION", "decode_memory", "encode_memory"]

FORMAT_VERSION: Final = 1
"""Of the bytes; raised with every change to them."""

_HEADER: Final = struct.Struct("=8sHHIIIII64s32s")
"""Magic, format, number type, layers, key-value heads, tokens, head_dim, first position, key, model hash."""
_MAGIC: Final = b"\x89CLMEM\r\n"
_NUMBER_TYPES: Final = (np.dtype(np.float32), np.dtype(np.float16))
"""By their number in the header."""
_CHECKSUM: Final = struct.Struct("=I")
_MAX_KEY_BYTES: Final = 64
_LARGEST: Final = 127

_T = TypeVar("_T", bound=np.generic)
_Float32 = npt.NDArray[np.float32]
_Int8 = npt.NDArray[np.int8]
_Shape = tuple[int, int, int, int]
"""Layers, key-value heads, tokens, head_dim."""


def encode_memory(memory: Memory, model_hash: str) -> bytes:
    """Return a memory as bytes: a little more than one for each number.

    Args:
        memory: Of at least one token.
        model_hash: `Manifest.model_hash` of the model that computed it.

    Raises:
        ValueError: A number is not finite, or the key is empty, too long or not ASCII.
    """
    key = memory.key.encode("ascii")
    if not 0 < len(key) <= _MAX_KEY_BYTES:
        raise ValueError(f"a memory's key has 1 to {_MAX_KEY_BYTES} characters: {memory.key!r}")
    header = _HEADER.pack(
        _MAGIC,
        FORMAT_VERSION,
        _NUMBER_TYPES.index(memory.keys_lhtd.dtype),
        *memory.keys_lhtd.shape,
        memory.first_position,
        key,
        bytes.fromhex(model_hash),
    )
    arrays = (
        np.array(memory.token_ids, np.uint32),
        *_quantized_by_channel(memory.keys_lhtd.astype(np.float32, copy=False)),
        *_quantized_by_token(memory.values_lhtd.astype(np.float32, copy=False)),
    )
    body = b"".join((header, *(array.tobytes() for array in arrays)))
    return body + _CHECKSUM.pack(zlib.crc32(body))


def decode_memory(data: bytes, key: str, model_hash: str) -> Memory:
    """Return the memory that `encode_memory` was given, each number to within half of its scale.

    Args:
        data: What it returned.
        key: Of the memory that is wanted.
        model_hash: Of the model that is to attend to it.

    Raises:
        DamagedMemoryError: The bytes are not whole, or are of another format, memory or model.
    """
    if len(data) < _HEADER.size + _CHECKSUM.size:
        raise DamagedMemoryError("it ends in its header")
    body = memoryview(data)[: -_CHECKSUM.size]
    if zlib.crc32(body) != _CHECKSUM.unpack_from(data, len(body))[0]:
        raise DamagedMemoryError("its checksum is wrong")
    magic, version, number_type, *sizes, first_position, key_bytes, hash_bytes = _HEADER.unpack_from(data)
    if (magic, version) != (_MAGIC, FORMAT_VERSION):
        raise DamagedMemoryError(f"it has format {version}, not {FORMAT_VERSION}")
    if (key_bytes.rstrip(b"\0"), hash_bytes.hex()) != (key.encode("ascii"), model_hash):
        raise DamagedMemoryError("it is of another memory or model")
    n_layers, n_heads, n_tokens, head_dim = sizes
    shape = (n_layers, n_heads, n_tokens, head_dim)
    if len(body) != _body_bytes(shape) or number_type >= len(_NUMBER_TYPES):
        raise DamagedMemoryError("its length does not fit its shape")
    return _arrays_to_memory(body, shape, _NUMBER_TYPES[number_type], key, first_position)


def _arrays_to_memory(
    body: memoryview, shape: _Shape, number_type: np.dtype[np.floating], key: str, first_position: int
) -> Memory:
    n_layers, n_heads, n_tokens, head_dim = shape
    reader = _Reader(body, _HEADER.size)
    token_ids = reader.array(np.uint32, (n_tokens,))
    by_channel, by_token = (n_layers, n_heads, 1, head_dim), (n_layers, n_heads, n_tokens, 1)
    key_scales, key_centres = (reader.array(np.float32, by_channel) for _ in range(2))
    keys: _Float32 = np.multiply(reader.array(np.int8, shape), key_scales, dtype=np.float32)
    keys += key_centres
    value_scales = reader.array(np.float32, by_token)
    values: _Float32 = np.multiply(reader.array(np.int8, shape), value_scales, dtype=np.float32)
    arrays = [array.astype(number_type, copy=False) for array in (keys, values)]
    for array in arrays:
        array.flags.writeable = False
    return Memory(key, tuple(token_ids.tolist()), first_position, *arrays)


class _Reader:
    """Takes arrays off some bytes, one after the other, without copying them."""

    def __init__(self, data: memoryview, offset: int) -> None:
        self._data = data
        self._offset = offset

    def array(self, number_type: type[_T], shape: tuple[int, ...]) -> npt.NDArray[_T]:
        taken = np.frombuffer(self._data, number_type, math.prod(shape), self._offset)
        self._offset += taken.nbytes
        return taken.reshape(shape)


def _body_bytes(shape: _Shape) -> int:
    """Return how many bytes stand before the checksum."""
    n_layers, n_heads, n_tokens, head_dim = shape
    n_scales = n_layers * n_heads * (2 * head_dim + n_tokens)
    return _HEADER.size + 4 * n_tokens + 4 * n_scales + 2 * n_layers * n_heads * n_tokens * head_dim


def _quantized_by_channel(keys_lhtd: _Float32) -> tuple[_Float32, _Float32, _Int8]:
    """Return scales and centres (layers, heads, 1, head_dim), and integers."""
    lowest, highest = keys_lhtd.min(axis=2, keepdims=True), keys_lhtd.max(axis=2, keepdims=True)
    with np.errstate(invalid="ignore"):  # infinity less infinity, which `_scales` refuses
        reach = (highest - lowest) / 2
    scales = _scales(reach)
    centres = lowest + reach
    return scales, centres, _integers(keys_lhtd - centres, scales)


def _quantized_by_token(values_lhtd: _Float32) -> tuple[_Float32, _Int8]:
    """Return scales (layers, heads, tokens, 1), and integers."""
    scales = _scales(np.abs(values_lhtd).max(axis=3, keepdims=True))
    return scales, _integers(values_lhtd.copy(), scales)


def _scales(largest: _Float32) -> _Float32:
    """Return by what integers are multiplied, given the largest magnitude that each is to reach."""
    if not np.isfinite(largest).all():
        raise ValueError("a memory with numbers that are not finite cannot be kept")
    scales = largest / np.float32(_LARGEST)
    scales[scales == 0] = 1
    return scales


def _integers(numbers: _Float32, scales: _Float32) -> _Int8:
    """Return the nearest integers; `numbers` is worked on in place."""
    numbers /= scales
    np.rint(numbers, out=numbers)
    # A tiny subnormal scale can put the quotient past the largest integer.
    np.clip(numbers, -_LARGEST, _LARGEST, out=numbers)
    return numbers.astype(np.int8)
