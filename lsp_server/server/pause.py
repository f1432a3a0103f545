"""Whether a user wants no suggestions for now, and for how long still. A clock tells the time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

__all__ = ["Pause"]


class Pause:
    """A pause of suggestions while typing, which may end by itself."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Have none.

        Args:
            clock: Seconds, of the day and not of the machine: a laptop's sleep counts.
        """
        self._clock = clock
        self._until_s: float | None = None

    def begin(self, minutes: float = math.inf) -> None:
        """Pause from now on, for so many minutes or until `end`."""
        self._until_s = self._clock() + 60.0 * minutes

    def end(self) -> None:
        """Pause no more."""
        self._until_s = None

    @property
    def is_on(self) -> bool:
        """Whether it has begun and not ended."""
        return self.seconds_left > 0

    @property
    def seconds_left(self) -> float:
        """Until it ends by itself: infinite if it does not, 0 where there is none."""
        return 0.0 if self._until_s is None else max(0.0, self._until_s - self._clock())

    @property
    def minutes_left(self) -> int | None:
        """Until it ends by itself, counting the one that has begun; None if it does not, or is off."""
        left = self.seconds_left
        return math.ceil(left / 60) if 0 < left < math.inf else None
