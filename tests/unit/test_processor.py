"""What is read out of the systems' descriptions of a processor, and the sums that depend on it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.processor import Processor, detect_processor, n_usable_cores, parse_cpuinfo, parse_sysctl

HASWELL = "model name\t: Core i7-4770\nflags\t\t: fpu sse4_2 avx avx2\n"
SKYLAKE_X = "model name\t: Xeon 6142\nflags\t\t: avx2 avx512f avx512vl\n"
ICE_LAKE = "model name\t: Xeon 8375C\nflags\t\t: avx2 avx512f avx512_vnni\n"
ALDER_LAKE = "model name\t: Core i7-12700\nflags\t\t: avx2 avx_vnni\n"
NEOVERSE = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\nCPU implementer\t: 0x41\n"
MIXED = ICE_LAKE + SKYLAKE_X
APPLE_M2 = (
    "machdep.cpu.brand_string: Apple M2\nhw.optional.arm.FEAT_DotProd: 1\n"
    "hw.optional.arm.FEAT_I8MM: 1\nhw.optional.arm.FEAT_SME: 0\n"
)
INTEL_MAC = (
    "machdep.cpu.brand_string: Core i9\nmachdep.cpu.features: FPU AVX1.0\n"
    "machdep.cpu.leaf7_features: AVX2 AVX512F AVX512VNNI\n"
)


@pytest.mark.parametrize(
    ("architecture", "parse", "text", "features", "saturates"),
    [
        ("x86_64", parse_cpuinfo, HASWELL, {"avx2"}, True),
        ("x86_64", parse_cpuinfo, SKYLAKE_X, {"avx2", "avx512"}, True),
        ("x86_64", parse_cpuinfo, ICE_LAKE, {"avx2", "avx512", "avx512_vnni"}, False),
        ("x86_64", parse_cpuinfo, ALDER_LAKE, {"avx2", "avx_vnni"}, False),
        ("x86_64", parse_cpuinfo, MIXED, {"avx2", "avx512"}, True),
        ("x86_64", parse_cpuinfo, "", set(), True),
        ("aarch64", parse_cpuinfo, NEOVERSE, {"dotprod", "i8mm"}, False),
        ("aarch64", parse_cpuinfo, "", set(), False),
        ("arm64", parse_sysctl, APPLE_M2, {"dotprod", "i8mm"}, False),
        ("x86_64", parse_sysctl, INTEL_MAC, {"avx2", "avx512", "avx512_vnni"}, False),
    ],
)
def test_features_are_read_and_judged(architecture, parse, text, features, saturates):
    name, found = parse(text)
    assert found == features
    assert Processor(architecture, name, found).saturates is saturates


def test_this_machine_is_described():
    processor = detect_processor()
    assert processor.architecture in str(processor)
    assert n_usable_cores() >= 1


def pair_sums(activations: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Add neighbouring u8 x s8 products as `vpmaddubsw` does: exactly, then clipped to 16 bits."""
    products = activations.astype(np.int32) * weights.astype(np.int32)
    return np.clip(products[0::2] + products[1::2], -(2**15), 2**15 - 1)


def exact_pair_sums(activations: np.ndarray, weights: np.ndarray) -> np.ndarray:
    products = activations.astype(np.int32) * weights.astype(np.int32)
    return products[0::2] + products[1::2]


@settings(max_examples=300)
@given(
    hnp.arrays(np.uint8, 64, elements=st.integers(0, 255)),
    hnp.arrays(np.int8, 64, elements=st.integers(-63, 63)),
)
def test_seven_bit_products_cannot_saturate(activations, weights):
    np.testing.assert_array_equal(pair_sums(activations, weights), exact_pair_sums(activations, weights))


def test_seven_bit_products_cannot_saturate_at_the_extremes():
    """Sums are linear in each factor, so their largest values lie at the corners of the ranges."""
    for activation in (0, 255):
        for weight in (-63, 63):
            sides = np.full(2, activation, np.uint8), np.full(2, weight, np.int8)
            np.testing.assert_array_equal(pair_sums(*sides), exact_pair_sums(*sides))


def test_eight_bit_products_do_saturate():
    activations, weights = np.full(2, 255, np.uint8), np.full(2, 127, np.int8)
    assert pair_sums(activations, weights) == 32_767
    assert exact_pair_sums(activations, weights) == 64_770
