"""Messages on their way into a channel, so that nobody needs to wait until they are read."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lsp_server.engine.channels import Channel

__all__ = ["Outbox"]

_ENOUGH_BYTES = 8 << 20


class Outbox:
    """Sends in the order of `put`; the channel is closed when sending fails.

    A thread of its own sends what nobody else does. `flush` sends in the caller's thread instead: on a busy
    machine waking another one takes longer than all the rest.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._n_bytes = 0
        self._is_sending = False
        self._is_closed = False
        threading.Thread(target=self._work, daemon=True, name="outbox").start()

    @property
    def is_waiting(self) -> bool:
        """Whether something was not sent, since the other side does not read it, or not yet."""
        with self._changed:
            return bool(self._waiting) or self._is_sending

    def put(self, bodies: Iterable[bytes], *, wake: bool = True) -> None:
        """Send these next; never waits. What is put into a closed box is lost.

        Args:
            bodies: Messages.
            wake: False where the caller flushes soon.
        """
        with self._changed:
            for body in bodies:
                self._waiting.append(body)
                self._n_bytes += len(body)
            if wake:
                self._changed.notify_all()

    def flush(self) -> None:
        """Send what waits; return when not too much is left, so that nobody reads faster than this sends."""
        while self._send_one():
            pass
        with self._changed:
            self._changed.wait_for(lambda: self._n_bytes <= _ENOUGH_BYTES or self._is_closed)

    def close(self) -> None:
        """Close the channel, and forget what was not sent."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._channel.close()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._can_send_or_end)
                if self._is_closed:
                    return
            self._send_one()

    def _can_send_or_end(self) -> bool:
        return self._is_closed or (bool(self._waiting) and not self._is_sending)

    def _send_one(self) -> bool:
        """Send the next message; return False where there is none, or another thread is at it."""
        with self._changed:
            if self._is_closed or self._is_sending or not self._waiting:
                return False
            self._is_sending = True
            body = self._waiting.popleft()
        try:
            self._channel.send(body)
        except OSError:
            self.close()
        with self._changed:
            self._is_sending = False
            was_held_back = self._n_bytes > _ENOUGH_BYTES
            self._n_bytes -= len(body)
            if self._waiting or was_held_back:  # else nobody waits for this
                self._changed.notify_all()
        return True
