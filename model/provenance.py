"""How much a completion attended to each memory: attention recomputed from queries and keys.

The decoder's fused operator keeps its weights to itself, but the queries of a few layers are outputs, and the
keys lie in the cache; that is all it takes. What it tells is where the model looked, and no proof of a cause:
how often leaving out the memory that was looked at most changes the text is measured by
`bench/provenance.py`. This file knows neither the run time nor what the memories are of.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Span", "attention_on_spans", "attention_weights"]

Floats = npt.NDArray[np.floating]
Span = tuple[int, int]


def attention_on_spans(
    queries_lshd: Floats, keys_lgtd: Sequence[Floats], n_visible: Sequence[int], spans: Sequence[Span]
) -> npt.NDArray[np.float32]:
    """Return each row's attention on each span of entries: the root mean square over layers and heads.

    Most heads spread a little attention over everything, and few look something up. The square lets those
    decide: of 86 completions, leaving out the memory with the largest sum of squares changed 27, that with
    the largest sum 22. A generated token's row is the one whose logits chose it: that of the token before it.

    Args:
        queries_lshd: (layers, rows, heads, head_dim), with the rotary embedding.
        keys_lgtd: For each of these layers the cache's keys (kv heads, entries, head_dim).
        n_visible: For each row how many entries from the start it sees, its own included.
        spans: First entry and end of each; they may overlap.

    Returns:
        (rows, spans), each from 0 to 1: 1 where all heads attend to nothing else.
    """
    n_layers, n_rows, n_heads, _ = queries_lshd.shape
    # A last column of ones sums all weights in the same product: dividing by it normalizes.
    members = np.zeros((max(n_visible), len(spans) + 1), np.float32)
    members[:, -1] = 1
    for index, (start, end) in enumerate(spans):
        members[start:end, index] = 1
    total = np.zeros((n_rows, len(spans)), np.float32)
    for queries_shd, keys_gtd in zip(queries_lshd, keys_lgtd, strict=True):
        sums = _exponentials(queries_shd, keys_gtd[:, : len(members)], n_visible) @ members
        total += np.square(sums[:, :, :-1] / sums[:, :, -1:]).sum(axis=0)
    total /= n_layers * n_heads
    return np.sqrt(total, out=total)


def attention_weights(
    queries_shd: Floats, keys_gtd: Floats, n_visible: Sequence[int]
) -> npt.NDArray[np.float32]:
    """Return the weights of one layer's attention, as its operator has them: (heads, rows, entries).

    Consecutive query heads share a key-value head (grouped-query attention, arXiv 2305.13245).

    Args:
        queries_shd: (rows, heads, head_dim), with the rotary embedding.
        keys_gtd: (kv heads, entries, head_dim), with the rotary embedding.
        n_visible: For each row how many entries from the start it sees, 1 at least.
    """
    weights = _exponentials(queries_shd, keys_gtd, n_visible)
    weights /= weights.sum(axis=2, keepdims=True)
    return weights


def _exponentials(queries_shd: Floats, keys_gtd: Floats, n_visible: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return what a softmax divides by its sum, at most 1: (heads, rows, entries)."""
    n_rows, n_heads, head_dim = queries_shd.shape
    n_groups, n_entries, _ = keys_gtd.shape
    scaled = queries_shd.astype(np.float32) / np.float32(np.sqrt(head_dim))
    grouped = scaled.transpose(1, 0, 2).reshape(n_groups, -1, head_dim)
    scores: npt.NDArray[np.float32] = np.empty((n_groups, grouped.shape[1], n_entries), np.float32)
    np.matmul(grouped, keys_gtd.astype(np.float32, copy=False).transpose(0, 2, 1), out=scores)
    scores = scores.reshape(n_heads, n_rows, n_entries)
    for row, n in enumerate(n_visible):
        scores[:, row, n:] = -np.inf
    scores -= scores.max(axis=2, keepdims=True)
    return np.exp(scores, out=scores)
