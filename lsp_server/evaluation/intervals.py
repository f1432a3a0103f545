"""Means with 95 % intervals: the percentile bootstrap over cases (Efron 1979), seeded, so always the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Estimate", "Figure", "mean_with_interval", "paired_difference", "resampled"]

Figure = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]]
"""From how often each case counts, (resamples, cases), to a figure of each resample."""

_N_RESAMPLES = 4000
_CHUNK = 500
"""Resamples made at a time: each is a row as long as there are cases."""
_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over cases, and where it would lie in 95 of 100 other draws of as many cases."""

    mean: float
    low: float
    high: float

    @property
    def margin(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2


def mean_with_interval(
    values: Sequence[float], weights: Sequence[float] | None = None, *, seed: int = 0
) -> Estimate | None:
    """Return the weighted mean over cases, None where there are none.

    Args:
        values: One a case.
        weights: One a case, positive; a rate over bytes has the bytes here. All 1 if None.
        seed: Of the resamples.
    """
    if not values:
        return None
    w = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    wx = w * np.asarray(values, np.float64)
    return resampled(lambda counts: (counts @ wx) / (counts @ w), len(values), seed=seed)


def resampled(figure: Figure, n_cases: int, *, seed: int = 0) -> Estimate:
    """Return a figure over cases with its interval.

    Args:
        figure: Of it.
        n_cases: At least one.
        seed: Of the resamples.
    """
    generator = np.random.default_rng(seed)
    even = np.full(n_cases, 1.0 / n_cases)
    figures: list[float] = []
    for _ in range(0, _N_RESAMPLES, _CHUNK):
        figures += list(figure(generator.multinomial(n_cases, even, size=_CHUNK)))
    low, high = np.percentile(figures, _PERCENTILES)
    return Estimate(float(figure(np.ones((1, n_cases), np.int64))[0]), float(low), float(high))


def paired_difference(
    values: Sequence[float],
    baseline: Sequence[float],
    weights: Sequence[float] | None = None,
    *,
    seed: int = 0,
) -> Estimate | None:
    """Return by how much `values` exceed `baseline`, case by case.

    What makes one case harder than another cancels out, so this interval is narrower than those of the two
    means: it is the one that tells whether two arms differ.
    """
    differences = [one - other for one, other in zip(values, baseline, strict=True)]
    return mean_with_interval(differences, weights, seed=seed)
