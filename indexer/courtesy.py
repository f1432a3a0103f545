"""Lets completions go first: a run that indexes holds still for a moment after each retrieval.

A retrieval means that somebody waits for a completion, and the model wants the processor next: low priority
alone leaves it waiting for caches, memory and the threads that share its cores. A run goes on all the same
while somebody types without a pause, only more slowly. Knows neither runs nor retrieval.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

__all__ = ["Courtesy"]

_QUIET_S: Final = 0.3
"""After a retrieval: about as long as a completion takes."""
_LONGEST_S: Final = 1.0
_WORK_S: Final = 0.25
"""Between two times of holding still, at least."""


class _Stop(Protocol):
    def wait(self, timeout: float, /) -> bool:
        """Wait, and return whether there is nothing to wait for any more; `threading.Event` has it."""
        ...


class Courtesy:
    """When to hold still; whoever asks and whoever holds still may be different threads."""

    def __init__(self, stop: _Stop, clock: Callable[[], float] = time.monotonic) -> None:
        """Hold still for nobody yet.

        Args:
            stop: Set when nothing is to be waited for any more.
            clock: Seconds, monotonic.
        """
        self._stop = stop
        self._clock = clock
        self._asked_at = self._went_on_at = -float("inf")

    def asked(self) -> None:
        """Note that somebody waits for a completion."""
        self._asked_at = self._clock()

    def give_way(self) -> None:
        """Hold still while completions are made, but not for ever; to be called between two batches."""
        began = self._clock()
        if began - self._went_on_at < _WORK_S:
            return
        while (rest := min(self._asked_at + _QUIET_S, began + _LONGEST_S) - self._clock()) > 0:
            if self._stop.wait(rest):
                return
            self._went_on_at = self._clock()
