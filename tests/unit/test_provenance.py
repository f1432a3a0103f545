"""Attention recomputed from queries and keys, against a loop that does it number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model.provenance import attention_on_spans, attention_weights

N_LAYERS, N_ROWS, N_HEADS, N_KV_HEADS, N_ENTRIES, HEAD_DIM = 3, 4, 6, 2, 17, 8
VISIBLE = [14, 15, 16, 17]


@pytest.fixture
def tensors() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    queries = 2 * rng.standard_normal((N_LAYERS, N_ROWS, N_HEADS, HEAD_DIM))
    keys = rng.standard_normal((N_LAYERS, N_KV_HEADS, N_ENTRIES, HEAD_DIM))
    return queries.astype(np.float32), keys.astype(np.float32)


def naive(queries, keys, layer: int, row: int, head: int) -> list[float]:
    """One row's weights in one head."""
    kv_head = head // (N_HEADS // N_KV_HEADS)
    exponentials = []
    for entry in range(N_ENTRIES):
        pairs = zip(queries[layer, row, head], keys[layer, kv_head, entry], strict=True)
        score = sum(float(q) * float(k) for q, k in pairs) / math.sqrt(HEAD_DIM)
        exponentials.append(math.exp(score) if entry < VISIBLE[row] else 0.0)
    total = sum(exponentials)
    return [value / total for value in exponentials]


def test_weights_are_those_of_a_loop(tensors):
    queries, keys = tensors
    for layer in range(N_LAYERS):
        weights = attention_weights(queries[layer], keys[layer], VISIBLE)
        expected = [[naive(queries, keys, layer, r, h) for r in range(N_ROWS)] for h in range(N_HEADS)]
        np.testing.assert_allclose(weights, expected, atol=1e-6)


def test_spans_get_the_root_mean_square_over_layers_and_heads(tensors):
    queries, keys = tensors
    spans = [(0, 5), (5, 6), (9, 14), (3, 3)]
    attention = attention_on_spans(queries, keys, VISIBLE, spans)
    for row in range(N_ROWS):
        for index, (start, end) in enumerate(spans):
            parts = [
                sum(naive(queries, keys, layer, row, head)[start:end])
                for layer in range(N_LAYERS)
                for head in range(N_HEADS)
            ]
            expected = math.sqrt(sum(part * part for part in parts) / len(parts))
            assert attention[row, index] == pytest.approx(expected, abs=1e-6)


def test_all_entries_together_get_all_attention(tensors):
    queries, keys = tensors
    attention = attention_on_spans(queries, keys, VISIBLE, [(0, N_ENTRIES)])
    np.testing.assert_allclose(attention, 1, atol=1e-6)


def test_a_row_sees_nothing_behind_its_own_entry(tensors):
    queries, keys = tensors
    attention = attention_on_spans(queries, keys, VISIBLE, [(n, n + 1) for n in range(N_ENTRIES)])
    for row, n in enumerate(VISIBLE):
        assert not attention[row, n:].any()
        assert (attention[row, :n] > 0).all()


def test_large_scores_do_not_overflow(tensors):
    queries, keys = tensors
    attention = attention_on_spans(queries * 1e4, keys, VISIBLE, [(0, N_ENTRIES)])
    np.testing.assert_allclose(attention, 1, atol=1e-6)


def test_halves_are_computed_in_single_precision(tensors):
    halves = [array.astype(np.float16) for array in tensors]
    singles = [array.astype(np.float32) for array in halves]
    spans = [(0, 5), (5, N_ENTRIES)]
    np.testing.assert_array_equal(
        attention_on_spans(*halves, VISIBLE, spans), attention_on_spans(*singles, VISIBLE, spans)
    )
