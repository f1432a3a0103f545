"""Who has the model: one at a time, and the more urgent ends what the less urgent does, within a node.

Two cores run one pass well and two passes badly, and a user waits for one of them only. So whoever runs the
model takes a turn. A turn that is cancelled stays so: what it runs is ended and what it begins later ends at
once, so that nobody needs to try again; a later turn is never touched. Knows nothing of what is run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, Final, Protocol, TypeVar

from model.errors import Cancelled

__all__ = ["Awaiting", "Interruptible", "ModelTurns", "Turn", "Urgency"]

_T = TypeVar("_T")


class Urgency(IntEnum):
    """What a turn is for, the most urgent first."""

    REQUEST = 0
    """Somebody waits."""
    AHEAD = 1
    """What somebody may ask for next."""
    WARMING = 2
    """Definitions that may be retrieved some time."""


class Interruptible(Protocol):
    """Something that runs the model for a turn."""

    def cancel_turn(self) -> None:
        """End what runs, and until `close_turn` whatever begins. From any thread."""
        ...

    def close_turn(self) -> None:
        """Begin with a clean slate: what was cancelled concerns nothing that comes now."""
        ...


class Awaiting:
    """Waits for others in a turn, and not for longer than the turn is wanted; an `Interruptible`."""

    def __init__(self) -> None:
        self._cancelled: Future[None] = Future()

    def result(self, future: Future[_T], timeout_s: float | None = None) -> _T:
        """Return what a future has, as soon as it has it.

        Raises:
            Cancelled: The turn was.
            TimeoutError: It took longer than that.
        """
        either: tuple[Future[Any], ...] = (future, self._cancelled)
        done, _ = wait(either, timeout_s, return_when=FIRST_COMPLETED)
        if self._cancelled.done():
            raise Cancelled
        if not done:
            raise TimeoutError
        return future.result()

    def cancel_turn(self) -> None:
        """See `Interruptible`."""
        if not self._cancelled.done():
            self._cancelled.set_result(None)

    def close_turn(self) -> None:
        """See `Interruptible`."""
        self._cancelled = Future()


class Turn:
    """One use of the model; for one `hold`."""

    __slots__ = ("_is_cancelled", "urgency")

    def __init__(self, urgency: Urgency) -> None:
        self.urgency: Final = urgency
        self._is_cancelled = False

    @property
    def is_cancelled(self) -> bool:
        """Whether it is to end: it was cancelled, or a more urgent turn wants the model."""
        return self._is_cancelled


class ModelTurns:
    """Gives turns: the most urgent first, and of equals the one that came first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[Turn] = []  # guarded by the condition, as are the next two
        self._held: Turn | None = None
        self._models: tuple[Interruptible, ...] = ()

    @contextmanager
    def hold(self, turn: Turn, *models: Interruptible) -> Iterator[None]:
        """Have the model, as soon as nobody of the same urgency has it; who is less urgent ends at once.

        Args:
            turn: Not held before.
            models: What runs in it, to be ended if the turn is cancelled.

        Raises:
            Cancelled: The turn was cancelled before it came.
        """
        with self._changed:
            self._waiting.append(turn)
            try:
                if self._held is not None and self._held.urgency > turn.urgency:
                    self._end(self._held)
                self._changed.wait_for(lambda: turn.is_cancelled or self._is_next(turn))
                if turn.is_cancelled:
                    raise Cancelled
                self._held, self._models = turn, models
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                for model in models:
                    model.close_turn()
                self._held, self._models = None, ()
                self._changed.notify_all()

    def cancel(self, turn: Turn) -> None:
        """End a turn, in the middle of a pass or while it waits; of no effect on one that is over."""
        with self._changed:
            self._end(turn)
            self._changed.notify_all()

    def _end(self, turn: Turn) -> None:
        turn._is_cancelled = True  # noqa: SLF001 - who sees a turn may not set it; the same file does
        if self._held is turn:
            for model in self._models:
                model.cancel_turn()

    def _is_next(self, turn: Turn) -> bool:
        return self._held is None and min(self._waiting, key=lambda one: one.urgency) is turn
