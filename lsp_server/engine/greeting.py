"""The first message on a connection to an engine, and its answer.

Whoever connects says what for; the engine tells about itself. Then an editor's messages follow.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from lsp_server.engine.errors import MalformedError
from lsp_server.engine.jsonrpc import Message

__all__ = ["GREETING_METHOD", "PROTOCOL", "Wants", "wants_in"]

PROTOCOL: Final = 1
"""Raised whenever the greeting or what follows it changes; engines of other protocols are left alone."""
GREETING_METHOD: Final = "crosslight/greet"

Wants = Literal["editor", "status", "stop"]
"""What a connection is for."""


def wants_in(message: Message) -> Wants:
    """Return what a greeting asks for.

    Raises:
        MalformedError: It is none of this protocol.
    """
    if message.method == GREETING_METHOD and message.params.get("protocol") == PROTOCOL:
        for wants in get_args(Wants):
            if message.params.get("wants") == wants:
                return wants  # type: ignore[no-any-return]  # one of the literals
    raise MalformedError("this is no greeting")
