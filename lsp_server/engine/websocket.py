"""Editors in a browser: WebSockets on this machine alone, one message of the protocol in each of theirs.

Any web page that a user visits can make their browser connect to a port of their own machine. So a connection
needs a token, which only whoever started this process was told, and must not come from a web page, which
browsers tell by `Origin`, unless that page was named.
"""

from __future__ import annotations

import hmac
import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from lsp_server.engine.channels import Channel
from lsp_server.engine.errors import MalformedError
from lsp_server.engine.framing import MAX_MESSAGE_BYTES

__all__ = ["WebSocketChannel", "refusal", "serve_websocket"]

_HOST: Final = "127.0.0.1"


class WebSocketChannel:
    """One message a WebSocket message."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def receive(self) -> bytes | None:
        """Wait for the next message; None at the end."""
        try:
            message = self._connection.recv()
        except ConnectionClosed:
            return None
        return message.encode("utf-8", "surrogatepass") if isinstance(message, str) else bytes(message)

    def send(self, body: bytes) -> None:
        """Send one message, as text, which is what browsers' clients expect."""
        try:
            self._connection.send(body.decode())
        except ConnectionClosed as error:
            raise BrokenPipeError from error

    def close(self) -> None:
        """End the connection; may be called twice."""
        self._connection.close()


def serve_websocket(
    port: int,
    origins: Sequence[str],
    serve_one: Callable[[Channel], object],
    announce: Callable[[str], None],
) -> int:
    """Serve every connection that may be, until the process is ended.

    Args:
        port: On 127.0.0.1; 0 takes a free one.
        origins: Of web pages that may connect.
        serve_one: Serves an editor until it is gone.
        announce: Told the address, with the token.
    """
    token = secrets.token_urlsafe(24)

    def check(connection: ServerConnection, request: Request) -> Response | None:
        why = refusal(request.path, request.headers.get_all("Origin"), token, origins)
        return connection.respond(HTTPStatus.FORBIDDEN, f"{why}\n") if why is not None else None

    def handle(connection: ServerConnection) -> None:
        try:
            serve_one(WebSocketChannel(connection))
        except MalformedError as error:
            print(f"crosslight: a connection was closed: {error}", file=sys.stderr, flush=True)

    with serve(
        handle, _HOST, port, process_request=check, max_size=MAX_MESSAGE_BYTES, compression=None
    ) as server:
        announce(f"ws://{_HOST}:{server.socket.getsockname()[1]}/?token={token}")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def refusal(path: str, from_origins: Sequence[str], token: str, origins: Sequence[str]) -> str | None:
    """Return why a connection may not be, None if it may.

    Args:
        path: What was asked for, with its query.
        from_origins: The `Origin` headers of the request; none where no browser sent it.
        token: What its query must hold as `token`.
        origins: Of web pages that may connect.
    """
    if any(origin not in origins for origin in from_origins) or len(from_origins) > 1:
        return "this web page may not connect: name its origin with --origin"
    given = parse_qs(urlsplit(path).query).get("token", [""])
    if len(given) != 1 or not hmac.compare_digest(given[0].encode(), token.encode()):
        return "the token is missing or wrong: take the address that `crosslight serve --websocket` printed"
    return None
