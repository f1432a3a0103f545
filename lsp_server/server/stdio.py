"""Serves one client over standard input and output, in this process alone.

Two threads move bytes between the pipes and the event loop: that works for pipes, files and terminals alike,
on every system, and a client that does not read never holds up the loop. Whatever else in this process prints
goes to standard error: one stray line on standard output would end the conversation.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

from lsp_server.server.connection import run_connection
from lsp_server.server.host import Host

__all__ = ["serve_stdio"]

_READ_BYTES: Final = 65_536
_MOST_UNREAD_BYTES: Final = 2**40
"""The reader never pushes back: a thread reads, and messages are taken as they come."""
_DRAIN_S: Final = 2.0


def serve_stdio(make_host: Callable[[], Host]) -> int:
    """Serve until the client has gone; return the exit code.

    Args:
        make_host: Called once standard output is safe from whatever is loaded.
    """
    incoming, outgoing = os.dup(0), os.dup(1)
    sys.stdout.flush()
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    host = make_host()
    try:
        return asyncio.run(_serve(incoming, outgoing, host))
    finally:
        host.close()


async def _serve(incoming: int, outgoing: int, host: Host) -> int:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_MOST_UNREAD_BYTES)
    threading.Thread(target=_pump_in, args=(incoming, reader, loop), daemon=True, name="stdin").start()
    sender = _Sender(outgoing)
    serving = asyncio.create_task(run_connection(reader, sender, host))
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        serving.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, stop, number)
    try:
        return await serving
    except asyncio.CancelledError:
        if not received:
            raise
        return 128 + received[0]
    finally:
        sender.close()


def _pump_in(descriptor: int, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended
        while True:
            try:
                data = os.read(descriptor, _READ_BYTES)
            except OSError:
                data = b""
            if not data:
                loop.call_soon_threadsafe(reader.feed_eof)
                return
            loop.call_soon_threadsafe(reader.feed_data, data)


class _Sender:
    """Writes to a descriptor in a thread of its own, in order."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True, name="stdout")
        self._thread.start()

    def write(self, data: bytes, /) -> None:
        """Send bytes a little later."""
        self._queue.put(data)

    def close(self) -> None:
        """Let what was sent go out, for a moment at most: a client may no longer read."""
        self._queue.put(None)
        self._thread.join(_DRAIN_S)

    def _work(self) -> None:
        while (data := self._queue.get()) is not None:
            view = memoryview(data)
            try:
                while view:
                    view = view[os.write(self._descriptor, view) :]
            except OSError:
                return  # the client has gone; whoever reads from it notices
