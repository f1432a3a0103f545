"""How long to wait for the next keystroke before the model is asked: told from typing rate and latency.

Where the model answers before the next key comes there is nothing to wait for. Where it does not, most runs
would be begun in vain, so the wait grows towards the time between two keys; it never exceeds it, for then the
user has paused. Pure: the caller says what time it is.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Pace"]

_WEIGHT: Final = 0.2
"""Of the latest sample in an average."""
_PAUSE_MS: Final = 1_000.0
"""Longer than this between two keys, nobody is typing."""
_MOST_MS: Final = 250.0
_FIRST_LATENCY_MS: Final = 150.0
_FIRST_INTERVAL_MS: Final = 180.0
"""Some 65 words a minute, until the user's own rate is known."""


class Pace:
    """One user's typing rate, and how fast they were answered."""

    def __init__(self) -> None:
        self._last_key_ms: float | None = None
        self._interval_ms = _FIRST_INTERVAL_MS
        self._latency_ms = _FIRST_LATENCY_MS

    @property
    def interval_ms(self) -> float:
        """Between two keys, on average."""
        return self._interval_ms

    def key(self, now_ms: float) -> None:
        """Note an edit."""
        if self._last_key_ms is not None and 0 < (interval := now_ms - self._last_key_ms) < _PAUSE_MS:
            self._interval_ms += _WEIGHT * (interval - self._interval_ms)
        self._last_key_ms = now_ms

    def answered(self, latency_ms: float) -> None:
        """Note how long the model took."""
        self._latency_ms += _WEIGHT * (latency_ms - self._latency_ms)

    def wait_ms(self, now_ms: float) -> float:
        """Return how long to wait still: nothing where the model is twice as fast as the keys.

        What has passed since the last key counts: some editors wait before they ask.
        """
        share = 1.0 - self._interval_ms / (2.0 * max(self._latency_ms, 1.0))
        passed_ms = 0.0 if self._last_key_ms is None else max(0.0, now_ms - self._last_key_ms)
        return max(0.0, min(_MOST_MS, self._interval_ms * share) - passed_ms)
