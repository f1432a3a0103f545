"""Tells an engine that hangs from one that is busy.

Nothing long ever runs in an engine's event loop, so it answers at any time, whatever is loaded or computed in
its threads. One that somebody waits for, and that stays silent even when it is asked whether it is there, was
stopped or is stuck for ever. Time is counted in looks, not in seconds: while the machine sleeps, or has none
left for this process, nobody looks, and the engine had none either.
"""

from __future__ import annotations

import enum

__all__ = ["Pulse", "State"]


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
            most_looks: After the one that finds it silent; if it still is then, it hangs.
        """
        self._most_looks = most_looks
        self._n_silent = 0
        self._was_heard = True

    def heard(self) -> None:
        """Note that the engine said something."""
        self._was_heard = True

    def look(self, *, is_waited_for: bool) -> State:
        """Return how the engine is, given whether anybody waits for it."""
        if self._was_heard or not is_waited_for:
            self._was_heard = False
            self._n_silent = 0
            return State.FINE
        self._n_silent += 1
        if self._n_silent > self._most_looks:
            return State.HANGS
        return State.SILENT if self._n_silent == 1 else State.FINE
