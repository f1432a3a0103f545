"""The engine: the process that completes for every editor of a user.

Listens on a socket that is the user's alone, and ends when no editor has been there for some time. Knows
neither models nor what editors say.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from indexer.folders import os_errors, private_folder
from indexer.rendezvous import Rendezvous, become_owner
from lsp_server.engine.errors import EngineError
from lsp_server.engine.finder import is_answered
from lsp_server.engine.hosting import Hosting, Service
from lsp_server.engine.log import keep_log

__all__ = ["run_engine"]

_BUFFER_BYTES: Final = 1 << 20
"""Of a stream that is read; a longer message is read in pieces of it."""
_BACKLOG: Final = 64

_OnConnection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
log = logging.getLogger(__name__)


def run_engine(
    meeting: Rendezvous,
    *,
    make_service: Callable[[], Service],
    idle_s: float,
    is_outdated: Callable[[], bool] = lambda: False,
) -> None:
    """Be the engine until it is told to stop, or no editor has been there for `idle_s` seconds.

    Returns at once if another process already is. Changes the process: its working directory, its umask, its
    signal handlers and where it writes to.

    Args:
        meeting: Where it answers and logs.
        make_service: Called once, when this process is the engine.
        idle_s: How long to stay without an editor.
        is_outdated: Whether an engine that is started now would have other settings.

    Raises:
        StoreError: A folder or the socket cannot be made.
    """
    os.umask(0o077)
    folder = meeting.lock_file.parent
    os.chdir(private_folder(folder))  # no `.env` of a workspace is ever the current directory's
    lock = become_owner(meeting, lambda: is_answered(meeting))
    if lock is None:
        return
    with lock, os_errors(Path(meeting.address)):
        keep_log(meeting.log_file)
        asyncio.run(_serve(meeting, make_service, idle_s, is_outdated))


async def _serve(
    meeting: Rendezvous, make_service: Callable[[], Service], idle_s: float, is_outdated: Callable[[], bool]
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        listener = _bound(meeting)  # now: who looks for an engine while this one loads waits for it
        service = make_service()
        stack.callback(service.close)
        hosting = Hosting(service, version=meeting.version, idle_s=idle_s, is_outdated=is_outdated)
        stack.push_async_callback(hosting.close)
        await stack.enter_async_context(_listening(meeting, listener, hosting.converse))
        _end_on_signals(hosting)
        log.info("version %s, process %d, listens", meeting.version, os.getpid())
        await hosting.stopping.wait()
        log.info("ends")


def _bound(meeting: Rendezvous) -> socket.socket | None:
    """Return the listening socket, readable by the user alone; None for a pipe, which is made later."""
    if meeting.family == "AF_PIPE":
        return None
    _remove(meeting)  # a dead engine's: the lock is ours
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(meeting.address)
    Path(meeting.address).chmod(0o600)
    listener.listen(_BACKLOG)
    return listener


def _remove(meeting: Rendezvous) -> None:
    Path(meeting.address).unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def _listening(
    meeting: Rendezvous, listener: socket.socket | None, on_connection: _OnConnection
) -> AsyncIterator[None]:
    """Accept connections inside of the block."""
    if listener is None:
        close = await _listen_on_pipe(meeting.address, on_connection)
    else:
        server = await asyncio.start_unix_server(on_connection, sock=listener, limit=_BUFFER_BYTES)
        close = server.close
    try:
        yield
    finally:
        # Before anything else ends: whoever comes now finds nothing, and starts another engine.
        if listener is not None:
            _remove(meeting)
        close()


async def _listen_on_pipe(address: str, on_connection: _OnConnection) -> Callable[[], None]:
    """Accept connections on a named pipe of Windows, which by default only its user may write to."""
    if sys.platform == "win32":
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=_BUFFER_BYTES), on_connection)

        servers = await loop.start_serving_pipe(protocol, address)

        def close() -> None:
            for server in servers:
                server.close()

        return close
    raise EngineError("named pipes need Windows")


def _end_on_signals(hosting: Hosting) -> None:
    loop = asyncio.get_running_loop()

    def end(*_: object) -> None:
        loop.call_soon_threadsafe(hosting.stopping.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        if sys.platform == "win32":
            signal.signal(number, end)
        else:
            loop.add_signal_handler(number, hosting.stopping.set)
