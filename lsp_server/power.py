"""Whether to compute ahead of the user, which costs energy that a battery may not have to spare.

What a completion waits for is never affected: only what is done before anyone asked for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Literal

import psutil

__all__ = ["Ahead", "PowerWatch", "on_battery"]

Ahead = Literal["always", "plugged-in", "never"]

_LOOK_AGAIN_S: Final = 20.0
"""Asking the system takes a fraction of a millisecond, but is done before each piece of work."""


def on_battery() -> bool:
    """Return whether the machine runs on its battery; False where there is none, or none is told of."""
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, RuntimeError):  # not offered on every system, and not in every container
        return False
    # None: the system cannot tell whether it is plugged in
    return battery is not None and battery.power_plugged is False


class PowerWatch:
    """Decides by a setting and the machine's supply; for any thread."""

    def __init__(
        self,
        ahead: Ahead,
        *,
        is_on_battery: Callable[[], bool] = on_battery,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask nothing yet.

        Args:
            ahead: The user's setting.
            is_on_battery: Asked at most once in 20 seconds, and only if the setting wants to know.
            clock: Seconds, monotonic.
        """
        self._ahead = ahead
        self._is_on_battery = is_on_battery
        self._clock = clock
        self._seen: tuple[float, bool] | None = None

    def may_work_ahead(self) -> bool:
        """Return whether to compute what nobody has asked for yet."""
        if self._ahead != "plugged-in":
            return self._ahead == "always"
        now = self._clock()
        if self._seen is None or now - self._seen[0] >= _LOOK_AGAIN_S:
            self._seen = (now, self._is_on_battery())
        return not self._seen[1]
