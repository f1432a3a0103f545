"""How much two texts have in common at their start and at their end.

By bisection over comparisons of slices, which run in C: some microseconds for a whole file.
"""

from __future__ import annotations

from typing import AnyStr

__all__ = ["n_common_at_end", "n_common_at_start"]


def n_common_at_start(one: AnyStr, other: AnyStr) -> int:
    """Return the length of the common beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def n_common_at_end(one: AnyStr, other: AnyStr, limit: int) -> int:
    """Return the length of the common end, at most `limit`."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if one[len(one) - middle : len(one) - low] == other[len(other) - middle : len(other) - low]:
            low = middle
        else:
            high = middle - 1
    return low
