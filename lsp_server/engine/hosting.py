"""What the engine does with each connection: who is it, what for, and when is nobody left.

Runs in one event loop. What a language server does with an editor's messages is a `Service`'s matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from lsp_server.engine.errors import MalformedError
from lsp_server.engine.framing import header_of, length_in
from lsp_server.engine.greeting import GOODBYE, PROTOCOL, wants_in
from lsp_server.engine.jsonrpc import notification, parse, response

__all__ = ["BoundedSender", "Hosting", "Service"]

_GREETING_S: Final = 10.0
_MAX_GREETING_BYTES: Final = 4096
_MAX_UNREAD_BYTES: Final = 64 << 20
_FAREWELL_S: Final = 2.0
_LOOK_S: Final = 20.0
"""Between two looks at the settings file, while an editor is there."""
OUTDATED: Final = (
    "The settings file has changed since the engine was started. `crosslight engine stop` ends it; "
    "editors then start another one, which reads the file."
)

log = logging.getLogger(__name__)


class BoundedSender:
    """Writes without waiting, and breaks a connection off whose other side does not read."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def write(self, data: bytes, /) -> None:
        """Send bytes, now or a little later."""
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > _MAX_UNREAD_BYTES:
            log.warning("an editor reads nothing; its connection is broken off")
            self._writer.transport.abort()


class Service(Protocol):
    """A language server for any number of editors."""

    async def run(self, reader: asyncio.StreamReader, sender: BoundedSender) -> object:
        """Serve one editor until its stream ends; ends early when the task is cancelled."""

    def facts(self) -> dict[str, Any]:
        """Return what is worth knowing of it, as JSON."""

    def close(self) -> None:
        """End what all editors share."""


class Hosting:
    """The connections of one engine."""

    def __init__(
        self,
        service: Service,
        *,
        version: str,
        idle_s: float,
        is_outdated: Callable[[], bool],
        look_s: float = _LOOK_S,
    ) -> None:
        """Wait for the first connection for `idle_s` seconds.

        Args:
            service: What editors are given to.
            version: The program's.
            idle_s: How long to stay without an editor.
            is_outdated: Whether an engine that is started now would have other settings.
            look_s: How often that is asked while an editor is there.
        """
        self.stopping = asyncio.Event()
        self._service = service
        self._version = version
        self._idle_s = idle_s
        self._is_outdated = is_outdated
        self._began = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        self._n_editors = 0
        self._end: asyncio.TimerHandle | None = None
        self._look_s = look_s
        self._was_outdated = False
        self._look: asyncio.TimerHandle | None = None
        self._left()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        task = asyncio.current_task()
        if task is None or self.stopping.is_set():
            writer.close()
            return
        self._tasks.add(task)
        try:
            await self._greet(reader, writer)
        except (TimeoutError, MalformedError, asyncio.LimitOverrunError):
            log.warning("a connection that did not greet was closed")
        except (asyncio.IncompleteReadError, ConnectionError):
            log.debug("a connection broke off")  # such as one that only asked whether anybody listens
        except asyncio.CancelledError:
            if not self.stopping.is_set():  # else it was `close` that ended it
                raise
        finally:
            self._tasks.discard(task)
            writer.close()

    async def close(self) -> None:
        """Take leave of every editor, so that none takes this end for a failure."""
        self.stopping.set()
        for timer in (self._end, self._look):
            if timer is not None:
                timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_GREETING_S):
            header = await reader.readuntil(b"\r\n\r\n")
            length = length_in(header[:-4])
            if length > _MAX_GREETING_BYTES:
                raise MalformedError("this is no greeting")
            message = parse(await reader.readexactly(length))
        wants = wants_in(message)
        if wants == "editor" and self._n_editors == 0 and self._is_outdated():
            self.stopping.set()  # whoever asked starts another one, and loses nothing
            return
        answer = response(message.request_id, self._facts() if wants == "status" else self._greeting())
        writer.write(header_of(answer) + answer)
        if wants == "editor":
            await self._serve_editor(reader, writer)
        elif wants == "stop":
            await writer.drain()
            self.stopping.set()

    async def _serve_editor(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._n_editors += 1
        if self._end is not None:
            self._end.cancel()
        if self._look is None:
            self._was_outdated = self._is_outdated()  # its greeting said so
            self._look = asyncio.get_running_loop().call_later(self._look_s, self._look_at_settings)
        try:
            await self._service.run(reader, BoundedSender(writer))
        except asyncio.CancelledError:
            await _take_leave(writer)
            raise
        except Exception:  # the boundary: one editor's trouble is not the others'
            log.exception("a connection failed")
        finally:
            self._n_editors -= 1
            self._left()

    def _left(self) -> None:
        """Take note that an editor left; when it was the last one, end after a while, or at once."""
        if self._n_editors or self.stopping.is_set():
            return
        if self._is_outdated():
            self.stopping.set()
        else:
            self._end = asyncio.get_running_loop().call_later(self._idle_s, self.stopping.set)

    def _look_at_settings(self) -> None:
        """Tell the log, which every editor gets, when the settings file has become another one."""
        self._look = None
        if not self._n_editors or self.stopping.is_set():
            return
        is_outdated = self._is_outdated()
        if is_outdated and not self._was_outdated:
            log.warning(OUTDATED)
        self._was_outdated = is_outdated
        self._look = asyncio.get_running_loop().call_later(self._look_s, self._look_at_settings)

    def _greeting(self) -> dict[str, Any]:
        notice = OUTDATED if self._is_outdated() else None
        return {"protocol": PROTOCOL, "version": self._version, "pid": os.getpid(), "notice": notice}

    def _facts(self) -> dict[str, Any]:
        return {
            **self._greeting(),
            "uptime_s": round(time.monotonic() - self._began, 1),
            "n_editors": self._n_editors,
            **self._service.facts(),
        }


async def _take_leave(writer: asyncio.StreamWriter) -> None:
    """Say that this end was meant; the service has written its last word."""
    body = notification(GOODBYE, {})
    with contextlib.suppress(ConnectionError, TimeoutError):
        writer.write(header_of(body) + body)
        async with asyncio.timeout(_FAREWELL_S):
            await writer.drain()
            writer.close()
            await writer.wait_closed()
