"""Where the time of one completion goes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["PhaseClock"]


class PhaseClock:
    """Wall time by phase, in the order in which they ran."""

    def __init__(self) -> None:
        """Begin the first phase, and the total."""
        self._started = time.perf_counter()
        self._phases_ms: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block."""
        started = time.perf_counter()
        yield
        self._phases_ms[name] = (time.perf_counter() - started) * 1e3

    def add(self, phases_ms: Mapping[str, float]) -> None:
        """Take over phases that were timed elsewhere."""
        self._phases_ms.update(phases_ms)

    def take(self, phases_ms: Mapping[str, float], *, out_of: str) -> None:
        """Take over phases that were timed elsewhere, within another phase."""
        self._phases_ms[out_of] -= sum(phases_ms.values())
        self.add(phases_ms)

    def phases_ms(self) -> dict[str, float]:
        """Return all phases, and `total`: from the start until now."""
        return self._phases_ms | {"total": (time.perf_counter() - self._started) * 1e3}
