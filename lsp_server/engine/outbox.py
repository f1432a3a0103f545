"""A thread that sends, so that whoever has something to say need not wait for whoever does not listen."""

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
    """Messages on their way into a channel, in order; the channel is closed when sending fails."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._n_bytes = 0
        self._is_closed = False
        threading.Thread(target=self._send, daemon=True, name="outbox").start()

    def put(self, bodies: Iterable[bytes]) -> None:
        """Send these next; never waits. What is put into a closed box is lost."""
        with self._changed:
            for body in bodies:
                self._waiting.append(body)
                self._n_bytes += len(body)
            self._changed.notify_all()

    def wait_for_room(self) -> None:
        """Return when not too much is on its way: who reads for this box reads no faster than it sends."""
        with self._changed:
            self._changed.wait_for(lambda: self._n_bytes <= _ENOUGH_BYTES or self._is_closed)

    def close(self) -> None:
        """Close the channel, and forget what was not sent."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._channel.close()

    def _send(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting) or self._is_closed)
                if self._is_closed:
                    return
                body = self._waiting.popleft()
            try:
                self._channel.send(body)
            except OSError:
                self.close()
                return
            with self._changed:
                self._n_bytes -= len(body)
                self._changed.notify_all()
