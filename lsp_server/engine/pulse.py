"""Tells an engine that hangs from one that is busy.

Nothing long ever runs in an engine's event loop, so it answers nearly always, whatever is loaded or computed
in its threads. But some calls into native code let no other thread of the interpreter run (a vocabulary is
read for most of a second, a GPU's libraries from a cold disk for much longer), and where memory is short
everything takes its time. So one that somebody waits for, and that stays silent even when it is asked whether
it is there, hangs once it has done nothing for some time: it was stopped, or is stuck. One that works
meanwhile is given longer. Time is counted in looks, not in seconds: while the machine sleeps, or has none
left for this process, nobody looks, and the engine had none either.
"""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["Pulse", "State"]

_LEAST_EFFORT_S: Final = 0.25
"""Between two looks: what waits for ever wakes up now and then, but does nothing."""
_AT_WORK: Final = 12
"""Times as many looks are given to an engine that works: it may be caught in an endless loop."""


class State(enum.Enum):
    """What a look finds."""

    FINE = "fine"
    SILENT = "silent"
    """It is to be asked whether it is there."""
    HANGS = "hangs"


class Pulse:
    """How long an engine has been silent that somebody waits for."""

    def __init__(self, most_looks: int) -> None:
        """Take an engine that was just heard.

        Args:
            most_looks: After the one that finds it silent; if it still is then and did nothing, it hangs.
        """
        self._most_looks = most_looks
        self._n_silent = self._n_idle = 0
        self._effort_s: float | None = None
        self._was_heard = True

    @property
    def is_silent(self) -> bool:
        """Whether the last look found it silent: the next one is to be told what it does."""
        return self._n_silent > 0

    def heard(self) -> None:
        """Note that the engine said something."""
        self._was_heard = True

    def look(self, *, is_waited_for: bool, effort_s: float | None = None) -> State:
        """Return how the engine is.

        Args:
            is_waited_for: Whether anybody waits for it.
            effort_s: What it has done since it began, as `killing.effort_of` tells it; None if that is not
                known.
        """
        if self._was_heard or not is_waited_for:
            self._was_heard, self._effort_s = False, None
            self._n_silent = self._n_idle = 0
            return State.FINE
        before, self._effort_s = self._effort_s, effort_s
        is_working = before is not None and effort_s is not None and effort_s - before >= _LEAST_EFFORT_S
        self._n_silent += 1
        self._n_idle += not is_working
        if self._n_idle > self._most_looks or self._n_silent > _AT_WORK * self._most_looks:
            return State.HANGS
        return State.SILENT if self._n_silent == 1 else State.FINE
