"""Runs one connection: bytes in, messages handled, bytes out, until the client has gone.

The framing of LSP's base protocol; what the messages say is not known here. `run_connection` is what a
server over any pair of streams calls, one task a connection, all with the same host.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from pygls.exceptions import JsonRpcException

from lsp_server.engine.errors import MalformedError
from lsp_server.engine.framing import length_in
from lsp_server.server.features import new_server
from lsp_server.server.host import Host
from lsp_server.server.logs import CONNECTION
from lsp_server.server.protocol import ConnectionServer

__all__ = ["Reader", "Sender", "run_connection"]

_PARSE_ERROR: Final = -32700

log = logging.getLogger(__name__)


class Reader(Protocol):
    """Where messages come from; `asyncio.StreamReader` is one."""

    def readline(self) -> Awaitable[bytes]:
        """Return a line with its end; empty at the end of the stream."""
        ...

    def readexactly(self, n: int, /) -> Awaitable[bytes]:
        """Return so many bytes.

        Raises:
            asyncio.IncompleteReadError: The stream ended before.
        """
        ...


class Sender(Protocol):
    """Where messages go; `asyncio.StreamWriter` is one. Never waits for the client."""

    def write(self, data: bytes, /) -> object:
        """Send bytes, now or a little later."""
        ...


class _Writer:
    """A sender as pygls wants it; closing is for whoever opened it."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def write(self, data: bytes) -> None:
        # a client that has gone is noticed where it is read from
        with contextlib.suppress(ConnectionError):
            self._sender.write(data)

    def close(self) -> None:
        """Leave the stream as it is."""


async def run_connection(reader: Reader, sender: Sender, host: Host) -> int:
    """Serve one client until it says goodbye or its stream ends.

    Cancelling the task ends the connection, too. Whatever still ran for it is cancelled, and its repositories
    are given up; the host goes on.

    Args:
        reader: The client's messages.
        sender: Takes ours.
        host: Shared with other connections.

    Returns:
        The exit code that the protocol wants: 0 after `shutdown` and `exit`, 1 otherwise.
    """
    server = new_server(host)
    server.protocol.set_writer(_Writer(sender))
    ended = server.protocol.ended = asyncio.get_running_loop().create_future()
    reading = asyncio.create_task(_read(reader, server))
    try:
        await asyncio.wait({reading, ended}, return_when=asyncio.FIRST_COMPLETED)
        return ended.result() if ended.done() else 1
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        server.end()


async def _read(reader: Reader, server: ConnectionServer) -> None:
    CONNECTION.set(server)  # in this task, and in all that it starts
    while True:
        try:
            body = await _message(reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        except MalformedError as error:
            log.error("the client does not speak this protocol: %s", error)  # noqa: TRY400 - for users
            return
        if body is None:
            return
        _handle(server, body)
        await asyncio.sleep(0)  # a stream that is full does not wait: whoever else is due comes in between


async def _message(reader: Reader) -> bytes | None:
    """Return the next message's body, None at the end of the stream.

    Raises:
        MalformedError: What came is no message.
    """
    header: list[bytes] = []
    while line := (await reader.readline()):
        if not line.strip():
            return await reader.readexactly(length_in(b"\r\n".join(header)))
        header.append(line.rstrip(b"\r\n"))
    return None


def _handle(server: ConnectionServer, body: bytes) -> None:
    protocol = server.protocol
    message_id: object = None
    try:
        values = json.loads(body)
        message_id = values.get("id") if isinstance(values, dict) else None
        if not isinstance(values, dict) or "jsonrpc" not in values:
            raise ValueError("no JSON-RPC message")  # noqa: TRY301 - one way out for all that is wrong
        protocol.handle_message(protocol.structure_message(values))
    except (ValueError, RecursionError):
        _complain(server, message_id, _PARSE_ERROR, "this is no JSON-RPC message")
    except JsonRpcException as error:
        if message_id is None:
            log.warning("a notification cannot be read: %s", type(error).__name__)
        else:
            _complain(server, message_id, error.code, error.message)
    except Exception as error:  # the boundary: one message must not end the connection
        log.error("a message could not be handled: %s", type(error).__name__)  # noqa: TRY400 - no user's code
        log.debug("the message that could not be handled", exc_info=True)


def _complain(server: ConnectionServer, message_id: object, code: int, text: str) -> None:
    log.warning("a message cannot be read: %s", text)
    answer = {"jsonrpc": "2.0", "id": message_id, "error": {"code": code, "message": text}}
    send: Callable[[object], None] = server.protocol._send_data  # noqa: SLF001 - pygls answers only what it could read
    send(answer)
