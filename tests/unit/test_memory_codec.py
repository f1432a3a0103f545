"""Memories as bytes: what comes back, and that nothing else ever does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from model.errors import DamagedMemoryError
from model.memory_codec import decode_memory, encode_memory
from model.types import Memory

MODEL, OTHER_MODEL = "ab" * 32, "cd" * 32
KEY, OTHER_KEY = "0123456789abcdef" * 2, "fedcba9876543210" * 2
LAYERS, HEADS, HEAD_DIM = 3, 2, 8


def make_memory(
    n_tokens: int = 5, number_type: npt.DTypeLike = np.float32, key: str = KEY, bias: float = 0.0
) -> Memory:
    rng = np.random.default_rng(n_tokens)
    shape = (LAYERS, HEADS, n_tokens, HEAD_DIM)
    keys = rng.standard_normal(shape)
    keys[..., 3] += bias
    values = rng.standard_normal(shape)
    ids = tuple(int(i) for i in rng.integers(0, 151_936, n_tokens))
    return Memory(key, ids, 17, keys.astype(number_type), values.astype(number_type))


@pytest.mark.parametrize("number_type", [np.float32, np.float16], ids=["fp32", "fp16"])
@pytest.mark.parametrize("n_tokens", [1, 2, 192])
def test_a_memory_comes_back_within_half_a_scale(n_tokens: int, number_type: npt.DTypeLike) -> None:
    memory = make_memory(n_tokens, number_type)
    back = decode_memory(encode_memory(memory, MODEL), KEY, MODEL)
    assert (back.key, back.token_ids, back.first_position) == (KEY, memory.token_ids, 17)
    rounding = 0.0 if number_type is np.float32 else 2.0**-10 * 4
    for axis, before, after in (
        (2, memory.keys_lhtd, back.keys_lhtd),
        (3, memory.values_lhtd, back.values_lhtd),
    ):
        assert after.dtype == number_type
        assert after.shape == before.shape
        exact = before.astype(np.float32)
        reach = exact.max(axis, keepdims=True) - exact.min(axis, keepdims=True)
        if axis == 3:
            reach = 2 * np.abs(exact).max(axis, keepdims=True)
        assert (np.abs(after.astype(np.float32) - exact) <= reach / 254 / 2 * 1.01 + rounding).all()


def test_a_channel_far_from_zero_costs_the_others_nothing() -> None:
    plain, biased = make_memory(40), make_memory(40, bias=200.0)
    for memory in (plain, biased):
        back = decode_memory(encode_memory(memory, MODEL), KEY, MODEL)
        assert np.abs(back.keys_lhtd - memory.keys_lhtd).max() < 0.02


def test_a_second_round_trip_changes_little() -> None:
    once = decode_memory(encode_memory(make_memory(), MODEL), KEY, MODEL)
    twice = decode_memory(encode_memory(once, MODEL), KEY, MODEL)
    assert np.allclose(once.keys_lhtd, twice.keys_lhtd, atol=1e-5)
    assert np.allclose(once.values_lhtd, twice.values_lhtd, atol=1e-5)


def test_what_was_decoded_cannot_be_written_to() -> None:
    back = decode_memory(encode_memory(make_memory(), MODEL), KEY, MODEL)
    assert not back.keys_lhtd.flags.writeable
    assert not back.values_lhtd.flags.writeable


def test_numbers_that_are_all_equal_come_back_exactly() -> None:
    memory = make_memory()
    memory = replace(
        memory, keys_lhtd=np.full_like(memory.keys_lhtd, 3.0), values_lhtd=memory.values_lhtd * 0
    )
    back = decode_memory(encode_memory(memory, MODEL), KEY, MODEL)
    assert (back.keys_lhtd == 3.0).all()
    assert (back.values_lhtd == 0.0).all()


def test_a_single_changed_bit_anywhere_is_found() -> None:
    data = encode_memory(make_memory(), MODEL)
    for index in range(len(data)):
        damaged = bytearray(data)
        damaged[index] ^= 1 << (index % 8)
        with pytest.raises(DamagedMemoryError):
            decode_memory(bytes(damaged), KEY, MODEL)


def test_bytes_that_end_early_or_late_are_found() -> None:
    data = encode_memory(make_memory(), MODEL)
    for n_bytes in range(len(data)):
        with pytest.raises(DamagedMemoryError):
            decode_memory(data[:n_bytes], KEY, MODEL)
    with pytest.raises(DamagedMemoryError):
        decode_memory(data + b"\0", KEY, MODEL)


@pytest.mark.parametrize(
    ("key", "model_hash"),
    [(OTHER_KEY, MODEL), (KEY, OTHER_MODEL), ("", MODEL)],
    ids=["key", "model", "no key"],
)
def test_the_bytes_of_another_memory_or_model_are_refused(key: str, model_hash: str) -> None:
    data = encode_memory(make_memory(), MODEL)
    with pytest.raises(DamagedMemoryError):
        decode_memory(data, key, model_hash)


def not_finite(value: float) -> Callable[[npt.NDArray[np.floating]], npt.NDArray[np.floating]]:
    def spoil(array: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        spoilt = array.copy()
        spoilt[1, 1, 2, 3] = value
        return spoilt

    return spoil


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", ["keys_lhtd", "values_lhtd"])
def test_numbers_that_are_not_finite_are_refused(which: str, value: float) -> None:
    memory = make_memory()
    spoilt = replace(memory, **{which: not_finite(value)(getattr(memory, which))})
    with pytest.raises(ValueError, match="finite"):
        encode_memory(spoilt, MODEL)


@pytest.mark.parametrize("key", ["", "x" * 65, "ключ"])
def test_a_key_that_the_header_cannot_hold_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"key|ascii"):
        encode_memory(make_memory(key=key), MODEL)
